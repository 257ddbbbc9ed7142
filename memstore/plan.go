package memstore

import (
	"fmt"
	"maps"
	"sync"

	"github.com/seed-19b57ce3/ota"
)

// planEntry is one plan of a Store. Its lock is its own, so that plans do not disturb each other.
// Code that holds it never waits for a lock of the Store.
type planEntry struct {
	id, key string // fixed
	tables  tables // fixed; what changes in the tables is guarded by mu

	mu   sync.RWMutex
	gone bool // pruned: a goroutine that still has the pointer must not find it
	row  ota.PlanRow
	log  planLog

	posted   map[string]struct{} // IDs of messages
	messages []ota.Message
}

// newPlanEntry makes a plan of what Create was given.
func newPlanEntry(p *ota.PlanRow, c *ota.Commit, t tables) *planEntry {
	t.make(ota.KindAgent)
	m := &planEntry{id: p.ID, key: p.Key, tables: t, row: ota.PlanRow{
		ID: p.ID, Source: p.Source, Key: p.Key, Created: p.Created, Index: append([]string(nil), p.Index...),
		Names: cloneNames(p.Names), Numbers: ota.Numbers{Epoch: 1, Control: 1, Progress: 1},
	}}
	m.apply(c)
	return m
}

func (p *planEntry) agents() *rowTable { return p.tables.of(ota.KindAgent) }

// commit applies c, or refuses it and changes nothing.
func (p *planEntry) commit(c *ota.Commit) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return 0, notFound(p.id)
	}
	if err := p.row.Numbers.Refuse(c.If); err != nil {
		return 0, fmt.Errorf("commit to plan %q: %w", p.id, err)
	}
	if len(c.Log.Data) == 0 {
		return 0, fmt.Errorf("%w: commit to plan %q has no log record", ota.ErrRefused, p.id)
	}
	for i := range c.Rows {
		r := &c.Rows[i]
		if t := p.tables.of(r.Kind); t == nil || r.Number < 0 || r.Number >= t.count {
			return 0, fmt.Errorf("%w: plan %q has no row %d of kind %d", ota.ErrRefused, p.id, r.Number, r.Kind)
		}
	}
	p.apply(c)
	for i := range c.Rows {
		p.tables.of(c.Rows[i].Kind).set(&c.Rows[i])
	}
	return p.row.Revision, nil
}

// apply makes the change of a commit, but for its rows. It keeps nothing of c.
func (p *planEntry) apply(c *ota.Commit) {
	row := &p.row
	row.Numbers = row.Numbers.With(c.Then)
	if c.Names != nil {
		row.Names = cloneNames(*c.Names)
	}
	if c.Head != nil {
		show := append(row.Head.Show[:0], c.Head.Show...)
		row.Head = *c.Head
		row.Head.Show = show
	}
	setPart(&row.Parts.Spec, c.Parts.Spec)
	setPart(&row.Parts.Control, c.Parts.Control)
	setPart(&row.Parts.Progress, c.Parts.Progress)
	row.Revision++
	p.log.append(&c.Log)
}

// setPart replaces the bytes of a part, in their own memory.
func setPart(part *[]byte, by []byte) {
	if len(by) > 0 {
		*part = append((*part)[:0], by...)
	}
}

func cloneNames(n ota.Names) ota.Names {
	n.Labels = maps.Clone(n.Labels)
	return n
}

// copyRow returns a copy that later commits do not change. Labels and Index are never changed in
// place.
func (p *planEntry) copyRow() ota.PlanRow {
	row := p.row
	n := len(row.Head.Show) + len(row.Parts.Spec) + len(row.Parts.Control) + len(row.Parts.Progress)
	memory := make([]byte, 0, n)
	for _, b := range []*[]byte{&row.Head.Show, &row.Parts.Spec, &row.Parts.Control, &row.Parts.Progress} {
		from := len(memory)
		memory = append(memory, *b...)
		*b = memory[from:len(memory):len(memory)]
	}
	return row
}

func pageLimit(limit int) int {
	if limit <= 0 {
		return ota.DefaultPage
	}
	return limit
}

func notFound(plan string) error { return fmt.Errorf("%w: plan %q", ota.ErrNotFound, plan) }
