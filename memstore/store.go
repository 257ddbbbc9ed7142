// Package memstore keeps plans in memory, and forgets them with the process. It is for tests, for
// simulations, and for plans that need not survive a restart. It is the reference implementation of
// [ota.Store]: package storetest checks every other one against the same rules.
package memstore

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/feed"
)

// Store keeps plans in memory. It has every companion of an [ota.Store]. An agent takes about 90 bytes
// besides its ID. A commit costs what it changes.
//
// Make one with New. It is safe for concurrent use.
type Store struct {
	mu    sync.RWMutex // guards the three below, and is never held while a plan's lock is waited for
	plans map[string]*planEntry
	keys  map[string]*planEntry // by request key
	order []*planEntry          // oldest first

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

// Create implements Store. Nothing is locked while agents are read.
func (s *Store) Create(ctx context.Context, p ota.NewPlan, agents iter.Seq2[ota.AgentRow, error]) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	err := s.taken(p)
	s.mu.RUnlock()
	if err != nil {
		return err
	}
	b := newBuilder()
	for row, err := range agents {
		if err != nil {
			return err
		}
		if err := b.add(&row); err != nil {
			return err
		}
		if b.count%chunkSize == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	made, err := b.finish()
	if err != nil {
		return err
	}
	created, err := p.Finish()
	if err != nil {
		return err
	}
	if len(created.Log) == 0 {
		return fmt.Errorf("%w: plan %q is created without a log record", ota.ErrRefused, p.ID)
	}
	return s.publish(ctx, p, newPlanEntry(p, created, made))
}

// taken says whether the ID or the request key is. s.mu is held.
func (s *Store) taken(p ota.NewPlan) error {
	if s.plans[p.ID] != nil {
		return fmt.Errorf("%w: plan %q", ota.ErrExists, p.ID)
	}
	if other := s.keys[p.RequestKey]; other != nil {
		return fmt.Errorf("%w: request key %q made plan %q", ota.ErrExists, p.RequestKey, other.id)
	}
	return nil
}

// publish makes a plan visible, unless another one came first or ctx has ended.
func (s *Store) publish(ctx context.Context, p ota.NewPlan, made *planEntry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.taken(p); err != nil {
		return err
	}
	s.plans[p.ID] = made
	if p.RequestKey != "" {
		s.keys[p.RequestKey] = made
	}
	at := len(s.order)
	for at > 0 && s.order[at-1].created.After(made.created) {
		at--
	}
	s.order = slices.Insert(s.order, at, made)
	s.feed.Tell(p.ID)
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
	err = s.read(ctx, id, func(p *planEntry) { row = p.row.Clone() })
	return row, err
}

// Plans implements Store.
func (s *Store) Plans(ctx context.Context, q ota.PlanQuery) (ota.Page[ota.PlanRow], error) {
	if err := ctx.Err(); err != nil {
		return ota.Page[ota.PlanRow]{}, err
	}
	s.mu.RLock()
	order := slices.Clone(s.order)
	s.mu.RUnlock()
	var page ota.Page[ota.PlanRow]
	limit, matched := pageLimit(q.Limit), 0
	for _, p := range slices.Backward(order) {
		if !p.matches(&q) {
			continue
		}
		p.mu.RLock()
		if !p.gone && (len(q.Status) == 0 || slices.Contains(q.Status, p.row.Status)) {
			matched++
			switch {
			case matched <= q.Offset:
			case len(page.Items) < limit:
				page.Items = append(page.Items, p.row.Clone())
			default:
				page.More = true
			}
		}
		p.mu.RUnlock()
		if page.More && !q.Total {
			break
		}
	}
	if q.Total {
		page.Total = matched
	}
	return page, nil
}

// Batches implements Store.
func (s *Store) Batches(ctx context.Context, plan string, q ota.RowQuery) (page ota.Page[ota.BatchRow], err error) {
	err = s.read(ctx, plan, func(p *planEntry) {
		from, to := bounds(&q, len(p.batches))
		if from >= to {
			return
		}
		end := min(to, from+pageLimit(q.Limit))
		page.Items = slices.Clone(p.batches[from:end])
		page.More = end < to
		if q.Total {
			page.Total = to - from
		}
	})
	return page, err
}

// Agents implements Store.
func (s *Store) Agents(ctx context.Context, plan string, q ota.RowQuery) (page ota.Page[ota.AgentRow], err error) {
	if len(q.IDs) > maxIDs {
		return page, fmt.Errorf("ota: %d IDs of agents in one read, at most %d are possible", len(q.IDs), maxIDs)
	}
	err = s.read(ctx, plan, func(p *planEntry) { page = p.agents.page(q) })
	return page, err
}

// maxIDs is how many agents may be asked for by ID at once.
const maxIDs = 1000

// Log implements Store.
func (s *Store) Log(ctx context.Context, plan string, after uint64, limit int) (rows []ota.LogRow, err error) {
	err = s.read(ctx, plan, func(p *planEntry) { rows = p.log.after(after, pageLimit(limit)) })
	return rows, err
}
