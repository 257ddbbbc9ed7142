package storetest

import (
	"runtime"
	"time"

	"github.com/seed-19b57ce3/ota"
)

const ruleDurable = "what was committed is there after the store is opened again"

var durabilityCases = cases{
	{"WhatWasCommittedIsThereAfterReopening", func(e *env) {
		e.made("p")
		e.commit(e.changing(1))
		take := e.owner("p")
		take.Then.Epoch = take.If.Epoch + 1
		e.commit(take)
		want := e.everything("p")
		e.again()
		e.same(ruleDurable, e.everything("p"), want)
		e.same(ruleDurable, e.listed(ota.PlanQuery{Labels: map[string]string{"app": "p"}}), []string{"p"})
	}},
	{"NumbersGoOnAfterReopening", func(e *env) {
		e.made("p")
		first := e.owner("p")
		first.Then.Epoch = first.If.Epoch + 1
		e.commit(first)
		old := e.changing(1)
		take := e.owner("p")
		take.Then.Epoch = take.If.Epoch + 1
		e.commit(take)
		e.again()
		e.refused(ruleFenced, old, ota.ErrFenced)
		e.same("revisions go on after the store is opened again", e.commit(e.owner("p")), 4)
	}},
	{"NamesStayTakenAfterReopening", func(e *env) {
		p := e.sample("p", 2, 1)
		p.plan.Key = "key"
		e.create(p)
		e.again()
		e.is("an ID stays taken", e.make(p, p.rows()), ota.ErrExists)
		q := e.sample("q", 2, 1)
		q.plan.Key = "key"
		e.is("a request key stays taken", e.make(q, q.rows()), ota.ErrExists)
	}},
	{"AnAbandonedCreateIsGoneAfterReopening", func(e *env) {
		e.needsReopen()
		p := e.sample("p", 3000, 1000)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = e.make(p, p.rowsThen(2500, func() error {
				runtime.Goexit()
				return nil
			}))
		}()
		<-done
		e.again()
		e.absent("nothing is visible of a Create that was abandoned half way", "p")
		e.create(p)
		e.same(ruleCreate, e.agents("p", ota.RowQuery{Limit: 5000}), p.agents)
	}},
	{"ClaimsAndMessagesAreThereAfterReopening", func(e *env) {
		e.needsReopen()
		p := e.made("p")
		claimer, claims := ota.As[ota.Claimer](e.store)
		if claims {
			_, _, err := claimer.Claim(e.ctx, "p", "")
			e.ok(ruleClaim, err)
			if l, ok := ota.As[ota.Leaser](e.store); ok {
				e.renew(l, "one", time.Hour)
			}
			e.keep(claimer, "p", "one", p.agents[1].ID)
			e.ok(ruleRelease, claimer.Release(e.ctx, "p", []string{p.agents[2].ID}))
		}
		inbox, posts := ota.As[ota.Inbox](e.store)
		if posts {
			e.ok("Post appends", inbox.Post(e.ctx, "p", []ota.Message{{ID: "m", Body: []byte("body")}}))
		}
		if !claims && !posts {
			e.skip("the store is neither a Claimer nor an Inbox")
		}
		e.again()
		if claims {
			_, engines := ota.As[ota.Leaser](e.store)
			e.same("kept claims are there after the store is opened again",
				e.kept(e.claimer(), "p"), btoi(engines))
			rival := e.sample("q", 6, 2)
			rival.agents = p.agents
			e.create(rival)
			_, total, err := e.claimer().Claim(e.ctx, "q", "")
			e.ok(ruleClaim, err)
			e.same("claims are there after the store is opened again, and one that was released is not", total, 5)
		}
		if posts {
			got, err := e.inbox().Read(e.ctx, "p", 0, 10)
			e.ok("Read answers", err)
			e.same("messages are there after the store is opened again", len(got), 1)
		}
	}},
}

func (e *env) needsReopen() {
	if e.reopen == nil {
		e.skip("Options.Reopen is nil, so durability is not checked")
	}
}

// again opens the store again.
func (e *env) again() {
	e.needsReopen()
	e.reopen()
}
