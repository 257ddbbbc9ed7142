package ota

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/seed-19b57ce3/ota/internal/feed"
)

// MemStore keeps plans in memory, and forgets them with the process: for tests, for simulations, and for fleets whose
// plans need not survive a restart. It is the reference implementation of Store and has every companion. An agent
// takes about 90 bytes besides its ID; a commit costs what it changes.
//
// Make one with NewMemStore. It is safe for concurrent use.
type MemStore struct {
	mu    sync.RWMutex // guards the three below, and is never held while a plan's lock is waited for
	plans map[string]*memPlan
	keys  map[string]*memPlan // by request key
	order []*memPlan          // oldest first

	leases memLeases
	claims memClaims
	feed   feed.Feed
}

var (
	_ Store    = (*MemStore)(nil)
	_ Leaser   = (*MemStore)(nil)
	_ Notifier = (*MemStore)(nil)
	_ Claimer  = (*MemStore)(nil)
	_ Inbox    = (*MemStore)(nil)
	_ Pruner   = (*MemStore)(nil)
)

// NewMemStore returns an empty store.
func NewMemStore() *MemStore {
	return &MemStore{plans: map[string]*memPlan{}, keys: map[string]*memPlan{}}
}

// find returns a plan that is visible.
func (s *MemStore) find(ctx context.Context, id string) (*memPlan, error) {
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
func (s *MemStore) read(ctx context.Context, id string, f func(p *memPlan)) error {
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
func (s *MemStore) Create(ctx context.Context, p NewPlan, agents iter.Seq2[AgentRow, error]) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	err := s.taken(p)
	s.mu.RUnlock()
	if err != nil {
		return err
	}
	b := newMemBuilder()
	for row, err := range agents {
		if err != nil {
			return err
		}
		if err := b.add(&row); err != nil {
			return err
		}
		if b.count%memChunkSize == 0 && ctx.Err() != nil {
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
		return fmt.Errorf("%w: plan %q is created without a log record", ErrRefused, p.ID)
	}
	return s.publish(ctx, p, newMemPlan(p, created, made))
}

// taken says whether the ID or the request key is. s.mu is held.
func (s *MemStore) taken(p NewPlan) error {
	if s.plans[p.ID] != nil {
		return fmt.Errorf("%w: plan %q", ErrExists, p.ID)
	}
	if other := s.keys[p.RequestKey]; other != nil {
		return fmt.Errorf("%w: request key %q made plan %q", ErrExists, p.RequestKey, other.id)
	}
	return nil
}

// publish makes a plan visible, unless another one came first or ctx has ended.
func (s *MemStore) publish(ctx context.Context, p NewPlan, made *memPlan) error {
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
func (s *MemStore) Commit(ctx context.Context, c Commit) (uint64, error) {
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
func (s *MemStore) Plan(ctx context.Context, id string) (row PlanRow, err error) {
	err = s.read(ctx, id, func(p *memPlan) { row = p.row.clone() })
	return row, err
}

// Plans implements Store.
func (s *MemStore) Plans(ctx context.Context, q PlanQuery) (Page[PlanRow], error) {
	if err := ctx.Err(); err != nil {
		return Page[PlanRow]{}, err
	}
	s.mu.RLock()
	order := slices.Clone(s.order)
	s.mu.RUnlock()
	var page Page[PlanRow]
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
				page.Items = append(page.Items, p.row.clone())
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
func (s *MemStore) Batches(ctx context.Context, plan string, q RowQuery) (page Page[BatchRow], err error) {
	err = s.read(ctx, plan, func(p *memPlan) {
		from, to := q.bounds(len(p.batches))
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
func (s *MemStore) Agents(ctx context.Context, plan string, q RowQuery) (page Page[AgentRow], err error) {
	if len(q.IDs) > maxIDs {
		return page, fmt.Errorf("ota: %d agents asked for by ID, at most %d are possible", len(q.IDs), maxIDs)
	}
	err = s.read(ctx, plan, func(p *memPlan) { page = p.agents.page(q) })
	return page, err
}

// maxIDs is how many agents may be asked for by ID at once.
const maxIDs = 1000

// Log implements Store.
func (s *MemStore) Log(ctx context.Context, plan string, after uint64, limit int) (rows []LogRow, err error) {
	err = s.read(ctx, plan, func(p *memPlan) { rows = p.log.after(after, pageLimit(limit)) })
	return rows, err
}
