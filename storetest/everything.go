package storetest

import (
	"encoding/json"
	"slices"

	"github.com/seed-19b57ce3/ota"
)

// everything is all that a store knows about a plan.
type everything struct {
	Plan    ota.PlanRow
	Batches []ota.Row
	Agents  []ota.Row
	Log     []ota.LogRow
}

func (e *env) everything(id string) everything {
	return everything{Plan: e.plan(id), Batches: e.batches(id), Agents: e.agents(id, ota.RowQuery{Limit: 100_000}), Log: e.log(id, ota.LogQuery{Limit: 100_000})}
}

// apply does to x what a store should do when it accepts c.
func (x *everything) apply(c ota.Commit) {
	p := &x.Plan
	p.Revision++
	p.Numbers = p.Numbers.With(c.Then)
	if c.Names != nil {
		p.Names = *c.Names
	}
	if c.Head != nil {
		p.Head = *c.Head
	}
	for _, part := range []struct{ to, from *[]byte }{
		{&p.Parts.Spec, &c.Parts.Spec}, {&p.Parts.Control, &c.Parts.Control}, {&p.Parts.Progress, &c.Parts.Progress},
	} {
		if len(*part.from) > 0 {
			*part.to = *part.from
		}
	}
	for _, r := range c.Rows {
		to := &x.Agents[r.Number%len(x.Agents)]
		if r.Kind == ota.KindBatch {
			to = &x.Batches[r.Number]
		}
		to.Status, to.Reason, to.State, to.Show = r.Status, r.Reason, r.State, r.Show
	}
	record := c.Log
	record.Plan, record.Revision = p.ID, p.Revision
	x.Log = append(x.Log, record)
}

// frozen is everything at this moment, even if the store gives what it will change.
func (e *env) frozen(id string) json.RawMessage {
	return json.RawMessage(e.text(e.everything(id)))
}

// page reads rows.
func (e *env) page(id string, q ota.RowQuery) ota.Page[ota.Row] {
	page, err := e.store.Rows(e.ctx, id, q)
	e.ok("Rows returns the rows of a plan that is there", err)
	for i := range page.Items {
		r := &page.Items[i]
		none(&r.Fixed, &r.State, &r.Show)
		if len(r.Labels) == 0 {
			r.Labels = nil
		}
	}
	return page
}

func (e *env) batches(id string) []ota.Row {
	return e.page(id, ota.RowQuery{Kind: ota.KindBatch, Limit: 100_000}).Items
}

func (e *env) agents(id string, q ota.RowQuery) []ota.Row {
	q.Kind = ota.KindAgent
	return e.page(id, q).Items
}

func (e *env) log(id string, q ota.LogQuery) []ota.LogRow {
	page, err := e.store.Log(e.ctx, id, q)
	e.ok("Log returns the records of a plan that is there", err)
	return page.Items
}

// none makes empty bytes nil: a store may return either.
func none(all ...*[]byte) {
	for _, b := range all {
		if len(*b) == 0 {
			*b = nil
		}
	}
}

func plain(p ota.PlanRow) ota.PlanRow {
	none(&p.Head.Show, &p.Parts.Spec, &p.Parts.Control, &p.Parts.Progress)
	if len(p.Names.Labels) == 0 {
		p.Names.Labels = nil
	}
	if len(p.Index) == 0 {
		p.Index = nil
	}
	return p
}

// settled reads a plan and its agents as they are at one revision: a commit that was cut off may
// still land meanwhile.
func (e *env) settled(id string, q ota.RowQuery) (ota.PlanRow, []ota.Row) {
	for {
		before, agents, after := e.plan(id), e.agents(id, q), e.plan(id)
		if before.Revision == after.Revision {
			return after, agents
		}
	}
}

// absent expects that nothing of a plan is to be seen.
func (e *env) absent(rule, id string) {
	_, err := e.store.Plan(e.ctx, id)
	e.is(rule, err, ota.ErrNotFound)
	for _, kind := range []ota.Kind{ota.KindAgent, ota.KindBatch} {
		_, err = e.store.Rows(e.ctx, id, ota.RowQuery{Kind: kind})
		e.is(rule, err, ota.ErrNotFound)
	}
	_, err = e.store.Log(e.ctx, id, ota.LogQuery{Limit: 1})
	e.is(rule, err, ota.ErrNotFound)
	page, err := e.store.Plans(e.ctx, ota.PlanQuery{})
	e.ok("Plans answers", err)
	listed := slices.ContainsFunc(page.Items, func(p ota.PlanRow) bool { return p.ID == id })
	e.that(rule, !listed, "got it listed by Plans")
}
