package ota

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"github.com/benbjohnson/clock"
)

// Why a call's context ended, where it was not its limit.
var (
	errInterrupted = errors.New("ota: the plan was canceled or rolled back, and its calls are interrupted")
	errShutdown    = errors.New("ota: the engine is shutting down")
	errFencedOff   = errors.New("ota: another engine owns the plan now")
)

// call is one call of the Executor, and its context. A context with a deadline costs more than everything else that
// is done for a call together, so the real one is made only when it is asked for. It belongs to this call alone: an Executor
// may keep it.
type call struct {
	attempt  Attempt
	begun    started
	deadline time.Time // zero: no limit
	parent   context.Context
	clock    clock.Clock

	mu   sync.Mutex
	real context.Context
	stop func()

	left bool // abandoned; guarded by the pool's mutex
}

var _ context.Context = (*call)(nil)

// Deadline is part of context.Context.
func (c *call) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Done is part of context.Context.
func (c *call) Done() <-chan struct{} { return c.context().Done() }

// Err is part of context.Context.
func (c *call) Err() error { return c.context().Err() }

// Value is part of context.Context. It asks the real context, so that contexts derived from this one find it.
func (c *call) Value(key any) any { return c.context().Value(key) }

func (c *call) context() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real != nil {
		return c.real
	}
	if c.deadline.IsZero() {
		c.real, c.stop = context.WithCancel(c.parent)
		return c.real
	}
	// The limit is the engine's clock's; a context's is the real one's. With the real clock the two are the same.
	ctx, cancel := context.WithDeadline(c.parent, time.Now().Add(c.deadline.Sub(c.clock.Now())))
	c.real, c.stop = ctx, cancel
	if mock, ok := c.clock.(*clock.Mock); ok {
		t := mock.AfterFunc(c.deadline.Sub(mock.Now()), cancel)
		c.stop = func() { t.Stop(); cancel() }
	}
	return c.real
}

func (c *call) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop != nil {
		c.stop()
	}
}

// execute makes the call and tells its outcome. It is the one place where a panic of an Executor is recovered. ok is
// false when nothing is known: the engine's own shutdown or fencing ended the call.
func (c *call) execute(x Executor) (o outcome, ok bool) {
	o = outcome{
		ordinal: c.begun.ordinal, agent: c.attempt.Agent, task: c.begun.task, number: uint32(c.attempt.Number),
		repeat: c.attempt.Repeat,
	}
	res, err := protect(func() (Result, error) { return x.Execute(c, c.attempt) })
	c.release()
	o.at = c.clock.Now().UnixNano()
	if err == nil {
		o.reason, o.unchanged, o.version, o.text = ReasonSucceeded, res.Unchanged, res.Version, res.Message
		return o, true
	}
	o.reason, o.after, o.unchanged = classify(err)
	o.text = cutMessage(err.Error())
	if o.reason != ReasonError {
		return o, true
	}
	switch cause := context.Cause(c.parent); {
	case errors.Is(cause, errShutdown), errors.Is(cause, errFencedOff):
		return o, false
	case errors.Is(cause, errInterrupted):
		o.reason = ReasonInterrupted
	case !c.deadline.IsZero() && o.at >= c.deadline.UnixNano():
		o.reason = ReasonTimeout
	}
	return o, true
}

// protect turns a panic into an error.
func protect[T any](f func() (T, error)) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return f()
}
