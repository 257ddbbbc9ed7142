package ota

import (
	"context"
	"errors"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/seed-19b57ce3/ota/internal/lazyctx"
)

// Why the contexts of calls end, besides their limit.
var (
	errInterrupted = errors.New("ota: the plan was canceled or rolled back, and its calls are interrupted")
	errShutdown    = errors.New("ota: the engine is shutting down")
	errFencedOff   = errors.New("ota: another engine owns the plan now")
)

// job is a call of the Executor to be made. It is small because it is copied on its way to a worker.
// The worker makes the attempt of it.
type job struct {
	template *Attempt // the other fields; agents without own versions or tasks share one template
	agent    string
	labels   map[string]string
	ordinal  int
	deadline int64 // Unix nanoseconds; 0: no limit
	number   uint32
	repeat   bool
	call     *lazyctx.Context // set by the pool
}

// attempt is what the Executor gets.
func (j *job) attempt() Attempt {
	a := *j.template
	a.Agent, a.Labels, a.Number, a.Repeat, a.Deadline = j.agent, j.labels, int(j.number), j.repeat, stamp(j.deadline)
	return a
}

func (j *job) key() callKey { return callKey{j.ordinal, j.template.Task, j.number} }

// outcome returns an outcome with the fields that the job knows.
func (j *job) outcome(at time.Time) outcome {
	return outcome{
		ordinal: j.ordinal, agent: j.agent, task: j.template.Task, number: j.number, repeat: j.repeat, at: at.UnixNano(),
	}
}

// abandoned is the outcome of a job whose call did not return in time after its context had ended.
func (j *job) abandoned(at time.Time, why Reason) outcome {
	o := j.outcome(at)
	o.reason, o.abandoned, o.text = why, true, "the call did not return after its context had ended"
	return o
}

// callClock makes the contexts of calls by the engine's clock.
type callClock struct{ clock.Clock }

// WithDeadline is part of lazyctx.Clock. The limit is one of the engine's clock. The context's timer
// runs by the system's clock, and for a mock also by the mock.
func (c *callClock) WithDeadline(parent context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	left := deadline.Sub(c.Now())
	ctx, cancel := context.WithDeadline(parent, time.Now().Add(left))
	mock, ok := c.Clock.(*clock.Mock)
	if !ok {
		return ctx, cancel
	}
	t := mock.AfterFunc(left, cancel)
	return ctx, func() { t.Stop(); cancel() }
}

// execute makes the call, sets its outcome, and returns when the call returned. ok is false if the
// outcome says nothing about the agent: the shutdown of the engine, or the loss of the plan, ended the
// call.
func (j *job) execute(p *pool, o *outcome) (at time.Time, ok bool) {
	res, err := j.try(p.exec)
	j.call.Release()
	at = p.clock.Now()
	*o = j.outcome(at)
	var ended error
	if err != nil {
		ended = j.call.ParentCause()
	}
	ok = o.tell(res, err, ended, j.deadline)
	if o.reason == ReasonPanic && p.panicked != nil {
		p.panicked(j.agent, err)
	}
	return at, ok
}

// unmade sets the outcome of a call that is not made, because its context has ended before. ok is as
// in execute.
func (j *job) unmade(o *outcome, at time.Time) (ok bool) {
	why := j.call.ParentCause()
	*o = j.outcome(at)
	return o.tell(Result{}, why, why, 0)
}

// try calls the Executor. No other place recovers a panic of Execute.
func (j *job) try(x Executor) (res Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = newPanicError(p)
		}
	}()
	return x.Execute(j.call, j.attempt())
}

// tell sets the outcome to what a call has answered. ended is why its context ended, other than by
// its limit. tell reports false if the answer says nothing about the agent.
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
