package storetest

import (
	"encoding/json"
	"slices"

	"github.com/seed-19b57ce3/ota"
)

// everything is all that a store knows about a plan.
type everything struct {
	Plan    ota.PlanRow
	Batches []ota.BatchRow
	Agents  []ota.AgentRow
	Log     []ota.LogRow
}

func (e *env) everything(id string) everything {
	log, err := e.store.Log(e.ctx, id, 0, 100_000)
	e.ok("Log returns the records of a plan that is there", err)
	return everything{Plan: e.plan(id), Batches: e.batches(id), Agents: e.agents(id, ota.RowQuery{Limit: 100_000}), Log: log}
}

// frozen is everything at this moment, even if the store gives what it will change.
func (e *env) frozen(id string) json.RawMessage {
	return json.RawMessage(e.text(e.everything(id)))
}

func (e *env) batches(id string) []ota.BatchRow {
	page, err := e.store.Batches(e.ctx, id, ota.RowQuery{Limit: 100_000})
	e.ok("Batches returns the batches of a plan that is there", err)
	return page.Items
}

func (e *env) agents(id string, q ota.RowQuery) []ota.AgentRow {
	page, err := e.store.Agents(e.ctx, id, q)
	e.ok("Agents returns the agents of a plan that is there", err)
	return page.Items
}

// settled reads a plan and its agents as they are at one revision: a commit that was cut off may still land meanwhile.
func (e *env) settled(id string, q ota.RowQuery) (ota.PlanRow, []ota.AgentRow) {
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
	_, err = e.store.Agents(e.ctx, id, ota.RowQuery{})
	e.is(rule, err, ota.ErrNotFound)
	_, err = e.store.Batches(e.ctx, id, ota.RowQuery{})
	e.is(rule, err, ota.ErrNotFound)
	_, err = e.store.Log(e.ctx, id, 0, 1)
	e.is(rule, err, ota.ErrNotFound)
	page, err := e.store.Plans(e.ctx, ota.PlanQuery{})
	e.ok("Plans answers", err)
	listed := slices.ContainsFunc(page.Items, func(p ota.PlanRow) bool { return p.ID == id })
	e.that(rule, !listed, "got it listed by Plans")
}
