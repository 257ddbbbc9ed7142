package storetest

import (
	"bytes"
	"fmt"
	"math"

	"github.com/seed-19b57ce3/ota"
)

const (
	ruleLog     = "the log has one record for each revision, in order and without gap"
	ruleNewest  = "with Before, records come newest first"
	ruleNotable = "with Notable, only notable records come"
)

var logCases = cases{
	{"EveryCommitHasItsRecord", func(e *env) {
		want := e.records(29)
		e.logged(want, ota.LogQuery{Limit: 100})
		e.logged(want[7:12], ota.LogQuery{After: 7, Limit: 5})
		e.logged(want[28:], ota.LogQuery{After: 28, Limit: 5})
	}},
	{"PagesOfTheLogFitTogether", func(e *env) {
		e.records(26)
		after := uint64(0)
		for more := true; more; {
			page, err := e.store.Log(e.ctx, "p", ota.LogQuery{After: after, Limit: 4})
			e.ok("Log returns the records of a plan that is there", err)
			e.that("Log returns at most Limit records", len(page.Items) <= 4, "got %d", len(page.Items))
			more = page.More
			e.same(ruleMore, more, after+4 < 26)
			for _, r := range page.Items {
				after++
				e.same(ruleLog, r.Revision, after)
			}
		}
		e.same(ruleLog, after, 26)
	}},
	{"NewestFirst", func(e *env) {
		want := e.records(20)
		for _, test := range []struct {
			q    ota.LogQuery
			want []uint64
			more bool
		}{
			{ota.LogQuery{Before: 4}, []uint64{3, 2, 1}, false},
			{ota.LogQuery{Before: math.MaxInt64, Limit: 2}, []uint64{20, 19}, true},
			{ota.LogQuery{Before: 8, After: 5}, []uint64{7, 6}, false},
			{ota.LogQuery{Before: 8, After: 4, Limit: 2}, []uint64{7, 6}, true},
			{ota.LogQuery{Before: 1}, nil, false},
		} {
			page, err := e.store.Log(e.ctx, "p", test.q)
			e.ok("Log returns the records of a plan that is there", err)
			var expect []ota.LogRow
			for _, n := range test.want {
				expect = append(expect, want[n-1])
			}
			e.same(ruleNewest, append([]ota.LogRow(nil), page.Items...), expect)
			e.same(ruleMore, page.More, test.more)
		}
	}},
	{"OnlyNotableOnes", func(e *env) {
		var want []ota.LogRow
		for _, r := range e.records(20) {
			if r.Notable {
				want = append(want, r)
			}
		}
		e.same(ruleNotable, e.log("p", ota.LogQuery{Notable: true}), want)
		e.same(ruleNotable, e.log("p", ota.LogQuery{Notable: true, After: want[0].Revision, Limit: 2}), want[1:3])
		e.same(ruleNotable, e.log("p", ota.LogQuery{Notable: true, Before: want[3].Revision, Limit: 1}), want[2:3])
	}},
	{"OverAllPlans", func(e *env) {
		const rule = "without a plan, the notable records of all plans come, newest first"
		for _, id := range []string{"b", "a", "c"} {
			e.made(id)
			for i := range 6 {
				c := e.verb(id)
				c.Log.At, c.Log.Notable, c.Log.Data = e.now(i/2), i%3 != 0, fmt.Appendf(nil, "%s %d", id, i)
				e.commit(c)
			}
		}
		var got, ordered []string
		for q := (ota.LogQuery{Limit: 4}); ; {
			page, err := e.store.Log(e.ctx, "", q)
			e.ok(rule, err)
			for _, r := range page.Items {
				got = append(got, fmt.Sprint(r.Plan, r.Revision))
			}
			e.that(rule, len(got) < 40, "the pages come to no end")
			if !page.More {
				break
			}
			q.Cursor = page.Next
		}
		// e.now(2): revisions 6 and 7, of which 5th commit (i=4) and i=5 are notable; and so on.
		for _, at := range [][]int{{7, 6}, {4}, {3, 1}} {
			for _, id := range []string{"a", "b", "c"} {
				for _, revision := range at {
					ordered = append(ordered, fmt.Sprint(id, revision))
				}
			}
		}
		e.same(rule, got, ordered)
	}},
	{"NoneYetIsAnEmptyPage", func(e *env) {
		e.made("p")
		for _, after := range []uint64{1, 2, 1000, math.MaxInt64} {
			e.same("after the last record there is none, and no error", len(e.log("p", ota.LogQuery{After: after, Limit: 10})), 0)
		}
	}},
	{"NoLimitMeansDefaultPage", func(e *env) {
		e.made("p")
		e.commit(e.verb("p"))
		e.same("a limit of 0 means DefaultPage", len(e.log("p", ota.LogQuery{})), 2)
	}},
	{"ARefusedCommitHasNoRecord", func(e *env) {
		e.made("p")
		c := e.verb("p")
		c.If.Control = 99
		e.refused(ruleControl, c, ota.ErrConflict)
		e.commit(e.verb("p"))
		rows := e.log("p", ota.LogQuery{Limit: 10})
		e.same(ruleLog, len(rows), 2)
		e.same(ruleLog, rows[1].Revision, 2)
	}},
}

// records makes plan p with n records, each third one notable.
func (e *env) records(n uint64) []ota.LogRow {
	first := e.made("p").first.Log
	first.Plan, first.Revision = "p", 1
	want := []ota.LogRow{first}
	for i := uint64(2); i <= n; i++ {
		c := e.owner("p")
		c.Log = ota.LogRow{At: e.now(int(i)), Notable: i%3 == 0, Data: bytes.Repeat([]byte{0, 0xff, '\'', byte(i)}, int(i*i*i))}
		e.commit(c)
		record := c.Log
		record.Plan, record.Revision = "p", i
		want = append(want, record)
	}
	return want
}

func (e *env) logged(want []ota.LogRow, q ota.LogQuery) {
	got := e.log("p", q)
	e.that(ruleLog, len(got) == len(want), "got %d records after %d, want %d", len(got), q.After, len(want))
	for i, r := range got {
		e.that(ruleLog, r.Revision == want[i].Revision, "got revision %d, want %d", r.Revision, want[i].Revision)
		e.that("a log record comes back byte for byte", bytes.Equal(r.Data, want[i].Data), "got %d bytes, want %d at revision %d",
			len(r.Data), len(want[i].Data), r.Revision)
		w := want[i]
		r.Data, w.Data = nil, nil
		e.same("a log record keeps its plan, its time, and whether it is notable", r, w)
	}
}
