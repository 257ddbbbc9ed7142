package executortest

import (
	"slices"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

var companionCases = cases{
	{"NoneIsHidden", func(e *env) {
		_, err := ota.New(memstore.New(), e.exec, ota.Options{})
		e.ok("an executor that wraps another one hides no companion of it, unless its Unwrap returns nil", err)
	}},
	{"AWrapperKeepsThem", func(e *env) {
		lost := ota.Companions(e.bare)
		kept := ota.Companions(e.exec)
		lost = slices.DeleteFunc(lost, func(c string) bool { return slices.Contains(kept, c) })
		e.that("a wrapper keeps the companions of the executor that it wraps", len(lost) == 0, "lost are %v", lost)
	}},
	{"HealthChangesNothing", func(e *env) {
		p, ok := ota.As[ota.Prober](e.exec)
		if !ok {
			e.skip("the executor is no ota.Prober")
		}
		a := e.attempt("plan", 0)
		e.upgrade(ruleUpgrade, a)
		before := e.effects(a.Agent)
		for range 3 {
			h, err := p.Health(e.ctx, a)
			e.ok("Health answers for an agent that was upgraded", err)
			e.that("an agent that was upgraded and is well is healthy", h.Healthy, "got %+v", h)
		}
		e.unmoved("Health is a question: it changes nothing", a, before, a.ToVersion)
	}},
	{"PrecheckChangesNothing", func(e *env) {
		p, ok := ota.As[ota.Prechecker](e.exec)
		if !ok {
			e.skip("the executor is no ota.Prechecker")
		}
		a := e.attempt("plan", 0)
		first := a
		first.Number = 0
		before := e.effects(a.Agent)
		for range 3 {
			said, err := p.Precheck(e.ctx, first)
			e.ok("Precheck answers for an agent that can be upgraded", err)
			e.that("an agent that can be upgraded is ready, and reports the version that it runs, or none",
				said.State == ota.PrecheckReady && (said.Version == "" || said.Version == a.FromVersion), "got %+v", said)
		}
		e.unmoved("Precheck is a question: it changes nothing", a, before, a.FromVersion)
	}},
	{"GateChangesNothing", func(e *env) {
		g, ok := ota.As[ota.Gater](e.exec)
		if !ok {
			e.skip("the executor is no ota.Gater")
		}
		a := e.attempt("plan", 0)
		e.upgrade(ruleUpgrade, a)
		before := e.effects(a.Agent)
		p := ota.Plan{ID: a.Plan, Status: ota.StatusRunning, ToVersion: a.ToVersion, Agents: 1, Batches: 2}
		b := ota.Batch{Status: ota.BatchSoaking, Size: 1, Counts: ota.Counts{Succeeded: 1}}
		for range 3 {
			verdict, err := g.Gate(e.ctx, p, b)
			e.that("Gate returns one of its verdicts, or an error", err != nil || verdict > ota.GateNone && verdict <= ota.GateInconclusive,
				"got %v", verdict)
		}
		e.unmoved("Gate is a question: it changes nothing", a, before, a.ToVersion)
	}},
	{"InspectChangesNothing", func(e *env) {
		x := e.inspector()
		a := e.attempt("plan", 0)
		before := e.effects(a.Agent)
		for range 3 {
			_, _ = x.Inspect(e.ctx, a)
		}
		e.unmoved("Inspect is a question: it changes nothing", a, before, a.FromVersion)
	}},
	{"InspectTellsASuccess", func(e *env) {
		x := e.inspector()
		a := e.attempt("plan", 0)
		e.upgrade(ruleUpgrade, a)
		found, err := x.Inspect(e.ctx, repeated(a))
		e.ok("Inspect answers for an attempt that was made", err)
		e.that("of an attempt that succeeded, Inspect says Done, or Unknown", found.State == ota.InspectDone || found.State == ota.InspectUnknown,
			"got %+v", found)
		e.reports(a, found.Result)
	}},
	{"InspectDoesNotMakeUpASuccess", func(e *env) {
		const rule = "of an attempt that was never made Inspect does not say Done"
		x := e.inspector()
		a := e.attempt("plan", 0)
		found, err := x.Inspect(e.ctx, a)
		e.that(rule, err != nil || found.State != ota.InspectDone, "got %+v", found)
	}},
}

func (e *env) inspector() ota.Inspector {
	x, ok := ota.As[ota.Inspector](e.exec)
	if !ok {
		e.skip("the executor is no ota.Inspector")
	}
	return x
}

// unmoved expects that an agent is as it was.
func (e *env) unmoved(rule string, a ota.Attempt, effects int, version string) {
	e.still(rule, a.Agent, effects)
	e.runs(rule, a.Agent, version)
}
