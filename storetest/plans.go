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
			p.plan.CreatedAt = e.now(at)
			p.created.Spec.CreatedAt = p.plan.CreatedAt
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
		e.same("Plans returns what Plan returns", page.Items, []ota.PlanRow{e.plan("p")})
	}},
	{"PagesFitTogether", func(e *env) {
		for i := range 7 {
			p := e.sample(fmt.Sprint("p", i), 1, 1)
			p.plan.CreatedAt = e.now(i)
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
			c.Status = s
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
		p.plan.RequestKey = "key"
		q.plan.Source = "p"
		e.create(p)
		e.create(q)
		e.same(rulePlans, e.listed(ota.PlanQuery{Source: "p"}), []string{"q"})
		e.same(rulePlans, e.listed(ota.PlanQuery{Key: "key"}), []string{"p"})
		e.same(rulePlans, len(e.listed(ota.PlanQuery{Source: "q"})), 0)
		e.same(rulePlans, len(e.listed(ota.PlanQuery{Key: "other"})), 0)
		e.same(rulePlans, len(e.listed(ota.PlanQuery{Key: "key", Source: "p"})), 0)
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
