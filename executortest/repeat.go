package executortest

const (
	ruleTwice = "two calls with one key, one after the other, have one effect"
	ruleRace  = "two calls with one key at once have one effect"
)

var repeatCases = cases{
	{"ARepeatSucceeds", func(e *env) {
		const rule = "a repeat of an attempt that had succeeded succeeds"
		a := e.attempt("plan", 0)
		e.upgrade(ruleUpgrade, a)
		e.upgrade(rule, repeated(a))
	}},
	{"TwoCallsInTurnHaveOneEffect", func(e *env) {
		e.needEffects()
		a := e.attempt("plan", 0)
		before := e.effects(a.Agent)
		e.upgrade(ruleUpgrade, a)
		once := e.effects(a.Agent)
		e.that("an upgrade changes the agent", once > before, "got %d effects before and %d after", before, once)
		e.upgrade(ruleTwice, repeated(a))
		e.still(ruleTwice, a.Agent, once)
	}},
	{"TwoCallsAtOnceHaveOneEffect", func(e *env) {
		e.needEffects()
		alone := e.attempt("plan", 0)
		before := e.effects(alone.Agent)
		e.upgrade(ruleUpgrade, alone)
		cost := e.effects(alone.Agent) - before
		if len(e.opt.Agents) < 2 {
			e.skip("Options.Agents names only one agent")
		}
		a := e.attempt("plan", 1)
		before = e.effects(a.Agent)
		first := e.start(e.ctx, a)
		second := e.start(e.ctx, repeated(a))
		one, two := e.within(ruleRace, caseLimit, first), e.within(ruleRace, caseLimit, second)
		// The older call may be told that it is out of date; the newer one has to be right.
		e.ok("the newer of two calls with one key succeeds", two.err)
		e.reports(a, two.res)
		if one.err == nil {
			e.reports(a, one.res)
		}
		e.still(ruleRace, a.Agent, before+cost)
		e.runs(ruleRace, a.Agent, a.ToVersion)
	}},
}
