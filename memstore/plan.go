package memstore

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// planEntry is one plan of a Store. Its lock is its own, so that plans do not disturb each other. Nobody who holds it
// waits for a lock of the Store.
type planEntry struct {
	id, source, key string // fixed, as are labels and created
	labels          map[string]string
	created         time.Time
	agents          *agentTable // its states are guarded by mu

	mu      sync.RWMutex
	gone    bool // pruned: whoever still holds the pointer must not find it
	row     ota.PlanRow
	batches []ota.BatchRow
	log     planLog

	posted   map[string]struct{} // IDs of messages
	messages []ota.Message
}

// newPlanEntry puts together what Create was given.
func newPlanEntry(p ota.NewPlan, c ota.Created, agents *agentTable) *planEntry {
	m := &planEntry{
		id: p.ID, source: p.Source, key: p.RequestKey, labels: maps.Clone(p.Labels), created: p.CreatedAt,
		agents:  agents,
		batches: slices.Clone(c.Batches),
	}
	m.row = ota.PlanRow{
		ID: p.ID, Source: p.Source, RequestKey: p.RequestKey, Fingerprint: p.Fingerprint,
		Spec: c.Spec, Control: c.Control, Progress: c.Progress, Status: c.Status, Head: c.Head,
		ControlNumber: 1, ProgressNumber: 1, Revision: 1,
	}.Clone()
	m.log.append(1, "", c.Log)
	return m
}

// commit applies c, or refuses it and changes nothing.
func (p *planEntry) commit(c *ota.Commit) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.refuse(c); err != nil {
		return 0, err
	}
	row := &p.row
	if c.NewControl != nil {
		row.Control = c.NewControl.Clone()
	}
	if c.NewControl != nil || c.BumpControl {
		row.ControlNumber++
	}
	if c.NewProgress != nil {
		copyProgress(&row.Progress, c.NewProgress)
		row.ProgressNumber++
	}
	if c.Raise {
		row.Epoch++
	}
	if c.Status != ota.StatusUnknown {
		row.Status = c.Status
	}
	if c.Head != nil {
		kept := row.Head.Show[:0]
		row.Head = *c.Head
		if row.Head.Show = nil; len(c.Head.Show) > 0 {
			row.Head.Show = append(kept, c.Head.Show...)
		}
	}
	for i := range c.Batches {
		p.batches[c.Batches[i].Index] = c.Batches[i]
	}
	for i := range c.Agents {
		p.agents.setState(c.Agents[i].Ordinal, &c.Agents[i].State)
	}
	row.Revision++
	p.log.append(row.Revision, c.Request, c.Log)
	return row.Revision, nil
}

// copyProgress makes p a copy of from, and reuses the memory of p. It is part of every commit of an
// owner, and allocates only to grow.
func copyProgress(p, from *ota.Progress) {
	kept := p.Breaches[:0]
	*p = *from
	p.Breaches = nil
	if len(from.Breaches) > 0 {
		p.Breaches = append(kept, from.Breaches...)
	}
}

// refuse compares first who commits, then what the commit is based on, then whether it makes sense.
func (p *planEntry) refuse(c *ota.Commit) error {
	row := &p.row
	switch {
	case p.gone:
		return notFound(p.id)
	case c.Owner && c.Epoch != row.Epoch:
		return fmt.Errorf("%w: plan %q is at epoch %d, the commit at %d", ota.ErrFenced, p.id, row.Epoch, c.Epoch)
	case c.Control != row.ControlNumber:
		return fmt.Errorf("%w: plan %q is at control number %d, the commit at %d",
			ota.ErrConflict, p.id, row.ControlNumber, c.Control)
	case (c.Owner || c.Exact) && c.Progress != row.ProgressNumber:
		return fmt.Errorf("%w: plan %q is at progress number %d, the commit at %d",
			ota.ErrConflict, p.id, row.ProgressNumber, c.Progress)
	case c.Raise && !c.Owner:
		return fmt.Errorf("%w: commit to plan %q raises the epoch, but is no owner's", ota.ErrRefused, p.id)
	case len(c.Log) == 0:
		return fmt.Errorf("%w: commit to plan %q has no log record", ota.ErrRefused, p.id)
	}
	for i := range c.Batches {
		if n := c.Batches[i].Index; n < 0 || n >= len(p.batches) {
			return fmt.Errorf("%w: commit to plan %q has batch %d, the plan has %d", ota.ErrRefused, p.id, n, len(p.batches))
		}
	}
	for i := range c.Agents {
		if n := c.Agents[i].Ordinal; n < 0 || n >= p.agents.count {
			return fmt.Errorf("%w: commit to plan %q has agent %d, the plan has %d", ota.ErrRefused, p.id, n, p.agents.count)
		}
	}
	return nil
}

// matches says whether q selects the plan, as far as that is fixed.
func (p *planEntry) matches(q *ota.PlanQuery) bool {
	if q.Source != "" && p.source != q.Source || q.Key != "" && p.key != q.Key {
		return false
	}
	for k, want := range q.Labels {
		if have, ok := p.labels[k]; !ok || have != want {
			return false
		}
	}
	return true
}

// bounds returns the first index and the one after the last of n rows that q is about.
func bounds(q *ota.RowQuery, n int) (from, to int) {
	if q.To > 0 {
		n = min(n, q.To)
	}
	return max(q.From, 0), n
}

func pageLimit(limit int) int {
	if limit <= 0 {
		return ota.DefaultPage
	}
	return limit
}

func notFound(plan string) error { return fmt.Errorf("%w: plan %q", ota.ErrNotFound, plan) }
