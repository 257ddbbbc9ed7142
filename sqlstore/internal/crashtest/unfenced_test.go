//go:build unix

package crashtest

import (
	"context"
	"sync"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore"
)

// unfenced is a Store without a fence: whatever numbers and epoch a commit was made for, it is given the present ones,
// and an engine never hears of an epoch that is not its own.
type unfenced struct {
	*sqlstore.Store

	mu  sync.Mutex
	own map[string]uint64 // epochs taken in this process, by plan
}

func (s *unfenced) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	row, err := s.Store.Plan(ctx, c.Plan)
	if err != nil {
		return 0, err
	}
	next := func(is uint64, then *uint64) {
		if *then != 0 {
			*then = is + 1
		}
	}
	next(row.Numbers.Epoch, &c.Then.Epoch)
	next(row.Numbers.Control, &c.Then.Control)
	next(row.Numbers.Progress, &c.Then.Progress)
	c.If = ota.Numbers{}
	n, err := s.Store.Commit(ctx, c)
	if err == nil && c.Then.Epoch != 0 {
		s.mu.Lock()
		s.own[c.Plan] = c.Then.Epoch
		s.mu.Unlock()
	}
	return n, err
}

func (s *unfenced) Plan(ctx context.Context, id string) (ota.PlanRow, error) {
	row, err := s.Store.Plan(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if epoch, ok := s.own[id]; ok {
		row.Numbers.Epoch = epoch
	}
	return row, err
}
