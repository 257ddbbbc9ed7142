package scenarios

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/harness"
)

// Each of these is a bug that another system shipped. The line above each says whose.

// Nomad, SwarmKit: agents go on being started after the threshold was crossed, and waiting retries are forgotten.
func TestLesson01StartsAfterTheThreshold(t *testing.T) {
	seeds := uint64(250)
	if testing.Short() {
		seeds = 25
	}
	for seed := range seeds {
		for _, c := range []struct {
			threshold float64
			reserve   bool
			retries   int
		}{{0, false, 0}, {0.025, false, 0}, {0, true, 0}, {0.025, true, 2}} {
			inScene(t, func(s *scene) {
				s.store.Blind = true // the referee here reads the log alone
				r := rand.New(rand.NewPCG(seed, 101))
				s.fleet.do = randomly(r, []float64{0, 0.05, 0.3}[seed%3])
				id := s.start(ota.Policy{
					Concurrency: 10, FailureThreshold: ptr(c.threshold), Reserve: c.reserve, Retry: ota.RetryPolicy{Max: c.retries, Backoff: time.Second},
				}, ota.Shape{Size: 200}, names("ok", 200)...)
				p := s.drive(id)
				m := ota.Tolerated(c.threshold, 200)
				most := m + 10
				if c.reserve {
					most = m + 1
				}
				require.LessOrEqual(s, p.Counts.Bad(), most)
				if p.Counts.Bad() <= m {
					require.Equal(s, ota.StatusCompleted, p.Status, "nothing was exceeded")
				} else {
					require.Equal(s, ota.StatusPaused, p.Status)
					s.requireNoStartAfterBreach(id)
				}
			})
		}
	}
}

// SwarmKit: a failure that waits in a queue while a worker is free lets that worker start another agent.
func TestLesson02FailureDelayed(t *testing.T) {
	inScene(t, func(s *scene) {
		var slow atomic.Bool
		s.store.BeforeCommit.Set(func(ctx context.Context, k ota.Commit) error {
			if slow.Load() && k.If.Epoch != 0 {
				return nap(ctx, 10*time.Second) // outcomes pile up meanwhile
			}
			return nil
		})
		s.fleet.do = func(ctx context.Context, a ota.Attempt) (ota.Result, bool, error) {
			slow.Store(true)
			var at int
			_, _ = fmt.Sscanf(a.Agent, "ok-%d", &at)
			_ = nap(ctx, time.Second+time.Duration(at)*time.Millisecond)
			if a.Agent == "ok-001" || a.Agent == "ok-002" {
				return ota.Result{}, true, errors.New("no")
			}
			return ota.Result{Version: "2"}, true, nil
		}
		begun := time.Now()
		id := s.start(ota.Policy{Concurrency: 5, FailureThreshold: ptr(0.05)}, ota.Shape{Size: 20}, names("ok", 20)...)
		p := s.drive(id)
		require.Equal(s, ota.StatusPaused, p.Status)
		require.Len(s, s.fleet.made(""), 5+1, "one slot was free when one outcome was known; with the next four came the breach")
		require.Equal(s, begun.Add(time.Second+time.Millisecond).UTC(), s.agent(id, "ok-001").Tasks[0].EndedAt, "by event time")
		s.requireNoStartAfterBreach(id)
	})
}

// SwarmKit: a manager that changes in the middle of an update forgets what has failed. (Every write is in TestPromise4.)
func TestLesson03KillAndRecover(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 1, FailureThreshold: ptr(0.15)}, ota.Shape{}, "fail-1", "fail-2", "ok-3", "ok-4", "ok-5", "ok-6", "ok-7", "ok-8", "ok-9", "ok-10")
		ctx, cancel := context.WithTimeout(s.ctx, 1500*time.Millisecond)
		defer cancel()
		first, err := ota.New(s.store, s.fleet, ota.Options{Name: "killed", DrainTimeout: -1})
		require.NoError(s, err)
		require.NoError(s, first.Run(ctx))
		require.Equal(s, 1, s.plan(id).Counts.Failed)
		p := s.drive(id)
		require.Equal(s, ota.StatusPaused, p.Status)
		require.Equal(s, 2, p.Counts.Failed)
		require.Len(s, s.fleet.made("fail-1"), 1)
		require.Len(s, s.fleet.made("fail-2"), 2)
		require.True(s, s.fleet.made("fail-2")[1].Repeat)
	})
}

// SwarmKit: a rollback that fails rolls back again, for ever.
func TestLesson04RollbackThatBreaches(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.do = func(_ context.Context, a ota.Attempt) (ota.Result, bool, error) {
			return ota.Result{}, a.IsRollback, errors.New("cannot go back")
		}
		id := s.start(ota.Policy{OnBreach: ota.ActionRollback}, ota.Shape{Size: 5}, "ok-1", "ok-2", "fail-3", "ok-4", "ok-5", "ok-6")
		s.run(s.e)
		s.after(time.Minute)
		s.status(id, ota.StatusRollingBack)
		back := s.plan(s.plan(id).RollbackPlan)
		require.Equal(s, ota.StatusPaused, back.Status)
		require.Empty(s, back.RollbackPlan)
		require.Len(s, back.Breaches, 1)
		require.Equal(s, ota.ActionPause, back.Breaches[0].Action)
		before := s.plan(id).Revision
		s.after(10 * time.Minute)
		s.status(back.ID, ota.StatusPaused)
		s.status(id, ota.StatusRollingBack)
		require.Equal(s, before, s.plan(id).Revision)
		page, err := s.e.Plans(s.ctx, ota.PlanQuery{})
		require.NoError(s, err)
		require.Len(s, page.Items, 2)
		require.Contains(s, s.reasons(id), "rolling_back")
	})
}

// An unnamed Go package: a pause that is said twice deadlocks, and what a pause interrupts counts as failed.
func TestLesson05PauseRaces(t *testing.T) {
	t.Run("twice at once", func(t *testing.T) {
		inScene(t, func(s *scene) {
			id := s.start(ota.Policy{}, ota.Shape{}, names("ok", 10)...)
			s.run(s.e)
			s.after(500 * time.Millisecond)
			errs := make(chan error, 8)
			for range 8 {
				go func() {
					_, err := s.e.Pause(s.ctx, id, ota.Request{})
					errs <- err
				}()
			}
			for range 8 {
				require.NoError(s, <-errs)
			}
			require.Len(s, s.events(id, ota.EventPaused), 1)
			s.after(2 * time.Second)
			s.status(id, ota.StatusPaused)
			require.Equal(s, 0, s.plan(id).Counts.Bad())
		})
	})
	t.Run("during the last task", func(t *testing.T) {
		inScene(t, func(s *scene) {
			id := s.start(ota.Policy{}, ota.Shape{}, "ok-1")
			s.run(s.e)
			s.after(500 * time.Millisecond)
			require.Equal(s, ota.StatusPausing, s.said(s.e.Pause(s.ctx, id, ota.Request{})).Status)
			s.after(time.Minute)
			s.status(id, ota.StatusPaused)
			s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
			s.after(time.Second)
			s.status(id, ota.StatusCompleted)
			require.Len(s, s.fleet.made(""), 1)
		})
	})
	t.Run("against a rollback by itself", func(t *testing.T) {
		inScene(t, func(s *scene) {
			id := s.start(ota.Policy{OnBreach: ota.ActionRollback, Concurrency: 2}, ota.Shape{Size: 4}, "fail-1", "ok-2", "ok-3", "ok-4")
			s.run(s.e)
			s.after(999 * time.Millisecond)
			s.said(s.e.Pause(s.ctx, id, ota.Request{})) // the breach strikes a millisecond later
			s.after(time.Minute)
			s.status(id, ota.StatusRolledBack)
			s.stays(id, ota.StatusRolledBack)
		})
	})
	t.Run("a call that a pause drains is no failure", func(t *testing.T) {
		inScene(t, func(s *scene) {
			id := s.start(ota.Policy{}, ota.Shape{}, "slow-1")
			s.run(s.e)
			s.after(time.Second)
			s.said(s.e.Pause(s.ctx, id, ota.Request{}))
			s.after(time.Minute)
			require.Equal(s, ota.TaskSucceeded, s.agent(id, "slow-1").Status)
		})
	})
}

// BindPlane, Edgehog: a rollout that failed can be resumed without anybody having decided anything.
func TestLesson06ResumeNeedsADecision(t *testing.T) {
	breached := func(t *testing.T, f func(s *scene, id string)) {
		t.Helper()
		inScene(t, func(s *scene) {
			id := s.start(ota.Policy{FailureThreshold: ptr(0.2), Concurrency: 1}, ota.Shape{Size: 5}, "fail-1", "fail-2", "ok-3", "ok-4", "ok-5")
			require.Equal(s, ota.StatusPaused, s.drive(id).Status)
			before := s.plan(id)
			_, err := s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{})
			var breach *ota.BreachError
			require.ErrorAs(s, err, &breach)
			require.ErrorIs(s, err, ota.ErrBreach)
			require.Equal(s, 2, breach.Failed)
			require.EqualError(s, err, "ota: plan "+id+": Failure threshold exceeded: 2 of the 5 agents of batch 0 failed, 1 is tolerated; "+
				"2 agents failed so far: resume with Accept(2), a raised limit, or a retry of the failed")
			require.Equal(s, before, s.plan(id))
			f(s, id)
		})
	}
	t.Run("accept", func(t *testing.T) {
		breached(t, func(s *scene, id string) {
			_, err := s.e.Resume(s.ctx, id, ota.Accept(1), ota.Request{})
			require.ErrorIs(s, err, ota.ErrBreach, "more have failed than were seen")
			s.said(s.e.Resume(s.ctx, id, ota.Accept(2), ota.Request{Actor: "ann", Reason: "known hosts"}))
			p := s.drive(id)
			require.Equal(s, ota.StatusCompleted, p.Status)
			require.Equal(s, 2, p.Counts.Failed)
			e := s.events(id, ota.EventResumed)
			require.Len(s, e, 1)
			require.Equal(s, "accept 2", e[0].Text)
			require.Equal(s, "ann", e[0].Actor)
			s.stays(id, ota.StatusCompleted)
		})
	})
	t.Run("raise", func(t *testing.T) {
		breached(t, func(s *scene, id string) {
			_, err := s.e.Resume(s.ctx, id, ota.Raise(0.3), ota.Request{})
			require.ErrorIs(s, err, ota.ErrBreach, "0.3 tolerates 1 of 5 too")
			require.Equal(s, 0.2, *s.plan(id).Policy.FailureThreshold)
			_, err = s.e.Resume(s.ctx, id, ota.Raise(7), ota.Request{})
			require.ErrorIs(s, err, ota.ErrInvalid)
			s.said(s.e.Resume(s.ctx, id, ota.Raise(0.4), ota.Request{}))
			require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
			require.Equal(s, 0.4, *s.plan(id).Policy.FailureThreshold)
		})
	})
	t.Run("retry", func(t *testing.T) {
		breached(t, func(s *scene, id string) {
			s.fleet.do = func(_ context.Context, a ota.Attempt) (ota.Result, bool, error) {
				return ota.Result{Version: "2"}, true, nil
			}
			s.said(s.e.Resume(s.ctx, id, ota.RetryFailed(), ota.Request{}))
			p := s.drive(id)
			require.Equal(s, ota.StatusCompleted, p.Status)
			require.Equal(s, 5, p.Counts.Succeeded)
			require.Equal(s, 2, s.agent(id, "fail-1").Tasks[0].Attempts)
		})
	})
	t.Run("retry that fails again pauses again", func(t *testing.T) {
		breached(t, func(s *scene, id string) {
			s.said(s.e.Resume(s.ctx, id, ota.RetryFailed(), ota.Request{}))
			p := s.drive(id)
			require.Equal(s, ota.StatusPaused, p.Status)
			require.Equal(s, uint64(2), p.Breaches[0].Number)
			s.stays(id, ota.StatusPaused)
		})
	})
}

// OCM: a count above n, and a percentage of few, round to something nobody meant; Flight Control, KubeFleet: an empty batch passes.
func TestLesson07FewAgents(t *testing.T) {
	for _, n := range []int{1, 3, 4, 9} {
		for _, p := range []float64{0, 0.0001, 0.05, 0.1, 0.5, 1} {
			inScene(t, func(s *scene) {
				id := s.start(ota.Policy{FailureThreshold: ptr(p), Reserve: true}, ota.Shape{Size: n}, names("fail", n)...)
				plan := s.drive(id)
				if m := ota.Tolerated(p, n); m < n {
					require.Equal(s, ota.StatusPaused, plan.Status)
					require.Equal(s, m+1, plan.Counts.Failed)
				} else {
					require.Equal(s, ota.StatusCompleted, plan.Status)
				}
			})
		}
	}
	inScene(t, func(s *scene) {
		_, err := s.e.Create(s.ctx, ota.Spec{Name: "x", ToVersion: "2", Agents: ota.AgentIDs()})
		require.ErrorIs(s, err, ota.ErrInvalid, "no agents")
		_, err = s.e.Create(s.ctx, ota.Spec{Name: "x", ToVersion: "2", Agents: ota.AgentIDs("a"), Shape: ota.Shape{Batches: []ota.BatchShape{{Size: 1}, {Size: 0}}}})
		require.ErrorIs(s, err, ota.ErrInvalid, "an empty batch")
	})
}

// OCM: the verdict depends on how the agents are called.
func TestLesson08NamesDoNotMatter(t *testing.T) {
	var first string
	for seed := range uint64(10) {
		inScene(t, func(s *scene) {
			order := rand.New(rand.NewPCG(seed, 8)).Perm(10)
			at := map[string]int{}
			var ids []string
			for i := range 10 {
				id := fmt.Sprintf("%c-agent", 'a'+order[i])
				ids, at[id] = append(ids, id), i
			}
			s.fleet.do = func(ctx context.Context, a ota.Attempt) (ota.Result, bool, error) {
				_ = nap(ctx, time.Duration(1+at[a.Agent])*time.Second)
				if at[a.Agent]%4 == 1 {
					return ota.Result{}, true, errors.New("no")
				}
				return ota.Result{}, true, nil
			}
			id := s.start(ota.Policy{Concurrency: 3}, ota.Shape{}, ids...)
			p := s.drive(id)
			got := fmt.Sprint(p.Status, p.Counts, p.Breaches)
			if first == "" {
				first = got
			}
			require.Equal(s, first, got)
		})
	}
}

// Many: an executor that ignores its context keeps its slot for ever.
func TestLesson09SilentExecutor(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 1, FailureThreshold: ptr(0.5), AttemptTimeout: time.Minute, MaxAbandoned: 1}, ota.Shape{}, "stuck-1", "ok-2", "ok-3", "ok-4")
		stop := s.run(s.e)
		s.after(time.Minute + 4*time.Second)
		require.Len(s, s.fleet.made(""), 1)
		s.after(5 * time.Second)
		s.status(id, ota.StatusCompleted)
		a := s.agent(id, "stuck-1")
		require.Equal(s, ota.TaskFailed, a.Status)
		require.Equal(s, ota.ReasonAbandoned, a.Tasks[0].Reason)
		require.True(s, a.Changed)
		require.Len(s, s.fleet.made("stuck-1"), 1)
		var left *ota.AbandonedError
		require.ErrorAs(s, stop(), &left, "the leak is reported")
		require.Equal(s, 1, left.Calls)
		require.EqualError(s, left, "ota: 1 call of the executor ignores the end of its context and was abandoned")
		s.fleet.free()
		synctest.Wait()
		require.Equal(s, ota.TaskFailed, s.agent(id, "stuck-1").Status, "the late result is ignored")
	})
}

// Nomad, Docker: an agent that turns unhealthy once the next batch runs, or in the last batch, is not noticed.
func TestLesson10LateUnhealthy(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{FailureThreshold: ptr(0.0), Soak: ota.Soak{Duration: time.Minute}}, ota.Shape{Size: 2}, "ok-1", "ok-2", "slow-3", "ok-4")
		s.run(s.e)
		s.after(30 * time.Second) // batch 0 is observed
		seen := time.Now()
		s.after(35 * time.Second) // batch 1 runs
		require.Equal(s, ota.TaskRunning, s.agent(id, "slow-3").Status)
		report := []ota.HealthReport{{Agent: "ok-1", At: seen, Reason: "crash loop"}}
		require.NoError(s, s.e.ReportHealth(s.ctx, id, report))
		require.NoError(s, s.e.ReportHealth(s.ctx, id, report))
		p := s.plan(id)
		require.Equal(s, 1, p.Counts.Failed, "once")
		require.Equal(s, ota.StatusPausing, p.Status)
		require.Equal(s, 0, p.Breaches[0].Batch)
		a := s.agent(id, "ok-1")
		require.Equal(s, ota.ReasonUnhealthy, a.Tasks[0].Reason)
		require.Equal(s, "crash loop", a.Tasks[0].Error)
		require.Equal(s, seen.UTC(), a.Tasks[0].EndedAt)
		// What was seen after that batch had been closed is an event and nothing else.
		require.NoError(s, s.e.ReportHealth(s.ctx, id, []ota.HealthReport{{Agent: "ok-2"}}))
		require.Equal(s, 1, s.plan(id).Counts.Failed)
		require.NotEmpty(s, s.events(id, ota.EventLate))
	})
	inScene(t, func(s *scene) { // the last batch too
		id := s.start(ota.Policy{FailureThreshold: ptr(0.0), Soak: ota.Soak{Duration: time.Minute}}, ota.Shape{}, "ok-1")
		s.run(s.e)
		s.after(30 * time.Second)
		require.NoError(s, s.e.ReportHealth(s.ctx, id, []ota.HealthReport{{Agent: "ok-1"}}))
		s.status(id, ota.StatusPaused)
		s.after(10 * time.Minute)
		s.status(id, ota.StatusPaused)
	})
	inScene(t, func(s *scene) { // and before the success it is of no interest
		id := s.start(ota.Policy{FailureThreshold: ptr(0.0), Soak: ota.Soak{Duration: time.Minute}}, ota.Shape{}, "ok-1")
		before := time.Now()
		s.run(s.e)
		s.after(30 * time.Second)
		require.NoError(s, s.e.ReportHealth(s.ctx, id, []ota.HealthReport{{Agent: "ok-1", At: before}}))
		s.after(10 * time.Minute)
		s.status(id, ota.StatusCompleted)
	})
}

// moby, hawkBit: two runners, one of which has lost its lease, start the same work twice.
func TestLesson11LeaseLostInTheMiddle(t *testing.T) {
	for _, hang := range []bool{false, true} {
		inScene(t, func(s *scene) {
			var mute atomic.Bool
			s.store.BeforeRenew.Set(func(ctx context.Context, engine string) error {
				if !mute.Load() || engine != "one" {
					return nil
				}
				if hang {
					<-ctx.Done()
					return ctx.Err()
				}
				return harness.ErrDown
			})
			s.fleet.latency = 3 * time.Second
			id := s.start(ota.Policy{Concurrency: 2}, ota.Shape{Size: 30}, names("ok", 30)...)
			s.run(s.e)
			s.after(10 * time.Second)
			two := s.engine(s.store, s.fleet, "two")
			s.run(two)
			s.after(time.Second)
			mute.Store(true)
			s.after(4 * time.Minute)
			p := s.plan(id)
			require.Equal(s, ota.StatusCompleted, p.Status)
			require.Equal(s, "two", p.Owner)
			require.Equal(s, 30, p.Counts.Succeeded)
			owners := s.events(id, ota.EventOwned)
			require.Len(s, owners, 2, "one takeover, and no fight")
			mute.Store(false)
			s.after(time.Minute)
			require.Equal(s, p, s.plan(id))
		})
	}
}

// moby: a rollback of a half-done update touches what was never touched, or does not know where to go back to.
func TestLesson12RollbackHalfDone(t *testing.T) {
	inScene(t, func(s *scene) {
		plan, err := s.e.Create(s.ctx, ota.Spec{
			Name: "x", ToVersion: "2", Shape: ota.Shape{Size: 3}, Policy: ota.Policy{Concurrency: 3, FailureThreshold: ptr(1.0)},
			Agents: func(yield func(ota.Agent, error) bool) {
				_ = yield(ota.Agent{ID: "ok-1", Version: "1.1"}, nil) && yield(ota.Agent{ID: "ok-2"}, nil) &&
					yield(ota.Agent{ID: "hang-3", Version: "1.3"}, nil) && yield(ota.Agent{ID: "ok-4", Version: "1.4"}, nil)
			},
		})
		require.NoError(s, err)
		s.said(s.e.Start(s.ctx, plan.ID, ota.Request{}))
		s.run(s.e)
		s.after(2 * time.Second)
		s.said(s.e.Cancel(s.ctx, plan.ID, true, ota.Request{}))
		s.after(time.Second)
		require.Equal(s, ota.TaskUnknown, s.agent(plan.ID, "hang-3").Status)
		back := s.said(s.e.CreateRollback(s.ctx, plan.ID, ota.RollbackSpec{}, ota.Request{}))
		again := s.said(s.e.CreateRollback(s.ctx, plan.ID, ota.RollbackSpec{}, ota.Request{}))
		require.Equal(s, back, again)
		require.Equal(s, rollbackID(plan.ID, 0), back.ID)
		require.Contains(s, back.Warnings, "agents omitted because they have no known version to go back to: [ok-2]")
		var ids []string
		for id := range s.agents(back.ID) {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		require.Equal(s, []string{"hang-3", "ok-1"}, ids)
		s.said(s.e.Start(s.ctx, back.ID, ota.Request{}))
		s.after(5 * time.Second)
		s.status(plan.ID, ota.StatusRolledBack)
		require.Equal(s, map[string]string{"ok-1": "1.1", "ok-2": "2", "hang-3": "1.3"}, s.fleet.versions)
	})
}

// kured: two plans work on one agent. Here the second is refused, a paused plan keeps its claims, and an ended one has none.
func TestLesson13TwoPlansOneAgent(t *testing.T) {
	inScene(t, func(s *scene) {
		first := s.start(ota.Policy{}, ota.Shape{}, "ok-1", "ok-2")
		s.said(s.e.Pause(s.ctx, first, ota.Request{}))
		second := s.create(ota.Policy{}, ota.Shape{}, "ok-2", "ok-3").ID
		_, err := s.e.Start(s.ctx, second, ota.Request{})
		var claimed *ota.ClaimError
		require.ErrorAs(s, err, &claimed)
		require.ErrorIs(s, err, ota.ErrClaimed)
		require.Equal(s, []ota.Conflict{{Agent: "ok-2", Plan: first}}, claimed.Conflicts)
		require.EqualError(s, err, "ota: plan "+second+": 1 agent belongs to another plan: ok-2 is in "+first)
		s.status(second, ota.StatusPending)
		require.Len(s, s.log(second), 1, "nothing was written")
		s.said(s.e.Cancel(s.ctx, first, false, ota.Request{}))
		s.said(s.e.Start(s.ctx, second, ota.Request{}))
		require.Equal(s, ota.StatusCompleted, s.drive(second).Status)
		third := s.start(ota.Policy{}, ota.Shape{}, "ok-2")
		s.status(third, ota.StatusRunning)
	})
}

// screentinker: an agent that says "later" is taken for one that failed.
func TestLesson15Throttled(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 1, FailureThreshold: ptr(0.5), UnreachableTimeout: 100 * time.Minute}, ota.Shape{}, "busy-1", "ok-2", "ok-3")
		s.run(s.e)
		s.after(99 * time.Minute)
		a := s.agent(id, "busy-1")
		require.Equal(s, ota.TaskWaiting, a.Status)
		require.False(s, a.Changed)
		require.Greater(s, a.Tasks[0].Attempts, 90)
		require.Equal(s, 2, s.plan(id).Counts.Succeeded, "its slot was free")
		require.Equal(s, 0, s.plan(id).Counts.Failed)
		s.after(5 * time.Minute)
		a = s.agent(id, "busy-1")
		require.Equal(s, ota.TaskFailed, a.Status)
		require.Equal(s, ota.ReasonThrottled, a.Tasks[0].Reason)
		require.False(s, a.Changed)
		s.status(id, ota.StatusCompleted)
	})
}

// Mender, and most that stream: a reader that comes in the middle misses or repeats events, and one that stalls stops the engine.
func TestLesson17WatchWhileWriting(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 3}, ota.Shape{}, names("ok", 60)...)
		s.run(s.e)
		want := uint64(1)
		for rec, err := range s.e.Watch(s.ctx, id, 0) {
			require.NoError(s, err)
			require.Equal(s, want, rec.Revision)
			want++
			if rec.Status == ota.StatusCompleted {
				break
			}
			time.Sleep(time.Duration(want%5) * 300 * time.Millisecond)
		}
		require.Equal(s, s.plan(id).Revision, want-1)
	})
}

// Argo Rollouts: a rollout stands still and nothing says why. (Random scenes are in TestPromise7.)
func TestLesson18ExplainEveryStandstill(t *testing.T) {
	for status, put := range putInto() {
		inScene(t, func(s *scene) {
			id := put(s)
			x := s.explain(id)
			require.Equal(s, status, x.Status)
			require.NotEmpty(s, x.Blockers, status)
			require.NotContains(s, x.Sentence(), "Nothing holds")
		})
	}
}

// Many: a store that is down for a while fails the tasks, loses the plan, or runs it twice.
func TestLesson19PanicsAndStoreErrors(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 4, FailureThreshold: ptr(1.0)}, ota.Shape{Size: 20}, append(names("ok", 16), "panic-1", "panic-2", "exit-3", "exit-4")...)
		s.run(s.e)
		s.after(1500 * time.Millisecond)
		s.store.Down.Store(true)
		s.after(30 * time.Second)
		s.store.Down.Store(false)
		s.after(time.Minute)
		p := s.plan(id)
		require.Equal(s, ota.StatusCompleted, p.Status)
		require.Equal(s, 16, p.Counts.Succeeded, "an error of the store is never a task's")
		require.Equal(s, 4, p.Counts.Failed)
		require.Equal(s, ota.ReasonPanic, s.agent(id, "panic-1").Tasks[0].Reason)
		require.Contains(s, s.agent(id, "panic-1").Tasks[0].Error, "panic: broken script (scenarios.(*scripted).Execute, harness_test.go:")
		require.Contains(s, s.agent(id, "panic-1").Tasks[0].Error, "harness_test.go", "with its stack")
		require.Equal(s, "the executor ended its goroutine", s.agent(id, "exit-3").Tasks[0].Error)
		require.Len(s, s.fleet.made(""), 20, "nobody was called twice")
	})
}

// SwarmKit: an update is completed before the last task has been watched.
func TestLesson22LastSoak(t *testing.T) {
	inScene(t, func(s *scene) {
		begun := time.Now()
		id := s.start(ota.Policy{Soak: ota.Soak{Duration: time.Hour}}, ota.Shape{}, "ok-1", "ok-2")
		s.run(s.e)
		s.after(time.Hour)
		s.status(id, ota.StatusRunning)
		s.after(2 * time.Second)
		p := s.plan(id)
		require.Equal(s, ota.StatusCompleted, p.Status)
		require.Equal(s, begun.Add(time.Hour+time.Second).UTC(), p.EndedAt)
	})
}
