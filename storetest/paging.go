package storetest

import (
	"sync/atomic"

	"github.com/seed-19b57ce3/ota"
)

const (
	ruleAgents = "pages of agents, one after the other, are all agents in order, each once"
	ruleFilter = "Agents returns the agents that the query selects, and no others"
	ruleMore   = "More says whether there are further items"
	ruleTotal  = "Total counts all that match, and only when it is asked for"
)

var pagingCases = cases{
	{"AgentsComeInOrderEachOnce", func(e *env) {
		p := e.sample("p", 103, 10)
		e.create(p)
		for _, size := range []int{1, 10, 102, 103, 104} {
			e.same(ruleAgents, e.allAgents("p", size, nil), p.agents)
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
			got := e.allAgents("p", 17, nil)
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
		var got []ota.BatchRow
		for more := true; more; {
			page, err := e.store.Batches(e.ctx, "p", ota.RowQuery{From: len(got), Limit: 5, Total: true})
			e.ok("Batches returns the batches of a plan that is there", err)
			e.same(ruleTotal, page.Total, 23-len(got))
			got = append(got, page.Items...)
			more = page.More
			e.that(rule, len(page.Items) == 5 || !more, "got %d of 5, and More", len(page.Items))
		}
		e.same(rule, got, p.created.Batches)
		page, err := e.store.Batches(e.ctx, "p", ota.RowQuery{From: 4, To: 7})
		e.ok("Batches returns the batches of a plan that is there", err)
		e.same("From and To are the first index and the one after the last", page, ota.Page[ota.BatchRow]{Items: p.created.Batches[4:7]})
	}},
	{"ARangeIsFromUpToButNotTo", func(e *env) {
		p := e.sample("p", 40, 10)
		e.create(p)
		const rule = "From and To are the first ordinal and the one after the last"
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
		page, err := e.store.Agents(e.ctx, "p", ota.RowQuery{})
		e.ok("Agents returns the agents of a plan that is there", err)
		e.same("a limit of 0 means DefaultPage", len(page.Items), ota.DefaultPage)
		e.same(ruleMore, page.More, true)
		e.same(ruleTotal, page.Total, 0)
	}},
	{"AgentsByStatus", func(e *env) {
		p := e.sample("p", 60, 10)
		e.create(p)
		e.mark(p, 60)
		var want []ota.AgentRow
		for _, row := range p.agents {
			if s := row.State.Status; s == ota.TaskRunning || s == ota.TaskFailed {
				want = append(want, row)
			}
		}
		q := []ota.TaskStatus{ota.TaskFailed, ota.TaskRunning}
		e.same(ruleFilter, e.agents("p", ota.RowQuery{Status: q}), want)
		e.same(ruleAgents, e.allAgents("p", 4, q), want)
		page, err := e.store.Agents(e.ctx, "p", ota.RowQuery{Status: q, Limit: 3, Total: true})
		e.ok("Agents returns the agents of a plan that is there", err)
		e.same(ruleTotal, page.Total, len(want))
		e.same(ruleMore, page.More, true)
		e.same(ruleFilter, len(e.agents("p", ota.RowQuery{Status: []ota.TaskStatus{ota.TaskUnknown}})), 0)
		e.same(ruleFilter, len(e.agents("p", ota.RowQuery{Status: []ota.TaskStatus{ota.TaskPending}})), 12)
	}},
	{"AgentsByID", func(e *env) {
		p := e.sample("p", 60, 10)
		e.create(p)
		e.mark(p, 60)
		id := func(i int) string { return p.agents[i].Agent.ID }
		ids := []string{id(41), id(2), "nobody", id(17), id(2)}
		want := []ota.AgentRow{p.agents[2], p.agents[17], p.agents[41]}
		e.same(ruleFilter, e.agents("p", ota.RowQuery{IDs: ids}), want)
		e.same(ruleFilter, e.agents("p", ota.RowQuery{IDs: ids, From: 3, To: 41}), want[1:2])
		page, err := e.store.Agents(e.ctx, "p", ota.RowQuery{IDs: ids, Limit: 2, Total: true})
		e.ok("Agents returns the agents of a plan that is there", err)
		e.same("IDs and a limit go together", page, ota.Page[ota.AgentRow]{Items: want[:2], More: true, Total: 3})
		status := []ota.TaskStatus{p.agents[17].State.Status}
		e.same(ruleFilter, e.agents("p", ota.RowQuery{IDs: []string{id(17), id(18)}, Status: status}), want[1:2])
		e.same(ruleFilter, len(e.agents("p", ota.RowQuery{IDs: []string{"nobody"}})), 0)
	}},
	{"AThousandIDsAtOnce", func(e *env) {
		p := e.sample("p", 1500, 100)
		e.create(p)
		var ids []string
		for _, row := range p.agents[200:1200] {
			ids = append(ids, row.Agent.ID)
		}
		e.same(ruleFilter, e.agents("p", ota.RowQuery{IDs: ids}), p.agents[200:1200])
	}},
}

// mark gives the first n agents of p every status in turn, but TaskSkipped and above, by commits.
func (e *env) mark(p *sample, n int) {
	c := e.owner(p.plan.ID)
	for i := range n {
		p.agents[i].State.Status = ota.TaskStatus(i % 5)
		c.Agents = append(c.Agents, ota.AgentRow{Ordinal: i, State: p.agents[i].State})
	}
	e.commit(c)
}

// allAgents reads every page of a plan's agents.
func (e *env) allAgents(id string, size int, status []ota.TaskStatus) []ota.AgentRow {
	var all []ota.AgentRow
	for from := 0; ; {
		page, err := e.store.Agents(e.ctx, id, ota.RowQuery{From: from, Limit: size, Status: status})
		e.ok("Agents returns the agents of a plan that is there", err)
		e.that("a page has at most Limit items", len(page.Items) <= size, "got %d, want at most %d", len(page.Items), size)
		all = append(all, page.Items...)
		if !page.More {
			return all
		}
		e.that(ruleMore, len(page.Items) > 0, "got More after an empty page")
		next := page.Items[len(page.Items)-1].Ordinal + 1
		e.that(ruleAgents, next > from, "got a page that ends at ordinal %d and began at %d", next-1, from)
		from = next
	}
}
