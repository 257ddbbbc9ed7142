package brokenstore

import (
	"context"
	"iter"
	"sync"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

type (
	rows  = iter.Seq2[ota.Row, error]
	first = func() (ota.Commit, error)
)

// hasty shows a plan as soon as its first agent was read.
type hasty struct {
	*memstore.Store
	mu     sync.Mutex
	making map[string]bool
}

func newHasty() *hasty { return &hasty{Store: memstore.New(), making: map[string]bool{}} }

func (s *hasty) Create(ctx context.Context, p ota.PlanRow, r rows, f first) error {
	set := func(now bool) {
		s.mu.Lock()
		s.making[p.ID] = now
		s.mu.Unlock()
	}
	set(true)
	defer set(false)
	return s.Store.Create(ctx, p, r, f)
}

func (s *hasty) Plan(ctx context.Context, id string) (ota.PlanRow, error) {
	p, err := s.Store.Plan(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.making[id] {
		return ota.PlanRow{ID: id, Revision: 1}, nil
	}
	return p, err
}

// locking holds one lock for the whole of a Create.
type locking struct {
	*memstore.Store
	mu *sync.RWMutex
}

func newLocking() locking { return locking{memstore.New(), new(sync.RWMutex)} }

func (s locking) Create(ctx context.Context, p ota.PlanRow, r rows, f first) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Store.Create(ctx, p, r, f)
}

func (s locking) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.Store.Commit(ctx, c)
}

// leaving leaves what was read before the agents failed.
type leaving struct{ *memstore.Store }

func (s leaving) Create(ctx context.Context, p ota.PlanRow, r rows, f first) error {
	var failed error
	err := s.Store.Create(ctx, p, func(yield func(ota.Row, error) bool) {
		for row, err := range r {
			if err != nil {
				failed = err
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}, f)
	if failed != nil {
		return failed
	}
	return err
}

// merging takes an agent that comes twice for one.
type merging struct{ *memstore.Store }

func (s merging) Create(ctx context.Context, p ota.PlanRow, r rows, f first) error {
	return s.Store.Create(ctx, p, func(yield func(ota.Row, error) bool) {
		seen, n := map[string]bool{}, 0
		for row, err := range r {
			if err == nil && seen[row.ID] {
				continue
			}
			seen[row.ID] = true
			row.Number = n
			n++
			if !yield(row, err) {
				return
			}
		}
	}, f)
}

// keyless does not look at request keys.
type keyless struct{ *memstore.Store }

func (s keyless) Create(ctx context.Context, p ota.PlanRow, r rows, f first) error {
	p.Key = ""
	return s.Store.Create(ctx, p, r, f)
}
