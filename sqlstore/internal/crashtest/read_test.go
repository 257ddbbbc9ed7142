//go:build unix

package crashtest

import (
	"testing"

	"github.com/seed-19b57ce3/ota"
)

// history is what the store says of one plan.
type history struct {
	plan    ota.Plan
	batches []ota.Batch
	agents  []ota.AgentInfo
	records []ota.Record
}

// read reads a plan that has ended, or at least moves no more.
func read(t testing.TB, e *ota.Engine, id string) history {
	t.Helper()
	var h history
	var err error
	ctx := t.Context()
	if h.plan, err = e.Plan(ctx, id); err != nil {
		t.Fatal(err)
	}
	for b, err := range e.Batches(ctx, id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		h.batches = append(h.batches, b)
	}
	for q := (ota.AgentQuery{}); ; {
		page, err := e.Agents(ctx, id, q)
		if err != nil {
			t.Fatal(err)
		}
		h.agents = append(h.agents, page.Items...)
		q.From += len(page.Items)
		if !page.More {
			break
		}
	}
	for r, err := range e.Watch(ctx, id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		h.records = append(h.records, r)
		if r.Revision >= h.plan.Revision {
			break
		}
	}
	return h
}
