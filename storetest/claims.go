package storetest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/seed-19b57ce3/ota"
)

const (
	ruleClaim    = "Claim takes every agent of a plan for it"
	ruleConflict = "Claim takes none when another plan holds one, and says which plan holds it"
)

var claimCases = cases{
	{"AnAgentIsInOnePlan", func(e *env) {
		c := e.claimer()
		e.sharing("p", "a", "b", "c")
		e.sharing("q", "x", "c", "b")
		e.claim(c, "p", "", nil)
		e.claim(c, "q", "", []ota.Conflict{{Agent: "c", Plan: "p"}, {Agent: "b", Plan: "p"}})
		e.sharing("r", "x")
		e.claim(c, "r", "", nil) // not taken by q's failed try
		e.sharing("s", "y", "z")
		e.claim(c, "s", "", nil)
	}},
	{"ClaimingAgainIsSuccess", func(e *env) {
		c := e.claimer()
		e.sharing("p", "a", "b")
		for range 3 {
			e.claim(c, "p", "", nil)
		}
	}},
	{"ClaimsOfAnEndedPlanAreVoid", func(e *env) {
		c := e.claimer()
		for i, status := range []ota.Status{ota.StatusCanceled, ota.StatusCompleted, ota.StatusRolledBack} {
			id := fmt.Sprint("p", i)
			e.sharing(id, "a", "b")
			e.claim(c, id, "", nil)
			e.status(id, ota.StatusPaused)
			next := fmt.Sprint("q", i)
			e.sharing(next, "b", "c")
			e.claim(c, next, "", []ota.Conflict{{Agent: "b", Plan: id}})
			e.status(id, status)
			e.claim(c, next, "", nil)
			e.status(next, ota.StatusCanceled)
		}
	}},
	{"APlanThatIsNotStartedKeepsItsClaims", func(e *env) {
		c := e.claimer()
		e.sharing("p", "a")
		e.claim(c, "p", "", nil)
		e.status("p", ota.StatusPending)
		e.sharing("q", "a")
		e.claim(c, "q", "", []ota.Conflict{{Agent: "a", Plan: "p"}})
	}},
	{"ClaimsAreTakenOver", func(e *env) {
		c := e.claimer()
		e.sharing("p", "a", "b", "c")
		e.claim(c, "p", "", nil)
		e.status("p", ota.StatusRollingBack)
		e.sharing("back", "b", "a")
		e.claim(c, "back", "other", []ota.Conflict{{Agent: "b", Plan: "p"}, {Agent: "a", Plan: "p"}})
		e.claim(c, "back", "p", nil)
		e.sharing("q", "a", "c")
		e.claim(c, "q", "", []ota.Conflict{{Agent: "a", Plan: "back"}, {Agent: "c", Plan: "p"}})
	}},
	{"AtMost32ConflictsAreListed", func(e *env) {
		c := e.claimer()
		var agents []string
		for i := range 50 {
			agents = append(agents, fmt.Sprintf("agent-%02d", i))
		}
		e.sharing("p", agents...)
		e.sharing("q", agents...)
		e.claim(c, "p", "", nil)
		conflicts, total, err := c.Claim(e.ctx, "q", "")
		e.ok(ruleConflict, err)
		e.that("Claim lists at most 32 conflicts and counts all", len(conflicts) == 32 && total == 50, "got %d and %d", len(conflicts), total)
	}},
	{"OfManyPlansThatShareAnAgentOneWins", func(e *env) {
		const rule = "of plans that share an agent and claim at once exactly one wins"
		c := e.claimer()
		const plans = 8
		for i := range plans {
			e.sharing(fmt.Sprint("p", i), fmt.Sprint("own", i), "shared", fmt.Sprint("too", i))
		}
		var wins, failed atomic.Int32
		var wg sync.WaitGroup
		for i := range plans {
			wg.Go(func() {
				switch _, total, err := c.Claim(e.ctx, fmt.Sprint("p", i), ""); {
				case err != nil:
					failed.Add(1)
				case total == 0:
					wins.Add(1)
				}
			})
		}
		wg.Wait()
		e.that(rule, wins.Load() == 1 && failed.Load() == 0, "got %d winners, %d errors", wins.Load(), failed.Load())
		for i := range plans {
			id := fmt.Sprint("free", i)
			e.sharing(id, fmt.Sprint("own", i))
			if _, total, err := c.Claim(e.ctx, id, ""); err != nil || total > 0 {
				wins.Add(1)
			}
		}
		e.that("a Claim that failed has taken nothing", wins.Load() == 2, "got agents of %d plans taken, want those of 1", wins.Load()-1)
	}},
	{"HoldersAreThePlansThatClaim", func(e *env) {
		const rule = "Holders names the plans that have claimed any of the agents"
		c := e.claimer()
		holders := func(agents ...string) []string {
			plans, err := c.Holders(e.ctx, agents)
			e.ok(rule, err)
			slices.Sort(plans)
			return plans
		}
		e.same(rule, len(holders("a")), 0)
		e.sharing("p", "a", "b", "c")
		e.sharing("q", "x", "y")
		e.same(rule, len(holders("a", "x")), 0)
		e.claim(c, "p", "", nil)
		e.claim(c, "q", "", nil)
		e.same(rule, holders("a", "b", "nobody"), []string{"p"})
		e.same(rule, holders("a", "x", "y"), []string{"p", "q"})
		e.release(c, "p", "b")
		e.same(rule, len(holders("b")), 0)
		e.status("q", ota.StatusCanceled)
		e.same(rule, holders("a", "x"), []string{"p"})
		e.same(rule, len(holders()), 0)
	}},
	{"AnUnknownPlanIsErrNotFound", func(e *env) {
		_, _, err := e.claimer().Claim(e.ctx, "p", "")
		e.is("a plan that is not there is ErrNotFound", err, ota.ErrNotFound)
	}},
}

func (e *env) claimer() ota.Claimer {
	c, ok := ota.As[ota.Claimer](e.store)
	if !ok {
		e.skip("the store is no ota.Claimer")
	}
	return c
}

// sharing creates a plan of exactly these agents.
func (e *env) sharing(id string, agents ...string) {
	p := e.sample(id, len(agents), 100)
	for i, agent := range agents {
		p.agents[i].ID = agent
	}
	e.create(p)
}

func (e *env) claim(c ota.Claimer, plan, from string, want []ota.Conflict) {
	conflicts, total, err := c.Claim(e.ctx, plan, from)
	if len(want) == 0 {
		e.ok(ruleClaim, err)
		e.that(ruleClaim, total == 0 && len(conflicts) == 0, "got %d conflicts of %s: %v", total, plan, conflicts)
		return
	}
	e.ok(ruleConflict, err)
	e.same(ruleConflict, conflicts, want)
	e.same(ruleConflict, total, len(want))
}

// status gives a plan a status; the time of an end is that of the record.
func (e *env) status(id string, s ota.Status) {
	c := e.verb(id)
	c.Head = &ota.Head{Status: s}
	if s.Ended() {
		c.Head.Ended = c.Log.At
	}
	e.commit(c)
}
