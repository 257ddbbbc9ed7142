package ota

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Executor upgrades one agent. It is the one thing that every user brings.
//
// Execute brings the agent of a (where its tasks have components, a.Component of it) to a.ToVersion and returns when the outcome is known. A nil error means success. Any
// other error is a failure that may be tried again, if the plan's policy has a try left, unless it is marked by
// Permanent, Rejected, Unreachable or Throttled. A panic is a failed attempt, and ends nothing else.
//
// Execute is called by many goroutines at once, never for two tasks of one agent at once within one plan. It should
// return soon after ctx ends, which it does when the attempt limit has passed, when Cancel or Rollback interrupt, and
// when the engine shuts down. An attempt may be called again with the same Key after a crash, perhaps while the first
// call is still at work in a process that lost its lease; both calls together must then have one effect. Of two calls
// with one Key the one with the higher Epoch is the newer.
//
// An Executor may have optional interfaces: Prechecker, Prober, Inspector and Gater. A wrapper hides those of the Executor
// that it wraps, also when it embeds it: nobody is asked then, and plans are bolder than they look. Give each wrapper a
// method that returns what it wraps:
//
//	func (w logging) Unwrap() ota.Executor { return w.Executor }
//
// The engine then finds them behind the wrapper, as [As] does, and calls them past it. An Unwrap that returns nil hides
// them on purpose. New refuses a struct that has an Executor in a field, hides what that has, and has no Unwrap. It cannot
// look into a function: an ExecutorFunc that calls another Executor hides them without an error. New logs what counts.
type Executor interface {
	Execute(ctx context.Context, a Attempt) (Result, error)
}

// ExecutorFunc makes a function an Executor.
type ExecutorFunc func(ctx context.Context, a Attempt) (Result, error)

// Execute calls f.
func (f ExecutorFunc) Execute(ctx context.Context, a Attempt) (Result, error) { return f(ctx, a) }

// Attempt is one start of a task: what the Executor is asked to do. It is a value; the strings and maps in it are shared
// and must not be changed.
type Attempt struct {
	Plan        string    // ID of the plan
	Agent       string    // ID of the agent
	Task        int       // which task of the agent, from 0
	Component   Component // what the task is about; zero where nothing was said of it
	Number      int       // which start of this task, from 1
	FromVersion string    // what the agent, or the component, ran before the plan touched it, as far as known
	FromRelease string
	ToVersion   string
	ToRelease   string
	Repeat      bool              // the same attempt was called before a crash; whether it had its effect is not known
	IsRollback  bool              // the plan is a rollback
	Epoch       uint64            // of the ownership under which this call is made
	Deadline    time.Time         // when ctx ends, UTC; zero when the plan sets no attempt limit
	Labels      map[string]string // of the agent
	Annotations map[string]string // of the plan, as they stood when the call was made
}

// Key names the attempt: the same for every call of it, before and after a crash, and for no other attempt.
func (a Attempt) Key() string {
	return fmt.Sprintf("%s/%s/%d/%d", a.Plan, a.Agent, a.Task, a.Number)
}

// Result is what a successful call tells.
type Result struct {
	// Version is what the agent reports to run now, without the blanks and ends of lines around it. Empty means that it
	// was not asked. Anything but the target, or what Options.SameVersion says is the same, is a failure: the agent
	// answered, with the wrong version. So is a version of blanks alone.
	Version string
	// Unchanged says that nothing had to be done: the agent was at the target already, and was not touched.
	Unchanged bool
	// Message is kept in the log, cut to 4 KiB.
	Message string
}

// Permanent marks err as one that trying again cannot mend: the task fails at once. It returns nil for nil.
func Permanent(err error) error { return mark(err, ReasonPermanent, 0) }

// Rejected marks err as the agent's own refusal: the task fails at once. It returns nil for nil.
func Rejected(err error) error { return mark(err, ReasonRejected, 0) }

// Unreachable marks err as meaning that the agent could not be reached and nothing was changed: it costs neither a try
// nor a failure, and the agent is asked again later, until the plan's UnreachableTimeout. It returns nil for nil.
func Unreachable(err error) error { return mark(err, ReasonUnreachable, 0) }

// Throttled marks err as "not now": nothing was changed, and the agent is asked again after the given time, or after a
// growing one if that is 0. Otherwise it is as Unreachable. It returns nil for nil.
func Throttled(err error, after time.Duration) error { return mark(err, ReasonThrottled, after) }

// Unchanged says of a failure that the agent was certainly not changed by it, so that a rollback leaves the agent out. It can be
// put around Permanent and Rejected. It returns nil for nil.
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

// ReasonOf tells what an error of Execute means to the engine: ReasonSucceeded for nil, the reason of the outermost mark
// (ReasonPermanent, ReasonRejected, ReasonUnreachable or ReasonThrottled), ReasonPanic for a *PanicError, and
// ReasonError, which may be tried again, for any other. Use it to test an Executor, or to wrap one.
func ReasonOf(err error) Reason {
	if err == nil {
		return ReasonSucceeded
	}
	why, _, _ := classify(err)
	return why
}

// classify says what the error of a call means, and whether the agent is certainly untouched.
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

// failure is what an error of user code says.
type failure struct {
	reason    Reason
	after     time.Duration // of ReasonThrottled
	unchanged bool          // the agent is certainly untouched
	text      cleaned
}

// readError reads an error of user code. When a method of the error panics, the failure is that panic.
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

// Prober is an Executor that can tell whether an agent is healthy. While a batch is observed every agent of it that
// succeeded is asked each Soak.Interval, at most Concurrency at once. Health is a question: it must change nothing. An error
// means that nobody knows, and changes nothing; it should return soon after ctx ends, at the latest Soak.Interval after
// the call.
type Prober interface {
	Health(ctx context.Context, a Attempt) (Health, error)
}

// Health is an answer of a Prober, or a report to ReportHealth.
type Health struct {
	Healthy bool
	Reason  string // for people; cut to 4 KiB
}

// Inspector is an Executor that can tell what became of an attempt whose call was lost in a crash. It is asked before
// the attempt is called again. Inspect is a question: it must change nothing.
type Inspector interface {
	Inspect(ctx context.Context, a Attempt) (Inspection, error)
}

// Inspection is an answer of an Inspector.
type Inspection struct {
	State  InspectState
	Result Result // of a Done attempt
	Err    error  // of a Failed attempt; marks such as Permanent count
}

// InspectState says what became of an attempt.
type InspectState uint8

// What may have become of an attempt. An error of Inspect is taken as InspectUnknown.
const (
	InspectUnknown InspectState = iota // it is called again
	InspectDone                        // it succeeded; Result says how
	InspectFailed                      // it failed; Err says how
	InspectRunning                     // it is still at work; it is called again, and that call waits for the outcome
)

// Gater is an Executor that says whether a batch that was upgraded and observed was good enough for the next one to
// begin. Gate is a question: it must change nothing. Its answer GateFail is a breach at once; GateInconclusive and errors
// are asked again each Gate.Interval, up to limits of their own, and then pause the plan: neither ever passes. It is not asked
// about a batch that changed no agent, nor while the plan is paused. It should return soon after ctx ends, at the latest 30 seconds after
// the call.
type Gater interface {
	Gate(ctx context.Context, p Plan, b Batch) (GateVerdict, error)
}

// GateVerdict is an answer of a Gater.
type GateVerdict uint8

// The answers of a Gater.
const (
	GateNone         GateVerdict = iota // no answer: as an error
	GatePass                            // the next batch may begin
	GateFail                            // it may not
	GateInconclusive                    // nobody can tell yet
)

var gateVerdicts = enum[GateVerdict]{"gate verdict", []string{"none", "pass", "fail", "inconclusive"}}

// String returns "pass", "fail", "inconclusive" or "none".
func (g GateVerdict) String() string { return gateVerdicts.word(g) }

// MarshalText returns what String returns.
func (g GateVerdict) MarshalText() ([]byte, error) { return gateVerdicts.marshal(g) }

// UnmarshalText accepts what String returns and refuses everything else.
func (g *GateVerdict) UnmarshalText(b []byte) error { return gateVerdicts.unmarshal(b, g) }

// HealthReport is what somebody who watches the fleet says of an agent.
type HealthReport struct {
	Agent   string    `json:"agent"` // ID
	Healthy bool      `json:"healthy"`
	At      time.Time `json:"at,omitzero"` // when it was seen; zero, or in the future, means now
	Reason  string    `json:"reason,omitempty"`
}

// Prechecker is an Executor that can tell how an agent is before anything is done to it. It is asked before the first
// attempt for an agent, when that agent's turn has come; an agent that is being asked counts as open for Concurrency and
// Budget. Precheck is a question: it must change nothing. It should return soon after ctx ends, at the latest 30 seconds
// after the call.
//
// The Number of a is 0, since no attempt was made; a.Rollback tells that the agent would be taken back. An error, or a
// panic, means that nobody knows, and counts as PrecheckUnreachable: an agent about which nothing can be learned is not touched.
// An error marked by Throttled says when to ask again.
type Prechecker interface {
	Precheck(ctx context.Context, a Attempt) (Precheck, error)
}

// Precheck is an answer of a Prechecker. The zero value lets the agent be upgraded.
type Precheck struct {
	State PrecheckState `json:"state"`
	// Version is what the agent runs now; empty means that it is not known. A rollback takes the agent back to it,
	// rather than to what the Spec said. A ready agent that runs the version of the target is at the target.
	Version string `json:"version,omitempty"`
	// Reason is why the agent is to be left out, or does not answer, for people; cut to 4 KiB.
	Reason string `json:"reason,omitempty"`
}

// OutcomeReport says how an attempt ended, when that is not what its call returns: see Waiting.
type OutcomeReport struct {
	Agent  string `json:"agent"`          // ID
	Task   int    `json:"task,omitempty"` // Attempt.Task
	Number int    `json:"number"`         // Attempt.Number
	// Reason is what ReasonOf says of the outcome: ReasonSucceeded, ReasonError (it may be tried again), ReasonPermanent,
	// ReasonRejected, ReasonUnreachable or ReasonThrottled.
	Reason Reason `json:"reason"`
	// Version is what the agent runs now, as in Result. A success with another version than the target is a failure.
	Version string `json:"version,omitempty"`
	// Unchanged says that the agent was certainly not changed by the attempt.
	Unchanged bool `json:"unchanged,omitempty"`
	// After is when a throttled agent may be asked again, from the report on; 0 means after a growing time.
	After time.Duration `json:"after,omitempty"`
	// Message is an error's text, or what Result.Message is; cut to 4 KiB.
	Message string `json:"message,omitempty"`
}
