package executortest

import "github.com/seed-19b57ce3/ota"

var errorCases = cases{
	{"AnErrorThatMayBeTriedAgain", func(e *env) { e.provoke(ota.ReasonError) }},
	{"AnErrorThatIsPermanent", func(e *env) { e.provoke(ota.ReasonPermanent) }},
	{"ARefusalOfTheAgent", func(e *env) { e.provoke(ota.ReasonRejected) }},
	{"AnAgentThatIsUnreachable", func(e *env) { e.provoke(ota.ReasonUnreachable) }},
	{"AnAgentThatIsThrottled", func(e *env) { e.provoke(ota.ReasonThrottled) }},
}

// provoke expects that a call which must fail for a reason says so.
func (e *env) provoke(why ota.Reason) {
	change := e.opt.Provoke[why]
	if change == nil {
		e.skip("Options.Provoke has nothing for " + why.String())
	}
	a := change(e.attempt("plan", 0))
	before := e.effects(a.Agent)
	_, err := e.exec.Execute(e.ctx, a)
	got := ota.ReasonOf(err)
	e.that("an error is marked with what it means, such as ota.Permanent(err)", got == why, "got %s (error %v), want %s", got, err, why)
	if why == ota.ReasonUnreachable || why == ota.ReasonThrottled {
		e.still("an error marked Unreachable or Throttled says that nothing was changed", a.Agent, before)
	}
}
