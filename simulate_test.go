package ota

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// simFail fails the agents whose IDs begin with fail, but for rollbacks.
var simFail = SimFleetFunc(func(a Attempt, _ time.Time) SimCall {
	c := SimCall{Latency: time.Minute, Result: Result{Version: a.ToVersion}}
	if strings.HasPrefix(a.Agent, "fail") && !a.IsRollback {
		c.Err = errors.New("no")
	}
	return c
})

func simSpec(policy Policy, agents ...string) Spec {
	return Spec{Name: "x", FromVersion: "1", ToVersion: "2", Agents: AgentIDs(agents...), Policy: policy}
}

func TestABreachRollsBackByItself(t *testing.T) {
	policy := Policy{OnBreach: ActionRollback}
	s, err := Simulate(t.Context(), simSpec(policy, append(ids("ok", 12), ids("fail", 8)...)...), simFail, SimOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Plan.Status != StatusRolledBack || s.Stop != SimEnded {
		t.Errorf("got %s, stopped because %s\n%s", s.Plan.Status, s.Stop, s)
	}
	if s.Rollback == nil || s.Rollback.Counts.Succeeded != s.Plan.Changed {
		t.Errorf("got rollback plan %+v, want it to have taken back %d agents", s.Rollback, s.Plan.Changed)
	}
}

func simulate(t *testing.T, s Spec, fleet SimFleet, o SimOptions) *Simulation {
	t.Helper()
	sim, err := Simulate(t.Context(), s, fleet, o)
	if err != nil {
		t.Fatal(err)
	}
	return sim
}

// steady answers every call after a minute.
var steady = SimFleetFunc(func(a Attempt, _ time.Time) SimCall {
	return SimCall{Latency: time.Minute, Result: Result{Version: a.ToVersion}}
})

func TestASimulationStops(t *testing.T) {
	one := 1.0
	never := SimFleetFunc(func(Attempt, time.Time) SimCall { return SimCall{Latency: NoTimeout} })
	for _, c := range []struct {
		name    string
		policy  Policy
		fleet   SimFleet
		options SimOptions
		stop    SimStop
		status  Status
		took    time.Duration
		blocker Reason // the first; ReasonNone: none at all
	}{
		{"when the plan has ended", Policy{}, steady, SimOptions{}, SimEnded, StatusCompleted, 4 * time.Minute, ReasonNone},
		{"when it is paused", Policy{}, simFail, SimOptions{}, SimPaused, StatusPaused, 4 * time.Minute, ReasonBreached},
		{"not when its failures are accepted", Policy{}, simFail, SimOptions{Accept: true}, SimEnded, StatusCompleted, 4 * time.Minute, ReasonNone},
		{"when a batch is held", Policy{Hold: Hold{All: true}}, steady, SimOptions{}, SimWaits, StatusRunning, 2 * time.Minute, ReasonHeld},
		{"not when it is promoted", Policy{Hold: Hold{All: true}}, steady, SimOptions{Promote: true}, SimEnded, StatusCompleted, 4 * time.Minute, ReasonNone},
		{"when a call never returns", Policy{AttemptTimeout: NoTimeout}, never, SimOptions{}, SimWaits, StatusRunning, 0, ReasonConcurrency},
		{"at its limit", Policy{Soak: Soak{Duration: 48 * time.Hour}}, steady, SimOptions{MaxTime: 24 * time.Hour}, SimMaxTime, StatusRunning, 24 * time.Hour, ReasonSoaking},
		{"and tells timeouts", Policy{AttemptTimeout: time.Hour, FailureThreshold: &one}, never, SimOptions{}, SimEnded, StatusCompleted, 4 * time.Hour, ReasonNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			sim := simulate(t, simSpec(c.policy, append(ids("ok", 15), ids("fail", 5)...)...), c.fleet, c.options)
			if sim.Stop != c.stop || sim.Plan.Status != c.status || sim.Took() != c.took {
				t.Errorf("got %s, %s after %v, want %s, %s after %v\n%s", sim.Stop, sim.Plan.Status, sim.Took(), c.stop, c.status, c.took, sim)
			}
			first := ReasonNone
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
	sim := simulate(t, simSpec(Policy{}, append(ids("ok", 15), ids("fail", 5)...)...), simFail, SimOptions{})
	if len(sim.Breaches) != 1 {
		t.Fatalf("got breaches %v, want one", sim.Breaches)
	}
	b := sim.Breaches[0]
	if b.After != 4*time.Minute || b.Reason != ReasonThreshold || b.Batch != 1 || b.Number != 5 {
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
	fleet := SimFleetFunc(func(a Attempt, _ time.Time) SimCall {
		return SimCall{Latency: 3 * time.Hour, IgnoresContext: true, Result: Result{Version: a.ToVersion}}
	})
	one := 1.0
	policy := Policy{AttemptTimeout: time.Hour, FailureThreshold: &one, Concurrency: 1}
	sim := simulate(t, simSpec(policy, "a", "b", "c"), fleet, SimOptions{AbandonAfter: time.Minute})
	if len(sim.Breaches) != 1 || sim.Breaches[0].Reason != ReasonTooManyAbandoned || sim.Breaches[0].After != 2*time.Hour+2*time.Minute {
		t.Errorf("got breaches %v, want too many abandoned at the end of the second call", sim.Breaches)
	}
	if sim.Plan.Counts.Failed != 2 || sim.Stop != SimPaused {
		t.Errorf("got %s", sim)
	}
	late := 0
	for rec, err := range sim.Records(sim.Plan.ID) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range rec.Events {
			if e.Kind == EventLate {
				late++
			}
		}
	}
	if late != 2 {
		t.Errorf("got %d late outcomes, want 2: the calls return in the end", late)
	}
}

func TestASimulationIsRefusedLikeAPlan(t *testing.T) {
	_, err := Simulate(t.Context(), Spec{}, steady, SimOptions{})
	if !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
	_, err = Simulate(t.Context(), simSpec(Policy{}, "a"), nil, SimOptions{})
	if !errors.Is(err, ErrInvalid) {
		t.Errorf("without a fleet: got %v, want ErrInvalid", err)
	}
	_, err = Simulate(t.Context(), simSpec(Policy{}, "a"), steady, SimOptions{MaxTime: -1})
	if !errors.Is(err, ErrInvalid) {
		t.Errorf("with a negative limit: got %v, want ErrInvalid", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Simulate(ctx, simSpec(Policy{}, "a"), steady, SimOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that ended: got %v, want context.Canceled", err)
	}
}

func TestTheSameSimulationTwiceIsTheSame(t *testing.T) {
	policy := Policy{Retry: RetryPolicy{Max: 2, Backoff: time.Minute}, Soak: Soak{Duration: time.Hour}, OnBreach: ActionRollback}
	run := func() (*Simulation, []Record) {
		spec := simSpec(policy, append(ids("ok", 300), ids("fail", 20)...)...)
		spec.Shape.Shuffle = 3
		sim := simulate(t, spec, simFail, SimOptions{})
		var all []Record
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
	if a.Plan.Status != StatusRolledBack {
		t.Errorf("got %s, want it rolled back", a.Plan.Status)
	}
}

// weekSpec is a plan of 10,000 agents in 50 batches that are each observed for three hours.
func weekSpec() Spec {
	s := simSpec(Policy{Concurrency: 20, Soak: Soak{Duration: 3 * time.Hour, Interval: 10 * time.Minute}}, ids("ok", 10_000)...)
	s.Shape.Size = 200
	return s
}

// askedFleet counts the questions about health.
type askedFleet struct {
	sickFleet
	questions int
}

func (f *askedFleet) SimulateHealth(a Attempt, at time.Time) SimHealth {
	f.questions++
	return f.sickFleet.SimulateHealth(a, at)
}

// A week costs what happens in it: commits in proportion to the calls and rounds, whatever time lies between them.
func TestAWeekIsSimulatedAtOnce(t *testing.T) {
	fleet := &askedFleet{sickFleet: sickFleet{steady}}
	sim := simulate(t, weekSpec(), fleet, SimOptions{})
	if sim.Calls != 10_000 || fleet.questions > 20*10_000 { // a round each ten minutes, and one at the end
		t.Errorf("%d calls and %d questions, want one call and at most 20 questions for each agent", sim.Calls, fleet.questions)
	}
	if sim.Plan.Revision > 600 { // 20 calls a commit, and one for each batch
		t.Errorf("%d commits, want at most 600", sim.Plan.Revision)
	}
	if want := 50 * (3*time.Hour + 10*time.Minute); sim.Plan.Status != StatusCompleted || sim.Took() != want {
		t.Errorf("got %s after %v, want completed after %v", sim.Plan.Status, sim.Took(), want)
	}
}

func BenchmarkSimulateWeek(b *testing.B) {
	for b.Loop() {
		if _, err := Simulate(b.Context(), weekSpec(), sickFleet{steady}, SimOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSimulateMillion(b *testing.B) {
	const n = 1_000_000
	agents := func(yield func(Agent, error) bool) {
		for i := range n {
			if !yield(Agent{ID: "agent-" + strconv.Itoa(i)}, nil) {
				return
			}
		}
	}
	fleet := SimFleetFunc(func(a Attempt, at time.Time) SimCall { // no two calls return together
		return SimCall{Latency: time.Minute + time.Duration(at.UnixNano()*7919%int64(time.Minute)), Result: Result{Version: a.ToVersion}}
	})
	for b.Loop() {
		spec := simSpec(Policy{Concurrency: 500})
		spec.Agents, spec.Shape.Size = agents, 10_000
		sim, err := Simulate(b.Context(), spec, fleet, SimOptions{})
		if err != nil || sim.Plan.Counts.Succeeded != n {
			b.Fatal(sim, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/agent")
}
