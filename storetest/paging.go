package storetest

import (
	"sync/atomic"

	"github.com/seed-19b57ce3/ota"
)

const (
	ruleAgents = "pages of agents, one after the other, are all agents in order, each once"
	ruleFilter = "Rows returns the rows that the query selects, and no others"
	ruleMore   = "More says whether there are further items"
	ruleTotal  = "Total counts all that match, and only when it is asked for"
	ruleCursor = "Next continues a query where its page ends"
)

var pagingCases = cases{
	{"AgentsComeInOrderEachOnce", func(e *env) {
		p := e.sample("p", 103, 10)
		e.create(p)
		for _, size := range []int{1, 10, 102, 103, 104} {
			e.same(ruleAgents, e.allAgents("p", ota.RowQuery{Limit: size}), p.agents)
			e.same(ruleCursor, e.byCursor("p", ota.RowQuery{Limit: size}), p.agents)
		}
	}},
	{"PagesAreCompleteWhileRowsChange", func(e *env) {
		p := e.sample("p", 500, 50)
		e.create(p)
		var stop atomic.Bool
		owner := &hotOwner{e: e, plan: "p"}
		done := make(chan error, 1)
		go func() { done <- owner.run(&stop) }()
		defer stop.Store(true)
		for range 3 {
			got := e.allAgents("p", ota.RowQuery{Limit: 17})
			for i := range min(len(got), 6) {
				got[i].State = p.agents[i].State // what the owner changes
			}
			e.same(ruleAgents, got, p.agents)
		}
		stop.Store(true)
		e.ok("an owner goes on while its plan is read", <-done)
	}},
	{"BatchesComeInOrderEachOnce", func(e *env) {
		const rule = "pages of batches, one after the other, are all batches in order, each once"
		p := e.sample("p", 23, 1)
		e.create(p)
		var got []ota.Row
		for more := true; more; {
			page := e.page("p", ota.RowQuery{Kind: ota.KindBatch, From: len(got), Limit: 5, Total: true})
			e.same(ruleTotal, page.Total, 23-len(got))
			got = append(got, page.Items...)
			more = page.More
			e.that(rule, len(page.Items) == 5 || !more, "got %d of 5, and More", len(page.Items))
		}
		e.same(rule, got, p.first.Rows)
		e.same("From and To are the first number and the one after the last",
			e.page("p", ota.RowQuery{Kind: ota.KindBatch, From: 4, To: 7}).Items, p.first.Rows[4:7])
	}},
	{"ARangeIsFromUpToButNotTo", func(e *env) {
		p := e.sample("p", 40, 10)
		e.create(p)
		const rule = "From and To are the first number and the one after the last"
		e.same(rule, e.agents("p", ota.RowQuery{From: 10, To: 20}), p.agents[10:20])
		e.same(rule, e.agents("p", ota.RowQuery{From: 35}), p.agents[35:])
		e.same(rule, e.agents("p", ota.RowQuery{From: 35, To: 1000}), p.agents[35:])
		e.same(rule, len(e.agents("p", ota.RowQuery{From: 40})), 0)
		e.same(rule, len(e.agents("p", ota.RowQuery{From: 400, To: 500})), 0)
		e.same(rule, len(e.agents("p", ota.RowQuery{From: 20, To: 10})), 0)
	}},
	{"NoLimitMeansDefaultPage", func(e *env) {
		p := e.sample("p", ota.DefaultPage+5, 100)
		e.create(p)
		page := e.page("p", ota.RowQuery{Kind: ota.KindAgent})
		e.same("a limit of 0 means DefaultPage", len(page.Items), ota.DefaultPage)
		e.same(ruleMore, page.More, true)
		e.same(ruleTotal, page.Total, 0)
	}},
	// Every kind of filter, alone and with the others, against looking at every row.
	{"AgentsByEachFilter", func(e *env) {
		p := e.sample("p", 100, 10)
		e.create(p)
		e.mark(p)
		id := func(i int) string { return p.agents[i].ID }
		filters := []func(q *ota.RowQuery){
			func(q *ota.RowQuery) { q.From, q.To = 7, 88 },
			func(q *ota.RowQuery) { q.IDs = []string{id(41), id(2), "nobody", id(17), id(2), id(10), id(70)} },
			func(q *ota.RowQuery) { q.Status = []uint8{4, 1} },
			func(q *ota.RowQuery) { q.Reason = []ota.Reason{200, 2} },
			func(q *ota.RowQuery) { q.Prefix = "p-0000" },
			func(q *ota.RowQuery) { q.Prefix = "p-0001" },
			func(q *ota.RowQuery) { q.Label = ota.Label{Name: "zone", Value: "z1"} },
			func(q *ota.RowQuery) { q.Label = ota.Label{Name: "zone"} },
			func(q *ota.RowQuery) { q.Label = ota.Label{Name: "unknown", Value: "z1"} },
		}
		for set := range 1 << len(filters) {
			q := ota.RowQuery{Kind: ota.KindAgent, Limit: 200}
			for i, f := range filters {
				if set>>i&1 == 1 {
					f(&q)
				}
			}
			var want []ota.Row
			for i := range p.agents {
				if q.Match(&p.agents[i]) {
					want = append(want, p.agents[i])
				}
			}
			e.same(ruleFilter, e.agents("p", q), want)
			q.Limit = 3
			e.same(ruleCursor, e.byCursor("p", q), want)
			q.Total = true
			total := e.page("p", q).Total
			e.that(ruleTotal, total == len(want) || total == -1, "got %d, want %d of %+v", total, len(want), q)
		}
	}},
	{"AgentsByID", func(e *env) {
		p := e.sample("p", 60, 10)
		e.create(p)
		e.mark(p)
		id := func(i int) string { return p.agents[i].ID }
		ids := []string{id(41), id(2), "nobody", id(17), id(2)}
		want := []ota.Row{p.agents[2], p.agents[17], p.agents[41]}
		page := e.page("p", ota.RowQuery{Kind: ota.KindAgent, IDs: ids, Limit: 2, Total: true})
		e.same("IDs and a limit go together", page.Items, want[:2])
		e.same(ruleMore, page.More, true)
		e.same(ruleTotal, page.Total, 3)
		e.same(ruleFilter, e.agents("p", ota.RowQuery{IDs: ids, From: 3, To: 41}), want[1:2])
		e.same(ruleFilter, len(e.agents("p", ota.RowQuery{IDs: []string{"nobody"}})), 0)
		e.same(ruleFilter, len(e.page("p", ota.RowQuery{Kind: ota.KindBatch, IDs: ids}).Items), 0)
	}},
	{"AThousandIDsAtOnce", func(e *env) {
		p := e.sample("p", 1500, 100)
		e.create(p)
		var ids []string
		for _, row := range p.agents[200:1200] {
			ids = append(ids, row.ID)
		}
		e.same(ruleFilter, e.agents("p", ota.RowQuery{IDs: ids}), p.agents[200:1200])
	}},
	{"ABadCursorIsRefused", func(e *env) {
		const rule = "a cursor that is not of the query is ErrRefused"
		e.made("p")
		for _, cursor := range []string{"x", "-1", "{}", "\x00"} {
			_, err := e.store.Plans(e.ctx, ota.PlanQuery{Cursor: cursor})
			e.is(rule, err, ota.ErrRefused)
			_, err = e.store.Rows(e.ctx, "p", ota.RowQuery{Kind: ota.KindAgent, Cursor: cursor})
			e.is(rule, err, ota.ErrRefused)
			_, err = e.store.Log(e.ctx, "", ota.LogQuery{Cursor: cursor})
			e.is(rule, err, ota.ErrRefused)
		}
	}},
}

// mark gives the agents of p statuses and reasons in turn, by a commit.
func (e *env) mark(p *sample) {
	c := e.owner(p.plan.ID)
	for i := range p.agents {
		r := &p.agents[i]
		r.Status, r.Reason = uint8(i%5), []ota.Reason{0, 2, 200}[i%3]
		if i%7 == 0 {
			r.State = some(i+1, byte(i))
		}
		c.Rows = append(c.Rows, *r)
	}
	e.commit(c)
}

// allAgents reads every page of a plan's agents.
func (e *env) allAgents(id string, q ota.RowQuery) []ota.Row {
	var all []ota.Row
	q.Kind = ota.KindAgent
	for {
		page := e.page(id, q)
		e.that("a page has at most Limit items", len(page.Items) <= q.Limit, "got %d, want at most %d", len(page.Items), q.Limit)
		all = append(all, page.Items...)
		if !page.More {
			return all
		}
		e.that(ruleMore, len(page.Items) > 0, "got More after an empty page")
		next := page.Items[len(page.Items)-1].Number + 1
		e.that(ruleAgents, next > q.From, "got a page that ends at number %d and began at %d", next-1, q.From)
		q.From = next
	}
}

// byCursor reads every page of a query of agents by Next.
func (e *env) byCursor(id string, q ota.RowQuery) []ota.Row {
	var all []ota.Row
	q.Kind = ota.KindAgent
	for range 1000 {
		page := e.page(id, q)
		all = append(all, page.Items...)
		e.same("Next is there when More is true, and only then", page.Next != "", page.More)
		if !page.More {
			return all
		}
		q.Cursor = page.Next
	}
	e.that(ruleCursor, false, "the pages come to no end")
	return nil
}
