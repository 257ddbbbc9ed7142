package storetest

import (
	"fmt"
	"math"

	"github.com/seed-19b57ce3/ota"
)

const (
	ruleControl = "a commit whose If.Control is not the stored number is ErrConflict"
	ruleNumbers = "numbers of If that are not 0 are compared, and those of Then that are not 0 replace the stored ones"
	ruleHead    = "Head is what the last commit with one wrote"
	ruleRows    = "a commit with a row that the plan does not have is ErrRefused"
)

var commitCases = cases{
	{"EachCommitIsOneRevisionHigher", func(e *env) {
		const rule = "Commit returns the plan's new revision, which is one higher each time"
		e.made("p")
		e.made("q")
		for want := uint64(2); want < 8; want++ {
			c := e.owner("p")
			if want%2 == 0 {
				c = e.verb("p")
			}
			e.same(rule, e.commit(c), want)
			e.same(rule, e.plan("p").Revision, want)
		}
		e.same("a commit changes no other plan", e.plan("q").Revision, 1)
	}},
	{"PartsThatAreZeroAreLeft", func(e *env) {
		const rule = "parts of a commit that are zero are left as they are"
		e.made("p")
		want := e.everything("p")
		c := e.verb("p")
		e.commit(c)
		want.apply(c)
		e.same(rule, e.everything("p"), want)
		for _, change := range eachPart {
			c = ota.Commit{Plan: "p", Log: ota.LogRow{Data: []byte("x")}}
			change(&c)
			e.commit(c)
			want.apply(c)
			e.same(rule, e.everything("p"), want)
		}
	}},
	{"PartsThatAreGivenReplace", func(e *env) {
		const rule = "a commit applies everything that it carries"
		e.made("p")
		want := e.everything("p")
		for n := range 3 {
			c := e.changing(n)
			e.commit(c)
			want.apply(c)
			e.same(rule, e.everything("p"), want)
		}
	}},
	// Every combination of numbers that are right, wrong or not compared, and of those replaced.
	{"NumbersAreComparedAndReplaced", func(e *env) {
		e.made("p")
		stored := ota.Numbers{Epoch: 1, Control: 1, Progress: 1}
		for i := range 27 * 8 {
			c := ota.Commit{Plan: "p", Log: ota.LogRow{Data: []byte("x")}}
			var wrong [3]bool
			for n, number := range []struct{ want, then, is *uint64 }{
				{&c.If.Epoch, &c.Then.Epoch, &stored.Epoch},
				{&c.If.Control, &c.Then.Control, &stored.Control},
				{&c.If.Progress, &c.Then.Progress, &stored.Progress},
			} {
				switch i / []int{1, 3, 9}[n] % 3 {
				case 1:
					*number.want = *number.is
				case 2:
					*number.want, wrong[n] = *number.is+1, true
				}
				if i/27>>n%2 == 1 {
					*number.then = *number.is + 1
				}
			}
			switch {
			case wrong[0]:
				e.refused("the epoch is compared before the other numbers", c, ota.ErrFenced)
			case wrong[1], wrong[2]:
				e.refused(ruleNumbers, c, ota.ErrConflict)
			default:
				e.commit(c)
				stored = stored.With(c.Then)
			}
			e.same(ruleNumbers, e.plan("p").Numbers, stored)
		}
	}},
	{"AStaleControlNumberIsErrConflict", func(e *env) {
		e.made("p")
		verb, owner := e.verb("p"), e.changing(2)
		pause := e.verb("p")
		pause.Then.Control = pause.If.Control + 1
		e.commit(pause)
		e.refused(ruleControl, verb, ota.ErrConflict)
		e.refused(ruleControl, owner, ota.ErrConflict)
		owner.If.Control = 99
		e.refused(ruleControl, owner, ota.ErrConflict)
	}},
	{"AHeadIsKeptAsAWhole", func(e *env) {
		e.made("p")
		c := e.verb("p")
		c.Head = &ota.Head{
			Status: ota.StatusCompleted, Hold: ota.ReasonBlocked, Since: e.now(1), Person: true, Ended: e.now(2), Owner: "engine",
			Coverage: ota.CoverageAll, Show: []byte(`{"breach": "\"ü\" 1 of 2"}`),
		}
		e.commit(c)
		e.same(ruleHead, e.plan("p").Head, c.Head)
		e.commit(e.verb("p"))
		e.same("a commit without a Head leaves it", e.plan("p").Head, c.Head)
		c = e.verb("p")
		c.Head = &ota.Head{Status: ota.StatusPaused}
		e.commit(c)
		e.same(ruleHead, e.plan("p").Head, c.Head)
	}},
	{"ARowThatIsNotThereIsRefused", func(e *env) {
		e.made("p")
		for kind, numbers := range map[ota.Kind][]int{
			ota.KindAgent: {-1, 6, 31, 32, math.MaxInt32}, ota.KindBatch: {-1, 3, math.MaxInt32}, 9: {0},
		} {
			for _, n := range numbers {
				c := e.changing(1)
				c.Rows = append(c.Rows, ota.Row{Kind: kind, Number: n, State: []byte("x")})
				e.refused(ruleRows, c, ota.ErrRefused)
			}
		}
	}},
	{"AnEmptyLogIsRefused", func(e *env) {
		e.made("p")
		c := e.changing(1)
		c.Log.Data = nil
		e.refused("a commit without a log record is ErrRefused", c, ota.ErrRefused)
	}},
	{"TheIdenticalCommitTwiceConflicts", func(e *env) {
		e.made("p")
		c := e.changing(1)
		e.commit(c)
		e.refused("the identical commit, sent twice, lands once: the second is ErrConflict", c, ota.ErrConflict)
	}},
	{"WhatIsFixedIsNotLookedAt", func(e *env) {
		p := e.made("p")
		c := e.owner("p")
		row := busy(4, 1)
		row.ID, row.Batch, row.Labels, row.Fixed = "other", 99, map[string]string{"zone": "other"}, []byte("other")
		c.Rows = []ota.Row{row}
		e.commit(c)
		to := &p.agents[4]
		to.Status, to.Reason, to.State = row.Status, row.Reason, row.State
		e.same("a commit changes Status, Reason, State and Show of a row and nothing else of it", e.agents("p", ota.RowQuery{}), p.agents)
	}},
	{"StatesOfAnyLengthComeAndGo", func(e *env) {
		p := e.made("p")
		for i, n := range []int{1, 30, 31, 32, 33, 0, 255, 256, 5000, 6, 0, 70_000, 31} {
			c := e.owner("p")
			row := ota.Row{Kind: ota.KindAgent, Number: 5, Status: uint8(i), Reason: ota.Reason(255 - i), State: some(n, byte(i))}
			c.Rows = []ota.Row{row}
			e.commit(c)
			to := &p.agents[5]
			if to.Status, to.Reason, to.State = row.Status, row.Reason, row.State; n == 0 {
				to.State = nil
			}
			e.same("a commit replaces the whole State of a row", e.agents("p", ota.RowQuery{}), p.agents)
		}
	}},
	{"RowsGetTheirOwn", func(e *env) {
		const rule = "each row of a commit gets its own values, whatever their order, and however far apart"
		p := e.sample("p", 2_000, 10)
		e.create(p)
		c := e.owner("p")
		batches := e.batches("p")
		for i := range 300 {
			n := i * 1_009 % 2_000 // each once, in no order
			row := ota.Row{Kind: ota.KindAgent, Number: n, Status: uint8(i % 8), Reason: ota.Reason(i), State: fmt.Appendf(nil, "state %d", i)}
			c.Rows = append(c.Rows, row)
			to := &p.agents[n]
			to.Status, to.Reason, to.State = row.Status, row.Reason, row.State
			if i < 12 {
				b := ota.Row{Kind: ota.KindBatch, Number: i * 7 % 50, Status: 2, State: fmt.Appendf(nil, "batch %d", i), Show: fmt.Appendf(nil, `{"i":%d}`, i)}
				c.Rows = append(c.Rows, b)
				batches[b.Number] = b
			}
		}
		e.commit(c)
		e.same(rule, e.agents("p", ota.RowQuery{Limit: 3_000}), p.agents)
		e.same(rule, e.batches("p"), batches)
	}},
}

// eachPart changes one part of a commit each.
var eachPart = []func(c *ota.Commit){
	func(c *ota.Commit) { c.Names = &ota.Names{Name: "other"} },
	func(c *ota.Commit) { c.Head = &ota.Head{Status: ota.StatusRunning} },
	func(c *ota.Commit) { c.Parts.Spec = []byte{0} },
	func(c *ota.Commit) { c.Parts.Control = []byte{0xff, 0} },
	func(c *ota.Commit) { c.Parts.Progress = some(300, 9) },
	func(c *ota.Commit) { c.Rows = []ota.Row{{Kind: ota.KindBatch, Number: 1, Status: 1}} },
	func(c *ota.Commit) { c.Rows = []ota.Row{busy(3, 1)} },
}
