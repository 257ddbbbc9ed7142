package storetest

import (
	"time"

	"github.com/seed-19b57ce3/ota"
)

const (
	ruleKeep     = "an agent that is kept is a conflict, also after its plan has ended"
	ruleKeepList = "Keep replaces what was kept for the same plan and engine"
	ruleKeepDead = "a kept claim is void once the lease of its engine has ended"
	ruleRelease  = "Release ends the claim of a plan on an agent for good"
)

var keepCases = cases{
	{"AKeptAgentOutlivesItsPlan", func(e *env) {
		c := e.keeper("one")
		e.sharing("p", "a", "b")
		e.claim(c, "p", "", nil)
		for range 2 {
			e.keep(c, "p", "one", "b")
		}
		e.sharing("q", "c", "b", "d")
		e.claim(c, "q", "", []ota.Conflict{{Agent: "b", Plan: "p"}})
		for _, status := range []ota.Status{ota.StatusCanceled, ota.StatusCompleted, ota.StatusRolledBack} {
			e.status("p", status)
			e.sharing("q"+status.String(), "c", "b", "d")
			e.claim(c, "q"+status.String(), "", kept("b", "one"))
		}
		e.sharing("r", "a", "c")
		e.claim(c, "r", "", nil) // neither kept nor taken by a failed try
	}},
	{"KeptListsAgentsInTheOrderOfThePlan", func(e *env) {
		const rule = "Kept lists the agents of a plan that are kept, for whichever plan"
		c := e.keeper("one")
		e.sharing("p", "a", "b", "c")
		e.sharing("q", "c", "x", "b")
		e.keep(c, "p", "one", "a", "b", "c")
		for plan, want := range map[string][]ota.Conflict{
			"p": append(append(kept("a", "one"), kept("b", "one")...), kept("c", "one")...),
			"q": append(kept("c", "one"), kept("b", "one")...),
		} {
			got, err := c.Kept(e.ctx, plan)
			e.ok(rule, err)
			e.same(rule, got, want)
		}
		_, err := c.Kept(e.ctx, "nowhere")
		e.is("Kept of a plan that is not there is ErrNotFound", err, ota.ErrNotFound)
	}},
	{"TheListIsWhole", func(e *env) {
		c := e.keeper("one", "two")
		e.sharing("p", "a", "b")
		e.sharing("p2", "a", "b")
		e.sharing("q", "a", "b")
		e.keep(c, "p", "one", "a", "b")
		e.keep(c, "p2", "one", "a")
		e.keep(c, "p", "two", "a")
		e.same(ruleKeepList, e.kept(c, "q"), 2)
		e.keep(c, "p", "one", "b")
		e.same(ruleKeepList, e.kept(c, "q"), 2)
		e.keep(c, "p2", "one")
		e.same(ruleKeepList, e.kept(c, "q"), 2)
		e.keep(c, "p", "two")
		e.same(ruleKeepList, e.kept(c, "q"), 1)
		e.claim(c, "q", "", kept("b", "one"))
		for range 2 {
			e.keep(c, "p", "one")
		}
		e.claim(c, "q", "", nil)
	}},
	{"AKeptClaimIsVoidOnceItsEngineIsGone", func(e *env) {
		c := e.keeper("one")
		e.sharing("p", "a")
		e.sharing("q", "a")
		e.keep(c, "p", "never alive", "a")
		e.same(ruleKeepDead, e.kept(c, "q"), 0)
		e.keep(c, "p", "one", "a")
		e.claim(c, "q", "", kept("a", "one"))
		e.renew(e.leaser(), "one", 0)
		e.same(ruleKeepDead, e.kept(c, "q"), 0)
		_, total, err := c.Claim(e.ctx, "q", "")
		e.ok(ruleKeepDead, err)
		e.same(ruleKeepDead, total, 0)
	}},
	{"AKeptClaimIsVoidOnceTheLeaseRanOut", func(e *env) {
		c := e.keeper("one", "two")
		e.sharing("p", "a", "b")
		e.sharing("q", "a", "b")
		e.keep(c, "p", "one", "a")
		e.keep(c, "p", "two", "b")
		e.renew(e.leaser(), "one", 20*time.Millisecond)
		e.eventually(e.leaser(), "a lease ends", "two")
		e.claim(c, "q", "", kept("b", "two"))
	}},
	{"AKeptClaimOutlivesPrune", func(e *env) {
		const rule = "Prune leaves kept claims whose engine is alive"
		c, pruner := e.keeper("one"), e.pruner()
		e.sharing("p", "a", "b")
		e.claim(c, "p", "", nil)
		e.keep(c, "p", "one", "a")
		e.end("p", ota.StatusCompleted, 5)
		_, err := pruner.Prune(e.ctx, e.now(6))
		e.ok("Prune answers", err)
		e.sharing("q", "a", "b")
		for range 2 {
			e.same(rule, e.kept(c, "q"), 1)
			e.keep(c, "p", "one", "a") // repeated, though the plan is gone
		}
		e.claim(c, "q", "", kept("a", "one"))
		e.keep(c, "p", "one")
		e.claim(c, "q", "", nil)
	}},
	{"WhoTakesAPlansClaimsOverIsNotStopped", func(e *env) {
		const rule = "a Claim from a plan is not stopped by kept claims; nor is that of the plan itself"
		c := e.keeper("one")
		e.sharing("p", "a", "b")
		e.claim(c, "p", "", nil)
		e.keep(c, "p", "one", "a")
		e.claim(c, "p", "", nil)
		e.status("p", ota.StatusRollingBack)
		e.sharing("back", "a")
		_, total, err := c.Claim(e.ctx, "back", "p")
		e.ok(rule, err)
		e.same(rule, total, 0)
		e.same("Kept lists the agents of a plan that are kept, for whichever plan", e.kept(c, "back"), 1)
		e.sharing("q", "a")
		e.claim(c, "q", "", []ota.Conflict{{Agent: "a", Plan: "back"}}) // held and kept: counted once
	}},
	{"UnknownAgentsAreIgnored", func(e *env) {
		c := e.keeper("one")
		e.sharing("p", "a")
		e.sharing("q", "x")
		e.keep(c, "p", "one", "nobody", "x", "a")
		e.keep(c, "nowhere", "one", "a", "x")
		e.claim(c, "q", "", nil)
		e.same(ruleKeep, e.kept(c, "p"), 1)
	}},
}

var releaseCases = cases{
	{"AReleasedAgentIsFree", func(e *env) {
		c := e.claimer()
		e.sharing("p", "a", "b", "c")
		e.claim(c, "p", "", nil)
		e.sharing("q", "b", "x")
		e.claim(c, "q", "", []ota.Conflict{{Agent: "b", Plan: "p"}})
		for range 2 {
			e.release(c, "p", "b", "nobody", "x")
		}
		e.release(c, "nowhere", "a")
		_, total, err := c.Claim(e.ctx, "q", "")
		e.ok(ruleRelease, err)
		e.same(ruleRelease, total, 0)
		e.sharing("r", "c", "a")
		e.claim(c, "r", "", []ota.Conflict{{Agent: "c", Plan: "p"}, {Agent: "a", Plan: "p"}})
	}},
	{"AReleasedAgentIsNotTakenAgain", func(e *env) {
		const rule = "a plan that claims again leaves out what it has released"
		c := e.claimer()
		e.sharing("p", "a", "b")
		e.claim(c, "p", "", nil)
		e.release(c, "p", "b")
		e.sharing("q", "b")
		e.sharing("r", "b")
		for _, holder := range []string{"q", "r"} {
			_, total, err := c.Claim(e.ctx, "p", "")
			e.ok(rule, err)
			e.same(rule, total, 0)
			_, total, err = c.Claim(e.ctx, holder, "")
			e.ok(rule, err)
			e.same(rule, total, 0)
			_, total, err = c.Claim(e.ctx, "p", "")
			e.ok(rule, err)
			e.same(rule, total, 0)
			e.status(holder, ota.StatusCanceled)
		}
	}},
	{"OnlyThePlansOwnClaimsAreReleased", func(e *env) {
		const rule = "Release ends no claim of another plan"
		c := e.claimer()
		e.sharing("p", "a", "b")
		e.claim(c, "p", "", nil)
		e.status("p", ota.StatusRollingBack)
		e.sharing("back", "a")
		e.claim(c, "back", "p", nil)
		e.release(c, "p", "a", "b")
		e.sharing("q", "a")
		_, total, err := c.Claim(e.ctx, "q", "")
		e.ok(rule, err)
		e.same(rule, total, 1)
	}},
	{"WhatIsKeptIsNotReleased", func(e *env) {
		const rule = "Release ends no kept claim"
		c := e.keeper("one")
		e.sharing("p", "a")
		e.claim(c, "p", "", nil)
		e.keep(c, "p", "one", "a")
		e.release(c, "p", "a")
		e.sharing("q", "a")
		_, total, err := c.Claim(e.ctx, "q", "")
		e.ok(rule, err)
		e.same(rule, total, 1)
		e.keep(c, "p", "one")
		_, total, err = c.Claim(e.ctx, "q", "")
		e.ok(ruleRelease, err)
		e.same(ruleRelease, total, 0)
	}},
}

// keeper returns a Claimer in which these engines are alive.
func (e *env) keeper(engines ...string) ota.Claimer {
	c := e.claimer()
	for _, engine := range engines {
		e.renew(e.leaser(), engine, time.Hour)
	}
	return c
}

func (e *env) keep(c ota.Claimer, plan, engine string, agents ...string) {
	e.ok(ruleKeep, c.Keep(e.ctx, plan, engine, agents))
}

// kept is how many agents of a plan are kept.
func (e *env) kept(c ota.Claimer, plan string) int {
	got, err := c.Kept(e.ctx, plan)
	e.ok("Kept answers", err)
	return len(got)
}

func (e *env) release(c ota.Claimer, plan string, agents ...string) {
	e.ok(ruleRelease, c.Release(e.ctx, plan, agents))
}

// kept is the conflict over an agent that engine keeps for plan p.
func kept(agent, engine string) []ota.Conflict {
	return []ota.Conflict{{Agent: agent, Plan: "p", Engine: engine}}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
