package executortest

import (
	"context"
	"time"

	"github.com/seed-19b57ce3/ota"
)

const ruleEnds = "Execute returns soon after its context has ended"

var contextCases = cases{
	{"AContextThatHasEnded", func(e *env) {
		ctx, cancel := context.WithCancel(e.ctx)
		cancel()
		a := e.slow(e.attempt("plan", 0))
		e.truthful(a, e.within(ruleEnds, e.opt.Bound, e.start(ctx, a)))
	}},
	{"AContextThatEnds", func(e *env) {
		for i, after := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond} {
			ctx, cancel := context.WithCancel(e.ctx)
			a := e.slow(e.attempt("plan", i%len(e.opt.Agents)))
			out := e.start(ctx, a)
			time.Sleep(after)
			cancel()
			e.truthful(a, e.within(ruleEnds, e.opt.Bound, out))
		}
	}},
	{"ADeadlineThatPasses", func(e *env) {
		ctx, cancel := context.WithTimeout(e.ctx, 10*time.Millisecond)
		defer cancel()
		a := e.slow(e.attempt("plan", 0))
		a.Deadline, _ = ctx.Deadline()
		e.truthful(a, e.within(ruleEnds, e.opt.Bound+10*time.Millisecond, e.start(ctx, a)))
	}},
	{"AnAttemptThatWasCutShortCanBeRepeated", func(e *env) {
		ctx, cancel := context.WithCancel(e.ctx)
		a := e.attempt("plan", 0)
		out := e.start(ctx, a)
		cancel()
		e.truthful(a, e.within(ruleEnds, e.opt.Bound, out))
		e.upgrade("an attempt whose first call was cut short succeeds when it is repeated", repeated(a))
	}},
}

func (e *env) slow(a ota.Attempt) ota.Attempt {
	if e.opt.Slow == nil {
		return a
	}
	return e.opt.Slow(a)
}

// truthful expects that a call which says that it succeeded did, and that others do not blame the
// agent for good.
func (e *env) truthful(a ota.Attempt, r reply) {
	if r.err == nil {
		e.reports(a, r.res)
		e.runs("a call whose context ended returns no error only if the agent runs the target", a.Agent, a.ToVersion)
		return
	}
	why := ota.ReasonOf(r.err)
	e.that("a call that was cut short by its context does not fail the agent for good: its error is not Permanent or Rejected",
		why != ota.ReasonPermanent && why != ota.ReasonRejected, "got %s: %v", why, r.err)
}
