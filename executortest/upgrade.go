package executortest

var upgradeCases = cases{
	{"AnAgentIsBroughtToTheTarget", func(e *env) {
		e.upgrade(ruleUpgrade, e.attempt("plan", 0))
	}},
	{"AnUpgradeIsNotUnchanged", func(e *env) {
		res := e.upgrade(ruleUpgrade, e.attempt("plan", 0))
		e.that("Unchanged is said only of a call that had nothing to do: a rollback leaves such an agent out", !res.Unchanged,
			"got Unchanged of a call that brought the agent from %s to %s", e.opt.FromVersion, e.opt.ToVersion)
	}},
	{"ATargetThatIsInstalledAlreadySucceeds", func(e *env) {
		const rule = "an attempt whose target is installed already succeeds"
		e.upgrade(ruleUpgrade, e.attempt("plan", 0))
		before := e.effects(e.opt.Agents[0])
		res := e.upgrade(rule, e.attempt("another-plan", 0))
		if res.Unchanged {
			e.still("a call that says Unchanged has changed nothing", e.opt.Agents[0], before)
		}
	}},
	{"AFurtherAttemptSucceeds", func(e *env) {
		a := e.attempt("plan", 0)
		a.Number = 7
		e.upgrade("an attempt with a higher number is tried like the first", a)
	}},
	{"ARollbackTakesAnAgentBack", func(e *env) {
		const rule = "an attempt of a rollback brings the agent back to the version that it names"
		a := e.attempt("plan", 0)
		e.upgrade(ruleUpgrade, a)
		e.upgrade(rule, e.back(a))
		e.upgrade("what was taken back can be upgraded again", e.attempt("another-plan", 0))
	}},
	{"OtherAgentsAreLeftAlone", func(e *env) {
		if len(e.opt.Agents) < 2 {
			e.skip("Options.Agents names only one agent")
		}
		before := e.effects(e.opt.Agents[1])
		e.upgrade(ruleUpgrade, e.attempt("plan", 0))
		e.still("Execute changes no agent but its own", e.opt.Agents[1], before)
	}},
}
