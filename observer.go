package ota

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/seed-19b57ce3/ota/internal/reuse"
)

// Observer is notified of what an engine commits and calls. It is meant for metrics and traces. Set
// it as Options.Observer.
//
// Both methods are called by the goroutine that made the commit or the call, so they must return at
// once and must not call the engine. They must be safe for concurrent use. They must not change or
// keep what they get: the engine reuses the memory. A panic is recovered; the first one is logged.
//
// An Observer gets each commit of its own engine at most once. A crash, or a lost answer of the
// Store, loses the notification. To get every change of a plan by all engines, read its log with
// [Engine.Watch].
type Observer interface {
	// Committed is called after the Store has accepted a commit of this engine. The commits of a
	// plan's owner come in order. Those of verbs may come before or after their neighbors:
	// Committed.Revision has the order.
	Committed(c *Committed)
	// Called is called after each call of the Executor or of one of its optional interfaces. An
	// abandoned call is observed when the engine abandons it, and again when it returns.
	Called(c *Called)
}

// Committed is one commit of one plan, as an Observer gets it. It is valid during the call only.
type Committed struct {
	Plan     string // ID
	Name     string // of the plan
	Revision uint64 // of the plan, after the commit; 1 is its creation
	Was      Status // before the commit; 0 for the creation
	Status   Status // after the commit
	// Counts of the plan's agents. A verb does not change them. It has the counts that it read, and
	// the owner's commits since then may be missing.
	Counts Counts
	Owner  bool          // the plan's owner made the commit; false: a verb, or the creation
	Took   time.Duration // time of the Store's call, by Options.Clock

	log []byte
}

// Record decodes the log record of the commit. The record may be kept.
func (c *Committed) Record() (Record, error) {
	return decodeRecord(c.Plan, LogRow{Revision: c.Revision, Data: c.log})
}

// CallKind says which interface was called.
type CallKind uint8

// The kinds of calls.
const (
	CallExecute  CallKind = iota // Executor.Execute
	CallPrecheck                 // Prechecker.Precheck, also by Engine.Precheck
	CallHealth                   // Prober.Health
	CallInspect                  // Inspector.Inspect
	CallGate                     // Gater.Gate
)

var callKinds = enum[CallKind]{"call kind", []string{"execute", "precheck", "health", "inspect", "gate"}}

// String returns "execute", "precheck", "health", "inspect" or "gate".
func (k CallKind) String() string { return callKinds.word(k) }

// MarshalText returns what String returns.
func (k CallKind) MarshalText() ([]byte, error) { return callKinds.marshal(k) }

// UnmarshalText accepts what String returns for a constant, and refuses everything else.
func (k *CallKind) UnmarshalText(b []byte) error { return callKinds.unmarshal(b, k) }

// Called is one call, as an Observer gets it. It is valid during the call of the Observer only.
type Called struct {
	Kind    CallKind
	Attempt Attempt // a CallGate has only Plan
	Batch   int     // index of the batch of a CallGate; 0 for all other kinds
	// Reason is how the engine reads the answer of a CallExecute: ReasonSucceeded, or a failure. It
	// is ReasonNone for all other kinds.
	Reason Reason
	Err    error         // as the call returned it; a *PanicError after a panic; nil for success
	Began  time.Time     // by Options.Clock
	Took   time.Duration // by Options.Clock
	// Abandoned is set for a CallExecute that has not returned, and for which the engine does not
	// wait any more.
	Abandoned bool
}

// The errors of calls that have returned no answer.
var (
	errNoReturn = errors.New("ota: the call did not return after its context had ended")
	errGoexit   = errors.New("ota: the call ended its goroutine")
)

// observer notifies an Observer. All methods of a nil observer do nothing.
type observer struct {
	to       Observer
	clock    clock.Clock
	logger   *slog.Logger
	panicked sync.Once // a panic was logged

	commits reuse.Pool[Committed]
	calls   reuse.Pool[Called]
}

// now returns the time. Without an Observer, it returns the zero time and reads no clock.
func (o *observer) now() time.Time {
	if o == nil {
		return time.Time{}
	}
	return o.clock.Now()
}

// committed notifies of a commit that the Store has accepted.
func (o *observer) committed(revision uint64, began time.Time, c *planCommit) {
	if o == nil {
		return
	}
	n := o.commits.Get()
	if n == nil {
		n = new(Committed)
	}
	*n = Committed{
		Plan: c.Plan, Name: c.Name, Revision: revision, Was: c.Was, Status: c.Head.Status, Counts: *c.Counts,
		Owner: c.Owner, Took: o.now().Sub(began), log: c.Log,
	}
	defer o.recovered()
	o.to.Committed(n)
	*n = Committed{}
	o.commits.Put(n)
}

// observed is the creation of a plan for the Observer.
func (c *createdPlan) observed(id string) *planCommit {
	return &planCommit{Plan: id, Head: &c.Head, Log: c.Log, Name: c.Spec.Name, Counts: &c.Progress.Counts}
}

// called notifies of a call.
func (o *observer) called(c *Called) {
	n := o.calls.Get()
	if n == nil {
		n = new(Called)
	}
	*n = *c
	defer o.recovered()
	o.to.Called(n)
	*n = Called{}
	o.calls.Put(n)
}

// recovered recovers a panic of the Observer, and logs the first one.
func (o *observer) recovered() {
	if p := recover(); p != nil {
		o.panicked.Do(func() {
			err := newPanicError(p)
			o.logger.ErrorContext(context.Background(), "observer panicked", "error", err.Error(), "stack", string(err.Stack))
		})
	}
}

// observe asks a question as protect does, and notifies of it.
func observe[T any](o *observer, c Called, f func() (T, error)) (v T, err error) {
	if o == nil {
		return protect(f)
	}
	c.Began, c.Err = o.now(), errGoexit
	defer func() {
		c.Took = o.now().Sub(c.Began)
		o.called(&c)
	}()
	v, err = protect(f)
	c.Err = err
	return v, err
}
