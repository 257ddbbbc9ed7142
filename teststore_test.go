package ota

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/seed-19b57ce3/ota/internal/feed"
)

// testStore is a Store with every companion, in maps behind one lock. It is for tests of this package, which cannot import a
// package that imports it. main_test.go holds it to storetest.
type testStore struct {
	mu     sync.Mutex
	plans  map[string]*testPlan
	order  []*testPlan // oldest first
	claims map[string]*testPlan
	leases map[string]time.Time
	kept   map[testKeeper][]string
	feed   feed.Feed
}

type testPlan struct {
	row      PlanRow
	labels   map[string]string
	created  time.Time
	batches  []BatchRow
	agents   []AgentRow
	ordinals map[string]int // by agent ID
	log      []LogRow
	released map[string]bool
	messages []Message
}

// testKeeper is an engine with calls of a plan that have not returned.
type testKeeper struct{ plan, engine string }

func newTestStore() *testStore {
	return &testStore{
		plans: map[string]*testPlan{}, claims: map[string]*testPlan{}, leases: map[string]time.Time{}, kept: map[testKeeper][]string{},
	}
}

// look returns a plan as it is stored: a test may read it as long as nothing else uses the store.
func (s *testStore) look(id string) *testPlan { return s.plans[id] }

// with calls f with a plan, while nothing changes.
func (s *testStore) with(ctx context.Context, id string, f func(p *testPlan) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.plans[id]
	if p == nil {
		return fmt.Errorf("%w: plan %q", ErrNotFound, id)
	}
	return f(p)
}

func (s *testStore) Create(ctx context.Context, n NewPlan, agents iter.Seq2[AgentRow, error]) error {
	if err := s.publish(ctx, n, nil); err != nil {
		return err
	}
	p := &testPlan{labels: maps.Clone(n.Labels), created: n.CreatedAt, ordinals: map[string]int{}, released: map[string]bool{}}
	for row, err := range agents {
		_, twice := p.ordinals[row.Agent.ID]
		switch {
		case cmp.Or(err, ctx.Err()) != nil:
			return cmp.Or(err, ctx.Err())
		case row.Ordinal != len(p.agents):
			return fmt.Errorf("%w: agent %q has ordinal %d", ErrRefused, row.Agent.ID, row.Ordinal)
		case twice:
			return &DuplicateError{Agent: row.Agent.ID}
		}
		p.ordinals[row.Agent.ID] = row.Ordinal
		p.agents = append(p.agents, copyOfRow(row))
	}
	c, err := n.Finish()
	if err != nil {
		return err
	}
	if len(c.Log) == 0 {
		return fmt.Errorf("%w: no log record", ErrRefused)
	}
	p.batches = slices.Clone(c.Batches)
	p.log = []LogRow{{Revision: 1, Data: slices.Clone(c.Log)}}
	p.row = PlanRow{
		ID: n.ID, Source: n.Source, RequestKey: n.RequestKey, Fingerprint: n.Fingerprint, Spec: c.Spec, Control: c.Control,
		Progress: c.Progress, Status: c.Status, Head: c.Head, ControlNumber: 1, ProgressNumber: 1, Revision: 1,
	}.Clone()
	if err := s.publish(ctx, n, p); err != nil {
		return err
	}
	s.feed.Tell(n.ID)
	return nil
}

// publish makes p visible, if it is not nil and its ID and key are free.
func (s *testStore) publish(ctx context.Context, n NewPlan, p *testPlan) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.order {
		if other.row.ID == n.ID || n.RequestKey != "" && other.row.RequestKey == n.RequestKey {
			return fmt.Errorf("%w: plan %q", ErrExists, other.row.ID)
		}
	}
	if p == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	s.plans[n.ID] = p
	s.order = append(s.order, p)
	slices.SortStableFunc(s.order, func(a, b *testPlan) int { return a.created.Compare(b.created) })
	return nil
}

func (s *testStore) Commit(ctx context.Context, c Commit) (revision uint64, err error) {
	err = s.with(ctx, c.Plan, func(p *testPlan) error {
		if err := p.refuses(&c); err != nil {
			return fmt.Errorf("%w: plan %q", err, c.Plan)
		}
		p.commit(&c)
		revision = p.row.Revision
		return nil
	})
	if err == nil {
		s.feed.Tell(c.Plan)
	}
	return revision, err
}

func (p *testPlan) refuses(c *Commit) error {
	switch row := &p.row; {
	case c.Owner && c.Epoch != row.Epoch:
		return ErrFenced
	case c.Control != row.ControlNumber, (c.Owner || c.Exact) && c.Progress != row.ProgressNumber:
		return ErrConflict
	case c.Raise && !c.Owner, len(c.Log) == 0,
		slices.ContainsFunc(c.Batches, func(b BatchRow) bool { return b.Index < 0 || b.Index >= len(p.batches) }),
		slices.ContainsFunc(c.Agents, func(a AgentRow) bool { return a.Ordinal < 0 || a.Ordinal >= len(p.agents) }):
		return ErrRefused
	}
	return nil
}

func (p *testPlan) commit(c *Commit) {
	row := &p.row
	if c.NewControl != nil {
		row.Control = c.NewControl.Clone()
	}
	if c.NewControl != nil || c.BumpControl {
		row.ControlNumber++
	}
	if c.NewProgress != nil {
		row.Progress = c.NewProgress.clone()
		row.ProgressNumber++
	}
	if c.Raise {
		row.Epoch++
	}
	row.Status = cmp.Or(c.Status, row.Status)
	if c.Head != nil {
		row.Head = *c.Head
		row.Head.Show = slices.Clone(c.Head.Show)
	}
	for i := range c.Batches {
		p.batches[c.Batches[i].Index] = c.Batches[i]
	}
	for i := range c.Agents {
		p.agents[c.Agents[i].Ordinal].State = copyOfState(c.Agents[i].State)
	}
	row.Revision++
	p.log = append(p.log, LogRow{Revision: row.Revision, Request: c.Request, Data: slices.Clone(c.Log)})
}

func (s *testStore) Plan(ctx context.Context, id string) (row PlanRow, err error) {
	err = s.with(ctx, id, func(p *testPlan) error { row = p.row.Clone(); return nil })
	return row, err
}

func (s *testStore) Plans(ctx context.Context, q PlanQuery) (Page[PlanRow], error) {
	if err := ctx.Err(); err != nil {
		return Page[PlanRow]{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*testPlan
	for _, p := range slices.Backward(s.order) {
		if p.matches(&q) {
			found = append(found, p)
		}
	}
	page := Page[PlanRow]{}
	if q.Total {
		page.Total = len(found)
	}
	found = found[min(q.Offset, len(found)):]
	for _, p := range cut(found, q.Limit) {
		page.Items = append(page.Items, p.row.Clone())
	}
	page.More = len(page.Items) < len(found)
	return page, nil
}

func (p *testPlan) matches(q *PlanQuery) bool {
	for k, want := range q.Labels {
		if have, ok := p.labels[k]; !ok || have != want {
			return false
		}
	}
	return (q.Source == "" || p.row.Source == q.Source) && (q.Key == "" || p.row.RequestKey == q.Key) &&
		(len(q.Status) == 0 || slices.Contains(q.Status, p.row.Status))
}

// cut returns at most limit items.
func cut[T any](items []T, limit int) []T {
	if limit <= 0 {
		limit = DefaultPage
	}
	return items[:min(limit, len(items))]
}

// between returns the rows that a query is about.
func between[T any](rows []T, q *RowQuery) []T {
	to := len(rows)
	if q.To > 0 {
		to = min(to, q.To)
	}
	return rows[min(max(q.From, 0), to):to]
}

func (s *testStore) Batches(ctx context.Context, plan string, q RowQuery) (page Page[BatchRow], err error) {
	err = s.with(ctx, plan, func(p *testPlan) error {
		rows := between(p.batches, &q)
		page.Items = slices.Clone(cut(rows, q.Limit))
		page.More = len(page.Items) < len(rows)
		if q.Total {
			page.Total = len(rows)
		}
		return nil
	})
	return page, err
}

func (s *testStore) Agents(ctx context.Context, plan string, q RowQuery) (page Page[AgentRow], err error) {
	err = s.with(ctx, plan, func(p *testPlan) error {
		if len(q.IDs) > 1000 {
			return errors.New("more than 1,000 IDs")
		}
		rows := between(p.agents, &q)
		if len(q.IDs) > 0 {
			rows = p.named(rows, q.IDs)
		}
		if len(q.Status) > 0 {
			rows = slices.DeleteFunc(slices.Clone(rows), func(r AgentRow) bool { return !slices.Contains(q.Status, r.State.Status) })
		}
		page.Items = q.Buffer[:0]
		for _, r := range cut(rows, q.Limit) {
			page.Items = append(page.Items, copyOfRow(r))
		}
		page.More = len(page.Items) < len(rows)
		if q.Total {
			page.Total = len(rows)
		}
		return nil
	})
	return page, err
}

// named returns the rows of these agents, each once, in order.
func (p *testPlan) named(rows []AgentRow, ids []string) (found []AgentRow) {
	wanted := map[int]bool{}
	for _, id := range ids {
		if at, ok := p.ordinals[id]; ok {
			wanted[at] = true
		}
	}
	for _, r := range rows {
		if wanted[r.Ordinal] {
			found = append(found, r)
		}
	}
	return found
}

func copyOfState(s AgentState) AgentState {
	s.Rest = slices.Clone(s.Rest)
	return s
}

func copyOfRow(r AgentRow) AgentRow {
	r.State = copyOfState(r.State)
	r.Agent.Labels, r.Agent.Tasks = maps.Clone(r.Agent.Labels), slices.Clone(r.Agent.Tasks)
	return r
}

func (s *testStore) Log(ctx context.Context, plan string, after uint64, limit int) (rows []LogRow, err error) {
	err = s.with(ctx, plan, func(p *testPlan) error {
		rows = []LogRow{}
		for _, r := range cut(p.log[min(after, uint64(len(p.log))):], limit) {
			r.Data = slices.Clone(r.Data)
			rows = append(rows, r)
		}
		return nil
	})
	return rows, err
}
