// Package memstore keeps plans in memory, and forgets them with the process. It is for tests, for
// simulations, and for plans that need not survive a restart. It is the reference implementation of
// [ota.Store]: package storetest checks every other one against the same rules.
package memstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"sync"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/feed"
)

// Store keeps plans in memory. It has every companion of an [ota.Store]. An agent takes about 80
// bytes besides its ID. A commit costs what it changes.
//
// Make one with New. It is safe for concurrent use.
type Store struct {
	mu    sync.RWMutex // guards the three below, and is never held while a plan's lock is waited for
	plans map[string]*planEntry
	keys  map[string]*planEntry // by request key
	order []*planEntry          // in the order in which they were made

	leases leases
	claims claimTable
	feed   feed.Feed
}

var (
	_ ota.Store    = (*Store)(nil)
	_ ota.Leaser   = (*Store)(nil)
	_ ota.Notifier = (*Store)(nil)
	_ ota.Claimer  = (*Store)(nil)
	_ ota.Inbox    = (*Store)(nil)
	_ ota.Pruner   = (*Store)(nil)
)

// New returns an empty store.
func New() *Store {
	return &Store{plans: map[string]*planEntry{}, keys: map[string]*planEntry{}}
}

// find returns a plan that is visible.
func (s *Store) find(ctx context.Context, id string) (*planEntry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	p := s.plans[id]
	s.mu.RUnlock()
	if p == nil {
		return nil, notFound(id)
	}
	return p, nil
}

// read finds a plan and calls f while nothing of it changes.
func (s *Store) read(ctx context.Context, id string, f func(p *planEntry)) error {
	p, err := s.find(ctx, id)
	if err != nil {
		return err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.gone {
		return notFound(id)
	}
	f(p)
	return nil
}

// Create implements Store. Nothing is locked while rows are read.
func (s *Store) Create(ctx context.Context, p ota.PlanRow, rows iter.Seq2[ota.Row, error], first func() (ota.Commit, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	err := s.taken(&p)
	s.mu.RUnlock()
	if err != nil {
		return err
	}
	b := newBuilder()
	for row, err := range rows {
		if err == nil {
			err = b.add(&row)
		}
		if err == nil && b.count%chunkSize == 0 {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	if err := b.check(); err != nil {
		return err
	}
	c, err := first()
	if err == nil && len(c.Log.Data) == 0 {
		err = fmt.Errorf("%w: plan %q is created without a log record", ota.ErrRefused, p.ID)
	}
	for i := 0; i < len(c.Rows) && err == nil; i++ {
		err = b.add(&c.Rows[i])
	}
	if err == nil && len(c.Rows) > 0 {
		err = b.check()
	}
	if err != nil {
		return err
	}
	c.If, c.Then = ota.Numbers{}, ota.Numbers{}
	return s.publish(ctx, newPlanEntry(&p, &c, b.finish()))
}

// taken says whether the ID or the key is. s.mu is held.
func (s *Store) taken(p *ota.PlanRow) error {
	if s.plans[p.ID] != nil {
		return fmt.Errorf("%w: plan %q", ota.ErrExists, p.ID)
	}
	if other := s.keys[p.Key]; other != nil {
		return fmt.Errorf("%w: request key %q made plan %q", ota.ErrExists, p.Key, other.id)
	}
	return nil
}

// publish makes a plan visible, unless another one came first or ctx has ended.
func (s *Store) publish(ctx context.Context, made *planEntry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.taken(&made.row); err != nil {
		return err
	}
	s.plans[made.id] = made
	if made.key != "" {
		s.keys[made.key] = made
	}
	s.order = append(s.order, made)
	s.feed.Tell(made.id)
	return nil
}

// Commit implements Store.
func (s *Store) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	p, err := s.find(ctx, c.Plan)
	if err != nil {
		return 0, err
	}
	revision, err := p.commit(&c)
	if err != nil {
		return 0, err
	}
	s.feed.Tell(p.id)
	return revision, nil
}

// Plan implements Store.
func (s *Store) Plan(ctx context.Context, id string) (row ota.PlanRow, err error) {
	err = s.read(ctx, id, func(p *planEntry) { row = p.copyRow() })
	return row, err
}

// Plans implements Store.
func (s *Store) Plans(ctx context.Context, q ota.PlanQuery) (page ota.Page[ota.PlanRow], err error) {
	if err := ctx.Err(); err != nil {
		return page, err
	}
	s.mu.RLock()
	order := slices.Clone(s.order)
	s.mu.RUnlock()
	var found []*ota.PlanRow
	for _, p := range order {
		p.mu.RLock()
		if !p.gone && q.Match(&p.row) {
			row := p.row // its bytes are not looked at
			found = append(found, &row)
		}
		p.mu.RUnlock()
	}
	page, err = q.Page(found)
	for i := range page.Items {
		if row, err := s.Plan(ctx, page.Items[i].ID); err == nil {
			page.Items[i] = row
		} else {
			page.Items[i].Parts, page.Items[i].Head.Show = ota.Parts{}, nil
		}
	}
	return page, err
}

// maxIDs is how many rows a query may name.
const maxIDs = 1000

// Rows implements Store.
func (s *Store) Rows(ctx context.Context, plan string, q ota.RowQuery) (page ota.Page[ota.Row], err error) {
	if len(q.IDs) > maxIDs {
		return page, fmt.Errorf("%w: %d rows asked for by ID, at most %d are possible", ota.ErrRefused, len(q.IDs), maxIDs)
	}
	failed := s.read(ctx, plan, func(p *planEntry) {
		if t := p.tables.of(q.Kind); t != nil {
			page, err = t.page(&q)
		}
	})
	return page, errors.Join(failed, err)
}

// Log implements Store.
func (s *Store) Log(ctx context.Context, plan string, q ota.LogQuery) (page ota.Page[ota.LogRow], err error) {
	if plan != "" {
		err = s.read(ctx, plan, func(p *planEntry) { page = p.log.page(plan, &q) })
		return page, err
	}
	if err := ctx.Err(); err != nil {
		return page, err
	}
	s.mu.RLock()
	order := slices.Clone(s.order)
	s.mu.RUnlock()
	var all []ota.LogRow
	for _, p := range order {
		p.mu.RLock()
		if !p.gone {
			all = append(all, p.log.page(p.id, &ota.LogQuery{Notable: true, Limit: math.MaxInt}).Items...)
		}
		p.mu.RUnlock()
	}
	return q.Page(all, true)
}
