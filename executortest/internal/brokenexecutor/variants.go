package brokenexecutor

// Variant is an executor with one fault.
type Variant struct {
	Name string
	Rule string // the rule that executortest must name
	New  func() *Machines
	// Endless says that it goes on for much longer than a case waits, so that the Bound may be
	// short.
	Endless bool
}

// Good has no fault.
func Good() *Machines { return machines(faults{}) }

// Variants are all the broken ones.
var Variants = []Variant{
	broken("IgnoresItsContext", "Execute returns soon after its context has ended", faults{deaf: true}),
	broken("DoesNotKnowItsKeys", "two calls with one key, one after the other, have one effect", faults{forgetful: true}),
	broken("NotesAKeyTooLate", "two calls with one key at once have one effect", faults{hasty: true}),
	broken("RefusesAnInstalledTarget", "an attempt whose target is installed already succeeds", faults{refuses: true}),
	broken("ReportsTheOldVersion", "the version that is reported is the target", faults{stale: true}),
	broken("DoesNothing", "Execute brings an agent that is well to the target", faults{lazy: true}),
	broken("AlwaysSaysUnchanged", "Unchanged is said only of a call that had nothing to do", faults{modest: true}),
	broken("ReinstallsAndSaysUnchanged", "a call that says Unchanged has changed nothing", faults{proud: true}),
	broken("MarksNoErrors", "an error is marked with what it means", faults{vague: true}),
	broken("ChangesWhatIsUnreachable", "says that nothing was changed", faults{sneaky: true}),
	broken("LeavesGoroutines", "a call leaves no goroutine behind\n", faults{leaky: true}),
	broken("LeavesGoroutinesWhenCut", "a call leaves no goroutine behind when its context ends", faults{spills: true}),
	broken("TakesNothingBack", "an attempt of a rollback brings the agent back", faults{upOnly: true}),
	broken("TakesTheFirstAttemptOnly", "an attempt with a higher number is tried like the first", faults{strict: true}),
	broken("BlamesTheAgent", "does not fail the agent for good", faults{blames: true}),
	broken("SaysDoneWhenCut", "returns no error only if the agent runs the target", faults{cutIsDone: true}),
	broken("MixesAgentsUp", "calls for different agents at once do not disturb each other", faults{shared: true}),
	broken("ChangesAnotherAgent", "Execute changes no agent but its own", faults{everyAgent: true}),
	broken("PanicsAtARepeat", "nothing panics", faults{panics: true}),
	broken("HealthReinstalls", "Health is a question: it changes nothing", faults{heals: true}),
	broken("HealthIsAlwaysBad", "an agent that was upgraded and is well is healthy", faults{gloomy: true}),
	broken("PrecheckInstalls", "Precheck is a question: it changes nothing", faults{eager: true}),
	broken("PrecheckIsContent", "an agent that can be upgraded is ready", faults{content: true}),
	broken("GateReverts", "Gate is a question: it changes nothing", faults{reverts: true}),
	broken("GateIsMute", "Gate returns one of its verdicts, or an error", faults{mute: true}),
	broken("InspectInstalls", "Inspect is a question: it changes nothing", faults{meddles: true}),
	broken("InspectMakesUpASuccess", "of an attempt that was never made Inspect does not say Done", faults{makesUp: true}),
	broken("InspectMakesUpAFailure", "of an attempt that succeeded, Inspect says Done, or Unknown", faults{pessimist: true}),
}

func broken(name, rule string, f faults) Variant {
	return Variant{Name: name, Rule: rule, New: func() *Machines { return machines(f) }, Endless: f.deaf || f.leaky || f.spills}
}
