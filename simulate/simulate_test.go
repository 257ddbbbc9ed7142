package simulate

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// simFail fails the agents whose IDs begin with fail, but for rollbacks.
var simFail = FleetFunc(func(a ota.Attempt, _ time.Time) Call {
	c := Call{Latency: time.Minute, Result: ota.Result{Version: a.ToVersion}}
	if strings.HasPrefix(a.Agent, "fail") && !a.IsRollback {
		c.Err = errors.New("no")
	}
	return c
})

func simSpec(policy ota.Policy, agents ...string) ota.Spec {
	return ota.Spec{Name: "x", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs(agents...), Policy: policy}
}

func TestABreachRollsBackByItself(t *testing.T) {
	policy := ota.Policy{OnBreach: ota.ActionRollback}
	s, err := Run(t.Context(), simSpec(policy, append(ids("ok", 12), ids("fail", 8)...)...), simFail, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Plan.Status != ota.StatusRolledBack || s.Stop != StopEnded {
		t.Errorf("got %s, stopped because %s\n%s", s.Plan.Status, s.Stop, s)
	}
	if s.Rollback == nil || s.Rollback.Counts.Succeeded != s.Plan.Changed {
		t.Errorf("got rollback plan %+v, want it to have taken back %d agents", s.Rollback, s.Plan.Changed)
	}
}

func simulate(t *testing.T, s ota.Spec, fleet Fleet, o Options) *Result {
	t.Helper()
	sim, err := Run(t.Context(), s, fleet, o)
	if err != nil {
		t.Fatal(err)
	}
	return sim
}

// steady answers every call after a minute.
var steady = FleetFunc(func(a ota.Attempt, _ time.Time) Call {
	return Call{Latency: time.Minute, Result: ota.Result{Version: a.ToVersion}}
})

func TestASimulationStops(t *testing.T) {
	one := 1.0
	never := FleetFunc(func(ota.Attempt, time.Time) Call { return Call{Latency: ota.NoTimeout} })
	for _, c := range []struct {
		name    string
		policy  ota.Policy
		fleet   Fleet
		options Options
		stop    Stop
		status  ota.Status
		took    time.Duration
		blocker ota.Reason // the first; ReasonNone: none at all
	}{
		{"when the plan has ended", ota.Policy{}, steady, Options{}, StopEnded, ota.StatusCompleted, 4 * time.Minute, ota.ReasonNone},
		{"when it is paused", ota.Policy{}, simFail, Options{}, StopPaused, ota.StatusPaused, 4 * time.Minute, ota.ReasonBreached},
		{"not when its failures are accepted", ota.Policy{}, simFail, Options{Accept: true}, StopEnded, ota.StatusCompleted, 4 * time.Minute, ota.ReasonNone},
		{"when a batch is held", ota.Policy{Hold: ota.Hold{All: true}}, steady, Options{}, StopWaits, ota.StatusRunning, 2 * time.Minute, ota.ReasonHeld},
		{"not when it is promoted", ota.Policy{Hold: ota.Hold{All: true}}, steady, Options{Promote: true}, StopEnded, ota.StatusCompleted, 4 * time.Minute, ota.ReasonNone},
		{"when a call never returns", ota.Policy{AttemptTimeout: ota.NoTimeout}, never, Options{}, StopWaits, ota.StatusRunning, 0, ota.ReasonConcurrency},
		{"at its limit", ota.Policy{Soak: ota.Soak{Duration: 48 * time.Hour}}, steady, Options{MaxTime: 24 * time.Hour}, StopMaxTime, ota.StatusRunning, 24 * time.Hour, ota.ReasonSoaking},
		{"and tells timeouts", ota.Policy{AttemptTimeout: time.Hour, FailureThreshold: &one}, never, Options{}, StopEnded, ota.StatusCompleted, 4 * time.Hour, ota.ReasonNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			sim := simulate(t, simSpec(c.policy, append(ids("ok", 15), ids("fail", 5)...)...), c.fleet, c.options)
			if sim.Stop != c.stop || sim.Plan.Status != c.status || sim.Took() != c.took {
				t.Errorf("got %s, %s after %v, want %s, %s after %v\n%s", sim.Stop, sim.Plan.Status, sim.Took(), c.stop, c.status, c.took, sim)
			}
			first := ota.ReasonNone
			if len(sim.Blockers) > 0 {
				first = sim.Blockers[0].Reason
			}
			if first != c.blocker {
				t.Errorf("got blockers %v, want %s first", sim.Blockers, c.blocker)
			}
		})
	}
}

func TestASimulationTellsWhenAndWhyItWouldPause(t *testing.T) {
	sim := simulate(t, simSpec(ota.Policy{FailureThreshold: ptr(0.1)}, append(ids("ok", 15), ids("fail", 5)...)...), simFail, Options{})
	if len(sim.Breaches) != 1 {
		t.Fatalf("got breaches %v, want one", sim.Breaches)
	}
	b := sim.Breaches[0]
	if b.After != 4*time.Minute || b.Reason != ota.ReasonThreshold || b.Batch != 1 || b.Number != 5 {
		t.Errorf("got %+v", b)
	}
	if len(sim.Failed) != 5 || sim.Failed[0].ID != "fail-000" || sim.Failed[0].Tasks[0].Error != "no" {
		t.Errorf("got failed agents %+v", sim.Failed)
	}
	if sim.Calls != 20 || len(sim.Batches) != 2 || sim.Batches[1].Counts.Failed != 5 {
		t.Errorf("got %d calls, batches %+v", sim.Calls, sim.Batches)
	}
}

func TestASimulatedCallThatIgnoresItsContextIsAbandoned(t *testing.T) {
	fleet := FleetFunc(func(a ota.Attempt, _ time.Time) Call {
		return Call{Latency: 3 * time.Hour, IgnoresContext: true, Result: ota.Result{Version: a.ToVersion}}
	})
	one := 1.0
	policy := ota.Policy{AttemptTimeout: time.Hour, FailureThreshold: &one, Concurrency: 1}
	sim := simulate(t, simSpec(policy, "a", "b", "c"), fleet, Options{AbandonAfter: time.Minute})
	if len(sim.Breaches) != 1 || sim.Breaches[0].Reason != ota.ReasonTooManyAbandoned || sim.Breaches[0].After != 2*time.Hour+2*time.Minute {
		t.Errorf("got breaches %v, want too many abandoned at the end of the second call", sim.Breaches)
	}
	if sim.Plan.Counts.Failed != 2 || sim.Stop != StopPaused {
		t.Errorf("got %s", sim)
	}
	late := 0
	for rec, err := range sim.Records(sim.Plan.ID) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range rec.Events {
			if e.Kind == ota.EventLate {
				late++
			}
		}
	}
	if late != 2 {
		t.Errorf("got %d late outcomes, want 2: the calls return in the end", late)
	}
}

func TestASimulationIsRefusedLikeAPlan(t *testing.T) {
	_, err := Run(t.Context(), ota.Spec{}, steady, Options{})
	if !errors.Is(err, ota.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
	_, err = Run(t.Context(), simSpec(ota.Policy{}, "a"), nil, Options{})
	if !errors.Is(err, ota.ErrInvalid) {
		t.Errorf("without a fleet: got %v, want ErrInvalid", err)
	}
	_, err = Run(t.Context(), simSpec(ota.Policy{}, "a"), steady, Options{MaxTime: -1})
	if !errors.Is(err, ota.ErrInvalid) {
		t.Errorf("with a negative limit: got %v, want ErrInvalid", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, simSpec(ota.Policy{}, "a"), steady, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that ended: got %v, want context.Canceled", err)
	}
}

func TestTheSameSimulationTwiceIsTheSame(t *testing.T) {
	policy := ota.Policy{Retry: ota.RetryPolicy{Max: 2, Backoff: time.Minute}, Soak: ota.Soak{Duration: time.Hour}, OnBreach: ota.ActionRollback}
	run := func() (*Result, []ota.Record) {
		spec := simSpec(policy, append(ids("ok", 300), ids("fail", 20)...)...)
		spec.Shape.Shuffle = 3
		sim := simulate(t, spec, simFail, Options{})
		var all []ota.Record
		for _, id := range []string{sim.Plan.ID, sim.Plan.RollbackPlan} {
			for rec, err := range sim.Records(id) {
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, rec)
			}
		}
		sim.engine = nil
		return sim, all
	}
	a, records := run()
	b, again := run()
	if !reflect.DeepEqual(a, b) || !reflect.DeepEqual(records, again) {
		t.Errorf("got two different simulations:\n%s\n%s", a, b)
	}
	if a.Plan.Status != ota.StatusRolledBack {
		t.Errorf("got %s, want it rolled back", a.Plan.Status)
	}
}

// weekSpec is a plan of 10,000 agents in 50 batches that are each observed for three hours.
func weekSpec() ota.Spec {
	s := simSpec(ota.Policy{Concurrency: 20, Soak: ota.Soak{Duration: 3 * time.Hour, Interval: 10 * time.Minute}}, ids("ok", 10_000)...)
	s.Shape.Size = 200
	return s
}

// askedFleet counts the questions about health.
type askedFleet struct {
	sickFleet
	questions int
}

func (f *askedFleet) SimulateHealth(a ota.Attempt, at time.Time) Health {
	f.questions++
	return f.sickFleet.SimulateHealth(a, at)
}

// A week costs what happens in it: commits in proportion to the calls and rounds, whatever time
// lies between them.
func TestAWeekIsSimulatedAtOnce(t *testing.T) {
	fleet := &askedFleet{sickFleet: sickFleet{steady}}
	sim := simulate(t, weekSpec(), fleet, Options{})
	if sim.Calls != 10_000 || fleet.questions > 20*10_000 { // a round each ten minutes, and one at the end
		t.Errorf("%d calls and %d questions, want one call and at most 20 questions for each agent", sim.Calls, fleet.questions)
	}
	if sim.Plan.Revision > 600 { // 20 calls a commit, and one for each batch
		t.Errorf("%d commits, want at most 600", sim.Plan.Revision)
	}
	if want := 50 * (3*time.Hour + 10*time.Minute); sim.Plan.Status != ota.StatusCompleted || sim.Took() != want {
		t.Errorf("got %s after %v, want completed after %v", sim.Plan.Status, sim.Took(), want)
	}
}

func BenchmarkSimulateWeek(b *testing.B) {
	for b.Loop() {
		if _, err := Run(b.Context(), weekSpec(), sickFleet{steady}, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSimulateMillion(b *testing.B) {
	const n = 1_000_000
	agents := func(yield func(ota.Agent, error) bool) {
		for i := range n {
			if !yield(ota.Agent{ID: "agent-" + strconv.Itoa(i)}, nil) {
				return
			}
		}
	}
	fleet := FleetFunc(func(a ota.Attempt, at time.Time) Call { // no two calls return together
		return Call{Latency: time.Minute + time.Duration(at.UnixNano()*7919%int64(time.Minute)), Result: ota.Result{Version: a.ToVersion}}
	})
	for b.Loop() {
		spec := simSpec(ota.Policy{Concurrency: 500})
		spec.Agents, spec.Shape.Size = agents, 10_000
		sim, err := Run(b.Context(), spec, fleet, Options{})
		if err != nil || sim.Plan.Counts.Succeeded != n {
			b.Fatal(sim, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/agent")
}

// A duration without a unit is refused, in every duration that a caller gives.
func TestSimulatedDurationsHaveUnits(t *testing.T) {
	for _, d := range []time.Duration{1, 30, 999_999} {
		spec := simSpec(ota.Policy{}, "a")
		_, one := Run(t.Context(), spec, steady, Options{MaxTime: d})
		_, two := Run(t.Context(), spec, steady, Options{AbandonAfter: d})
		_, three := Earliest(t.Context(), spec, d, time.Time{})
		for field, err := range map[string]error{"maxTime": one, "abandonAfter": two, "call": three} {
			if errs := ota.FieldErrors(err); len(errs) != 1 || errs[0].Field != field || !strings.Contains(errs[0].Problem, "did you mean") {
				t.Errorf("%v: got %v", d, err)
			}
		}
	}
}
