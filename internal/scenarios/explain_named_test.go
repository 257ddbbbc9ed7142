package scenarios

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// explained returns the blocker of a reason, as the engine that drives the plan and another one
// explain it. Both must say the same.
func (s *scene) explained(id string, why ota.Reason) (b ota.Blocker, ok bool) {
	s.Helper()
	here := s.explain(id)
	elsewhere := s.said2(s.engine(s.store, nil, "two").Explain(s.ctx, id))
	find := func(x ota.Explanation) (found ota.Blocker, ok bool) {
		for _, b := range x.Blockers {
			if b.Reason == why {
				return b, true
			}
		}
		return found, false
	}
	b, ok = find(here)
	other, same := find(elsewhere)
	require.Equal(s, ok, same, "%v\n%v", here.Blockers, elsewhere.Blockers)
	require.Equal(s, b, other)
	return b, ok
}

func (s *scene) said2(x ota.Explanation, err error) ota.Explanation {
	s.Helper()
	require.NoError(s, err)
	return x
}

// A call that hangs is named, with the verb that helps, in every status in which it may be in flight.
// That verb is accepted, and clears it.
func TestExplainOffersToGiveUpHungCalls(t *testing.T) {
	for status, put := range map[ota.Status]func(*scene, string){
		ota.StatusRunning:     func(*scene, string) {},
		ota.StatusPausing:     func(s *scene, id string) { s.said(pauseIt(s, id)) },
		ota.StatusCanceling:   func(s *scene, id string) { s.said(s.e.Cancel(s.ctx, id, false, ota.Request{})) },
		ota.StatusRollingBack: func(s *scene, id string) { s.said(s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{})) },
	} {
		t.Run(status.String(), func(t *testing.T) {
			inScene(t, func(s *scene) {
				policy := ota.Policy{FailureThreshold: ptr(1.0), Concurrency: 3, AttemptTimeout: time.Hour}
				id := s.start(policy, ota.Shape{}, "ok-1", "hang-2", "slow-3", "hang-4")
				s.run(s.e)
				s.after(5 * time.Second)
				put(s, id)
				s.after(29 * time.Minute)
				require.Equal(s, status, s.plan(id).Status)
				b, ok := s.explained(id, ota.ReasonInFlight)
				require.True(s, ok)
				require.Zero(s, b.Verb, "it may still return")
				require.NotContains(s, b.Text, "hang")
				s.after(2 * time.Minute)
				b, _ = s.explained(id, ota.ReasonInFlight)
				require.Equal(s, ota.VerbGiveUp, b.Verb)
				require.Contains(s, b.String(), "for 30m0s or longer: hang-2")
				require.NotContains(s, b.Text, "ok-")
				hung := []string{"hang-2"}
				if strings.Contains(b.Text, "hang-4") {
					hung = append(hung, "hang-4")
				}
				s.said(s.e.GiveUp(s.ctx, id, hung, ota.Request{}))
				s.after(time.Minute)
				if b, ok := s.explained(id, ota.ReasonInFlight); ok {
					require.Zero(s, b.Verb)
				}
			})
		})
	}
}

// Agents that Now put first are named until they start, whatever holds them back.
func TestExplainNamesUrgentAgents(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{Size: 2}, "slow-1", "ok-2", "ok-3", "ok-4")
		s.run(s.e)
		s.after(time.Second)
		s.said(pauseIt(s, id))
		_, ok := s.explained(id, ota.ReasonOperator)
		require.False(s, ok)
		s.said(s.e.Now(s.ctx, id, []string{"ok-4", "ok-3"}, ota.Request{}))
		s.after(time.Minute)
		b, ok := s.explained(id, ota.ReasonOperator)
		require.True(s, ok)
		require.Equal(s, "An operator ordered it: 2 agents start next by now: ok-3, ok-4", b.String())
		require.Equal(s, ota.ReasonPaused, s.explain(id).Blockers[0].Reason, "what holds the plan comes first")
		s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
		s.after(500 * time.Millisecond)
		b, _ = s.explained(id, ota.ReasonOperator)
		require.Contains(s, b.Text, "1 agent starts next by now: ok-4")
		s.after(time.Minute)
		s.status(id, ota.StatusCompleted)
		_, ok = s.explained(id, ota.ReasonOperator)
		require.False(s, ok)
	})
}
