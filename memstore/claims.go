package memstore

import (
	"context"
	"hash/maphash"
	"sync"

	"github.com/seed-19b57ce3/ota"
)

// claimTable says which plan holds an agent. A claim of a plan that has ended or was pruned stays
// in the table until another plan claims the agent: it is void, not removed.
type claimTable struct {
	mu    sync.Mutex // held for the whole of a Claim, which makes it all or none
	seed  maphash.Seed
	table []claim // an open hash table of the agents' IDs, at most 7/8 full
	used  int

	released map[*planEntry][]uint64 // a bit for each agent that its plan calls no more
	kept     map[string][]keeper     // by agent: whose calls have not returned
}

// claim is a place in the table, 16 bytes: the ID itself is left where it is.
type claim struct {
	holder  *planEntry // nil: the place is free
	hash    uint32     // of the ID, so that hardly any ID but the right one is ever looked at
	ordinal uint32     // of the agent in its holder
}

// place returns where an agent's claim is, or would be.
func (c *claimTable) place(id string) (at *claim, hash uint32) {
	full := maphash.String(c.seed, id)
	hash = uint32(full >> 32)
	for i := int(full) & (len(c.table) - 1); ; i = (i + 1) & (len(c.table) - 1) {
		at = &c.table[i]
		if at.holder == nil || at.hash == hash && at.holder.agents().id(int(at.ordinal)) == id {
			return at, hash
		}
	}
}

func (c *claimTable) put(p *planEntry, ordinal int) {
	at, hash := c.place(p.agents().id(ordinal))
	if at.holder == nil {
		c.used++
	}
	*at = claim{holder: p, hash: hash, ordinal: uint32(ordinal)}
}

// rebuild makes the table anew, with room for further claims and without those of plans that were
// removed.
func (c *claimTable) rebuild(further int, gone map[*planEntry]bool) {
	old, size := c.table, 16
	for 7*size < 8*(c.used+further) {
		size *= 2
	}
	c.table, c.used = make([]claim, size), 0
	if len(old) == 0 {
		c.seed = maphash.MakeSeed()
	}
	for i := range old {
		if h := old[i].holder; h != nil && !gone[h] {
			c.put(h, int(old[i].ordinal))
		}
	}
}

// maxConflicts is how many conflicts Claim lists.
const maxConflicts = 32

// Claim implements Claimer.
func (s *Store) Claim(ctx context.Context, plan, from string) ([]ota.Conflict, int, error) {
	p, err := s.find(ctx, plan)
	if err != nil {
		return nil, 0, err
	}
	return s.claims.take(p, from, &s.leases)
}

func (c *claimTable) take(p *planEntry, from string, alive *leases) (conflicts []ota.Conflict, total int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.pruned() { // its claims were released, and must not come back
		return nil, 0, notFound(p.id)
	}
	if c.table == nil {
		c.rebuild(0, nil)
	}
	unknown := 0
	free := map[*planEntry]bool{nil: true, p: true} // whose claims do not count, asked once per plan
	for i := range p.agents().count {
		if c.isReleased(p, i) {
			continue
		}
		id := p.agents().id(i)
		at, _ := c.place(id)
		holder := at.holder
		if holder == nil {
			unknown++
		}
		void, known := free[holder]
		if !known {
			void = holder.id == from || holder.ended()
			free[holder] = void
		}
		conflict := ota.Conflict{Agent: id}
		if !void && !c.isReleased(holder, int(at.ordinal)) {
			conflict.Plan = holder.id
		} else if by, ok := c.keeper(id, p.id, alive); ok && from == "" {
			conflict.Plan, conflict.Engine = by.plan, by.engine
		} else {
			continue
		}
		total++
		if total <= maxConflicts {
			conflicts = append(conflicts, conflict)
		}
	}
	if total > 0 {
		return conflicts, total, nil
	}
	if 7*len(c.table) < 8*(c.used+unknown) {
		c.rebuild(unknown, nil)
	}
	for i := range p.agents().count {
		if !c.isReleased(p, i) {
			c.put(p, i)
		}
	}
	return nil, 0, nil
}

// forget drops the claims of pruned plans, so that they do not keep them in memory. Kept claims
// stay.
func (c *claimTable) forget(pruned map[*planEntry]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range pruned {
		delete(c.released, p)
	}
	if c.used > 0 && len(pruned) > 0 {
		c.rebuild(0, pruned)
	}
}

func (p *planEntry) ended() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.gone || !p.row.Head.Ended.IsZero()
}

func (p *planEntry) pruned() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.gone
}

// Holders implements Claimer.
func (s *Store) Holders(ctx context.Context, agents []string) (plans []string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := &s.claims
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := map[*planEntry]bool{nil: true}
	for _, id := range agents {
		if len(c.table) == 0 {
			break
		}
		at, _ := c.place(id)
		if h := at.holder; !seen[h] && !h.ended() && !c.isReleased(h, int(at.ordinal)) {
			seen[h] = true
			plans = append(plans, h.id)
		}
	}
	return plans, nil
}
