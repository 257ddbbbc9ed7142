package scenarios

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// few lets a batch go on without one of its agents after ten minutes.
func few(size int) ota.Stragglers {
	return ota.Stragglers{Share: 1 / float64(size), After: 10 * time.Minute}
}

// One node of a pool hangs, as in GKE. The plan goes on without it, waits for it at its end, and
// completes as it is once Complete.Within has passed.
func TestOneNodeHangs(t *testing.T) {
	inScene(t, func(s *scene) {
		policy := ota.Policy{
			FailureThreshold: ptr(0.2), AttemptTimeout: 2 * time.Hour, Concurrency: 5, Stragglers: few(5),
			Complete: ota.Complete{Min: 1, Within: time.Hour},
		}
		id := s.start(policy, ota.Shape{Size: 5}, append([]string{"hang-001"}, names("ok", 14)...)...)
		began := time.Now()
		s.run(s.e)
		s.after(9 * time.Minute)
		require.Zero(s, s.plan(id).Batch, "it waits for ten minutes")
		s.after(2 * time.Minute)
		p := s.plan(id)
		require.Equal(s, ota.StatusRunning, p.Status)
		require.Equal(s, 14, p.Counts.Succeeded, "the other batches have no straggler of their own")
		b := s.batch(id, 0)
		require.Equal(s, ota.BatchCompleted, b.Status)
		require.Equal(s, 1, b.Counts.Running)
		s.after(time.Hour)
		p = s.plan(id)
		require.Equal(s, ota.StatusRunning, p.Status, "no plan is completed while an agent is out")
		x := s.explain(id)
		require.Contains(s, x.Sentence(), "The plan waits for agents of batches that went on without them: 1 agent is out: hang-001")
		require.Equal(s, ota.VerbGiveUp, x.Blockers[0].Verb)
		s.holds(id, ota.ReasonStragglers)
		s.after(time.Hour)
		p = s.plan(id)
		require.Equal(s, 1, p.Counts.Failed, "its attempt times out")
		require.Equal(s, ota.StatusCompleted, p.Status)
		require.Equal(s, ota.CoveragePartial, p.Coverage)
		require.Equal(s, 2*time.Hour, p.EndedAt.Sub(began).Round(time.Minute), "Within counts from the last batch")
	})
}

// holds asserts the reason that lists show for a plan.
func (s *scene) holds(id string, why ota.Reason) {
	s.Helper()
	page, err := s.e.Plans(s.ctx, ota.PlanQuery{Hold: []ota.Reason{why}})
	require.NoError(s, err)
	require.Len(s, page.Items, 1)
	require.Equal(s, id, page.Items[0].ID)
}

// hawkbit#1208: one device never answers, and no later group of the rollout starts. With stragglers
// the others go on; the device keeps its slot, and counts in its own batch when it ends.
func TestADeviceThatNeverAnswers(t *testing.T) {
	inScene(t, func(s *scene) {
		policy := ota.Policy{FailureThreshold: ptr(0.0), AttemptTimeout: 24 * time.Hour, Concurrency: 3, Stragglers: few(4)}
		id := s.start(policy, ota.Shape{Size: 4}, "hang-000", "ok-001", "ok-002", "ok-003", "ok-004", "ok-005", "ok-006", "ok-007", "slow-008")
		s.run(s.e)
		s.after(12 * time.Minute)
		p := s.plan(id)
		require.Equal(s, 8, p.Counts.Succeeded)
		require.Equal(s, 1, p.Counts.Running)
		require.LessOrEqual(s, s.fleet.most, 3, "it has one of the slots")
		_, err := s.e.GiveUp(s.ctx, id, []string{"hang-000"}, ota.Request{})
		require.NoError(s, err)
		s.after(time.Minute)
		p = s.plan(id)
		require.Equal(s, ota.StatusPaused, p.Status)
		require.Equal(s, ota.ReasonThreshold, p.Breaches[0].Reason)
		require.Zero(s, p.Breaches[0].Batch, "it fails in its own batch")
		s.stays(id, ota.StatusPaused)
	})
}

// While stragglers have every slot, Explain and lists say so, and name them.
func TestStragglersHaveEverySlot(t *testing.T) {
	for name, policy := range map[string]ota.Policy{
		"concurrency": {Concurrency: 1, FailureThreshold: ptr(1.0)},
		"reserve":     {Concurrency: 5, FailureThreshold: ptr(0.0), Reserve: true},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				policy.AttemptTimeout, policy.Stragglers = 24*time.Hour, few(2)
				id := s.start(policy, ota.Shape{Size: 2}, "ok-000", "hang-001", "ok-002", "ok-003")
				s.run(s.e)
				s.after(time.Hour)
				p := s.plan(id)
				require.Equal(s, 1, p.Batch)
				require.Equal(s, 2, p.Counts.Pending, "the hung agent has the only slot")
				x := s.explain(id)
				require.Equal(s, ota.ReasonStragglers, x.Blockers[0].Reason)
				require.Equal(s, "1 agent is open, and no slot is free: hang-001", x.Blockers[0].Text)
				s.holds(id, ota.ReasonStragglers)
				_, err := s.e.GiveUp(s.ctx, id, []string{"hang-001"}, ota.Request{})
				require.NoError(s, err)
				s.after(time.Minute)
				if policy.Reserve {
					s.stays(id, ota.StatusPaused)
					return
				}
				s.status(id, ota.StatusCompleted)
			})
		})
	}
}

// A straggler that succeeds late has to answer a question about its health. Silence is a failure in its own
// batch, also for a new owner.
func TestALateSuccessIsAsked(t *testing.T) {
	for _, c := range []struct {
		silent, takeover bool
		want             ota.Status
	}{{false, false, ota.StatusCompleted}, {true, false, ota.StatusPaused}, {true, true, ota.StatusPaused}} {
		inScene(t, func(s *scene) {
			var mu sync.Mutex
			open := make(chan struct{})
			s.fleet.do = func(_ context.Context, a ota.Attempt) (ota.Result, bool, error) {
				if a.Agent == "late" {
					<-open
				}
				return ota.Result{Version: a.ToVersion}, true, nil
			}
			h := &hush{silent: func(agent string, _ int) bool {
				mu.Lock()
				defer mu.Unlock()
				return c.silent && agent == "late"
			}}
			h.use(s)
			policy := ota.Policy{FailureThreshold: ptr(0.0), Stragglers: few(2), Hold: ota.Hold{Batches: []int{2}}}
			id := s.start(policy, ota.Shape{Size: 2}, "late", "ok-001", "ok-002", "ok-003", "ok-004")
			stop := s.run(s.e)
			s.after(15 * time.Minute)
			require.Equal(s, 3, s.plan(id).Counts.Succeeded)
			require.Zero(s, h.questions("late"))
			close(open)
			s.after(time.Second)
			require.Equal(s, 4, s.plan(id).Counts.Succeeded)
			if c.takeover {
				require.NoError(s, stop())
				s.e = s.engine(s.store, probed{s.fleet}, "two")
				s.run(s.e)
			}
			s.after(5 * time.Minute)
			require.Positive(s, h.questions("late"))
			if c.silent {
				p := s.plan(id)
				require.Equal(s, c.want, p.Status)
				require.Equal(s, ota.ReasonSilent, s.agent(id, "late").Tasks[0].Reason)
				require.Zero(s, p.Breaches[0].Batch)
				s.stays(id, c.want)
				return
			}
			asked := h.questions("late")
			s.after(time.Hour)
			require.Equal(s, asked, h.questions("late"), "one healthy answer is enough")
			_, err := s.e.Promote(s.ctx, id, 2, ota.Request{})
			require.NoError(s, err)
			s.after(time.Minute)
			s.status(id, c.want)
		})
	}
}

// Promote of the next batch goes on without the agents that are out, once every agent of the batch has begun.
// It does so once, and not for a batch that is held.
func TestPromoteGoesOnWithoutStragglers(t *testing.T) {
	inScene(t, func(s *scene) {
		policy := ota.Policy{FailureThreshold: ptr(1.0), AttemptTimeout: 24 * time.Hour, Concurrency: 2}
		id := s.start(policy, ota.Shape{Size: 3}, "ok-000", "ok-001", "hang-002", "hang-003", "ok-004", "ok-005", "ok-006")
		s.run(s.e)
		s.after(time.Millisecond)
		_, err := s.e.Promote(s.ctx, id, 1, ota.Request{})
		require.ErrorIs(s, err, ota.ErrState, "agents of the batch have not begun")
		require.NotContains(s, s.explain(id).Legal, ota.VerbPromote)
		s.after(time.Hour)
		require.Contains(s, s.explain(id).Legal, ota.VerbPromote)
		_, err = s.e.Promote(s.ctx, id, 1, ota.Request{Actor: "ann"})
		require.NoError(s, err)
		s.after(time.Hour)
		p := s.plan(id)
		require.Equal(s, 1, p.Batch, "the next batch waits for its own agent")
		require.Equal(s, 2, p.Counts.Running)
		require.Equal(s, 3, p.Counts.Pending, "both slots are taken")
	})
}

// A new owner repeats the calls of stragglers, and other rules apply to them as before: a pause, a cancel.
func TestTakeoverOfStragglers(t *testing.T) {
	inScene(t, func(s *scene) {
		policy := ota.Policy{FailureThreshold: ptr(1.0), AttemptTimeout: 24 * time.Hour, Stragglers: few(2), Hold: ota.Hold{All: true}}
		id := s.start(policy, ota.Shape{Size: 2}, "hang-000", "ok-001", "ok-002")
		stop := s.run(s.e)
		s.after(time.Hour)
		require.Equal(s, ota.BatchCompleted, s.batch(id, 0).Status)
		require.NoError(s, stop())
		s.e = s.engine(s.store, s.fleet, "two")
		s.run(s.e)
		s.after(time.Minute)
		calls := s.fleet.made("hang-000")
		require.Len(s, calls, 2)
		require.True(s, calls[1].Repeat)
		require.Equal(s, calls[0].Key(), calls[1].Key())
		s.holds(id, ota.ReasonNone)
		_, err := s.e.Pause(s.ctx, id, ota.Request{})
		require.NoError(s, err)
		s.status(id, ota.StatusPausing)
		_, err = s.e.Cancel(s.ctx, id, true, ota.Request{})
		require.NoError(s, err)
		s.after(time.Minute)
		s.status(id, ota.StatusCanceled)
		require.Equal(s, 1, s.plan(id).Counts.Unknown)
	})
}

// Retry of an agent makes its batch run again; a straggler of an earlier batch goes on beside it, and its next
// attempts start also while the current batch soaks or is held.
func TestStragglersTryAgain(t *testing.T) {
	inScene(t, func(s *scene) {
		var mu sync.Mutex
		down := true
		s.fleet.do = func(_ context.Context, a ota.Attempt) (ota.Result, bool, error) {
			mu.Lock()
			defer mu.Unlock()
			if down && strings.HasPrefix(a.Agent, "away") {
				return ota.Result{}, true, ota.Unreachable(errors.New("no route"))
			}
			return ota.Result{Version: a.ToVersion}, true, nil
		}
		policy := ota.Policy{
			FailureThreshold: ptr(1.0), UnreachableTimeout: 24 * time.Hour, Stragglers: few(2), Hold: ota.Hold{All: true},
			Budgets: []ota.Budget{{Label: "zone", Max: 2}},
		}
		id := s.start(policy, ota.Shape{Size: 2}, "away-000", "ok-001", "ok-002")
		s.run(s.e)
		s.after(30 * time.Minute)
		require.Equal(s, ota.BatchCompleted, s.batch(id, 0).Status)
		mu.Lock()
		down = false
		mu.Unlock()
		s.after(time.Hour)
		p := s.plan(id)
		require.Equal(s, 2, p.Counts.Succeeded, "it was tried again while the next batch is held")
		s.holds(id, ota.ReasonHeld)
	})
}
