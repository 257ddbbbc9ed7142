package otatest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/simulate"
)

// effect is the result for one key.
type effect struct {
	done  chan struct{} // closed when the active call has ended
	known bool          // the agent answered; otherwise the context ended first, and nothing was done
	panic any
	res   ota.Result
	err   error
}

// answer returns the agent's answer and its latency; it changes nothing. f.mu is locked.
func (f *Fleet) answer(a ota.Attempt) simulate.Call {
	c := simulate.Call{Latency: f.latency(a), Result: ota.Result{Version: a.ToVersion}}
	say := func(format string, args ...any) error {
		return fmt.Errorf("agent %s "+format, append([]any{a.Agent}, args...)...)
	}
	switch f.behaviour(a) {
	case Fail:
		c.Err = say("did not install %s", a.ToVersion)
	case Flaky:
		if a.Number == 1 && a.Task == 0 {
			c.Err = say("did not install %s at first", a.ToVersion)
		}
	case Hang:
		c.Latency = ota.NoTimeout
	case Stuck:
		c.Latency, c.IgnoresContext = ota.NoTimeout, true
	case Slow:
		c.Latency *= 10
	case Panic:
		c.Err = &ota.PanicError{Value: say("panics")}
	case Wrong:
		c.Result.Version = a.ToVersion + "-wrong"
	case Away:
		c.Err = ota.Unreachable(say("does not answer"))
	case Busy:
		if a.Number <= 3 {
			c.Err = ota.Throttled(say("is busy"), 0)
		}
	}
	if c.Err != nil {
		c.Result = ota.Result{}
	}
	return c
}

// install sets the agent's version to the one in its answer, which it gives at this time. f.mu is
// locked.
func (f *Fleet) install(a ota.Attempt, c *simulate.Call, at time.Time) {
	f.since[a.Agent] = at
	if was := f.version(a); c.Err == nil {
		c.Result.Unchanged = was == c.Result.Version
		f.versions[versionKey(a.Agent, a.Component)] = c.Result.Version
	}
}

// Execute implements ota.Executor.
func (f *Fleet) Execute(ctx context.Context, a ota.Attempt) (ota.Result, error) {
	n := f.called(a)
	for {
		e, mine := f.begin(a)
		if mine {
			return f.work(ctx, a, e, n)
		}
		select {
		case <-e.done:
			if e.known {
				f.returned(n, e.err, false)
				if e.panic != nil {
					panic(e.panic)
				}
				return e.res, e.err
			}
		case <-ctx.Done():
			f.returned(n, ctx.Err(), false)
			return ota.Result{}, ctx.Err()
		}
	}
}

// begin returns the effect of a key, and whether the caller must do the work.
func (f *Fleet) begin(a ota.Attempt) (e *effect, mine bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.effects[a.Key()]
	if !ok {
		e = &effect{done: make(chan struct{})}
		f.effects[a.Key()] = e
	}
	return e, !ok
}

// work does the agent's work, once for each key.
func (f *Fleet) work(ctx context.Context, a ota.Attempt, e *effect, n int) (ota.Result, error) {
	f.mu.Lock()
	f.version(a)
	c := f.answer(a)
	f.mu.Unlock()
	if err := f.wait(ctx, c); err != nil {
		f.mu.Lock()
		delete(f.effects, a.Key()) // nothing was done: the next call starts again
		f.mu.Unlock()
		close(e.done)
		f.returned(n, err, false)
		return ota.Result{}, err
	}
	f.mu.Lock()
	f.install(a, &c, time.Now())
	e.known, e.res, e.err = true, c.Result, c.Err
	var p *ota.PanicError
	if errors.As(c.Err, &p) {
		e.panic = p.Value
	}
	f.mu.Unlock()
	close(e.done)
	f.returned(n, c.Err, c.Err == nil && !c.Result.Unchanged)
	if e.panic != nil {
		panic(e.panic)
	}
	return c.Result, c.Err
}

// errReleased is what a call of a Stuck agent returns after Release.
var errReleased = errors.New("otatest: was stuck, and was released")

func (f *Fleet) wait(ctx context.Context, c simulate.Call) error {
	var after <-chan time.Time
	done, released := ctx.Done(), f.released
	if c.IgnoresContext {
		done = nil
	} else {
		released = nil
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.Latency <= 0 {
			return nil
		}
	}
	if c.Latency != ota.NoTimeout {
		t := time.NewTimer(c.Latency)
		defer t.Stop()
		after = t.C
	}
	select {
	case <-after:
		return nil
	case <-done:
		return ctx.Err()
	case <-released:
		return errReleased
	}
}

// Inspect implements ota.Inspector: it returns the answer of the calls with the attempt's key, if
// there was one.
func (f *Fleet) Inspect(_ context.Context, a ota.Attempt) (ota.Inspection, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch e := f.effects[a.Key()]; {
	case e == nil:
		return ota.Inspection{State: ota.InspectUnknown}, nil
	case !e.known:
		return ota.Inspection{State: ota.InspectRunning}, nil
	case e.err != nil:
		return ota.Inspection{State: ota.InspectFailed, Err: e.err}, nil
	default:
		return ota.Inspection{State: ota.InspectDone, Result: e.res}, nil
	}
}

// Health implements ota.Prober.
func (f *Fleet) Health(_ context.Context, a ota.Attempt) (ota.Health, error) {
	return f.healthAt(a, time.Now())
}

// healthAt is what an agent answers at a time.
func (f *Fleet) healthAt(a ota.Attempt, at time.Time) (ota.Health, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.behaviour(a)
	if b == Silent {
		return ota.Health{}, errors.New("agent " + a.Agent + " does not answer")
	}
	after := f.opt.SickAfter
	if after == 0 {
		after = DefaultSickAfter
	}
	if b == Sick || b == Late && !at.Before(f.since[a.Agent].Add(after)) {
		return ota.Health{Reason: "agent " + a.Agent + " is sick"}, nil
	}
	return ota.Health{Healthy: true}, nil
}
