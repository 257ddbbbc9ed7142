package scenarios

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// gaveUp is what GiveUp says of an agent in the log.
func gaveUp(s *scene, id, agent string) (out []ota.Event) {
	for _, r := range s.log(id) {
		for _, e := range r.Events {
			if e.Agent == agent && (e.Kind == ota.EventTaskUnknown || e.Kind == ota.EventLate) {
				out = append(out, e)
			}
		}
	}
	return out
}

// A call hangs. GiveUp ends its context, and the plan goes on at once.
func TestGiveUpEndsOneCall(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{FailureThreshold: ptr(1.0), AttemptTimeout: ota.NoTimeout}, ota.Shape{Size: 1}, "hang-1", "ok-2")
		s.run(s.e)
		s.after(time.Hour)
		require.Empty(s, s.fleet.made("ok-2"))
		s.said(s.e.GiveUp(s.ctx, id, []string{"hang-1"}, ota.Request{Actor: "ann", Reason: "it hangs"}))
		s.after(2 * time.Second)
		s.status(id, ota.StatusCompleted)
		a := s.agent(id, "hang-1")
		require.Equal(s, ota.TaskUnknown, a.Status)
		require.True(s, a.Changed)
		events := gaveUp(s, id, "hang-1")
		require.Equal(s, []string{"ann", "it hangs"}, []string{events[0].Actor, events[0].Text})
		require.Equal(s, ota.ReasonOperator, events[0].Reason)
		require.Equal(s, ota.EventLate, events[1].Kind, "what the call returns is an event")
		before := s.plan(id)
		s.said(s.e.Annotate(s.ctx, id, map[string]string{"a": "b"}, nil, ota.Request{}))
		s.after(time.Hour)
		require.Equal(s, before.Counts, s.plan(id).Counts, "it stays")
	})
}

// The call ignores the end of its context. Its agent takes nothing else until it returns: no retry, no other plan.
func TestGiveUpKeepsTheAgentUntilTheCallReturns(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{FailureThreshold: ptr(1.0), AttemptTimeout: ota.NoTimeout}, ota.Shape{Size: 1}, "stuck-1", "ok-2")
		s.run(s.e)
		s.after(time.Minute)
		s.said(s.e.GiveUp(s.ctx, id, []string{"stuck-1"}, ota.Request{}))
		s.after(2 * time.Second)
		s.status(id, ota.StatusCompleted)
		other := s.create(ota.Policy{}, ota.Shape{}, "stuck-1").ID
		_, err := s.e.Start(s.ctx, other, ota.Request{})
		require.ErrorIs(s, err, ota.ErrClaimed)
		s.after(time.Hour)
		_, err = s.e.Start(s.ctx, other, ota.Request{})
		require.ErrorIs(s, err, ota.ErrClaimed)
		s.fleet.free()
		s.after(time.Minute)
		require.Len(s, gaveUp(s, id, "stuck-1"), 2)
		s.said(s.e.Start(s.ctx, other, ota.Request{}))
		s.after(time.Minute)
		require.Len(s, s.fleet.made("stuck-1"), 2)
	})
}

// A Retry in the same step as the GiveUp waits for the call.
func TestRetryAfterGiveUpWaitsForTheCall(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{FailureThreshold: ptr(1.0), AttemptTimeout: ota.NoTimeout, Concurrency: 3}, ota.Shape{Size: 3}, "stuck-1", "perm-2", "hang-3")
		s.run(s.e)
		s.after(time.Minute)
		other := s.engine(s.store, nil, "two") // its two commits are read at once
		s.said(other.GiveUp(s.ctx, id, []string{"stuck-1"}, ota.Request{}))
		s.said(other.Retry(s.ctx, id, nil, ota.Request{}))
		s.after(time.Hour)
		require.Len(s, s.fleet.made("stuck-1"), 1)
		require.Len(s, s.fleet.made("perm-2"), 2)
		s.fleet.free()
		s.after(time.Minute)
		require.Len(s, s.fleet.made("stuck-1"), 2)
	})
}

// What one hung call holds up, by the status of its plan: GiveUp is the way out of each.
func TestGiveUpIsTheWayOut(t *testing.T) {
	say := func(f func(*scene, string) (ota.Plan, error)) func(*scene, string) {
		return func(s *scene, id string) { s.said(f(s, id)) }
	}
	for want, put := range map[ota.Status]func(*scene, string){
		ota.StatusCompleted: func(*scene, string) {},
		ota.StatusPaused:    say(pauseIt),
		ota.StatusCanceled:  say(func(s *scene, id string) (ota.Plan, error) { return s.e.Cancel(s.ctx, id, false, ota.Request{}) }),
		ota.StatusRolledBack: say(func(s *scene, id string) (ota.Plan, error) {
			return s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{})
		}),
	} {
		t.Run(want.String(), func(t *testing.T) {
			inScene(t, func(s *scene) {
				id := s.start(ota.Policy{FailureThreshold: ptr(1.0), AttemptTimeout: ota.NoTimeout}, ota.Shape{Size: 1}, "ok-1", "hang-2", "ok-3")
				s.run(s.e)
				s.after(time.Minute)
				put(s, id)
				s.after(time.Hour)
				require.NotEqual(s, want.String(), s.plan(id).Status.String(), "the call holds it up")
				s.said(s.e.GiveUp(s.ctx, id, []string{"hang-2"}, ota.Request{}))
				s.after(10 * time.Second)
				s.status(id, want)
				s.after(time.Hour)
				s.status(id, want)
			})
		})
	}
}

// The owner dies before or after the commit that carries the order out. Its successor ends in the same state.
func TestGiveUpSurvivesTheOwner(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{FailureThreshold: ptr(1.0), AttemptTimeout: ota.NoTimeout}, ota.Shape{Size: 1}, "hang-1", "ok-2")
		stop := s.run(s.engineOf(s.store, s.fleet, ota.Options{Name: "one", DrainTimeout: -1}))
		s.after(time.Minute)
		require.NoError(s, stop())
		s.said(s.e.GiveUp(s.ctx, id, []string{"hang-1"}, ota.Request{}))
		s.run(s.e)
		s.after(time.Minute)
		s.status(id, ota.StatusCompleted)
		require.Equal(s, ota.TaskUnknown, s.agent(id, "hang-1").Status)
		require.Len(s, s.fleet.made("hang-1"), 1, "it is not repeated")
	})
}

// Agents that have no attempt out are refused by name, with their status and what is allowed.
func TestGiveUpRefuses(t *testing.T) {
	inScene(t, func(s *scene) {
		retry := ota.RetryPolicy{Max: 1, Backoff: time.Hour}
		id := s.start(ota.Policy{FailureThreshold: ptr(1.0), Retry: retry, Concurrency: 4}, ota.Shape{Size: 4}, "hang-1", "ok-2", "perm-3", "fail-4", "ok-5")
		s.run(s.e)
		s.after(5 * time.Second)
		for agent, problem := range map[string]string{
			"ok-2": "is succeeded", "perm-3": "is failed", "fail-4": "is waiting", "ok-5": "is pending",
		} {
			_, err := s.e.GiveUp(s.ctx, id, []string{agent}, ota.Request{})
			require.ErrorIs(s, err, ota.ErrInvalid)
			require.ErrorContains(s, err, problem)
			require.ErrorContains(s, err, "agents that are running")
		}
		_, err := s.e.GiveUp(s.ctx, id, []string{"nobody"}, ota.Request{})
		require.ErrorIs(s, err, ota.ErrNotFound)
		_, err = s.e.GiveUp(s.ctx, id, nil, ota.Request{})
		require.ErrorIs(s, err, ota.ErrInvalid)
	})
}

// A call that returns because it was given up does not count as one that ignores its context.
func TestGivenUpCallThatReturnsIsNoLeak(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.do = func(ctx context.Context, a ota.Attempt) (ota.Result, bool, error) {
			<-ctx.Done()
			time.Sleep(time.Second) // to clean up
			return ota.Result{}, true, ctx.Err()
		}
		id := s.start(ota.Policy{FailureThreshold: ptr(1.0), AttemptTimeout: ota.NoTimeout}, ota.Shape{}, "hang-1")
		go func() {
			time.Sleep(time.Minute)
			_, err := s.e.GiveUp(s.ctx, id, []string{"hang-1"}, ota.Request{})
			assert.NoError(s, err)
		}()
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
		require.Len(s, gaveUp(s, id, "hang-1"), 2)
	})
}

// One that never returns is reported when the plan has ended, after Options.AbandonAfter.
func TestGivenUpCallThatNeverReturnsIsReported(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{FailureThreshold: ptr(1.0), AttemptTimeout: ota.NoTimeout}, ota.Shape{}, "stuck-1")
		go func() {
			time.Sleep(time.Minute)
			_, err := s.e.GiveUp(s.ctx, id, []string{"stuck-1"}, ota.Request{})
			assert.NoError(s, err)
		}()
		began := time.Now()
		_, err := s.e.RunPlan(s.ctx, id)
		var abandoned *ota.AbandonedError
		require.ErrorAs(s, err, &abandoned)
		require.InDelta(s, time.Minute+5*time.Second, time.Since(began), float64(time.Second))
	})
}
