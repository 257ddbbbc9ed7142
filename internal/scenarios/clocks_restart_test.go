package scenarios

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// A batch that runs again, and an open batch that waited for it, have their whole timeout again.
func TestABatchThatRunsAgainHasItsWholeTimeout(t *testing.T) {
	for _, paused := range []bool{false, true} {
		inScene(t, func(s *scene) {
			policy := ota.Policy{FailureThreshold: ptr(1.0), BatchTimeout: time.Hour, AttemptTimeout: ota.NoTimeout, Concurrency: 2}
			s.fleet.latency = 50 * time.Minute
			id := s.start(policy, ota.Shape{Size: 1}, "flaky-0", "ok-1")
			s.run(s.e)
			s.after(80 * time.Minute) // batch 0 has failed; batch 1 has half an hour behind it
			require.Equal(s, 1, s.plan(id).Batch)
			retry := func() { s.said(s.e.Retry(s.ctx, id, nil, ota.Request{})) }
			if paused {
				s.said(pauseIt(s, id))
				s.after(5 * time.Hour)
				retry()
				s.after(5 * time.Hour)
				s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
			} else {
				retry()
			}
			s.after(time.Minute)
			require.Equal(s, 0, s.plan(id).Batch)
			s.after(3 * time.Hour)
			require.Empty(s, s.plan(id).Breaches)
			s.status(id, ota.StatusCompleted)
		})
		// and it strikes
		inScene(t, func(s *scene) {
			policy := ota.Policy{FailureThreshold: ptr(1.0), BatchTimeout: time.Hour, AttemptTimeout: ota.NoTimeout}
			s.fleet.latency = 50 * time.Minute
			id := s.start(policy, ota.Shape{Size: 1}, "fail-0", "ok-1")
			s.run(s.e)
			s.after(2 * time.Hour)
			s.status(id, ota.StatusCompleted)
			id = s.start(policy, ota.Shape{Size: 1}, "fail-2", "ok-3", "ok-4")
			s.after(55 * time.Minute)
			s.fleet.mu.Lock()
			s.fleet.latency = 2 * time.Hour
			s.fleet.mu.Unlock()
			s.said(s.e.Retry(s.ctx, id, nil, ota.Request{}))
			again := time.Now()
			s.after(3 * time.Hour)
			br := s.plan(id).Breaches[0]
			require.Equal(s, ota.ReasonBatchTimeout, br.Reason)
			require.Equal(s, 0, br.Batch)
			require.Equal(s, time.Hour, br.At.Sub(again))
		})
	}
}

// Time in which a plan was frozen is paused time, also once its rollback plan was canceled.
func TestFrozenTimeIsPausedTime(t *testing.T) {
	for _, pausedAfter := range []bool{false, true} {
		inScene(t, func(s *scene) {
			policy := ota.Policy{PlanTimeout: time.Hour, AttemptTimeout: ota.NoTimeout}
			id := s.start(policy, ota.Shape{Size: 1}, "ok-0", "hang-1")
			s.run(s.e)
			s.after(10 * time.Minute)
			undo, err := s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{})
			require.NoError(s, err)
			s.after(5 * time.Minute)
			if pausedAfter {
				_, err = s.e.Pause(s.ctx, id, ota.Request{})
				require.NoError(s, err)
			}
			s.after(5 * time.Minute)
			_, err = s.e.Cancel(s.ctx, undo.ID, false, ota.Request{})
			require.NoError(s, err)
			s.after(10 * time.Hour)
			s.status(id, ota.StatusPausing)
			_, err = s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{})
			require.NoError(s, err)
			resumed := time.Now()
			s.after(2 * time.Hour)
			br := s.plan(id).Breaches[0]
			require.Equal(s, ota.ReasonPlanTimeout, br.Reason)
			require.Equal(s, 50*time.Minute, br.At.Sub(resumed), "10 of 60 minutes were used")
		})
	}
}

// An agent that recovered while the plan had no engine is asked before it fails, whatever its grace.
func TestGraceAsksAfterAnAbsence(t *testing.T) {
	for _, recovers := range []bool{true, false} {
		inScene(t, func(s *scene) {
			healthy := false
			s.fleet.health = func(ota.Attempt) (ota.Health, error) {
				s.fleet.mu.Lock()
				defer s.fleet.mu.Unlock()
				return ota.Health{Healthy: healthy, Reason: "slow"}, nil
			}
			s.use(probed{s.fleet})
			policy := ota.Policy{Soak: ota.Soak{Duration: 5 * time.Hour, Grace: time.Hour}}
			id := s.start(policy, ota.Shape{}, "ok-0")
			stop := s.run(s.e)
			s.after(30 * time.Minute)
			require.NoError(s, stop())
			s.after(2 * time.Hour)
			healthy = recovers
			s.run(s.e)
			s.after(10 * time.Second)
			if !recovers {
				require.Equal(s, 1, s.plan(id).Counts.Failed, "it is failed with the first answer")
				return
			}
			s.after(5 * time.Hour)
			s.status(id, ota.StatusCompleted)
			require.Zero(s, s.plan(id).Counts.Failed)
		})
	}
}

// The time between two windows does not count for an agent that is away at the end of one and at the
// begin of the next. An agent that stays away fails in the end.
func TestAwayOverAShutWindow(t *testing.T) {
	for _, back := range []time.Duration{24*time.Hour + 62*time.Minute, 1000 * time.Hour} {
		inScene(t, func(s *scene) {
			began := time.Now()
			exec := ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
				if a.Agent == "laptop" && time.Since(began) < back {
					return ota.Result{}, ota.Unreachable(errors.New("lid closed"))
				}
				return ota.Result{}, nil
			})
			s.e = s.engineOf(s.store, exec, ota.Options{Name: "one", Poll: 20 * time.Second, Lease: time.Minute})
			policy := ota.Policy{FailureThreshold: ptr(0.0), Windows: []ota.Window{{Start: time.Hour, Length: 5 * time.Minute}}}
			id := s.start(policy, ota.Shape{Size: 2}, "desk", "laptop")
			p := s.drive(id)
			if back < 100*time.Hour {
				require.Equal(s, ota.StatusCompleted.String(), p.Status.String())
				return
			}
			require.Equal(s, ota.StatusPaused.String(), p.Status.String())
			days := int(time.Since(began) / (24 * time.Hour))
			require.InDelta(s, 11, days, 1, "an hour has twelve windows of five minutes")
		})
	}
}

// An engine that restarts often still ends an attempt that hangs: repeats keep its deadline, and the
// calls of an attempt take at most twice its limit, however long each life and each absence is.
func TestRepeatsKeepTheDeadline(t *testing.T) {
	for _, c := range []struct{ up, down time.Duration }{
		{time.Minute, 0},
		{time.Minute, time.Minute},
		{20 * time.Minute, 0},
		{25 * time.Minute, 5 * time.Minute},
		{50 * time.Minute, 20 * time.Minute}, // each deadline passes in an absence
		{59 * time.Minute, 2 * time.Minute},
		{45 * time.Minute, 100 * time.Hour},
		{2 * time.Hour, 0},
	} {
		t.Run(c.up.String()+" up, "+c.down.String()+" down", func(t *testing.T) {
			inScene(t, func(s *scene) {
				s.e = s.patient("one")
				id := s.start(ota.Policy{AttemptTimeout: time.Hour}, ota.Shape{}, "hang-0")
				var alive time.Duration
				for began := time.Now(); s.plan(id).Counts.Failed == 0; began = time.Now() {
					require.Less(s, alive, 2*time.Hour+c.up, "it never ends")
					stop := s.run(s.e)
					for s.plan(id).Counts.Failed == 0 && time.Since(began) < c.up {
						s.after(30 * time.Second)
					}
					alive += time.Since(began)
					require.NoError(s, stop())
					s.after(c.down)
					s.e = s.patient("one")
				}
				a := s.agent(id, "hang-0")
				require.Equal(s, ota.ReasonTimeout.String(), a.Tasks[0].Reason.String())
				require.LessOrEqual(s, alive, 2*time.Hour+time.Minute)
				var deadlines []time.Time
				for i, call := range s.fleet.made("hang-0") {
					require.Equal(s, 1, call.Number, "it is one attempt")
					require.Equal(s, i > 0, call.Repeat)
					if !slices.ContainsFunc(deadlines, call.Deadline.Equal) && call.Deadline.After(call.at) {
						deadlines = append(deadlines, call.Deadline)
					}
				}
				require.LessOrEqual(s, len(deadlines), 2, "only one passed without an engine")
				if c.up >= time.Hour {
					require.Len(s, deadlines, 1)
				}
			})
		})
	}
}

// Time in which a lost call could not be repeated does not count for its attempt.
func TestADeadlineWaitsForTheRepeat(t *testing.T) {
	for _, d := range disturbances[:3] {
		if d.name == "batch held" {
			continue // its attempt has not begun
		}
		t.Run(d.name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				s.e = s.patient("one")
				policy := ota.Policy{AttemptTimeout: limit}
				d.policy(&policy)
				id := s.start(policy, ota.Shape{}, "hang-0")
				stop := s.run(s.e)
				s.after(disturbed - time.Minute)
				require.NoError(s, stop())
				s.after(2 * time.Minute)
				end := d.begin(s, id)
				s.e = s.patient("one")
				s.run(s.e)
				s.after(calm - disturbed)
				if d.name != "window shut" {
					require.Len(s, s.fleet.made(""), 1)
				}
				end()
				s.after(5 * time.Minute)
				require.Len(s, s.fleet.made(""), 2)
				s.after(20 * time.Minute)
				require.Zero(s, s.plan(id).Counts.Failed)
				s.after(5 * time.Minute)
				require.Equal(s, 1, s.plan(id).Counts.Failed)
			})
		})
	}
}
