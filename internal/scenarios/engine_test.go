package scenarios

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/harness"
)

func TestPauseThroughAnotherEngine(t *testing.T) {
	for seed := range 20 {
		inScene(t, func(s *scene) {
			s.fleet.latency = 70 * time.Millisecond
			id := s.start(ota.Policy{Concurrency: 7}, ota.Shape{Size: 300}, names("ok", 300)...)
			s.run(s.e)
			s.after(time.Second + time.Duration(seed)*7*time.Millisecond)
			other := s.engine(s.store, nil, "two") // it runs nothing
			p := s.said(other.Pause(s.ctx, id, ota.Request{}))
			at := p.Revision
			s.after(time.Minute)
			s.status(id, ota.StatusPaused)
			for _, r := range s.log(id) {
				for _, e := range r.Events {
					require.False(s, r.Revision > at && e.Kind == ota.EventTaskStarted, "%s started in record %d, Pause made %d", e.Agent, r.Revision, at)
				}
			}
		})
	}
}

func TestLostAcknowledgements(t *testing.T) {
	inScene(t, func(s *scene) {
		s.store.LostAcks.Store(5)
		id := s.start(ota.Policy{Concurrency: 3}, ota.Shape{Size: 10}, names("ok", 30)...)
		s.run(s.e)
		s.after(5 * time.Minute)
		p := s.plan(id)
		require.Equal(s, ota.StatusCompleted, p.Status)
		require.Equal(s, 30, p.Counts.Succeeded)
		for _, name := range names("ok", 30) {
			require.Equal(s, 1, s.agent(id, name).Tasks[0].Attempts)
		}
	})
}

func TestAbandonedCalls(t *testing.T) {
	t.Run("too many pause the plan", func(t *testing.T) {
		inScene(t, func(s *scene) {
			id := s.start(ota.Policy{Concurrency: 2, FailureThreshold: ptr(1.0), AttemptTimeout: time.Minute}, ota.Shape{}, "stuck-1", "stuck-2", "stuck-3", "ok-4")
			s.run(s.e)
			s.after(5 * time.Minute)
			p := s.plan(id)
			require.Equal(s, ota.StatusPaused, p.Status)
			require.Equal(s, ota.ReasonTooManyAbandoned, p.Breaches[0].Reason)
			require.Equal(s, "Too many calls were abandoned: 3 calls have not returned, 2 allowed", p.Breaches[0].String())
			s.fleet.free()
			s.after(time.Second)
			require.Len(s, s.events(id, ota.EventLate), 3)
			require.Equal(s, 3, s.plan(id).Counts.Failed, "late results are ignored")
			s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
			s.after(5 * time.Second)
			s.status(id, ota.StatusCompleted)
		})
	})
	t.Run("the agent takes no other attempt until the call returns", func(t *testing.T) {
		inScene(t, func(s *scene) {
			id := s.start(ota.Policy{FailureThreshold: ptr(1.0), AttemptTimeout: time.Minute, MaxAbandoned: 5, Concurrency: 1}, ota.Shape{}, "stuck-1", "slow-2")
			s.fleet.latency = 5 * time.Second
			s.fleet.do = func(_ context.Context, a ota.Attempt) (ota.Result, bool, error) {
				return ota.Result{}, a.Number > 1, nil
			}
			s.run(s.e)
			s.after(68 * time.Second)
			require.Equal(s, ota.TaskFailed, s.agent(id, "stuck-1").Status)
			s.said(s.e.Retry(s.ctx, id, []string{"stuck-1"}, ota.Request{}))
			s.after(5 * time.Minute)
			require.Equal(s, ota.TaskPending, s.agent(id, "stuck-1").Status)
			require.Len(s, s.fleet.made("stuck-1"), 1)
			s.status(id, ota.StatusRunning)
			require.Contains(s, s.reasons(id), "abandoned_call")
			x, err := s.engine(s.store, nil, "two").Explain(s.ctx, id)
			require.NoError(s, err)
			require.NotEmpty(s, x.Blockers, "elsewhere too")
			s.fleet.free()
			s.after(time.Minute)
			require.Equal(s, ota.TaskSucceeded, s.agent(id, "stuck-1").Status)
			s.status(id, ota.StatusCompleted)
		})
	})
}

// An engine that has lost its plan waits for its calls. The wait has a limit, and does not poll.
func TestFencedWithAStuckCall(t *testing.T) {
	inScene(t, func(s *scene) {
		var mute atomic.Bool
		s.store.BeforeRenew.Set(func(_ context.Context, engine string) error {
			if mute.Load() && engine == "one" {
				return harness.ErrDown
			}
			return nil
		})
		id := s.start(ota.Policy{Concurrency: 2}, ota.Shape{}, "stuck-1", "slow-2", "ok-3")
		s.run(s.e)
		s.after(time.Second)
		s.run(s.engine(s.store, s.fleet, "two"))
		mute.Store(true)
		s.after(5 * time.Minute)
		require.Equal(s, "two", s.plan(id).Owner)
		require.Len(s, s.fleet.made("stuck-1"), 2)
		s.fleet.free()
		s.after(time.Minute)
		require.Equal(s, 2, s.plan(id).Counts.Succeeded)
	})
}

// An engine that cannot renew its lease starts nothing once that may have run out, although nobody has taken its plan.
func TestNothingStartsWithoutALease(t *testing.T) {
	inScene(t, func(s *scene) {
		var mute atomic.Bool
		s.store.BeforeRenew.Set(func(context.Context, string) error {
			if mute.Load() {
				return harness.ErrDown
			}
			return nil
		})
		id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{Size: 100}, names("ok", 100)...)
		s.run(s.e)
		s.after(10500 * time.Millisecond)
		mute.Store(true)
		s.after(6 * time.Second)
		calls := len(s.fleet.made(""))
		require.LessOrEqual(s, calls, 15)
		require.Contains(s, s.reasons(id), "lease")
		s.after(time.Minute)
		require.Len(s, s.fleet.made(""), calls)
		mute.Store(false)
		s.after(2 * time.Minute)
		s.status(id, ota.StatusCompleted)
		require.Len(s, s.fleet.made(""), 100, "and nobody was called twice")
	})
}

func TestInterrupt(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 2}, ota.Shape{}, "hang-1", "slow-2", "ok-3")
		s.run(s.e)
		s.after(time.Second)
		p := s.said(s.e.Cancel(s.ctx, id, true, ota.Request{}))
		require.Equal(s, 2, p.InFlight())
		s.after(time.Second)
		p = s.plan(id)
		require.Equal(s, ota.StatusCanceled, p.Status)
		require.Equal(s, ota.Counts{Unknown: 2, Canceled: 1}, p.Counts)
		require.Equal(s, ota.ReasonInterrupted, s.agent(id, "hang-1").Tasks[0].Reason)
		require.True(s, s.agent(id, "hang-1").Changed)
		s.stays(id, ota.StatusCanceled)
	})
}

func TestCancelDrains(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 3, Retry: ota.RetryPolicy{Max: 1, Backoff: time.Hour}}, ota.Shape{}, "slow-1", "fail-2", "away-3", "ok-4", "ok-5", "ok-6")
		s.run(s.e)
		s.after(1500 * time.Millisecond)
		s.said(s.e.Cancel(s.ctx, id, false, ota.Request{}))
		s.status(id, ota.StatusCanceling)
		s.after(time.Minute)
		s.status(id, ota.StatusCanceled)
		for name, want := range map[string]ota.TaskStatus{
			"slow-1": ota.TaskSucceeded, "fail-2": ota.TaskFailed, "away-3": ota.TaskCanceled, "ok-4": ota.TaskSucceeded, "ok-6": ota.TaskCanceled,
		} {
			require.Equal(s, want.String(), s.agent(id, name).Status.String(), name)
		}
		s.stays(id, ota.StatusCanceled)
	})
}

func TestShutdownAndNextEngine(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 3}, ota.Shape{}, "ok-1", "hang-2", "slow-3", "ok-4", "ok-5", "ok-6")
		begun := time.Now()
		stop := s.run(s.e)
		s.after(500 * time.Millisecond)
		require.NoError(s, stop())
		require.Equal(s, 20500*time.Millisecond, time.Since(begun), "calls get DrainTimeout")
		require.Len(s, s.fleet.made(""), 3, "nothing starts any more")
		require.Equal(s, ota.TaskSucceeded, s.agent(id, "slow-3").Status, "and what ends meanwhile is recorded")
		require.Equal(s, ota.TaskRunning, s.agent(id, "hang-2").Status)
		s.fleet.do = func(_ context.Context, a ota.Attempt) (ota.Result, bool, error) {
			return ota.Result{Version: "2"}, true, nil
		}
		two := s.engine(s.store, s.fleet, "two")
		s.run(two)
		s.after(time.Minute)
		s.status(id, ota.StatusCompleted)
		calls := s.fleet.made("hang-2")
		require.Len(s, calls, 2)
		require.Equal(s, calls[0].Key(), calls[1].Key())
		require.True(s, calls[1].Repeat)
		require.Greater(s, calls[1].Epoch, calls[0].Epoch)
	})
}

func TestPausedPlanRepeatsNothing(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{}, "hang-1", "ok-2")
		stop := s.run(s.e)
		s.after(500 * time.Millisecond)
		require.NoError(s, stop())
		s.said(s.e.Pause(s.ctx, id, ota.Request{}))
		two := s.engine(s.store, s.fleet, "two")
		s.run(two)
		s.after(time.Hour)
		s.status(id, ota.StatusPaused)
		require.Len(s, s.fleet.made("hang-1"), 1)
		require.Equal(s, ota.TaskWaiting, s.agent(id, "hang-1").Status)
		s.said(two.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
		s.after(time.Second)
		require.Len(s, s.fleet.made("hang-1"), 2)
	})
}

func TestInspector(t *testing.T) {
	for name, c := range map[string]struct {
		found ota.Inspection
		err   error
		want  ota.TaskStatus
		calls int
	}{
		"done":    {found: ota.Inspection{State: ota.InspectDone, Result: ota.Result{Version: "2"}}, want: ota.TaskSucceeded, calls: 1},
		"wrong":   {found: ota.Inspection{State: ota.InspectDone, Result: ota.Result{Version: "7"}}, want: ota.TaskFailed, calls: 1},
		"failed":  {found: ota.Inspection{State: ota.InspectFailed, Err: ota.Permanent(errors.New("no"))}, want: ota.TaskFailed, calls: 1},
		"running": {found: ota.Inspection{State: ota.InspectRunning}, want: ota.TaskSucceeded, calls: 2},
		"unknown": {want: ota.TaskSucceeded, calls: 2},
		"error":   {err: errors.New("who knows"), want: ota.TaskSucceeded, calls: 2},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				asked := 0
				s.fleet.inspect = func(ota.Attempt) (ota.Inspection, error) { asked++; return c.found, c.err }
				id := s.start(ota.Policy{FailureThreshold: ptr(1.0)}, ota.Shape{}, "hang-1")
				first, err := ota.New(s.store, s.fleet, ota.Options{Name: "killed", DrainTimeout: -1})
				require.NoError(s, err)
				stop := s.run(first)
				s.after(time.Second)
				require.NoError(s, stop())
				s.fleet.do = func(context.Context, ota.Attempt) (ota.Result, bool, error) {
					return ota.Result{Version: "2"}, true, nil
				}
				s.use(inspected{s.fleet})
				require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
				require.Equal(s, 1, asked)
				require.Len(s, s.fleet.made(""), c.calls)
				a := s.agent(id, "hang-1")
				require.Equal(s, c.want.String(), a.Status.String())
				require.True(s, a.Changed, "a lost call counts as touched, whatever it answers")
			})
		})
	}
}

func TestProber(t *testing.T) {
	t.Run("the first unhealthy answer counts", func(t *testing.T) {
		inScene(t, func(s *scene) {
			s.use(probed{s.fleet})
			s.fleet.health = func(a ota.Attempt) (ota.Health, error) {
				return ota.Health{Healthy: !strings.HasPrefix(a.Agent, "sick"), Reason: "memory"}, nil
			}
			id := s.start(ota.Policy{Soak: ota.Soak{Duration: time.Minute}}, ota.Shape{}, "sick-1", "sick-2", "ok-3")
			p := s.drive(id)
			require.Equal(s, ota.StatusPaused, p.Status)
			require.Equal(s, 2, p.Counts.Failed)
			require.Equal(s, "memory", s.agent(id, "sick-1").Tasks[0].Error)
		})
	})
	t.Run("a panic is no answer", func(t *testing.T) {
		inScene(t, func(s *scene) {
			s.use(probed{s.fleet})
			asked := 0
			s.fleet.health = func(a ota.Attempt) (ota.Health, error) {
				if asked++; asked < 3 {
					panic("broken prober")
				}
				return ota.Health{Healthy: true}, nil
			}
			id := s.start(ota.Policy{Soak: ota.Soak{Duration: time.Minute}}, ota.Shape{}, "ok-1")
			require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
		})
	})
	t.Run("every agent is asked, Concurrency at once, each Probe", func(t *testing.T) {
		inScene(t, func(s *scene) {
			s.use(probed{s.fleet})
			var asked, out, most atomic.Int64
			s.fleet.health = func(ota.Attempt) (ota.Health, error) {
				asked.Add(1)
				most.Store(max(most.Load(), out.Add(1)))
				time.Sleep(time.Second)
				out.Add(-1)
				return ota.Health{Healthy: true}, nil
			}
			id := s.start(ota.Policy{Concurrency: 2, Soak: ota.Soak{Duration: 35 * time.Second, Interval: 10 * time.Second, Compare: ota.Off}}, ota.Shape{}, names("ok", 6)...)
			require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
			require.Equal(s, int64(4*6), asked.Load())
			require.Equal(s, int64(2), most.Load())
		})
	})
}

func TestObserveStableAndRetry(t *testing.T) {
	observe := ota.Soak{Duration: time.Minute, Stable: 2 * time.Minute, Grace: time.Minute}
	report := func(s *scene, id string, healthy bool) {
		s.Helper()
		require.NoError(s, s.e.ReportHealth(s.ctx, id, []ota.HealthReport{{Agent: "ok-1", Healthy: healthy}}))
	}
	t.Run("undisturbed", func(t *testing.T) {
		inScene(t, func(s *scene) {
			begun := time.Now()
			id := s.start(ota.Policy{Soak: observe}, ota.Shape{}, "ok-1", "ok-2")
			s.drive(id)
			require.Equal(s, 3*time.Minute+time.Second, time.Since(begun))
		})
	})
	t.Run("healthy again in time starts the stable time anew", func(t *testing.T) {
		inScene(t, func(s *scene) {
			begun := time.Now()
			id := s.start(ota.Policy{Soak: observe}, ota.Shape{}, "ok-1", "ok-2")
			s.run(s.e)
			s.after(2 * time.Minute)
			report(s, id, false)
			require.True(s, s.agent(id, "ok-1").Unhealthy)
			require.Contains(s, s.explain(id).Sentence(), "1 agent of batch 0 is unhealthy")
			s.after(50 * time.Second)
			report(s, id, true)
			_, err := s.e.Wait(s.ctx, id)
			require.NoError(s, err)
			require.Equal(s, ota.StatusCompleted, s.plan(id).Status)
			require.Equal(s, 2*time.Minute+50*time.Second+2*time.Minute, time.Since(begun))
			require.Equal(s, 0, s.plan(id).Counts.Failed)
		})
	})
	t.Run("unhealthy for longer than Retry fails", func(t *testing.T) {
		inScene(t, func(s *scene) {
			id := s.start(ota.Policy{Soak: observe, FailureThreshold: ptr(0.0)}, ota.Shape{}, "ok-1", "ok-2")
			s.run(s.e)
			s.after(2 * time.Minute)
			report(s, id, false)
			s.after(59 * time.Second)
			require.Equal(s, 0, s.plan(id).Counts.Failed)
			report(s, id, false) // again is not anew
			s.after(time.Second)
			p := s.plan(id)
			require.Equal(s, 1, p.Counts.Failed)
			require.Equal(s, ota.StatusPaused, p.Status)
			require.Equal(s, ota.ReasonUnhealthy, s.agent(id, "ok-1").Tasks[0].Reason)
		})
	})
}

func TestObservationGoesOnWhilePaused(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Soak: ota.Soak{Duration: time.Hour}}, ota.Shape{Size: 1}, "ok-1", "ok-2")
		s.run(s.e)
		s.after(time.Minute)
		s.said(s.e.Pause(s.ctx, id, ota.Request{}))
		s.after(2 * time.Hour)
		s.status(id, ota.StatusPaused)
		require.Equal(s, ota.BatchCompleted, s.batch(id, 0).Status)
		require.Equal(s, ota.BatchPending, s.batch(id, 1).Status)
		s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
		s.after(time.Second)
		require.Len(s, s.fleet.made(""), 2)
	})
}

func (s *scene) batch(id string, index int) ota.Batch {
	s.Helper()
	for b, err := range s.e.Batches(s.ctx, id, index) {
		require.NoError(s, err)
		return b
	}
	s.Fatalf("no batch %d", index)
	return ota.Batch{}
}

func TestHoldAndPromote(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Hold: ota.Hold{Batches: []int{1}}}, ota.Shape{Size: 1}, "ok-1", "ok-2", "ok-3")
		s.run(s.e)
		s.after(time.Hour)
		require.Len(s, s.fleet.made(""), 1)
		s.status(id, ota.StatusRunning)
		b := s.explain(id).Blockers[0]
		require.Equal(s, ota.Blocker{Reason: ota.ReasonHeld, Verb: ota.VerbPromote, Text: "batch 1"}, b)
		require.Equal(s, "The next batch is held until it is promoted: batch 1; cleared by promote", b.String())
		s.said(s.e.Promote(s.ctx, id, 1, ota.Request{}))
		s.after(3 * time.Second)
		s.status(id, ota.StatusCompleted)
	})
	inScene(t, func(s *scene) { // in advance
		id := s.create(ota.Policy{Hold: ota.Hold{All: true}}, ota.Shape{Size: 1}, "ok-1", "ok-2").ID
		s.said(s.e.Promote(s.ctx, id, 1, ota.Request{}))
		s.said(s.e.Start(s.ctx, id, ota.Request{}))
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
	})
}

func TestSkip(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 2, FailureThreshold: ptr(0.1), Retry: ota.RetryPolicy{Max: 3, Backoff: time.Hour}}, ota.Shape{}, "fail-1", "away-2", "ok-3", "ok-4")
		s.run(s.e)
		s.after(1500 * time.Millisecond)
		s.said(s.e.Skip(s.ctx, id, []string{"away-2", "ok-4"}, ota.Request{Actor: "ann", Reason: "broken rack"}))
		s.after(time.Second)
		for _, name := range []string{"away-2", "ok-4"} {
			a := s.agent(id, name)
			require.Equal(s, ota.TaskSkipped, a.Status, name)
			require.Equal(s, ota.ReasonOperator, a.Tasks[0].Reason)
		}
		require.Equal(s, "ann", s.events(id, ota.EventTaskSkipped)[0].Actor)
		s.said(s.e.Skip(s.ctx, id, []string{"fail-1"}, ota.Request{})) // it waits for a retry: it fails with its last error
		s.after(5 * time.Second)
		a := s.agent(id, "fail-1")
		require.Equal(s, ota.TaskFailed, a.Status)
		require.Equal(s, "no", a.Tasks[0].Error)
		require.Equal(s, ota.StatusPaused, s.plan(id).Status, "1 of 4 exceeds: skipped ones stay in the denominator, tolerated is 0")
	})
	inScene(t, func(s *scene) {
		id := s.create(ota.Policy{}, ota.Shape{}, "ok-1").ID
		_, err := s.e.Skip(s.ctx, id, nil, ota.Request{})
		require.EqualError(s, err, "ota: skip plan "+id+": agents are missing; allowed: IDs of agents that were not started")
		_, err = s.e.Skip(s.ctx, id, []string{"nobody"}, ota.Request{})
		require.ErrorIs(s, err, ota.ErrNotFound)
		s.said(s.e.Start(s.ctx, id, ota.Request{}))
		s.run(s.e)
		s.after(500 * time.Millisecond)
		_, err = s.e.Skip(s.ctx, id, []string{"ok-1"}, ota.Request{})
		require.EqualError(s, err, "ota: skip plan "+id+": agents (ok-1) is running; allowed: agents that are pending or waiting")
	})
}

func TestSkipBeforeStart(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.create(ota.Policy{}, ota.Shape{}, "ok-1", "ok-2").ID
		s.said(s.e.Skip(s.ctx, id, []string{"ok-1"}, ota.Request{}))
		s.run(s.e)
		s.after(time.Second)
		s.status(id, ota.StatusPending)
		require.Equal(s, ota.TaskSkipped, s.agent(id, "ok-1").Status)
	})
}

func TestRetryHoldsBackLaterBatches(t *testing.T) {
	inScene(t, func(s *scene) {
		var ok atomic.Bool
		s.fleet.do = func(ctx context.Context, a ota.Attempt) (ota.Result, bool, error) {
			if a.Agent == "fail-1" && ok.Load() {
				return ota.Result{Version: "2"}, true, nap(ctx, 10*time.Second)
			}
			return ota.Result{}, false, nil
		}
		id := s.start(ota.Policy{FailureThreshold: ptr(0.5), Concurrency: 1, Soak: ota.Soak{Duration: time.Minute}}, ota.Shape{Size: 2}, "fail-1", "ok-2", "ok-3", "ok-4", "ok-5")
		s.run(s.e)
		s.after(63500 * time.Millisecond) // ok-3 is done, ok-4 runs
		require.Equal(s, 1, s.plan(id).Batch)
		ok.Store(true)
		s.said(s.e.Retry(s.ctx, id, nil, ota.Request{}))
		s.after(5 * time.Second)
		p := s.plan(id)
		require.Equal(s, 0, p.Batch)
		require.Equal(s, 0, p.Counts.Failed)
		require.Equal(s, ota.BatchRunning, s.batch(id, 0).Status)
		require.Equal(s, ota.TaskPending, s.agent(id, "ok-5").Status)
		s.after(30 * time.Second)
		require.Equal(s, ota.BatchSoaking, s.batch(id, 0).Status)
		s.after(time.Minute)
		s.after(2 * time.Minute)
		s.status(id, ota.StatusCompleted)
		require.Equal(s, 5, s.plan(id).Counts.Succeeded)
		require.Len(s, s.events(id, ota.EventBatchReopened), 1)
	})
}

func TestLowerAndRaiseLimits(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.latency = 10 * time.Second
		id := s.start(ota.Policy{Concurrency: 10}, ota.Shape{Size: 100}, names("ok", 100)...)
		s.run(s.e)
		s.after(5 * time.Second)
		s.said(s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.Concurrency = 2 }, ota.Request{}))
		s.after(10 * time.Second)
		require.Equal(s, 2, s.plan(id).InFlight())
		s.said(s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.Concurrency = 20 }, ota.Request{}))
		synctest.Wait()
		require.Equal(s, 20, s.plan(id).InFlight(), "raising works at once")
	})
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 1, FailureThreshold: ptr(0.5)}, ota.Shape{}, "fail-1", "fail-2", "ok-3", "ok-4", "ok-5")
		s.run(s.e)
		s.after(2500 * time.Millisecond)
		s.status(id, ota.StatusRunning)
		s.said(s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.FailureThreshold = ptr(0.1) }, ota.Request{}))
		synctest.Wait()
		s.status(id, ota.StatusPausing)
		require.Len(s, s.fleet.made(""), 3)
	})
}

func TestQueueLimit(t *testing.T) {
	for _, c := range []struct {
		away ota.UnreachableAction
		want ota.TaskStatus
	}{{ota.UnreachableFails, ota.TaskFailed}, {ota.UnreachableSkipped, ota.TaskSkipped}} {
		inScene(t, func(s *scene) {
			id := s.start(ota.Policy{UnreachableTimeout: time.Hour, OnUnreachable: c.away, FailureThreshold: ptr(1.0)}, ota.Shape{}, "away-1")
			s.run(s.e)
			s.after(30 * time.Minute)
			for s.agent(id, "away-1").Status == ota.TaskRunning { // it is being asked at this very moment
				s.after(time.Second)
			}
			require.Contains(s, s.explain(id).Sentence(), "1 agent of batch 0 waits for the next attempt")
			s.said(s.e.Pause(s.ctx, id, ota.Request{}))
			s.after(8 * time.Hour)
			require.Equal(s, ota.TaskWaiting, s.agent(id, "away-1").Status, "a pause fails nobody")
			s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
			s.after(28 * time.Minute)
			require.False(s, s.agent(id, "away-1").Status.Finished(), "the pause does not count")
			s.after(4 * time.Minute)
			a := s.agent(id, "away-1")
			require.Equal(s, c.want.String(), a.Status.String())
			require.Equal(s, ota.ReasonUnreachable, a.Tasks[0].Reason)
			require.False(s, a.Changed)
			s.status(id, ota.StatusCompleted)
		})
	}
}

func TestAttemptLimit(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{AttemptTimeout: time.Minute, FailureThreshold: ptr(1.0), Retry: ota.RetryPolicy{Max: 1}}, ota.Shape{}, "hang-1")
		begun := time.Now()
		p := s.drive(id)
		require.Equal(s, ota.StatusCompleted, p.Status)
		require.Equal(s, 2*time.Minute, time.Since(begun))
		require.Equal(s, ota.ReasonTimeout, s.agent(id, "hang-1").Tasks[0].Reason)
		require.Equal(s, 2, s.agent(id, "hang-1").Tasks[0].Attempts)
	})
}

func TestReportHealthThroughAnotherEngine(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{FailureThreshold: ptr(0.0), Soak: ota.Soak{Duration: time.Minute}}, ota.Shape{}, "ok-1")
		s.run(s.e)
		s.after(30 * time.Second)
		two := s.engine(s.store, nil, "two")
		require.NoError(s, two.ReportHealth(s.ctx, id, []ota.HealthReport{{Agent: "ok-1", Reason: "seen by another"}}))
		s.after(2 * time.Second)
		s.status(id, ota.StatusPaused)
		require.Equal(s, "one", s.plan(id).Owner)
		require.Equal(s, "seen by another", s.agent(id, "ok-1").Tasks[0].Error)
	})
}

func TestReportHealthDoesNotTakeAPlan(t *testing.T) {
	inScene(t, func(s *scene) { // a store that knows neither leases nor messages
		store := harness.Bare{Store: s.store}
		one, two := s.engine(store, s.fleet, "one"), s.engine(store, nil, "two")
		p, err := one.Create(s.ctx, ota.Spec{Name: "x", ToVersion: "2", Agents: ota.AgentIDs("ok-1", "ok-2"), Shape: ota.Shape{Size: 1}, Policy: ota.Policy{Soak: ota.Soak{Duration: time.Minute}}})
		require.NoError(s, err)
		require.Contains(s, p.Warnings, "the store enforces no claims: two active plans may upgrade one agent")
		s.said(one.Start(s.ctx, p.ID, ota.Request{}))
		s.run(one)
		s.after(30 * time.Second)
		require.ErrorIs(s, two.ReportHealth(s.ctx, p.ID, []ota.HealthReport{{Agent: "ok-1", Healthy: true}}), ota.ErrConflict)
		s.after(5 * time.Minute)
		s.status(p.ID, ota.StatusCompleted)
	})
}

func TestReportHealthWithNobodyDriving(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{FailureThreshold: ptr(0.0), Soak: ota.Soak{Duration: time.Hour}}, ota.Shape{}, "ok-1")
		stop := s.run(s.e)
		s.after(30 * time.Second)
		require.NoError(s, stop())
		require.NoError(s, s.e.ReportHealth(s.ctx, id, []ota.HealthReport{{Agent: "ok-1"}, {Agent: "nobody"}}))
		s.status(id, ota.StatusPaused)
		require.Equal(s, 1, s.plan(id).Counts.Failed)
	})
}

func TestWaitAndRunPlan(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{}, "ok-1")
		waited := make(chan ota.Plan)
		go func() {
			p, _ := s.e.Wait(s.ctx, id)
			waited <- p
		}()
		s.after(time.Second)
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
		require.Equal(s, ota.StatusCompleted, (<-waited).Status)
		ctx, cancel := context.WithTimeout(s.ctx, time.Second)
		defer cancel()
		pending := s.create(ota.Policy{}, ota.Shape{}, "ok-1").ID
		_, err := s.e.Wait(ctx, pending)
		require.ErrorIs(s, err, context.DeadlineExceeded)
		p, err := s.e.RunPlan(s.ctx, pending)
		require.NoError(s, err)
		require.Equal(s, ota.StatusPending, p.Status)
		none := s.engine(s.store, nil, "three")
		_, err = none.RunPlan(s.ctx, id)
		require.EqualError(s, err, "executor is missing; allowed: an ota.Executor")
		require.EqualError(s, none.Run(s.ctx), "executor is missing; allowed: an ota.Executor")
	})
}

func TestRunPlanOfAnotherEnginesPlan(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{}, "slow-1")
		s.run(s.e)
		s.after(time.Second)
		_, err := s.engine(s.store, s.fleet, "two").RunPlan(s.ctx, id)
		require.ErrorIs(s, err, ota.ErrConflict)
		require.ErrorContains(s, err, "engine one drives plan")
	})
}

func TestSeveralPlansAtOnce(t *testing.T) {
	inScene(t, func(s *scene) {
		var all []string
		for i := range 5 {
			all = append(all, s.start(ota.Policy{}, ota.Shape{}, names(fmt.Sprintf("ok-%d", i), 20)...))
		}
		s.run(s.e)
		s.after(time.Minute)
		for _, id := range all {
			s.status(id, ota.StatusCompleted)
		}
	})
}
