package scenarios

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/harness"
	"github.com/seed-19b57ce3/ota/memstore"
)

func TestRollbackTakesBack(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 2}, ota.Shape{Size: 2}, names("ok", 6)...)
		s.run(s.e)
		s.after(2500 * time.Millisecond) // batch 1 runs now: 2 and 3 are done, 4 and 5 in flight
		back := s.said(s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{Actor: "ann"}))
		require.Equal(s, id, back.Source)
		require.Equal(s, "Rollback of test", back.Name)
		require.Equal(s, []string{"2", "1"}, []string{back.FromVersion, back.ToVersion})
		s.status(id, ota.StatusRollingBack)
		require.Contains(s, s.reasons(back.ID), "source", "it waits until nothing of the source is in flight")
		s.after(500 * time.Millisecond)
		s.after(10 * time.Second)
		s.status(id, ota.StatusRolledBack)
		p := s.plan(back.ID)
		require.Equal(s, ota.StatusCompleted, p.Status)
		require.Equal(s, 6, p.Counts.Succeeded)
		var order []string
		for _, c := range s.fleet.made("") {
			if c.IsRollback {
				order = append(order, c.Agent)
				require.Equal(s, "1", c.ToVersion)
			}
		}
		require.ElementsMatch(s, []string{"ok-004", "ok-005"}, order[:2], "those in flight first")
		require.ElementsMatch(s, []string{"ok-002", "ok-003"}, order[2:4], "then from the last batch to the first")
		require.False(s, s.plan(id).EndedAt.IsZero())
		s.stays(id, ota.StatusRolledBack)
	})
}

func TestRollbackSkipsWhatTurnsOutUntouched(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.latency = 3 * time.Second
		id := s.start(ota.Policy{Concurrency: 4}, ota.Shape{Size: 4}, "ok-1", "away-2", "clean-3", "same-4")
		s.run(s.e)
		s.after(time.Second)
		back := s.said(s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{}))
		require.Equal(s, 4, back.Agents, "nobody knows yet")
		s.after(time.Minute)
		s.status(id, ota.StatusRolledBack)
		require.Equal(s, ota.Counts{Succeeded: 1, Skipped: 3}, s.plan(back.ID).Counts)
		require.Equal(s, ota.ReasonUnchanged, s.agent(back.ID, "away-2").Tasks[0].Reason)
	})
}

// In flight at the freeze may be agents of two batches: an earlier one was reopened by Retry while a later one ran.
func TestRollbackSkipsUntouchedOfLaterBatches(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.do = func(ctx context.Context, a ota.Attempt) (ota.Result, bool, error) {
			switch {
			case a.IsRollback:
				return ota.Result{Version: a.ToVersion}, true, nil
			case a.Agent == "fail-1" && a.Number == 2:
				return ota.Result{Version: "2"}, true, nap(ctx, 20*time.Second)
			case a.Agent == "later-4":
				_ = nap(ctx, 20*time.Second)
				return ota.Result{}, true, ota.Unchanged(ota.Permanent(errors.New("refused")))
			}
			return ota.Result{}, false, nil
		}
		id := s.start(ota.Policy{Concurrency: 2, FailureThreshold: ptr(1.0)}, ota.Shape{Size: 3}, "fail-1", "ok-2", "ok-3", "later-4", "ok-5", "ok-6")
		s.run(s.e)
		s.after(2500 * time.Millisecond)
		s.said(s.e.Retry(s.ctx, id, nil, ota.Request{}))
		s.after(2 * time.Second)
		require.Equal(s, ota.TaskRunning, s.agent(id, "fail-1").Status)
		require.Equal(s, ota.TaskRunning, s.agent(id, "later-4").Status)
		back := s.said(s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{}))
		s.after(2 * time.Minute)
		s.status(id, ota.StatusRolledBack)
		require.False(s, s.agent(id, "later-4").Changed)
		require.Equal(s, ota.TaskSkipped, s.agent(back.ID, "later-4").Status, "it was never changed, so it is not taken back")
	})
}

func TestRollbackInterrupts(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 2}, ota.Shape{}, "ok-1", "hang-2", "ok-3")
		s.run(s.e)
		s.after(1500 * time.Millisecond)
		back := s.said(s.e.Rollback(s.ctx, id, ota.RollbackSpec{Interrupt: true}, ota.Request{}))
		s.after(10 * time.Second)
		s.status(id, ota.StatusRolledBack)
		require.Equal(s, ota.TaskUnknown, s.agent(id, "hang-2").Status)
		require.Equal(s, 3, s.plan(back.ID).Counts.Succeeded)
	})
}

// The contexts of calls that an interrupting rollback has ended are not those of calls made after it was canceled.
func TestRollbackInterruptsAndIsCanceled(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.do = func(ctx context.Context, a ota.Attempt) (ota.Result, bool, error) {
			if a.Agent == "deaf-1" {
				time.Sleep(4 * time.Second)
				return ota.Result{Version: "2"}, true, nil
			}
			return ota.Result{}, false, nil
		}
		id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{}, "deaf-1", "ok-2", "ok-3")
		s.run(s.e)
		s.after(time.Second)
		back := s.said(s.e.Rollback(s.ctx, id, ota.RollbackSpec{Interrupt: true}, ota.Request{}))
		s.after(time.Second)
		s.said(s.e.Cancel(s.ctx, back.ID, false, ota.Request{}))
		s.status(id, ota.StatusPausing)
		s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
		s.after(10 * time.Second)
		s.status(id, ota.StatusCompleted)
		require.Equal(s, 3, s.plan(id).Counts.Succeeded)
	})
}

func TestFreezeAndCancel(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{}, names("ok", 5)...)
		s.run(s.e)
		s.after(1500 * time.Millisecond)
		back := s.said(s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{Name: "undo"}, ota.Request{Actor: "ann"}))
		require.Equal(s, ota.StatusPending, back.Status)
		require.Equal(s, "undo", back.Name)
		require.Equal(s, 2, back.Agents)
		s.after(time.Minute)
		s.status(id, ota.StatusPaused)
		require.Len(s, s.fleet.made(""), 2, "frozen: nothing starts any more")
		require.Contains(s, s.explain(id).Sentence(), "A rollback plan exists; nothing more is touched: rollback plan "+back.ID)
		for verb, f := range map[ota.Verb]func() (ota.Plan, error){
			ota.VerbResume:  func() (ota.Plan, error) { return s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}) },
			ota.VerbRetry:   func() (ota.Plan, error) { return s.e.Retry(s.ctx, id, nil, ota.Request{}) },
			ota.VerbPromote: func() (ota.Plan, error) { return s.e.Promote(s.ctx, id, 1, ota.Request{}) },
		} {
			_, err := f()
			require.ErrorIs(s, err, ota.ErrState, verb)
			require.ErrorContains(s, err, "rollback plan", verb)
		}
		s.said(s.e.Cancel(s.ctx, back.ID, false, ota.Request{}))
		s.status(id, ota.StatusPaused)
		require.Empty(s, s.plan(id).RollbackPlan)
		other := s.create(ota.Policy{}, ota.Shape{}, "ok-004").ID
		_, err := s.e.Start(s.ctx, other, ota.Request{})
		require.ErrorIs(s, err, ota.ErrClaimed, "the source holds its claims again")
		s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
		s.after(10 * time.Second)
		s.status(id, ota.StatusCompleted)
		next := s.said(s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{}))
		require.NotEqual(s, back.ID, next.ID, "a canceled one is not made again")
		require.Equal(s, rollbackID(id, 1), next.ID)
		s.status(id, ota.StatusCompleted)
		s.said(s.e.Start(s.ctx, next.ID, ota.Request{}))
		s.after(5 * time.Second)
		s.said(s.e.Plan(s.ctx, id))
	})
}

func TestCanceledRollbackGivesAnEndedSourceItsStatusBack(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{}, names("ok", 3)...)
		s.drive(id)
		stop := s.run(s.e)
		s.fleet.latency = 10 * time.Second
		back := s.said(s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{}))
		s.after(time.Second)
		s.status(id, ota.StatusRollingBack)
		s.said(s.e.Cancel(s.ctx, back.ID, false, ota.Request{}))
		s.after(time.Minute)
		s.status(back.ID, ota.StatusCanceled)
		require.NoError(s, stop())
		s.stays(id, ota.StatusCompleted)
	})
}

func TestRollbackOfNothing(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{}, "same-1", "same-2")
		s.drive(id)
		_, err := s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{})
		require.ErrorIs(s, err, ota.ErrNothing)
		require.EqualError(s, err, "ota: nothing to roll back: plan "+id+" has changed no agent")
		s.status(id, ota.StatusCompleted)
	})
	inScene(t, func(s *scene) { // touched, but nobody knows what the agents ran
		p, err := s.e.Create(s.ctx, ota.Spec{Name: "x", ToVersion: "2", Agents: ota.AgentIDs("ok-1", "ok-2"), Policy: ota.Policy{Concurrency: 1}})
		require.NoError(s, err)
		s.said(s.e.Start(s.ctx, p.ID, ota.Request{}))
		s.run(s.e)
		s.after(1500 * time.Millisecond)
		_, err = s.e.CreateRollback(s.ctx, p.ID, ota.RollbackSpec{}, ota.Request{})
		require.ErrorIs(s, err, ota.ErrNothing)
		s.after(time.Minute)
		s.status(p.ID, ota.StatusPaused)
		require.Empty(s, s.plan(p.ID).RollbackPlan, "the freeze is taken back in the same call")
		s.said(s.e.Resume(s.ctx, p.ID, ota.Decision{}, ota.Request{}))
		s.after(time.Minute)
		s.status(p.ID, ota.StatusCompleted)
	})
}

func TestRollbackByItself(t *testing.T) {
	t.Run("takes back", func(t *testing.T) {
		inScene(t, func(s *scene) {
			id := s.start(ota.Policy{OnBreach: ota.ActionRollback, Concurrency: 1}, ota.Shape{Size: 6}, "ok-1", "ok-2", "fail-3", "ok-4", "ok-5", "ok-6")
			seen := map[ota.Status]bool{}
			s.run(s.e)
			s.after(time.Minute)
			s.status(id, ota.StatusRolledBack)
			for _, r := range s.log(id) {
				seen[r.Status] = true
			}
			require.False(s, seen[ota.StatusPaused] || seen[ota.StatusPausing], "it never looked as if it waited for a decision")
			back := s.plan(s.plan(id).RollbackPlan)
			require.Equal(s, 3, back.Counts.Succeeded)
			require.Equal(s, "ota", back.CreatedBy)
			s.stays(id, ota.StatusRolledBack)
		})
	})
	t.Run("of nothing is a pause", func(t *testing.T) {
		inScene(t, func(s *scene) {
			id := s.start(ota.Policy{OnBreach: ota.ActionRollback, Concurrency: 1}, ota.Shape{}, "clean-1", "ok-2")
			s.run(s.e)
			s.after(time.Minute)
			s.status(id, ota.StatusPaused)
			require.Equal(s, ota.ActionPause, s.plan(id).Breaches[0].Action)
		})
	})
	t.Run("of agents that nobody knows the version of is a pause", func(t *testing.T) {
		inScene(t, func(s *scene) {
			p, err := s.e.Create(s.ctx, ota.Spec{Name: "x", ToVersion: "2", Agents: ota.AgentIDs("ok-1", "fail-2", "ok-3"), Policy: ota.Policy{Concurrency: 1, OnBreach: ota.ActionRollback}})
			require.NoError(s, err)
			s.said(s.e.Start(s.ctx, p.ID, ota.Request{}))
			s.run(s.e)
			s.after(time.Minute)
			s.status(p.ID, ota.StatusPaused)
		})
	})
	t.Run("is finished by the next engine", func(t *testing.T) {
		for kill := range 8 {
			inScene(t, func(s *scene) {
				var mu sync.Mutex
				n, dead := 0, false
				s.store.BeforeCommit.Set(func(_ context.Context, k ota.Commit) error {
					mu.Lock()
					defer mu.Unlock()
					if s.struck(k.Plan) {
						n++
					}
					if n > kill {
						dead = true
					}
					if dead {
						return harness.ErrDown
					}
					return nil
				})
				id := s.start(ota.Policy{OnBreach: ota.ActionRollback, Concurrency: 1}, ota.Shape{Size: 6}, "ok-1", "ok-2", "fail-3", "ok-4", "ok-5", "ok-6")
				first, err := ota.New(s.store, s.fleet, ota.Options{Name: "killed", DrainTimeout: -1})
				require.NoError(s, err)
				stop := s.run(first)
				s.after(20 * time.Second)
				_ = stop()
				s.store.BeforeCommit.Set(nil)
				s.run(s.engine(s.store, s.fleet, "two"))
				s.after(time.Minute)
				s.status(id, ota.StatusRolledBack)
			})
		}
	})
}

// struck tells whether a plan, or the source of a rollback plan, has had a breach.
func (s *scene) struck(id string) bool {
	row, err := s.store.Store.Plan(s.ctx, id)
	return err == nil && (harness.Member(row.Parts.Progress, "struck") != nil || row.Source != "")
}

func TestRollbackLeavesLaterPlansAlone(t *testing.T) {
	inScene(t, func(s *scene) {
		first := s.start(ota.Policy{}, ota.Shape{}, "ok-1", "ok-2", "ok-3")
		s.drive(first)
		p, err := s.e.Create(s.ctx, ota.Spec{Name: "next", FromVersion: "2", ToVersion: "3", Agents: ota.AgentIDs("ok-2")})
		require.NoError(s, err)
		s.said(s.e.Start(s.ctx, p.ID, ota.Request{}))
		s.drive(p.ID)
		back := s.said(s.e.CreateRollback(s.ctx, first, ota.RollbackSpec{}, ota.Request{}))
		require.Equal(s, 2, back.Agents)
		require.Contains(s, back.Warnings, "agents omitted because they were changed by a later plan: [ok-2]")
	})
}

func TestRollbackOfARollbackAndOfPending(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.create(ota.Policy{}, ota.Shape{}, "ok-1").ID
		_, err := s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{})
		require.ErrorIs(s, err, ota.ErrState)
		s.said(s.e.Start(s.ctx, id, ota.Request{}))
		s.drive(id)
		back := s.said(s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{}))
		_, err = s.e.CreateRollback(s.ctx, back.ID, ota.RollbackSpec{}, ota.Request{})
		require.ErrorIs(s, err, ota.ErrState)
		require.ErrorContains(s, err, "it is a rollback itself; roll forward with a new plan")
	})
}

func TestRunPlanOfARollback(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{}, "ok-1", "ok-2")
		s.drive(id)
		back := s.said(s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{}))
		require.Equal(s, ota.StatusCompleted, s.drive(back.ID).Status)
		s.status(id, ota.StatusRolledBack)
	})
}

func TestFailedSpec(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{FailureThreshold: ptr(1.0)}, ota.Shape{}, "ok-1", "fail-2", "fail-3")
		s.drive(id)
		spec, err := s.e.FailedSpec(s.ctx, id)
		require.NoError(s, err)
		p, err := s.e.Create(s.ctx, spec)
		require.NoError(s, err)
		require.Equal(s, 2, p.Agents)
		require.Equal(s, "Failed of test", p.Name)
		require.Contains(s, s.agents(p.ID), "fail-2")
	})
}

// overtaken is a Store that lets somebody act as soon as a plan is rolling back, before who said so hears of it.
type overtaken struct {
	*memstore.Store
	source string
	act    func()
}

func (o *overtaken) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	rev, err := o.Store.Commit(ctx, c)
	ref, _ := harness.Member(c.Parts.Control, "rollback").(map[string]any)
	if act := o.act; err == nil && act != nil && c.Plan == o.source && ref["started"] != nil {
		o.act = nil
		act()
	}
	return rev, err
}

// Whoever drives the source starts its rollback plan too. That it was faster, and has even finished, is no error.
func TestRollbackThatIsDoneAtOnce(t *testing.T) {
	store := &overtaken{Store: memstore.New()}
	fast := func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		return ota.Result{Version: a.ToVersion}, nil
	}
	e, err := ota.New(store, ota.ExecutorFunc(fast), ota.Options{})
	require.NoError(t, err)
	p, err := e.Create(t.Context(), ota.Spec{Name: "n", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("a", "b")})
	require.NoError(t, err)
	_, err = e.Start(t.Context(), p.ID, ota.Request{})
	require.NoError(t, err)
	_, err = e.RunPlan(t.Context(), p.ID)
	require.NoError(t, err)
	store.source = p.ID
	store.act = func() {
		other, err := ota.New(store, ota.ExecutorFunc(fast), ota.Options{})
		require.NoError(t, err)
		source, err := other.Plan(t.Context(), p.ID)
		require.NoError(t, err)
		_, err = other.Start(t.Context(), source.RollbackPlan, ota.Request{})
		require.NoError(t, err)
		_, err = other.RunPlan(t.Context(), source.RollbackPlan)
		require.NoError(t, err)
	}
	back, err := e.Rollback(t.Context(), p.ID, ota.RollbackSpec{}, ota.Request{})
	require.NoError(t, err)
	require.Nil(t, store.act, "nobody was faster")
	require.Equal(t, ota.StatusCompleted, back.Status)
}
