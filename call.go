package ota

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"
)

// Why a call's context ended, where it was not its limit.
var (
	errInterrupted = errors.New("ota: the plan was canceled or rolled back, and its calls are interrupted")
	errShutdown    = errors.New("ota: the engine is shutting down")
	errFencedOff   = errors.New("ota: another engine owns the plan now")
)

// job is a call of the Executor to be made. It is small, as it is copied on its way to a worker; the attempt is put together there.
type job struct {
	template *Attempt // all that is not told below: the same for every agent of which there is nothing to tell but its ID and labels
	agent    string
	labels   map[string]string
	ordinal  int
	deadline int64 // Unix nanoseconds; 0: no limit
	number   uint32
	repeat   bool
	call     *callContext // given by the pool
}

// attempt is what the Executor is told.
func (j *job) attempt() Attempt {
	a := *j.template
	a.Agent, a.Labels, a.Number, a.Repeat, a.Deadline = j.agent, j.labels, int(j.number), j.repeat, stamp(j.deadline)
	return a
}

func (j *job) key() callKey { return callKey{j.ordinal, j.template.Task, j.number} }

// outcome begins the outcome of a job.
func (j *job) outcome(at time.Time) outcome {
	return outcome{
		ordinal: j.ordinal, agent: j.agent, task: j.template.Task, number: j.number, repeat: j.repeat, at: at.UnixNano(),
	}
}

// abandoned is the outcome of a job whose call has not returned in time after its context had ended.
func (j *job) abandoned(at time.Time, why Reason) outcome {
	o := j.outcome(at)
	o.reason, o.abandoned, o.text = why, true, "the call did not return after its context had ended"
	return o
}

// callContext is the context of one call. A context with a deadline costs more than everything else that is done for a
// call together, so the real one is made only when it is asked for. It belongs to this call alone: an Executor may keep it.
type callContext struct {
	root     *callRoot
	deadline int64 // Unix nanoseconds; 0: no limit

	real atomic.Pointer[realContext] // nil until it is asked for
}

// callRoot is what the contexts of a plan's calls have in common.
type callRoot struct {
	context.Context // parent of them all
	clock           clock.Clock
}

type realContext struct {
	context.Context
	stop func()
}

var _ context.Context = (*callContext)(nil)

// Deadline is part of context.Context.
func (c *callContext) Deadline() (time.Time, bool) { return stamp(c.deadline), c.deadline != 0 }

// Done is part of context.Context.
func (c *callContext) Done() <-chan struct{} { return c.context().Done() }

// Err is part of context.Context.
func (c *callContext) Err() error { return c.context().Err() }

// Value is part of context.Context. It asks the real context, so that contexts derived from this one find it.
func (c *callContext) Value(key any) any { return c.context().Value(key) }

func (c *callContext) context() context.Context {
	if made := c.real.Load(); made != nil {
		return made
	}
	made := c.root.begin(c.deadline)
	if !c.real.CompareAndSwap(nil, made) { // somebody else was first
		made.stop()
	}
	return c.real.Load()
}

// begin makes the real context of a call.
func (r *callRoot) begin(deadline int64) *realContext {
	if deadline == 0 {
		ctx, cancel := context.WithCancel(r)
		return &realContext{ctx, cancel}
	}
	// The limit is the engine's clock's; a context's is the real one's. With the real clock the two are the same.
	left := stamp(deadline).Sub(r.clock.Now())
	ctx, cancel := context.WithDeadline(r, time.Now().Add(left))
	mock, ok := r.clock.(*clock.Mock)
	if !ok {
		return &realContext{ctx, cancel}
	}
	t := mock.AfterFunc(left, cancel)
	return &realContext{ctx, func() { t.Stop(); cancel() }}
}

// end ends the context: the outcome of the call is known without it.
func (c *callContext) end() {
	c.context()
	c.release()
}

// release frees what the call's context held, once the call has returned.
func (c *callContext) release() {
	if made := c.real.Load(); made != nil {
		made.stop()
	}
}

// execute makes the call, and tells its outcome and when it was. ok is false when nothing is known: the engine's own shutdown or
// fencing ended the call.
func (j *job) execute(p *pool, o *outcome) (at time.Time, ok bool) {
	res, err := j.try(p.exec)
	j.call.release()
	at = j.call.root.clock.Now()
	*o = j.outcome(at)
	var ended error
	if err != nil {
		ended = context.Cause(j.call.root)
	}
	ok = o.tell(res, err, ended, j.deadline)
	if o.reason == ReasonPanic && p.panicked != nil {
		p.panicked(j.agent, err)
	}
	return at, ok
}

// unmade is the outcome of a call that is not made, because its context has ended before. ok is as in execute.
func (j *job) unmade(o *outcome, at time.Time) (ok bool) {
	why := context.Cause(j.call.root)
	*o = j.outcome(at)
	return o.tell(Result{}, why, why, 0)
}

// try asks the Executor. It is the one place where a panic of it is recovered.
func (j *job) try(x Executor) (res Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = newPanicError(p)
		}
	}()
	return x.Execute(j.call, j.attempt())
}

// tell says what a call has answered. ended is why its context ended, other than by its limit. It reports false when
// the answer says nothing about the agent.
func (o *outcome) tell(res Result, err, ended error, deadline int64) bool {
	if err == nil {
		o.reason, o.unchanged, o.version, o.text = ReasonSucceeded, res.Unchanged, cleanVersion(res.Version), cleanMessage(res.Message)
		return true
	}
	x := readError(err)
	o.reason, o.after, o.unchanged, o.text = x.reason, x.after, x.unchanged, x.text
	switch {
	case o.reason != ReasonError:
	case errors.Is(ended, errShutdown), errors.Is(ended, errFencedOff):
		return false
	case errors.Is(ended, errInterrupted):
		o.reason = ReasonInterrupted
	case deadline != 0 && o.at >= deadline:
		o.reason = ReasonTimeout
	}
	return true
}
