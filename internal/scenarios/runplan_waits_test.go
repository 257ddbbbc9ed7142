package scenarios

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// waiting is something that a running plan waits for, with nothing in flight. After an hour each of
// these plans has changed the agent ok-0, and waits for hours more.
type waiting struct {
	policy ota.Policy
	shape  ota.Shape
	agents []string
	fleet  func(*scene) ota.Executor // nil: the scene's fleet
	inTurn func(*scene, string)      // what else happens before the hour is over
	open   time.Duration             // how long a question may be open
}

// everyWait has each reason for which a plan with nothing in flight may wait.
func everyWait() map[string]waiting {
	const day = 24 * time.Hour
	long := []string{"ok-0", "ok-1"}
	return map[string]waiting{
		"soak":   {policy: ota.Policy{Soak: ota.Soak{Duration: day}}, agents: long},
		"stable": {policy: ota.Policy{Soak: ota.Soak{Stable: day}}, agents: long},
		"unhealthy": {
			policy: ota.Policy{Soak: ota.Soak{Duration: 31 * time.Minute, Grace: day}}, agents: long,
			inTurn: func(s *scene, id string) {
				require.NoError(s, s.e.ReportHealth(s.ctx, id, []ota.HealthReport{{Agent: "ok-0", Reason: "slow"}}))
			},
		},
		"probe": {
			policy: ota.Policy{Soak: ota.Soak{Duration: day, Interval: 5 * time.Minute}}, agents: long,
			fleet: func(s *scene) ota.Executor {
				s.fleet.health = func(ota.Attempt) (ota.Health, error) { return ota.Health{Healthy: true}, nil }
				return probed{s.fleet}
			},
		},
		// the scene begins at midnight
		"window":      {policy: ota.Policy{Windows: []ota.Window{{Length: time.Minute}}, Concurrency: 1}, shape: ota.Shape{Size: 200}, agents: names("ok", 200)},
		"hold":        {policy: ota.Policy{Hold: ota.Hold{All: true}}, shape: ota.Shape{Size: 1}, agents: long},
		"rate":        {policy: ota.Policy{Rate: ota.Rate{Starts: 1, Per: day}}, agents: long},
		"backoff":     {policy: ota.Policy{Retry: ota.RetryPolicy{Max: 1, Backoff: day}}, agents: []string{"ok-0", "fail-0"}},
		"unreachable": {agents: []string{"ok-0", "asleep-0"}, fleet: asleep},
		"precheck": {
			agents: []string{"ok-0", "ok-1"},
			fleet: func(s *scene) ota.Executor {
				return asking{s.fleet, func(_ context.Context, a ota.Attempt) (ota.Precheck, error) {
					if a.Agent != "ok-0" {
						return ota.Precheck{}, ota.Throttled(errors.New("asleep"), day)
					}
					return ota.Precheck{}, nil
				}}
			},
		},
		"question": { // without an answer: the agent is unreachable after 30 s
			agents: []string{"ok-0", "ok-1"},
			fleet: func(s *scene) ota.Executor {
				return asking{s.fleet, func(ctx context.Context, a ota.Attempt) (ota.Precheck, error) {
					if a.Agent != "ok-0" {
						<-ctx.Done()
						return ota.Precheck{}, ctx.Err()
					}
					return ota.Precheck{}, nil
				}}
			},
			policy: ota.Policy{UnreachableTimeout: day}, open: 30 * time.Second,
		},
		"gate": {
			policy: ota.Policy{Gate: ota.Gate{Interval: 5 * time.Hour, MaxInconclusive: 100}}, agents: long,
			fleet: func(s *scene) ota.Executor {
				return undecided{s.fleet}
			},
		},
	}
}

// asking is scripted with a Prechecker.
type asking struct {
	*scripted
	precheck func(context.Context, ota.Attempt) (ota.Precheck, error)
}

func (p asking) Precheck(ctx context.Context, a ota.Attempt) (ota.Precheck, error) {
	return p.precheck(ctx, a)
}

// undecided is scripted with a Gater that never decides about the last batch of an upgrade.
type undecided struct{ *scripted }

func (undecided) Gate(_ context.Context, p ota.Plan, b ota.Batch) (ota.GateVerdict, error) {
	if p.Source != "" || b.Index < p.Batches-1 {
		return ota.GatePass, nil
	}
	return ota.GateInconclusive, nil
}

// asleep makes the agents whose IDs begin with asleep ask for a day of patience.
func asleep(s *scene) ota.Executor {
	s.fleet.do = func(_ context.Context, a ota.Attempt) (ota.Result, bool, error) {
		if a.Agent != "asleep-0" || a.IsRollback {
			return ota.Result{}, false, nil
		}
		return ota.Result{}, true, ota.Throttled(errors.New("asleep"), 24*time.Hour)
	}
	return s.fleet
}

// ways are what makes a plan paused or ended while it waits, and how long RunPlan may take then.
var ways = map[string]struct {
	say  func(*scene, string) (ota.Plan, error)
	most time.Duration
	want ota.Status
}{
	"pause":  {pauseIt, 0, ota.StatusPaused},
	"breach": {breachIt, 0, ota.StatusPaused},
	"cancel": {func(s *scene, id string) (ota.Plan, error) {
		return s.e.Cancel(s.ctx, id, false, ota.Request{})
	}, 0, ota.StatusCanceled},
	"interrupt": {func(s *scene, id string) (ota.Plan, error) {
		return s.e.Cancel(s.ctx, id, true, ota.Request{})
	}, 0, ota.StatusCanceled},
	"freeze": {func(s *scene, id string) (ota.Plan, error) {
		return s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{})
	}, 0, ota.StatusPaused},
	"rollback": {func(s *scene, id string) (ota.Plan, error) {
		return s.e.Rollback(s.ctx, id, ota.RollbackSpec{Policy: &ota.Policy{Concurrency: 100}}, ota.Request{})
	}, time.Minute, ota.StatusRolledBack},
}

// breachIt makes the time that the plan has taken exceed its timeout.
func breachIt(s *scene, id string) (ota.Plan, error) {
	return s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.PlanTimeout = time.Minute }, ota.Request{})
}

// RunPlan returns by the status of the plan: at once when it is paused or has ended, whatever the
// plan waited for. What a paused plan may still do does not keep RunPlan.
func TestRunPlanReturnsWhateverThePlanWaitedFor(t *testing.T) {
	for name, w := range everyWait() {
		for verb, way := range ways {
			t.Run(name+"/"+verb, func(t *testing.T) {
				inScene(t, func(s *scene) {
					id := w.begin(s)
					returned := make(chan ota.Plan, 1)
					go func() { returned <- s.drive(id) }()
					w.wait(s, id)
					require.Empty(s, returned, "nothing has happened yet")
					s.said(way.say(s, id))
					s.returned(id, returned, way.most+w.open, way.want)
				})
			})
		}
	}
}

// RunPlan of a plan that is paused already returns at once, although an engine that runs would go on
// observing the plan.
func TestRunPlanOfAPausedPlan(t *testing.T) {
	for name, w := range everyWait() {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				id := w.begin(s)
				stop := s.run(s.e)
				w.wait(s, id)
				s.said(pauseIt(s, id))
				require.NoError(s, stop())
				returned := make(chan ota.Plan, 1)
				go func() { returned <- s.drive(id) }()
				s.returned(id, returned, w.open, ota.StatusPaused)
			})
		})
	}
}

// begin starts a plan that will wait.
func (w waiting) begin(s *scene) (id string) {
	x := ota.Executor(s.fleet)
	if w.fleet != nil {
		x = w.fleet(s)
	}
	s.e = s.engineOf(s.store, x, ota.Options{Name: "one", Poll: 10 * time.Minute, Lease: time.Hour}) // days pass
	return s.start(w.policy, w.shape, w.agents...)
}

// wait returns when the plan has waited for a while.
func (w waiting) wait(s *scene, id string) {
	s.after(30 * time.Minute)
	if w.inTurn != nil {
		w.inTurn(s, id)
	}
	s.after(30 * time.Minute)
	require.Equal(s, ota.StatusRunning.String(), s.plan(id).Status.String())
	require.Zero(s, s.plan(id).InFlight())
	require.NotZero(s, s.plan(id).Changed)
}

// returned requires that RunPlan returns in time with this status, which then stays.
func (s *scene) returned(id string, plan <-chan ota.Plan, most time.Duration, want ota.Status) {
	s.Helper()
	since := time.Now()
	var p ota.Plan
	select {
	case p = <-plan:
	case <-time.After(72 * time.Hour):
		require.Fail(s, "RunPlan does not return", "%s", s.plan(id).Status)
	}
	require.LessOrEqual(s, time.Since(since), most)
	require.Equal(s, want.String(), p.Status.String())
	require.Zero(s, p.InFlight())
	calls := len(s.fleet.made(""))
	stop := s.run(s.e)
	s.after(30 * time.Hour)
	require.NoError(s, stop())
	s.status(id, want)
	require.Len(s, s.fleet.made(""), calls, "a call after the end")
}

// RunPlan with a context that has ended returns the plan as it is, and the error of the context.
func TestRunPlanWithAnEndedContext(t *testing.T) {
	for _, st := range []ota.Status{ota.StatusPending, ota.StatusRunning, ota.StatusPaused, ota.StatusCompleted} {
		inScene(t, func(s *scene) {
			id := s.in(st)
			before := s.plan(id)
			ctx, cancel := context.WithCancelCause(s.ctx)
			cancel(errors.New("the job was stopped"))
			for range 2 { // it has no effect, so it may be repeated
				p, err := s.e.RunPlan(ctx, id)
				require.ErrorContains(s, err, "the job was stopped")
				require.Equal(s, before.Status.String(), p.Status.String())
				require.Equal(s, before.Revision, s.plan(id).Revision)
			}
			_, err := s.e.RunPlan(ctx, "unknown")
			require.ErrorIs(s, err, ota.ErrNotFound)
			require.ErrorContains(s, err, "the job was stopped")
		})
	}
}

// RunPlan leaves a plan as soon as it is paused. Run of the same engine goes on with its soak.
func TestRunGoesOnWhereRunPlanStopped(t *testing.T) {
	inScene(t, func(s *scene) {
		policy := ota.Policy{FailureThreshold: ptr(0.0), Soak: ota.Soak{Duration: time.Hour, Grace: time.Minute}}
		id := s.start(policy, ota.Shape{}, "ok-1", "fail-2")
		require.Equal(s, ota.StatusPaused, s.drive(id).Status)
		require.NoError(s, s.e.ReportHealth(s.ctx, id, []ota.HealthReport{{Agent: "ok-1", Reason: "it leaks"}}))
		stop := s.run(s.e)
		s.after(2 * time.Hour)
		require.NoError(s, stop())
		require.Equal(s, 2, s.plan(id).Counts.Failed)
		require.Equal(s, ota.BatchCompleted, s.batch(id, 0).Status)
	})
}
