package ota

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"
)

// Executor upgrades one agent. Every user of this package provides one.
//
// Execute brings the agent of a to a.ToVersion, and returns when the outcome is known. If the
// agent's tasks have components, it brings a.Component of the agent there. A nil error means
// success. Any other error is a failure, which is tried again if the plan's policy has a try left.
// Permanent, Rejected, Unreachable and Throttled mark errors that mean something else. A panic is
// a failed attempt, and ends nothing else.
//
// Many goroutines call Execute at once. Within one plan, two tasks of one agent are never called
// at once. Execute should return soon after ctx ends. ctx ends when the policy's AttemptTimeout
// has passed, when Cancel or Rollback interrupt, and when the engine shuts down. ctx comes from
// the context of Run or RunPlan and has its values; it does not end with that context, but up to
// Options.DrainTimeout later. The contexts of verbs, such as Start, do not reach Execute.
//
// After a crash an attempt may be called again with the same Key, perhaps while the first call is
// still at work in a process that lost its lease. Both calls together must then have one effect.
// Of two calls with one Key, the one with the higher Epoch is newer.
//
// An Executor may have optional interfaces: Prechecker, Prober, Inspector and Gater. A wrapper
// hides those of the Executor that it wraps, even if it embeds it. The engine then cannot ask
// them, and plans run with less protection than intended. Give each wrapper a method that returns
// what it wraps:
//
//	func (w logging) Unwrap() ota.Executor { return w.Executor }
//
// The engine then finds them behind the wrapper, as [As] does, and calls them past it. An Unwrap
// that returns nil hides them on purpose. New refuses a struct that has an Executor in a field,
// hides its optional interfaces, and has no Unwrap. New cannot look into a function: an
// ExecutorFunc that calls another Executor hides them without an error. New logs the interfaces
// that it found.
type Executor interface {
	Execute(ctx context.Context, a Attempt) (Result, error)
}

// ExecutorFunc makes a function an Executor.
type ExecutorFunc func(ctx context.Context, a Attempt) (Result, error)

// Execute calls f.
func (f ExecutorFunc) Execute(ctx context.Context, a Attempt) (Result, error) { return f(ctx, a) }

// Attempt is one start of a task: the input of the Executor. It is a value. Its strings and maps
// are shared and must not be changed.
type Attempt struct {
	Plan        string    // ID of the plan
	Agent       string    // ID of the agent
	Task        int       // index of the task of the agent, from 0
	Component   Component // what the task works on; zero if not given
	Number      int       // number of this start of the task, from 1
	FromVersion string    // of the agent or component before the plan, if known
	FromRelease string
	ToVersion   string
	ToRelease   string
	Repeat      bool              // called before a crash; its effect is unknown
	IsRollback  bool              // the plan is a rollback
	Epoch       uint64            // of the ownership under which this call is made
	Deadline    time.Time         // when ctx ends, UTC; zero with NoTimeout; kept by a repeat
	Labels      map[string]string // of the agent
	Annotations map[string]string // of the plan, at the time of the call
}

// Key names the attempt. Every call of the attempt has the same key, before and after a crash; no
// other attempt has it.
func (a Attempt) Key() string {
	return fmt.Sprintf("%s/%s/%d/%d", a.Plan, a.Agent, a.Task, a.Number)
}

// Result is the answer of a successful call.
type Result struct {
	// Version is what the agent reports to run now; spaces and line ends around it are dropped.
	// Empty means that the Executor did not ask: the success then counts without a check of the
	// version, and the engine logs a warning once for each plan. Any other version than the target
	// is a failure with ReasonWrongVersion, unless Options.SameVersion says that the two are the
	// same. The version that the agent had before the plan means that the attempt had no effect: it
	// may be tried again. A third version is final. A version of spaces alone is wrong too.
	Version string
	// Unchanged says that nothing had to be done: the agent was at the target already, and the
	// call did not change it.
	Unchanged bool
	// Message is recorded in the log, cut to 4 KiB.
	Message string
}

// Permanent marks err as a failure that another try cannot fix: the task fails at once. It returns
// nil for nil.
func Permanent(err error) error { return mark(err, ReasonPermanent, 0) }

// Rejected marks err as a refusal by the agent itself: the task fails at once. It returns nil for
// nil.
func Rejected(err error) error { return mark(err, ReasonRejected, 0) }

// Unreachable marks err as: the agent could not be reached, and nothing was changed. It uses no
// try and is no failure. The agent is asked again later, until the plan's UnreachableTimeout. It
// returns nil for nil.
func Unreachable(err error) error { return mark(err, ReasonUnreachable, 0) }

// Throttled marks err as "not now": nothing was changed. The agent is asked again after the given
// time, or after a growing time if that is 0 or negative. Otherwise it is like Unreachable. It
// returns nil for nil.
func Throttled(err error, after time.Duration) error { return mark(err, ReasonThrottled, after) }

// Unchanged says that a failure certainly did not change the agent, so a rollback does not include
// it. It can wrap Permanent and Rejected. It returns nil for nil.
func Unchanged(err error) error {
	if err == nil {
		return nil
	}
	return &unchangedError{err}
}

type markedError struct {
	error
	reason Reason
	after  time.Duration
}

func (e *markedError) Unwrap() error { return e.error }

type unchangedError struct{ error }

func (e *unchangedError) Unwrap() error { return e.error }

func mark(err error, r Reason, after time.Duration) error {
	if err == nil {
		return nil
	}
	return &markedError{err, r, max(after, 0)}
}

// ReasonOf returns the meaning of an error of Execute: ReasonSucceeded for nil, the reason of the
// outermost mark (ReasonPermanent, ReasonRejected, ReasonUnreachable or ReasonThrottled),
// ReasonPanic for a *PanicError, and ReasonError, which may be tried again, for any other. Use it
// to test an Executor, or to wrap one.
func ReasonOf(err error) Reason {
	if err == nil {
		return ReasonSucceeded
	}
	why, _, _ := classify(err)
	return why
}

// classify returns the meaning of an error of a call, and whether the agent is certainly
// unchanged.
func classify(err error) (r Reason, after time.Duration, unchanged bool) {
	var u *unchangedError
	unchanged = errors.As(err, &u)
	var m *markedError
	if errors.As(err, &m) {
		return m.reason, m.after, unchanged || m.reason == ReasonUnreachable || m.reason == ReasonThrottled
	}
	var p *PanicError
	if errors.As(err, &p) {
		return ReasonPanic, 0, unchanged
	}
	return ReasonError, 0, unchanged
}

// failure is the content of an error of user code.
type failure struct {
	reason    Reason
	after     time.Duration // of ReasonThrottled
	unchanged bool          // the agent is certainly unchanged
	text      cleaned
}

// readError reads an error of user code. If a method of the error panics, that panic is the
// failure.
func readError(err error) (f failure) {
	defer func() {
		if p := recover(); p != nil {
			f = failure{reason: ReasonPanic, text: cleanMessage(fmt.Sprintf("a method of the error panics: %v", p))}
		}
	}()
	f.reason, f.after, f.unchanged = classify(err)
	f.text = cleanMessage(err.Error())
	return f
}

// Prober is an Executor that can check whether an agent is healthy. While a batch is observed,
// each of its agents that succeeded is asked every Soak.Interval, at most Concurrency at once. A
// round of questions that takes longer delays the next round. Health is a question: it must change
// nothing.
//
// Silence is a failure. No batch completes before every agent that it changed has given a healthy
// answer after its success, with every policy. An error, or a panic, is no answer: the agent is
// asked again in the next round. Soak.Misses of them in a row count as an unhealthy answer. Health
// should return soon after ctx ends, which is at the latest 30 seconds after the call. Once three
// calls for an agent have not returned, each round counts as a question without an answer.
type Prober interface {
	Health(ctx context.Context, a Attempt) (Health, error)
}

// Health is an answer of a Prober, or a report to ReportHealth.
type Health struct {
	Healthy bool
	Reason  string // for people; cut to 4 KiB
}

// Inspector is an Executor that can find the outcome of an attempt whose call was lost in a crash.
// It is asked before the attempt is called again. Inspect is a question: it must change nothing.
// It should return soon after ctx ends, which is at the latest 30 seconds after the call.
type Inspector interface {
	Inspect(ctx context.Context, a Attempt) (Inspection, error)
}

// Inspection is an answer of an Inspector.
type Inspection struct {
	State  InspectState
	Result Result // of a Done attempt
	Err    error  // of a Failed attempt; marks such as Permanent count
}

// InspectState is the state of an attempt.
type InspectState uint8

// The states of an attempt. An error of Inspect counts as InspectUnknown.
const (
	InspectUnknown InspectState = iota // the attempt is called again
	InspectDone                        // it succeeded; Result has the details
	InspectFailed                      // it failed; Err has the details
	InspectRunning                     // still at work; it is called again, to wait for its outcome
)

// Gater is an Executor that decides whether an upgraded and observed batch was good enough for the
// next batch to begin. Gate is a question: it must change nothing. GateFail is a breach at once.
// GateInconclusive and errors are asked again every Gate.Interval, up to Policy.Gate's limits, and
// then pause the plan: they never pass a batch.
//
// A Gater is asked about a rollback plan, whose Plan.Source is not empty, only if RollbackSpec says
// so. It is not asked about a batch that changed no agent, nor while the plan is paused. Gate
// should return soon after ctx ends, which is at the latest 30 seconds after the call.
type Gater interface {
	Gate(ctx context.Context, p Plan, b Batch) (GateVerdict, error)
}

// GateVerdict is an answer of a Gater.
type GateVerdict uint8

// The answers of a Gater.
const (
	GateNone         GateVerdict = iota // no answer; counts as an error
	GatePass                            // the next batch may begin
	GateFail                            // the next batch may not begin
	GateInconclusive                    // not clear yet
)

var gateVerdicts = enum[GateVerdict]{"gate verdict", []string{"none", "pass", "fail", "inconclusive"}}

// String returns "pass", "fail", "inconclusive" or "none".
func (g GateVerdict) String() string { return gateVerdicts.word(g) }

// MarshalText returns what String returns.
func (g GateVerdict) MarshalText() ([]byte, error) { return gateVerdicts.marshal(g) }

// UnmarshalText accepts what String returns and refuses everything else.
func (g *GateVerdict) UnmarshalText(b []byte) error { return gateVerdicts.unmarshal(b, g) }

// HealthReport is a report about an agent from a system that monitors the fleet.
type HealthReport struct {
	Agent   string    `json:"agent"` // ID
	Healthy bool      `json:"healthy"`
	At      time.Time `json:"at,omitzero"` // of the observation; zero, or in the future, means now
	Reason  string    `json:"reason,omitempty"`
}

// Prechecker is an Executor that can check an agent before the plan changes anything. It is asked
// before the first attempt for an agent, when that agent's turn has come. An agent that is being
// asked counts as open for Concurrency and Budgets. Precheck is a question: it must change nothing.
// It should return soon after ctx ends, which is at the latest 30 seconds after the call.
//
// The Number of a is 0, because there is no attempt yet. a.IsRollback says that the agent would be
// rolled back. An error, or a panic, means that the state is unknown and counts as
// PrecheckUnreachable: an agent in an unknown state is not changed. An error marked by Throttled
// says when to ask again.
type Prechecker interface {
	Precheck(ctx context.Context, a Attempt) (Precheck, error)
}

// Precheck is an answer of a Prechecker. The zero value lets the agent be upgraded.
type Precheck struct {
	State PrecheckState `json:"state"`
	// Version is what the agent runs now; empty means unknown. A rollback brings the agent back to
	// it, instead of to the version from the Spec. A ready agent that runs the target version is
	// at the target, and an agent at the target that runs another version is ready.
	Version string `json:"version,omitempty"`
	// Release is the release that the agent runs now; empty means unknown. A rollback brings the
	// agent back to it, unless the Spec says another one.
	Release string `json:"release,omitempty"`
	// Reason is why the agent is to be skipped, or does not answer, for people; cut to 4 KiB.
	Reason string `json:"reason,omitempty"`
	// Down says that the agent does not serve now, whatever its State. A budget of unavailable
	// agents counts it until it succeeds. A ready agent that is down starts before others, since
	// its upgrade takes nothing away. It has no effect with PrecheckAtTarget.
	Down bool `json:"down,omitempty"`
}

// OutcomeReport is the outcome of an attempt that ends after its call has returned: see Async.
type OutcomeReport struct {
	Agent  string `json:"agent"`          // ID
	Task   int    `json:"task,omitempty"` // Attempt.Task
	Number int    `json:"number"`         // Attempt.Number
	// Reason is the ReasonOf of the outcome: ReasonSucceeded, ReasonError (it may be tried again),
	// ReasonPermanent, ReasonRejected, ReasonUnreachable or ReasonThrottled.
	Reason Reason `json:"reason"`
	// Version is what the agent runs now, as in Result. A success with another version than the
	// target is a failure, which may be tried again if it is the version before the plan.
	Version string `json:"version,omitempty"`
	// Unchanged says that the attempt certainly did not change the agent.
	Unchanged bool `json:"unchanged,omitempty"`
	// After is when a throttled agent may be asked again, counted from the report; 0 means after a
	// growing time.
	After time.Duration `json:"after,omitempty"`
	// Message is the text of an error, or Result.Message; cut to 4 KiB.
	Message string `json:"message,omitempty"`
}

// Resolver knows the tasks of the agents of a fleet. It is asked once for each agent, while the
// plan is created, in the order of the plan's Spec. The answer is stored with the agent and never
// requested again. It is not asked about an agent with Tasks in the Spec. The tasks of a rollback
// plan come from its source.
//
// Resolve returns the tasks of agent a, in the order in which they are to be done: 1 to 64. A
// single zero TaskSpec is the one task that an agent has without a Resolver. If there are several,
// each has a Component with a Name, and no two have the same Name and Instance. The components of
// a plan have at most 256 different names. An error, or a panic, ends Create with that error, and
// nothing remains of the plan.
//
// spec is the Spec being created. Its maps and slices must not be changed, and its Agents must not
// be read. Within one Create, one goroutine at a time calls Resolve. Several Creates and Previews
// may call it at once.
type Resolver interface {
	Resolve(ctx context.Context, spec Spec, a Agent) ([]TaskSpec, error)
}

// ResolverFunc makes a function a Resolver.
type ResolverFunc func(ctx context.Context, spec Spec, a Agent) ([]TaskSpec, error)

// Resolve calls f.
func (f ResolverFunc) Resolve(ctx context.Context, spec Spec, a Agent) ([]TaskSpec, error) {
	return f(ctx, spec, a)
}

// Resolved returns spec with a Resolver's tasks in those of its agents that have none, found as the
// agents are read. Create and Preview do this with Options.Resolver; it is for simulations, which
// have no Resolver. See also Engine.Resolved.
func Resolved(ctx context.Context, spec Spec, r Resolver) Spec {
	if r == nil || spec.Agents == nil {
		return spec
	}
	asked := spec
	spec.Agents = resolvedAgents(ctx, asked, r)
	return spec
}

func resolvedAgents(ctx context.Context, spec Spec, r Resolver) iter.Seq2[Agent, error] {
	return func(yield func(Agent, error) bool) {
		for a, err := range spec.Agents {
			if err == nil && a.Tasks == nil {
				a.Tasks, err = protect(func() ([]TaskSpec, error) { return r.Resolve(ctx, spec, a) })
				if a.Tasks == nil {
					a.Tasks = []TaskSpec{} // an empty answer is rejected in checkTasks
				}
				if err != nil {
					err = fmt.Errorf("the tasks of %s: %w", strconv.Quote(shorten(a.ID)), err)
				}
			}
			if !yield(a, err) {
				return
			}
		}
	}
}

const (
	maxTasks      = 64  // of an agent
	maxComponents = 256 // different names of components in a plan
)
