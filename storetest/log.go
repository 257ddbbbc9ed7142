package storetest

import (
	"bytes"
	"fmt"
	"math"

	"github.com/seed-19b57ce3/ota"
)

const ruleLog = "the log has one record for each revision, in order and without gap"

var logCases = cases{
	{"EveryCommitHasItsRecord", func(e *env) {
		e.made("p")
		want := []ota.LogRow{{Revision: 1, Data: []byte("record 1 of p")}}
		for i := uint64(2); i < 30; i++ {
			c := e.owner("p")
			c.Log = bytes.Repeat([]byte{0, 0xff, '\'', byte(i)}, int(i*i*i))
			if i%3 == 0 {
				c.Request = fmt.Sprintf("request %d", i)
			}
			e.commit(c)
			want = append(want, ota.LogRow{Revision: i, Request: c.Request, Data: c.Log})
		}
		e.logged(want, 0, 100)
		e.logged(want[7:12], 7, 5)
		e.logged(want[28:], 28, 5)
	}},
	{"PagesOfTheLogFitTogether", func(e *env) {
		e.made("p")
		for range 25 {
			e.commit(e.verb("p"))
		}
		after := uint64(0)
		for {
			rows, err := e.store.Log(e.ctx, "p", after, 4)
			e.ok("Log returns the records of a plan that is there", err)
			e.that("Log returns at most limit records", len(rows) <= 4, "got %d", len(rows))
			if len(rows) == 0 {
				break
			}
			for _, r := range rows {
				after++
				e.same(ruleLog, r.Revision, after)
			}
		}
		e.same(ruleLog, after, 26)
	}},
	{"NoneYetIsAnEmptySlice", func(e *env) {
		e.made("p")
		for _, after := range []uint64{1, 2, 1000, math.MaxInt64} {
			rows, err := e.store.Log(e.ctx, "p", after, 10)
			e.ok("after the last record there is none, and no error", err)
			e.same("after the last record there is none, and no error", len(rows), 0)
		}
	}},
	{"NoLimitMeansDefaultPage", func(e *env) {
		e.made("p")
		e.commit(e.verb("p"))
		rows, err := e.store.Log(e.ctx, "p", 0, 0)
		e.ok("a limit of 0 means DefaultPage", err)
		e.same("a limit of 0 means DefaultPage", len(rows), 2)
	}},
	{"ARefusedCommitHasNoRecord", func(e *env) {
		e.made("p")
		c := e.verb("p")
		c.Control = 99
		e.refused(ruleControl, c, ota.ErrConflict)
		e.commit(e.verb("p"))
		rows, err := e.store.Log(e.ctx, "p", 0, 10)
		e.ok("Log returns the records of a plan that is there", err)
		e.same(ruleLog, len(rows), 2)
		e.same(ruleLog, rows[1].Revision, 2)
	}},
}

func (e *env) logged(want []ota.LogRow, after uint64, limit int) {
	got, err := e.store.Log(e.ctx, "p", after, limit)
	e.ok("Log returns the records of a plan that is there", err)
	e.that(ruleLog, len(got) == len(want), "got %d records after %d, want %d", len(got), after, len(want))
	for i, r := range got {
		e.that(ruleLog, r.Revision == want[i].Revision, "got revision %d, want %d", r.Revision, want[i].Revision)
		e.that("a log record comes back byte for byte", bytes.Equal(r.Data, want[i].Data), "got %d bytes, want %d at revision %d",
			len(r.Data), len(want[i].Data), r.Revision)
		e.that("a log record keeps its request", r.Request == want[i].Request, "got %q, want %q", r.Request, want[i].Request)
	}
}
