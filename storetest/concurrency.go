package storetest

import (
	"encoding/binary"
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
		c.Then.Progress = 2
		e.race(c)
	}},
	{"Of32VerbsExactlyOneWins", func(e *env) {
		e.made("p")
		c := e.verb("p")
		c.Then.Control = 2
		e.race(c)
	}},
	{"Of32TakeoversExactlyOneWins", func(e *env) {
		e.made("p")
		c := e.owner("p")
		c.Then.Epoch = 2
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
			c := ota.Commit{
				Plan: "p", If: ota.Numbers{Control: p.Numbers.Control}, Then: ota.Numbers{Control: p.Numbers.Control + 1},
				Parts: ota.Parts{Control: []byte{byte(i)}}, Log: ota.LogRow{Data: []byte("verb")},
			}
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
			c.Rows = append(c.Rows, ota.Row{Kind: ota.KindAgent, Number: i, Status: 5, State: []byte("skipped")})
			big.agents[i].Status, big.agents[i].State = 5, []byte("skipped")
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
			e.that(rule, p.Numbers.Progress == p.Revision && (p.Revision == 1 || binary.BigEndian.Uint64(p.Parts.Progress) == p.Revision-1),
				"got revision %d with progress number %d, written as %x", p.Revision, p.Numbers.Progress, p.Parts.Progress)
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
		c.Log.Data = fmt.Appendf(nil, "record of %d", i)
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
		_, err = o.e.store.Commit(o.e.ctx, ota.Commit{
			Plan: o.plan, If: p.Numbers, Then: ota.Numbers{Progress: p.Numbers.Progress + 1},
			Parts: ota.Parts{Progress: binary.BigEndian.AppendUint64(nil, p.Revision)},
			Rows:  []ota.Row{{Kind: ota.KindAgent, Number: o.landed % 6, State: []byte{byte(o.landed)}}},
			Log:   ota.LogRow{Data: []byte("owner")},
		})
		switch {
		case err == nil:
			o.landed++
			p.Numbers.Progress++
			p.Revision++
		case errors.Is(err, ota.ErrConflict):
			o.refused++
			p, err = o.e.store.Plan(o.e.ctx, o.plan)
		}
	}
	return err
}
