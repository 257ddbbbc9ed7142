package storetest

import (
	"fmt"

	"github.com/seed-19b57ce3/ota"
)

const rulePrune = "Prune deletes the plans that ended before the given time, and no others"

var pruneCases = cases{
	{"PlansThatEndedBeforeAreDeleted", func(e *env) {
		pruner := e.pruner()
		e.endings()
		n, err := pruner.Prune(e.ctx, e.now(10))
		e.ok("Prune answers", err)
		left := fmt.Sprint(e.listed(ota.PlanQuery{}))
		for _, id := range []string{"completed-5", "canceled-5", "back-5"} {
			e.absent(rulePrune, id)
		}
		for _, id := range []string{"completed-15", "completed-10", "back-15", "running", "paused"} {
			_, err = e.store.Plan(e.ctx, id)
			e.that(rulePrune, err == nil, "got %v for %s; left are %s", err, id, left)
		}
		e.same("Prune returns how many it deleted", n, 3)
		n, err = pruner.Prune(e.ctx, e.now(10))
		e.ok("Prune answers", err)
		e.same("pruning again deletes nothing", n, 0)
	}},
	{"APrunedPlanIsForgotten", func(e *env) {
		pruner := e.pruner()
		p := e.sample("p", 3, 1)
		p.plan.Key = "key"
		e.create(p)
		if c, ok := ota.As[ota.Claimer](e.store); ok {
			e.claim(c, "p", "", nil)
		}
		in, posts := ota.As[ota.Inbox](e.store)
		if posts {
			e.post(in, "p", "m")
		}
		e.end("p", ota.StatusCompleted, 5)
		late := e.verb("p")
		n, err := pruner.Prune(e.ctx, e.now(6))
		e.ok("Prune answers", err)
		e.same(rulePrune, n, 1)
		_, err = e.store.Commit(e.ctx, late)
		e.is("a commit to a pruned plan is ErrNotFound", err, ota.ErrNotFound)
		again := e.sample("p", 2, 1)
		again.plan.Key = "key"
		e.create(again)
		got := e.everything("p")
		e.same("nothing of a pruned plan gets into one that is made under its ID", got.Agents, again.agents)
		e.same("nothing of a pruned plan gets into one that is made under its ID", len(got.Log), 1)
		if posts {
			e.mail(in, "p", 0, 10)
			e.post(in, "p", "m")
			e.mail(in, "p", 0, 10, "m")
		}
	}},
}

func (e *env) pruner() ota.Pruner {
	p, ok := ota.As[ota.Pruner](e.store)
	if !ok {
		e.skip("the store is no ota.Pruner")
	}
	return p
}

// endings makes plans that ended in every way, named by when.
func (e *env) endings() {
	for _, n := range []int{5, 10, 15} {
		e.made(fmt.Sprint("completed-", n))
		e.end(fmt.Sprint("completed-", n), ota.StatusCompleted, n)
	}
	e.made("canceled-5")
	e.end("canceled-5", ota.StatusCanceled, 5)
	for _, n := range []int{5, 15} {
		id := fmt.Sprint("back-", n)
		e.made(id)
		e.end(id, ota.StatusRolledBack, n)
	}
	e.made("running")
	e.status("running", ota.StatusRunning)
	e.made("paused") // was completed, is rolled back: it ended once, and has not now
	e.end("paused", ota.StatusCompleted, 1)
	e.status("paused", ota.StatusRollingBack)
}

func (e *env) end(id string, s ota.Status, at int) {
	c := e.verb(id)
	c.Head = &ota.Head{Status: s, Ended: e.now(at)}
	e.commit(c)
}
