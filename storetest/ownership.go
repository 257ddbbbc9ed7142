package storetest

import (
	"errors"

	"github.com/seed-19b57ce3/ota"
)

const (
	ruleFenced = "a commit whose If.Epoch is not the stored epoch is ErrFenced"
	ruleRaise  = "Then.Epoch replaces the stored epoch"
)

var ownershipCases = cases{
	{"RaiseTakesThePlan", func(e *env) {
		e.made("p")
		for want := uint64(2); want < 5; want++ {
			c := e.owner("p")
			c.Then.Epoch = c.If.Epoch + 1
			e.commit(c)
			e.same(ruleRaise, e.plan("p").Numbers.Epoch, want)
		}
		e.commit(e.owner("p"))
		e.commit(e.verb("p"))
		e.same("only Then.Epoch changes the epoch", e.plan("p").Numbers.Epoch, 4)
	}},
	{"AStaleEpochIsErrFenced", func(e *env) {
		e.made("p")
		old := e.changing(1)
		take := e.owner("p")
		take.Then.Epoch = take.If.Epoch + 1
		e.commit(take)
		e.refused(ruleFenced, old, ota.ErrFenced)
		old.If.Control, old.If.Progress = 99, 99
		e.refused("the epoch is compared before the numbers", old, ota.ErrFenced)
		old = e.owner("p")
		old.If.Epoch = 99
		e.refused(ruleFenced, old, ota.ErrFenced)
	}},
	{"AVerbIsNotFenced", func(e *env) {
		e.made("p")
		verb := e.verb("p")
		take := e.owner("p")
		take.Then.Epoch = take.If.Epoch + 1
		e.commit(take)
		_, err := e.store.Commit(e.ctx, verb)
		e.ok("a number that a commit has as 0 is not compared", err)
	}},
	{"OfTwoTakeoversOneWins", func(e *env) {
		e.made("p")
		first, second := e.owner("p"), e.owner("p")
		first.Then.Epoch, second.Then.Epoch = 2, 2
		e.commit(first)
		e.refused(ruleFenced, second, ota.ErrFenced)
	}},
	{"ALostAckIsFoundByReading", func(e *env) {
		e.made("p")
		lost := e.changing(1)
		e.commit(lost) // and its answer never arrives
		verb := e.verb("p")
		verb.Then.Control, verb.Parts.Control = verb.If.Control+1, []byte("wanted")
		e.commit(verb)
		e.refused("a commit that landed cannot land again after a verb", lost, ota.ErrConflict)
		next := e.changing(2)
		e.commit(next)
		got := e.everything("p")
		e.same("an owner that reads the plan again goes on from there", got.Agents[4].State, next.Rows[2].State)
		e.same("every commit that landed is in the log once", len(got.Log), 4)
	}},
	{"ADelayedCommitIsRefused", func(e *env) {
		e.made("p")
		delayed := e.changing(1)
		delayed.Then.Control = 0
		later := e.changing(2)
		later.Then.Control = 0
		e.commit(later)
		e.refused("a commit that arrives after a later one of the same owner is ErrConflict", delayed, ota.ErrConflict)
	}},
	{"AFencedOwnerCannotComeBack", func(e *env) {
		e.made("p")
		old := e.owner("p")
		for range 3 {
			take := e.owner("p")
			take.Then.Epoch = take.If.Epoch + 1
			e.commit(take)
			_, err := e.store.Commit(e.ctx, old)
			e.that(ruleFenced, errors.Is(err, ota.ErrFenced), "got %v", err)
		}
	}},
}
