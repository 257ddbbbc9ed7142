package memstore

import (
	"context"
	"errors"
	"slices"

	"github.com/seed-19b57ce3/ota"
)

// keeper is who keeps an agent: a call that this engine made for this plan has not returned. The
// plan may be pruned.
type keeper struct{ plan, engine string }

// Keep implements Claimer.
func (s *Store) Keep(ctx context.Context, plan, engine string, agents []string) error {
	p, err := s.find(ctx, plan)
	if err != nil && !errors.Is(err, ota.ErrNotFound) {
		return err
	}
	s.claims.keep(p, keeper{plan, engine}, agents)
	return nil
}

// keep replaces what by keeps. p is nil when the plan is gone: then nothing is added.
func (c *claimTable) keep(p *planEntry, by keeper, agents []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for agent, all := range c.kept {
		if !slices.Contains(agents, agent) {
			c.setKeepers(agent, slices.DeleteFunc(all, func(k keeper) bool { return k == by }))
		}
	}
	if p == nil {
		return
	}
	for _, ordinal := range p.agents().find(agents) {
		agent := p.agents().id(ordinal)
		if !slices.Contains(c.kept[agent], by) {
			c.setKeepers(agent, append(c.kept[agent], by))
		}
	}
}

func (c *claimTable) setKeepers(agent string, all []keeper) {
	switch {
	case len(all) == 0:
		delete(c.kept, agent)
	case c.kept == nil:
		c.kept = map[string][]keeper{agent: all}
	default:
		c.kept[agent] = all
	}
}

// keeper returns a plan other than but, and an engine that is alive, which keep the agent.
func (c *claimTable) keeper(agent, but string, alive *leases) (by keeper, ok bool) {
	for _, k := range c.kept[agent] {
		if k.plan != but && alive.alive(k.engine) {
			return k, true
		}
	}
	return keeper{}, false
}

// Kept implements Claimer.
func (s *Store) Kept(ctx context.Context, plan string) ([]ota.Conflict, error) {
	p, err := s.find(ctx, plan)
	if err != nil {
		return nil, err
	}
	return s.claims.keptOf(p, &s.leases), nil
}

func (c *claimTable) keptOf(p *planEntry, alive *leases) []ota.Conflict {
	c.mu.Lock()
	defer c.mu.Unlock()
	var agents []string
	for agent := range c.kept {
		agents = append(agents, agent)
	}
	kept := []ota.Conflict{}
	if len(agents) == 0 {
		return kept
	}
	for _, ordinal := range p.agents().find(agents) {
		agent := p.agents().id(ordinal)
		if by, ok := c.keeper(agent, "", alive); ok {
			kept = append(kept, ota.Conflict{Agent: agent, Plan: by.plan, Engine: by.engine})
		}
	}
	return kept
}

// Release implements Claimer.
func (s *Store) Release(ctx context.Context, plan string, agents []string) error {
	p, err := s.find(ctx, plan)
	if err != nil {
		return ignore(err, ota.ErrNotFound)
	}
	c := &s.claims
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.pruned() {
		return nil
	}
	for _, ordinal := range p.agents().find(agents) {
		if c.released == nil {
			c.released = map[*planEntry][]uint64{}
		}
		if c.released[p] == nil {
			c.released[p] = make([]uint64, p.agents().count/64+1)
		}
		c.released[p][ordinal/64] |= 1 << (ordinal % 64)
	}
	return nil
}

func ignore(err, what error) error {
	if errors.Is(err, what) {
		return nil
	}
	return err
}

// isReleased reports whether a plan calls the agent at this ordinal no more.
func (c *claimTable) isReleased(p *planEntry, ordinal int) bool {
	bits := c.released[p]
	return len(bits) > 0 && bits[ordinal/64]&(1<<(ordinal%64)) != 0
}
