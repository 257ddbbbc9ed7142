package ota

import (
	"context"
	"sync"
)

// memClaims says which plan holds an agent. A claim of a plan that has ended or was pruned stays in the table until
// somebody else wants the agent: it is void, not gone.
type memClaims struct {
	mu      sync.Mutex // held for the whole of a Claim, which makes it all or none
	holders map[string]*memPlan
}

// memConflicts is how many conflicts Claim lists.
const memConflicts = 32

// Claim implements Claimer.
func (s *MemStore) Claim(ctx context.Context, plan, from string) ([]Conflict, int, error) {
	p, err := s.find(ctx, plan)
	if err != nil {
		return nil, 0, err
	}
	return s.claims.take(p, from)
}

func (c *memClaims) take(p *memPlan, from string) (conflicts []Conflict, total int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.pruned() { // its claims were released, and must not come back
		return nil, 0, notFound(p.id)
	}
	free := map[*memPlan]bool{nil: true, p: true} // whose claims do not count, asked once per plan
	for i := range p.agents.count {
		id := p.agents.id(i)
		holder := c.holders[id]
		void, known := free[holder]
		if !known {
			void = holder.id == from || holder.ended()
			free[holder] = void
		}
		if void {
			continue
		}
		total++
		if total <= memConflicts {
			conflicts = append(conflicts, Conflict{Agent: id, Plan: holder.id})
		}
	}
	if total > 0 {
		return conflicts, total, nil
	}
	if c.holders == nil {
		c.holders = make(map[string]*memPlan, p.agents.count)
	}
	for i := range p.agents.count {
		c.holders[p.agents.id(i)] = p
	}
	return nil, 0, nil
}

// release forgets the claims of a pruned plan, so that they do not keep it in memory.
func (c *memClaims) release(p *memPlan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.holders) == 0 {
		return
	}
	for i := range p.agents.count {
		if id := p.agents.id(i); c.holders[id] == p {
			delete(c.holders, id)
		}
	}
}

func (p *memPlan) ended() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.gone || p.row.Status.Ended()
}

func (p *memPlan) pruned() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.gone
}
