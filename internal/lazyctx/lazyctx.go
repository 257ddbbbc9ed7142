// Package lazyctx has contexts of calls that are made when they are first needed. To make a context
// with a deadline costs more than everything else that is done for a call, and many calls never ask
// for theirs.
package lazyctx

import (
	"context"
	"sync/atomic"
	"time"
)

// Context is the context of one call. It costs 24 bytes until Done or Err is called: the first of
// these calls makes the real context, from then on it is used. Value does not need it, so a tracer
// that asks each context for its span costs nothing. Context is safe for concurrent use, and
// callers may keep it. Call Init before anything else. It must not be copied.
type Context struct {
	parent   *Parent
	deadline int64 // Unix nanoseconds; 0: none

	real atomic.Pointer[made] // nil until it is needed
}

// Parent is what the contexts of many calls have in common.
type Parent struct {
	context.Context // parent of them all

	// Clock makes the contexts that have a deadline.
	Clock Clock
}

// Clock makes contexts with a deadline.
type Clock interface {
	// WithDeadline derives a context that ends at deadline, or when it is canceled.
	WithDeadline(parent context.Context, deadline time.Time) (context.Context, context.CancelFunc)
}

type made struct {
	context.Context
	cancel context.CancelFunc
}

var _ context.Context = (*Context)(nil)

// Init sets the parent, and the deadline in Unix nanoseconds; 0 means none.
func (c *Context) Init(parent *Parent, deadline int64) { c.parent, c.deadline = parent, deadline }

// Deadline is part of context.Context. It knows the deadline of this context, not one of its
// parent.
func (c *Context) Deadline() (time.Time, bool) {
	if c.deadline == 0 {
		return time.Time{}, false
	}
	return time.Unix(0, c.deadline).UTC(), true
}

// Done is part of context.Context.
func (c *Context) Done() <-chan struct{} { return c.make().Done() }

// Err is part of context.Context.
func (c *Context) Err() error { return c.make().Err() }

// Value is part of context.Context. It asks the parent. A value that is itself a context is the
// exception: the package context finds by it what may be canceled. That is the real context, not
// the parent.
func (c *Context) Value(key any) any {
	v := c.parent.Value(key)
	if _, ok := v.(context.Context); ok {
		return c.make().Value(key)
	}
	return v
}

// ParentCause returns why the parent has ended, as context.Cause does. It is nil if it has not.
func (c *Context) ParentCause() error { return context.Cause(c.parent) }

func (c *Context) make() context.Context {
	if m := c.real.Load(); m != nil {
		return m
	}
	m := new(made)
	if at, ok := c.Deadline(); ok {
		m.Context, m.cancel = c.parent.Clock.WithDeadline(c.parent, at)
	} else {
		m.Context, m.cancel = context.WithCancel(c.parent)
	}
	if !c.real.CompareAndSwap(nil, m) { // another goroutine was first
		m.cancel()
	}
	return c.real.Load()
}

// End ends the context: the outcome of the call is known without it.
func (c *Context) End() {
	c.make()
	c.Release()
}

// Release frees the real context, if there is one. Call it when the call has returned. A context
// that was never needed does not end: it is made without an end when it is needed later.
func (c *Context) Release() {
	if m := c.real.Load(); m != nil {
		m.cancel()
	}
}
