// Package simulate carries out plans in virtual time, on fleets that exist only in the simulation.
// No goroutine is started, nothing waits, and nothing outside is touched. The decisions are those
// of the engine that drives real plans, by ota.Stepper.
//
// [Run] simulates a plan once and shows what it would do. [Trials] simulates it many times on
// fleets drawn from a model, and counts the results. [Earliest] computes when each batch begins and
// ends if every call succeeds.
package simulate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// Fleet is a fleet that exists only in a simulation. Package otatest has one whose agents behave as
// their IDs say. Its optional interfaces are Prober, Prechecker and Gater. A wrapper of a Fleet has
// a method Unwrap() simulate.Fleet, for the same reason as a wrapper of an ota.Executor.
type Fleet interface {
	// SimulateCall returns how a call of the Executor for a, made at the given virtual time, would
	// end. It is called once for each call, by one goroutine, in the order of their times. A
	// simulation is repeatable if the answers are.
	SimulateCall(a ota.Attempt, at time.Time) Call
}

// FleetFunc makes a function a Fleet.
type FleetFunc func(a ota.Attempt, at time.Time) Call

// SimulateCall calls f.
func (f FleetFunc) SimulateCall(a ota.Attempt, at time.Time) Call { return f(a, at) }

// Call is how a call of the Executor ends in a simulation.
type Call struct {
	// Latency is the time from the call to its return, if its context does not end first. Negative
	// means 0. ota.NoTimeout means that the call never returns by itself.
	Latency time.Duration
	// Result is what the call returns if Err is nil.
	Result ota.Result
	// Err is what it returns otherwise. Marks such as ota.Permanent count. An *ota.PanicError is a
	// panic.
	Err error
	// IgnoresContext makes the call go on after its context has ended. Other calls return the
	// context's error then.
	IgnoresContext bool
}

// Prober is a Fleet that knows whether an agent is healthy, as an ota.Prober does.
type Prober interface {
	// SimulateHealth returns the answer to a question about the agent of a, asked at the given
	// virtual time.
	SimulateHealth(a ota.Attempt, at time.Time) Health
}

// Health is the answer of a Prober.
type Health struct {
	// Latency is the time from the question to its answer. Beyond 30 s there is no answer.
	Latency time.Duration
	Health  ota.Health
	Err     error // the health is not known
}

// Prechecker is a Fleet that knows whether an agent may be started, as an ota.Prechecker does.
type Prechecker interface {
	// SimulatePrecheck returns the answer to a question about the agent of a, asked at the given
	// virtual time.
	SimulatePrecheck(a ota.Attempt, at time.Time) Precheck
}

// Precheck is the answer of a Prechecker.
type Precheck struct {
	// Latency is the time from the question to its answer. Beyond 30 s there is no answer.
	Latency  time.Duration
	Precheck ota.Precheck
	Err      error // the agent is unreachable
}

// Gater is a Fleet that decides whether a batch was good enough for the next one to begin, as an
// ota.Gater does.
type Gater interface {
	// SimulateGate returns the answer to a question about batch b of plan p, asked at the given
	// virtual time.
	SimulateGate(p ota.Plan, b ota.Batch, at time.Time) Gate
}

// Gate is the answer of a Gater.
type Gate struct {
	// Latency is the time from the question to its answer. Beyond 30 s there is no answer.
	Latency time.Duration
	Verdict ota.GateVerdict
	Err     error // there is no verdict
}

// Options are the settings of a simulation. The zero value runs a plan until it pauses, ends, or
// waits for something that does not come by itself.
type Options struct {
	// Start is the virtual time at which the plan is created and started. Zero means midnight of
	// 1 January 2000, UTC.
	Start time.Time
	// MaxTime is how much virtual time may pass, 1 ms to ten years. 0 means 90 days.
	MaxTime time.Duration
	// AbandonAfter is the same as in ota.Options. 0 means 5 s.
	AbandonAfter time.Duration
	// Promote promotes each batch that waits for it, at the moment when nothing else holds it: a
	// batch that is held, and one after a canary that changed no agent.
	Promote bool
	// Accept accepts the failures each time a breach has paused the plan, and goes on: to see
	// everything that would go wrong, not only the first. A fault is not accepted. A rollback plan
	// that pauses stays paused.
	Accept bool
	// SameVersion is the same as in ota.Options.
	SameVersion func(a, b string) bool
}

// Defaults of Options, and the longest duration.
const (
	defaultMaxTime      = 90 * 24 * time.Hour
	defaultAbandonAfter = 5 * time.Second // as of ota.Options
	maxDuration         = 10 * 365 * 24 * time.Hour
)

func (o Options) withDefaults() Options {
	if o.Start.IsZero() {
		o.Start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	o.Start = o.Start.UTC()
	o.MaxTime = cmp.Or(o.MaxTime, defaultMaxTime)
	o.AbandonAfter = cmp.Or(o.AbandonAfter, defaultAbandonAfter)
	return o
}

func (o Options) check() error {
	return errors.Join(
		checkDuration("maxTime", o.MaxTime, "1ms to ten years; 0 means 90 days"),
		checkDuration("abandonAfter", o.AbandonAfter, "1ms to ten years; 0 means 5s"),
	)
}

// checkDuration refuses what ota refuses as a duration: one without a unit, too.
func checkDuration(field string, d time.Duration, allowed string) error {
	var problem string
	switch {
	case d < 0:
		problem = "is negative"
	case d > maxDuration:
		problem = "is too long"
	case d > 0 && d < 24*60*60:
		problem = fmt.Sprintf("is less than a millisecond (did you mean %d * time.Second?)", d)
	case d > 0 && d < time.Millisecond:
		problem = fmt.Sprintf("is less than a millisecond (did you mean %d * time.Millisecond?)", d)
	default:
		return nil
	}
	return &ota.FieldError{Field: field, Value: d.String(), Problem: problem, Allowed: allowed}
}

// Run creates a plan, starts it, and carries it out in virtual time on a simulated fleet. The
// result shows what such a plan would do: how long it takes, which agents fail, when it pauses, and
// why. Where a breach rolls the plan back, Run follows it to the end of the rollback.
//
// The same spec, fleet and options give the same Result. An empty spec.ID becomes "simulation". The
// waits before retries depend on the ID, so set the one that the plan is to have. Run resolves no
// tasks: see ota.Resolved.
//
// It returns what ota.Engine.Create returns for a spec that is refused, an *ota.FieldError for a
// fleet or an option that is, and the context's error if ctx ends first. It costs a few
// microseconds a call.
func Run(ctx context.Context, spec ota.Spec, fleet Fleet, options Options) (*Result, error) {
	with, err := companionsOf(fleet)
	if err != nil {
		return nil, err
	}
	if err := options.check(); err != nil {
		return nil, err
	}
	s, err := newSimulator(ctx, newStore(), fleet, with, options.withDefaults())
	if err != nil {
		return nil, err
	}
	id, err := s.create(spec)
	if err != nil {
		return nil, err
	}
	if err := s.start(id, spec.CreatedBy); err != nil {
		return nil, err
	}
	stop, err := s.run()
	if err != nil {
		return nil, err
	}
	return s.result(stop)
}
