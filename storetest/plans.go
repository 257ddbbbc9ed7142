package storetest

import (
	"fmt"
	"slices"

	"github.com/seed-19b57ce3/ota"
)

const rulePlans = "Plans returns the plans that the query selects, newest first"

var plansCases = cases{
	{"NewestFirst", func(e *env) {
		for i, at := range []int{5, 1, 9, 1, 5} {
			p := e.sample(fmt.Sprint("p", i), 2, 1)
			p.plan.Created = e.now(at)
			e.create(p)
		}
		all := e.listed(ota.PlanQuery{})
		e.that(rulePlans, len(all) == 5 && all[0] == "p2", "got %v", all)
		e.that(rulePlans, slices.Contains(all[1:3], "p0") && slices.Contains(all[1:3], "p4"), "got %v", all)
		e.that(rulePlans, slices.Contains(all[3:], "p1") && slices.Contains(all[3:], "p3"), "got %v", all)
		e.same("plans made at one time have one order", e.listed(ota.PlanQuery{}), all)
	}},
	{"TheWholePlanIsListed", func(e *env) {
		e.made("p")
		e.commit(e.changing(1))
		page, err := e.store.Plans(e.ctx, ota.PlanQuery{})
		e.ok("Plans answers", err)
		e.same("Plans returns what Plan returns", plain(page.Items[0]), e.plan("p"))
	}},
	{"PagesFitTogether", func(e *env) {
		for i := range 7 {
			p := e.sample(fmt.Sprint("p", i), 1, 1)
			p.plan.Created = e.now(i)
			e.create(p)
		}
		var got []string
		for more := true; more; {
			page, err := e.store.Plans(e.ctx, ota.PlanQuery{Offset: len(got), Limit: 3, Total: true})
			e.ok("Plans answers", err)
			e.same(ruleTotal, page.Total, 7)
			for _, p := range page.Items {
				got = append(got, p.ID)
			}
			e.that(ruleMore, page.More == (len(got) < 7), "got %v after %d of 7", page.More, len(got))
			more = page.More && len(page.Items) > 0
		}
		e.same(rulePlans, got, []string{"p6", "p5", "p4", "p3", "p2", "p1", "p0"})
		page, err := e.store.Plans(e.ctx, ota.PlanQuery{Offset: 9, Total: true})
		e.ok("Plans answers", err)
		e.that("an offset behind the last plan is an empty page", len(page.Items) == 0 && page.Total == 7 && !page.More,
			"got %d items, Total %d, More %v", len(page.Items), page.Total, page.More)
		page, err = e.store.Plans(e.ctx, ota.PlanQuery{Limit: 2})
		e.ok("Plans answers", err)
		e.same(ruleTotal, page.Total, 0)
	}},
	{"ByStatus", func(e *env) {
		for i, s := range []ota.Status{ota.StatusRunning, ota.StatusPaused, ota.StatusPending} {
			id := fmt.Sprint("p", i)
			e.made(id)
			c := e.verb(id)
			c.Head = &ota.Head{Status: s}
			e.commit(c)
		}
		sorted := func(s ...ota.Status) []string {
			ids := e.listed(ota.PlanQuery{Status: s})
			slices.Sort(ids)
			return ids
		}
		e.same(rulePlans, sorted(ota.StatusPaused), []string{"p1"})
		e.same(rulePlans, sorted(ota.StatusPaused, ota.StatusRunning), []string{"p0", "p1"})
		e.same(rulePlans, len(sorted(ota.StatusCompleted)), 0)
	}},
	{"ByLabels", func(e *env) {
		e.made("p")
		e.made("q")
		list := func(labels map[string]string) []string { return e.listed(ota.PlanQuery{Labels: labels}) }
		e.same(rulePlans, list(map[string]string{"app": "p"}), []string{"p"})
		e.same(rulePlans, list(map[string]string{"app": "p", "ring": "1"}), []string{"p"})
		e.same(rulePlans, len(list(map[string]string{"ring": "1"})), 2)
		for _, none := range []map[string]string{
			{"app": "p", "ring": "2"}, {"app": ""}, {"app": "P"}, {"App": "p"}, {"": "p"}, {"missing": ""}, {"app": "%"},
		} {
			e.same(rulePlans, len(list(none)), 0)
		}
	}},
	{"BySourceAndByKey", func(e *env) {
		p, q := e.sample("p", 1, 1), e.sample("q", 1, 1)
		p.plan.Key = "key"
		q.plan.Source = "p"
		e.create(p)
		e.create(q)
		e.same(rulePlans, e.listed(ota.PlanQuery{Source: "p"}), []string{"q"})
		e.same(rulePlans, e.listed(ota.PlanQuery{Key: "key"}), []string{"p"})
		e.same(rulePlans, len(e.listed(ota.PlanQuery{Source: "q"})), 0)
		e.same(rulePlans, len(e.listed(ota.PlanQuery{Key: "other"})), 0)
		e.same(rulePlans, len(e.listed(ota.PlanQuery{Key: "key", Source: "p"})), 0)
	}},
	// Every kind of filter and every order, alone and together, against looking at every plan.
	{"ByEachFilterInEachOrder", func(e *env) {
		all := e.manyPlans()
		filters := []func(q *ota.PlanQuery){
			func(q *ota.PlanQuery) { q.Status = []ota.Status{ota.StatusPaused, ota.StatusRunning} },
			func(q *ota.PlanQuery) { q.Hold = []ota.Reason{ota.ReasonPaused, ota.ReasonNone} },
			func(q *ota.PlanQuery) { q.Coverage = []ota.Coverage{ota.CoveragePartial, ota.CoverageAll} },
			func(q *ota.PlanQuery) { q.Owners = []string{"e1", "e2", "x"} },
			func(q *ota.PlanQuery) { q.Labels = map[string]string{"app": "even"} },
			func(q *ota.PlanQuery) { q.Search = "NAME 1" },
			func(q *ota.PlanQuery) { q.Search = "p0" },
			func(q *ota.PlanQuery) { q.Search = "%" },
			func(q *ota.PlanQuery) { q.Person = true },
			func(q *ota.PlanQuery) { q.After, q.Before = e.now(2), e.now(7) },
		}
		for i := range filters {
			for j := range i + 1 {
				for sort := ota.SortNewest; sort <= ota.SortSince; sort++ {
					q := ota.PlanQuery{Sort: sort, Limit: 100}
					filters[i](&q)
					filters[j](&q)
					e.samePlans(q, all)
				}
			}
		}
		for sort := ota.SortNewest; sort <= ota.SortSince; sort++ {
			e.samePlans(ota.PlanQuery{Sort: sort, Limit: 100}, all)
		}
	}},
	{"AnEmptyStoreHasNone", func(e *env) {
		page, err := e.store.Plans(e.ctx, ota.PlanQuery{Total: true})
		e.ok("an empty store is an empty page, and no error", err)
		e.that("an empty store is an empty page, and no error", len(page.Items) == 0 && !page.More && page.Total == 0, "got %+v", page)
	}},
}

func (e *env) listed(q ota.PlanQuery) []string {
	page, err := e.store.Plans(e.ctx, q)
	e.ok("Plans answers", err)
	ids := []string{}
	for _, p := range page.Items {
		ids = append(ids, p.ID)
	}
	return ids
}

// manyPlans makes plans that share times and names, so that only their IDs tell some of them apart.
func (e *env) manyPlans() (all []*ota.PlanRow) {
	for i := range 24 {
		p := e.sample(fmt.Sprintf("p%02d", i*7%24), 1, 1)
		p.plan.Created = e.now(i / 3)
		p.first.Names = &ota.Names{Name: fmt.Sprint("Name ", i%4)}
		if i%2 == 0 {
			p.first.Names.Labels = map[string]string{"app": "even"}
		}
		h := &ota.Head{Status: ota.Status(i % 6), Person: i%3 == 0, Owner: fmt.Sprint("e", i%4), Coverage: ota.Coverage(i % 3)}
		if i%4 != 0 {
			h.Hold, h.Since = ota.ReasonPaused+ota.Reason(i%2), e.now(i/4)
		}
		p.first.Head = h
		e.create(p)
		row := p.row()
		all = append(all, &row)
	}
	return all
}

// samePlans compares what a query finds, as a whole and page by page, with looking at every plan.
func (e *env) samePlans(q ota.PlanQuery, all []*ota.PlanRow) {
	page, err := q.Page(slices.Clone(all))
	e.ok("the plans match", err)
	var want []string
	for i := range page.Items {
		want = append(want, page.Items[i].ID)
	}
	e.same("Plans returns the plans that the query selects, in its order", append([]string(nil), e.listed(q)...), want)
	var got []string
	q.Limit, q.Total = 5, true
	for range 100 {
		page, err := e.store.Plans(e.ctx, q)
		e.ok("Plans answers", err)
		e.same(ruleTotal, page.Total, len(want))
		for i := range page.Items {
			got = append(got, page.Items[i].ID)
		}
		if !page.More {
			break
		}
		q.Cursor = page.Next
	}
	e.same(ruleCursor, got, want)
}
