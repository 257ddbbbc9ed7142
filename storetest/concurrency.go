package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/seed-19b57ce3/ota"
)

var concurrencyCases = cases{
	{"Of32OwnersCommitsExactlyOneWins", func(e *env) {
		e.made("p")
		c := e.owner("p")
		c.NewProgress = &ota.Progress{Schema: ota.Schema}
		e.race(c)
	}},
	{"Of32VerbsExactlyOneWins", func(e *env) {
		e.made("p")
		c := e.verb("p")
		c.NewControl = &ota.Control{Schema: ota.Schema}
		e.race(c)
	}},
	{"Of32TakeoversExactlyOneWins", func(e *env) {
		e.made("p")
		c := e.owner("p")
		c.Raise = true
		e.race(c)
	}},
	{"AVerbPassesAHotOwner", func(e *env) {
		const rule = "an owner's commits do not refuse a verb, nor the verb more than one commit of the owner"
		e.made("p")
		var stop atomic.Bool
		owner := &hotOwner{e: e, plan: "p"}
		done := make(chan error, 1)
		go func() { done <- owner.run(&stop) }()
		const verbs = 20
		var err error
		for i := range verbs {
			var p ota.PlanRow
			if p, err = e.store.Plan(e.ctx, "p"); err != nil {
				break
			}
			control := ota.Control{Schema: ota.Schema, Promoted: i}
			c := ota.Commit{Plan: "p", Control: p.ControlNumber, NewControl: &control, Log: []byte("verb")}
			if _, err = e.store.Commit(e.ctx, c); err != nil {
				break
			}
		}
		stop.Store(true)
		ownerErr := <-done
		e.ok(rule, err)
		e.ok(rule, ownerErr)
		e.that(rule, owner.refused <= verbs, "got %d commits of the owner refused by %d verbs", owner.refused, verbs)
		e.same("each commit is one revision", e.plan("p").Revision, 1+verbs+owner.landed)
	}},
	{"AVerbPassesALargeCommit", func(e *env) {
		const rule = "a commit of 10,000 rows lands, and so does a verb of another plan beside it"
		big := e.sample("big", 10_000, 5000)
		e.create(big)
		e.made("p")
		c := e.owner("big")
		for i := range big.agents {
			c.Agents = append(c.Agents, ota.AgentRow{Ordinal: i, State: ota.AgentState{Status: ota.TaskSkipped}})
			big.agents[i].State = ota.AgentState{Status: ota.TaskSkipped}
		}
		verb := e.verb("p")
		result := make(chan error, 1)
		go func() {
			_, err := e.store.Commit(e.ctx, c)
			result <- err
		}()
		_, err := e.store.Commit(e.ctx, verb)
		e.ok(rule, err)
		e.ok(rule, <-result)
		e.same(rule, e.agents("big", ota.RowQuery{Limit: 20_000}), big.agents)
	}},
	{"AReaderSeesWholeCommits", func(e *env) {
		const rule = "a reader sees a commit whole or not at all"
		e.made("p")
		var stop atomic.Bool
		owner := &hotOwner{e: e, plan: "p"}
		done := make(chan error, 1)
		go func() { done <- owner.run(&stop) }()
		var rows []ota.PlanRow
		var err error
		for range 200 {
			var p ota.PlanRow
			if p, err = e.store.Plan(e.ctx, "p"); err != nil {
				break
			}
			rows = append(rows, p)
		}
		stop.Store(true)
		ownerErr := <-done
		e.ok(rule, err)
		e.ok(rule, ownerErr)
		last := uint64(0)
		for _, p := range rows {
			e.that(rule, p.ProgressNumber == p.Revision && p.Progress.Inbox == p.Revision-1,
				"got revision %d with Progress number %d, written by the commit after revision %d", p.Revision, p.ProgressNumber, p.Progress.Inbox)
			e.that("a method called after another sees what that one saw", p.Revision >= last, "got revision %d after %d", p.Revision, last)
			last = p.Revision
		}
	}},
}

// race sends c 32 times at once.
func (e *env) race(c ota.Commit) {
	const rule = "of 32 commits on the same numbers exactly one wins, and the others are refused"
	var wins, others atomic.Int32
	var wg sync.WaitGroup
	for i := range 32 {
		c := c
		c.Log = fmt.Appendf(nil, "record of %d", i)
		wg.Go(func() {
			switch _, err := e.store.Commit(e.ctx, c); {
			case err == nil:
				wins.Add(1)
			case !errors.Is(err, ota.ErrConflict) && !errors.Is(err, ota.ErrFenced):
				others.Add(1)
			}
		})
	}
	wg.Wait()
	e.that(rule, wins.Load() == 1 && others.Load() == 0, "got %d winners and %d other errors", wins.Load(), others.Load())
	e.same(rule, len(e.everything(c.Plan).Log), 2)
}

// hotOwner commits without a pause, and reads the plan again only when it was refused, as an engine
// does.
type hotOwner struct {
	e       *env
	plan    string
	landed  int
	refused int
}

func (o *hotOwner) run(stop *atomic.Bool) error {
	p, err := o.e.store.Plan(o.e.ctx, o.plan)
	for !stop.Load() && err == nil {
		progress := ota.Progress{Schema: ota.Schema, Inbox: p.Revision}
		_, err = o.e.store.Commit(o.e.ctx, ota.Commit{
			Plan: o.plan, Owner: true, Control: p.ControlNumber, Progress: p.ProgressNumber, NewProgress: &progress,
			Agents: []ota.AgentRow{{Ordinal: o.landed % 6, State: ota.AgentState{Task: ota.TaskState{Number: uint32(o.landed)}}}},
			Log:    []byte("owner"),
		})
		switch {
		case err == nil:
			o.landed++
			p.ProgressNumber++
			p.Revision++
		case errors.Is(err, ota.ErrConflict):
			o.refused++
			p, err = o.e.store.Plan(o.e.ctx, o.plan)
		}
	}
	return err
}
