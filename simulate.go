package ota

import (
	"cmp"
	"context"
	"iter"
	"time"
)

// SimFleet is a fleet that exists only in a simulation. Package otatest has one whose agents behave as their IDs say. Its
// optional interfaces are SimProber and SimPrechecker. A wrapper of a SimFleet has a method Unwrap() SimFleet, for the
// reason that a wrapper of an Executor has one.
type SimFleet interface {
	// SimulateCall tells how a call of the Executor for a, made at the given virtual time, would end. It is called once for
	// each call, by one goroutine, in the order of their times. A simulation is repeatable when the answers are.
	SimulateCall(a Attempt, at time.Time) SimCall
}

// SimFleetFunc makes a function a SimFleet.
type SimFleetFunc func(a Attempt, at time.Time) SimCall

// SimulateCall calls f.
func (f SimFleetFunc) SimulateCall(a Attempt, at time.Time) SimCall { return f(a, at) }

// SimCall is how a call of the Executor ends in a simulation.
type SimCall struct {
	// Latency is the time from the call to its return, if its context does not end first. Negative means 0; NoTimeout
	// means that it never returns by itself.
	Latency time.Duration
	// Result is what the call returns when Err is nil.
	Result Result
	// Err is what it returns otherwise; marks such as Permanent count. A *PanicError is a panic.
	Err error
	// IgnoresContext makes the call go on when its context ends. Other calls return the context's error then.
	IgnoresContext bool
}

// SimProber is a SimFleet that can tell whether an agent is healthy, as a Prober does.
type SimProber interface {
	// SimulateHealth tells how a question about the agent of a, asked at the given virtual time, would be answered.
	SimulateHealth(a Attempt, at time.Time) SimHealth
}

// SimPrechecker is a SimFleet that can tell how an agent is before anything is done to it, as a Prechecker does.
type SimPrechecker interface {
	// SimulatePrecheck tells how a question about the agent of a, asked at the given virtual time, would be answered.
	SimulatePrecheck(a Attempt, at time.Time) SimPrecheck
}

// SimPrecheck is the answer to one question before an agent is started.
type SimPrecheck struct {
	Latency  time.Duration // from the question to its answer; nothing is known when it takes longer than a question may
	Precheck Precheck
	Err      error // nobody knows how the agent is
}

// SimHealth is the answer to one question in a simulation.
type SimHealth struct {
	Latency time.Duration // from the question to its answer; nothing is known when it takes longer than a question may
	Health  Health
	Err     error // nobody knows how the agent is
}

// SimOptions are the settings of a simulation. The zero value runs a plan until it pauses, ends, or waits for
// something that nobody says.
type SimOptions struct {
	// Start is the virtual time at which the plan is made and started. Zero means midnight of 1 January 2000, UTC.
	Start time.Time
	// Limit is how much virtual time may pass. 0 means 90 days.
	MaxTime time.Duration
	// AbandonAfter is the same as in Options. 0 means 5 s.
	AbandonAfter time.Duration
	// Promote promotes every batch that is held, at the moment when nothing else holds it.
	Promote bool
	// Accept accepts the failures whenever a breach has paused the plan, other than a fault, and goes on: to see
	// everything that would go wrong, not only the first. A rollback plan that pauses stays paused.
	Accept bool
	// SameVersion is the same as in Options.
	SameVersion func(a, b string) bool
}

func (o SimOptions) withDefaults() SimOptions {
	if o.Start.IsZero() {
		o.Start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	o.Start = o.Start.UTC()
	o.MaxTime = cmp.Or(o.MaxTime, 90*24*time.Hour)
	o.AbandonAfter = cmp.Or(o.AbandonAfter, Options{}.withDefaults().AbandonAfter)
	return o
}

func (o SimOptions) check() error {
	var m mistakes
	checkDuration(&m, "limit", o.MaxTime, maxDuration, "1ms to ten years; 0 means 90 days")
	checkDuration(&m, "abandonAfter", o.AbandonAfter, maxDuration, "1ms to ten years; 0 means 5s")
	return m.result()
}

// Simulate makes a plan, starts it, and carries it out on a fleet that only exists in the simulation, in virtual time:
// no goroutine, no waiting, nothing outside is touched. What decides is the same code that drives real plans, so the
// simulation tells what such a plan would do: how long it would take, who would fail, when it would pause, and why.
// A breach whose action is rollback is followed to the end of the rollback.
//
// The same spec, fleet and options give the same Simulation. Where spec.ID is empty the ID is "simulation"; the waits
// before retries depend on the ID, so give the one that the plan is to have.
//
// It returns what Create returns for a spec that is refused, and the context's error when ctx ends first. Its cost is
// about that of the calls: a few microseconds each.
func Simulate(ctx context.Context, spec Spec, fleet SimFleet, options SimOptions) (*Simulation, error) {
	if fleet == nil {
		return nil, &FieldError{Field: "fleet", Problem: "is missing", Allowed: "an ota.SimFleet"}
	}
	if err := options.check(); err != nil {
		return nil, err
	}
	s, err := newSimulator(ctx, fleet, options.withDefaults())
	if err != nil {
		return nil, err
	}
	spec.ID = cmp.Or(spec.ID, "simulation")
	if err := s.begin(spec); err != nil {
		return nil, err
	}
	stop, err := s.run()
	if err != nil {
		return nil, err
	}
	return s.result(spec.ID, stop)
}

// SimStop is why a simulation came to its end.
type SimStop uint8

// Why a simulation came to its end.
const (
	SimEnded   SimStop = iota + 1 // the plan has ended
	SimPaused                     // the plan is paused
	SimWaits                      // the plan waits for something that does not come by itself; Simulation.Blockers says what
	SimMaxTime                    // SimOptions.Limit has passed
)

var simStops = enum[SimStop]{"end of a simulation", []string{"none", "ended", "paused", "waits", "limit"}}

// String returns the reason as one word, for example "paused".
func (s SimStop) String() string { return simStops.word(s) }

// MarshalText returns what String returns.
func (s SimStop) MarshalText() ([]byte, error) { return simStops.marshal(s) }

// UnmarshalText accepts what String returns and refuses everything else.
func (s *SimStop) UnmarshalText(b []byte) error { return simStops.unmarshal(b, s) }

// Simulation is what would have happened.
type Simulation struct {
	// Plan is the plan at the end of the simulation.
	Plan Plan `json:"plan"`
	// Rollback is its rollback plan at that moment, when a breach has made one.
	Rollback *Plan `json:"rollback,omitempty"`
	// Stop is why the simulation came to its end.
	Stop SimStop `json:"stop"`
	// Start and End are the virtual times at which it began and stopped, UTC.
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// Blockers are what held the plan back at the end, unless it had ended: of its rollback plan while that is at work.
	Blockers []Blocker `json:"blockers,omitempty"`
	// Timeline is what happened to the plan, its rollback plan and their batches, in order. Records tells the rest.
	Timeline []SimEvent `json:"timeline"`
	// Breaches are those of Timeline that are verdicts that struck: when the plan would have paused, and why.
	Breaches []SimEvent `json:"breaches,omitempty"`
	// Failed are the first 1,000 agents of the plan that failed, in the plan's order, and why; Plan.Counts counts all.
	Failed []AgentInfo `json:"failed,omitempty"`
	// Batches are the batches of the plan at the end.
	Batches []Batch `json:"batches"`
	// Calls is how many calls of the Executor were made.
	Calls int `json:"calls"`

	engine *Engine
}

// SimEvent is one entry of a timeline.
type SimEvent struct {
	After time.Duration `json:"after"` // since the start of the simulation
	Plan  string        `json:"plan"`  // ID: of the plan, or of its rollback plan
	Event
	Status Status `json:"status"` // of that plan, after the record to which the event belongs
}

// Took is how much virtual time has passed.
func (s *Simulation) Took() time.Duration { return s.End.Sub(s.Start) }

// Records yields every record of the log of the plan, or of its rollback plan, given by its ID, in order: what the Watch
// of an Engine would have shown.
func (s *Simulation) Records(id string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		s.engine.records(context.Background(), id, yield)
	}
}

// Agents returns one page of the agents of the plan, or of its rollback plan, given by its ID, as they were at the end.
func (s *Simulation) Agents(id string, q RowQuery) (Page[AgentInfo], error) {
	return s.engine.Agents(context.Background(), id, q)
}
