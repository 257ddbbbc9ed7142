package memstore

import (
	"context"
	"slices"
	"time"
)

// Prune implements Pruner. A plan whose end is not known is kept.
func (s *Store) Prune(ctx context.Context, before time.Time) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.RLock()
	order := slices.Clone(s.order)
	s.mu.RUnlock()
	pruned := map[*planEntry]bool{}
	for _, p := range order {
		if p.retire(before) {
			pruned[p] = true
		}
	}
	s.claims.forget(pruned)
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range pruned {
		delete(s.plans, p.id)
		if p.key != "" {
			delete(s.keys, p.key)
		}
	}
	s.order = slices.DeleteFunc(s.order, func(p *planEntry) bool { return pruned[p] })
	return len(pruned), nil
}

// retire removes the plan if it ended before the given time, and reports whether it did. Goroutines
// that still have its pointer find it gone.
func (p *planEntry) retire(before time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.row.Head.Ended
	if p.gone || at.IsZero() || !at.Before(before) {
		return false
	}
	p.gone = true
	return true
}
