package storetest

import (
	"errors"

	"github.com/seed-19b57ce3/ota"
)

const (
	ruleFenced = "an owner's commit whose Epoch is not the stored one is ErrFenced"
	ruleRaise  = "an owner's commit with Raise makes the stored epoch one higher"
)

var ownershipCases = cases{
	{"RaiseTakesThePlan", func(e *env) {
		e.made("p")
		for want := uint64(1); want < 4; want++ {
			c := e.owner("p")
			c.Raise = true
			e.commit(c)
			e.same(ruleRaise, e.plan("p").Epoch, want)
		}
		e.commit(e.owner("p"))
		e.commit(e.verb("p"))
		e.same("only Raise changes the epoch", e.plan("p").Epoch, 3)
	}},
	{"AStaleEpochIsErrFenced", func(e *env) {
		e.made("p")
		old := e.changing(1)
		take := e.owner("p")
		take.Raise = true
		e.commit(take)
		e.refused(ruleFenced, old, ota.ErrFenced)
		old.Control, old.Progress = 99, 99
		e.refused("the epoch is compared before the numbers", old, ota.ErrFenced)
		old = e.owner("p")
		old.Epoch = 99
		e.refused(ruleFenced, old, ota.ErrFenced)
	}},
	{"AVerbIsNotFenced", func(e *env) {
		e.made("p")
		verb := e.verb("p")
		take := e.owner("p")
		take.Raise = true
		e.commit(take)
		_, err := e.store.Commit(e.ctx, verb)
		e.ok("a verb's commit does not look at the epoch", err)
	}},
	{"OfTwoTakeoversOneWins", func(e *env) {
		e.made("p")
		first, second := e.owner("p"), e.owner("p")
		first.Raise, second.Raise = true, true
		e.commit(first)
		e.refused(ruleFenced, second, ota.ErrFenced)
	}},
	{"ALostAckIsFoundByReading", func(e *env) {
		e.made("p")
		lost := e.changing(1)
		e.commit(lost) // and its answer never arrives
		verb := e.verb("p")
		verb.NewControl = &ota.Control{Schema: ota.Schema, Promoted: 2}
		e.commit(verb)
		e.refused("a commit that landed cannot land again after a verb", lost, ota.ErrConflict)
		next := e.changing(2)
		e.commit(next)
		got := e.everything("p")
		e.same("an owner that reads the plan again goes on from there", got.Agents[4].State, next.Agents[1].State)
		e.same("every commit that landed is in the log once", len(got.Log), 4)
	}},
	{"ADelayedCommitIsRefused", func(e *env) {
		e.made("p")
		delayed := e.changing(1)
		delayed.NewControl = nil
		later := e.changing(2)
		later.NewControl = nil
		e.commit(later)
		e.refused("a commit that arrives after a later one of the same owner is ErrConflict", delayed, ota.ErrConflict)
	}},
	{"AFencedOwnerCannotComeBack", func(e *env) {
		e.made("p")
		old := e.owner("p")
		for range 3 {
			take := e.owner("p")
			take.Raise = true
			e.commit(take)
			_, err := e.store.Commit(e.ctx, old)
			e.that(ruleFenced, errors.Is(err, ota.ErrFenced), "got %v", err)
		}
	}},
}
