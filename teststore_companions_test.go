package ota

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

// The companions of a testStore.

func (s *testStore) Renew(ctx context.Context, engine string, ttl time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leases[engine] = time.Now().Add(ttl)
	return nil
}

func (s *testStore) alive(engine string) bool { return time.Now().Before(s.leases[engine]) }

func (s *testStore) Owners(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	owners := slices.Sorted(maps.Keys(s.leases))
	return slices.DeleteFunc(owners, func(engine string) bool { return !s.alive(engine) }), nil
}

func (s *testStore) Changes(ctx context.Context) (<-chan string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.feed.Subscribe(ctx), nil
}

func (s *testStore) Claim(ctx context.Context, plan, from string) (conflicts []Conflict, total int, err error) {
	err = s.with(ctx, plan, func(p *testPlan) error {
		var claimed []string
		for _, r := range p.Rows[KindAgent] {
			id := r.ID
			if p.released[id] {
				continue
			}
			claimed = append(claimed, id)
			c, taken := Conflict{Agent: id}, false
			if holder := s.claims[id]; holder != nil && holder != p && holder.Plan.ID != from && holder.Plan.Head.Ended.IsZero() && !holder.released[id] {
				c.Plan, taken = holder.Plan.ID, true
			} else if by, ok := s.keeper(id, plan); ok && from == "" {
				c.Plan, c.Engine, taken = by.plan, by.engine, true
			}
			if !taken {
				continue
			}
			if total++; total <= 32 {
				conflicts = append(conflicts, c)
			}
		}
		if total == 0 {
			for _, id := range claimed {
				s.claims[id] = p
			}
		}
		return nil
	})
	return conflicts, total, err
}

// keeper returns an engine that is alive and keeps an agent for a plan other than but.
func (s *testStore) keeper(agent, but string) (testKeeper, bool) {
	for by, agents := range s.kept {
		if by.plan != but && s.alive(by.engine) && slices.Contains(agents, agent) {
			return by, true
		}
	}
	return testKeeper{}, false
}

func (s *testStore) Keep(ctx context.Context, plan, engine string, agents []string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	by := testKeeper{plan, engine}
	p, before := s.plans[plan], s.kept[by]
	s.kept[by] = slices.DeleteFunc(slices.Clone(agents), func(id string) bool {
		if p == nil { // pruned: Keep only takes away
			return !slices.Contains(before, id)
		}
		_, has := p.ordinals[id]
		return !has
	})
	return nil
}

func (s *testStore) Kept(ctx context.Context, plan string) (kept []Conflict, err error) {
	err = s.with(ctx, plan, func(p *testPlan) error {
		kept = []Conflict{}
		for _, r := range p.Rows[KindAgent] {
			if by, ok := s.keeper(r.ID, ""); ok {
				kept = append(kept, Conflict{Agent: r.ID, Plan: by.plan, Engine: by.engine})
			}
		}
		return nil
	})
	return kept, err
}

func (s *testStore) Release(ctx context.Context, plan string, agents []string) error {
	err := s.with(ctx, plan, func(p *testPlan) error {
		for _, id := range agents {
			if _, has := p.ordinals[id]; has {
				p.released[id] = true
			}
		}
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func (s *testStore) Holders(ctx context.Context, agents []string) (plans []string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range agents {
		p := s.claims[id]
		if p != nil && p.Plan.Head.Ended.IsZero() && !p.released[id] && !slices.Contains(plans, p.Plan.ID) {
			plans = append(plans, p.Plan.ID)
		}
	}
	return plans, nil
}

func (s *testStore) Post(ctx context.Context, plan string, messages []Message) error {
	err := s.with(ctx, plan, func(p *testPlan) error {
		for _, m := range messages {
			if !slices.ContainsFunc(p.messages, func(other Message) bool { return other.ID == m.ID }) {
				p.messages = append(p.messages, Message{Number: uint64(len(p.messages)) + 1, ID: m.ID, Body: slices.Clone(m.Body)})
			}
		}
		return nil
	})
	if err == nil {
		s.feed.Tell(plan)
	}
	return err
}

func (s *testStore) Read(ctx context.Context, plan string, after uint64, limit int) (found []Message, err error) {
	err = s.with(ctx, plan, func(p *testPlan) error {
		found = p.messages[min(after, uint64(len(p.messages))):]
		if limit > 0 {
			found = found[:min(limit, len(found))]
		}
		found = slices.Clone(found)
		for i := range found {
			found[i].Body = slices.Clone(found[i].Body)
		}
		return nil
	})
	return found, err
}

func (s *testStore) Prune(ctx context.Context, before time.Time) (plans int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order = slices.DeleteFunc(s.order, func(p *testPlan) bool {
		at := p.Plan.Head.Ended
		old := !at.IsZero() && at.Before(before)
		if old {
			plans++
			delete(s.plans, p.Plan.ID)
			maps.DeleteFunc(s.claims, func(_ string, holder *testPlan) bool { return holder == p })
		}
		return old
	})
	return plans, nil
}
