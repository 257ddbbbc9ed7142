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
	c.Control, c.Progress = row.ControlNumber, row.ProgressNumber
	if c.Owner {
		c.Epoch = row.Epoch
	}
	n, err := s.Store.Commit(ctx, c)
	if err == nil && c.Raise {
		s.mu.Lock()
		s.own[c.Plan] = c.Epoch + 1
		s.mu.Unlock()
	}
	return n, err
}

func (s *unfenced) Plan(ctx context.Context, id string) (ota.PlanRow, error) {
	row, err := s.Store.Plan(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if epoch, ok := s.own[id]; ok {
		row.Epoch = epoch
	}
	return row, err
}
