package ota

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/seed-19b57ce3/ota/internal/feed"
)

// testStore is a Store with every companion, of Images behind one lock. It is for tests of this package, which cannot import a
// package that imports it. main_test.go holds it to storetest.
type testStore struct {
	mu     sync.Mutex
	plans  map[string]*testPlan
	order  []*testPlan
	claims map[string]*testPlan
	leases map[string]time.Time
	kept   map[testKeeper][]string
	feed   feed.Feed
}

type testPlan struct {
	*Image
	ordinals map[string]int // by agent ID
	released map[string]bool
	messages []Message
	seen     *testView // of its revision
}

// testView is a plan as the engine reads it.
type testView struct {
	row     planRow
	batches []batchRow
	agents  []agentRow
}

// testKeeper is an engine with calls of a plan that have not returned.
type testKeeper struct{ plan, engine string }

func newTestStore() *testStore {
	return &testStore{
		plans: map[string]*testPlan{}, claims: map[string]*testPlan{}, leases: map[string]time.Time{}, kept: map[testKeeper][]string{},
	}
}

// rows is the store as the engine uses it.
func (s *testStore) rows() rowStore { return rowStore{store: s} }

// look returns a plan as it is stored: a test may read it as long as nothing else uses the store.
func (s *testStore) look(id string) *testView {
	p := s.plans[id]
	if p == nil {
		return nil
	}
	if p.seen != nil && p.seen.row.Revision == p.Plan.Revision {
		return p.seen
	}
	v := &testView{row: readPlan(&p.Plan)}
	v.batches, v.agents = make([]batchRow, len(p.Rows[KindBatch])), make([]agentRow, len(p.Rows[KindAgent]))
	err := v.row.unreadable
	for i := range v.batches {
		err = errors.Join(err, v.batches[i].decodePart(p.Rows[KindBatch][i].State))
	}
	for i := range v.agents {
		err = errors.Join(err, v.agents[i].read(&p.Rows[KindAgent][i]))
	}
	if err != nil {
		panic(err)
	}
	p.seen = v
	return v
}

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

func (s *testStore) Create(ctx context.Context, row PlanRow, rows iter.Seq2[Row, error], first func() (Commit, error)) error {
	if err := s.publish(ctx, &row, nil); err != nil {
		return err
	}
	m, err := NewImage(ctx, row, rows, first)
	if err != nil {
		return err
	}
	p := &testPlan{Image: m, ordinals: map[string]int{}, released: map[string]bool{}}
	for i := range m.Rows[KindAgent] {
		p.ordinals[m.Rows[KindAgent][i].ID] = i
	}
	if err := s.publish(ctx, &row, p); err != nil {
		return err
	}
	s.feed.Tell(row.ID)
	return nil
}

// publish makes p visible, if it is not nil and its ID and key are free.
func (s *testStore) publish(ctx context.Context, row *PlanRow, p *testPlan) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.order {
		if other.Plan.ID == row.ID || row.Key != "" && other.Plan.Key == row.Key {
			return fmt.Errorf("%w: plan %q", ErrExists, other.Plan.ID)
		}
	}
	if p == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	s.plans[row.ID] = p
	s.order = append(s.order, p)
	return nil
}

func (s *testStore) Commit(ctx context.Context, c Commit) (revision uint64, err error) {
	err = s.with(ctx, c.Plan, func(p *testPlan) error {
		if err := p.Refuse(&c); err != nil {
			return fmt.Errorf("%w: plan %q", err, c.Plan)
		}
		p.Apply(&c)
		revision = p.Plan.Revision
		return nil
	})
	if err == nil {
		s.feed.Tell(c.Plan)
	}
	return revision, err
}

func (s *testStore) Plan(ctx context.Context, id string) (row PlanRow, err error) {
	err = s.with(ctx, id, func(p *testPlan) error { row = p.Image.Plan; return nil })
	return row, err
}

func (s *testStore) Plans(ctx context.Context, q PlanQuery) (Page[PlanRow], error) {
	if err := ctx.Err(); err != nil {
		return Page[PlanRow]{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*PlanRow
	for _, p := range s.order {
		all = append(all, &p.Plan)
	}
	return q.Page(all)
}

func (s *testStore) Rows(ctx context.Context, plan string, q RowQuery) (page Page[Row], err error) {
	err = s.with(ctx, plan, func(p *testPlan) error {
		rows := p.Image.Rows[q.Kind]
		if q.Kind == KindAgent && len(q.IDs) > 0 {
			rows = p.named(q.IDs)
		}
		page, err = q.Page(rows)
		return err
	})
	return page, err
}

// named returns the agents with these IDs, each once, in order.
func (p *testPlan) named(ids []string) (found []Row) {
	var numbers []int
	for _, id := range ids {
		if n, ok := p.ordinals[id]; ok {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for _, n := range slices.Compact(numbers) {
		found = append(found, p.Image.Rows[KindAgent][n])
	}
	return found
}

func (s *testStore) Log(ctx context.Context, plan string, q LogQuery) (page Page[LogRow], err error) {
	if plan == "" {
		if err := ctx.Err(); err != nil {
			return page, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		var all []LogRow
		for _, p := range s.order {
			all = append(all, p.Image.Log...)
		}
		return q.Page(all, true)
	}
	err = s.with(ctx, plan, func(p *testPlan) error {
		page, err = q.Page(p.Image.Log, false)
		return err
	})
	return page, err
}
