package brokenstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// torn writes the agents of a commit before it looks at the numbers.
type torn struct {
	*memstore.Store
	mu   sync.Mutex
	rows map[string]map[int]ota.AgentState
}

func newTorn() *torn {
	return &torn{Store: memstore.New(), rows: map[string]map[int]ota.AgentState{}}
}

func (s *torn) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	revision, err := s.Store.Commit(ctx, c)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows[c.Plan] == nil {
		s.rows[c.Plan] = map[int]ota.AgentState{}
	}
	for _, a := range c.Agents {
		if err == nil {
			delete(s.rows[c.Plan], a.Ordinal)
		} else if errors.Is(err, ota.ErrConflict) {
			s.rows[c.Plan][a.Ordinal] = a.State
		}
	}
	return revision, err
}

func (s *torn) Agents(ctx context.Context, plan string, q ota.RowQuery) (ota.Page[ota.AgentRow], error) {
	page, err := s.Store.Agents(ctx, plan, q)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, row := range page.Items {
		if state, ok := s.rows[plan][row.Ordinal]; ok {
			page.Items[i].State = state
		}
	}
	return page, err
}

// skipping counts revisions by two.
type skipping struct{ *memstore.Store }

func (s skipping) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	revision, err := s.Store.Commit(ctx, c)
	return 2 * revision, err
}

// forgetful loses every fifth log record.
type forgetful struct{ *memstore.Store }

func (s forgetful) Log(ctx context.Context, plan string, after uint64, limit int) ([]ota.LogRow, error) {
	rows, err := s.Store.Log(ctx, plan, after, limit)
	kept := rows[:0]
	for _, r := range rows {
		if r.Revision%5 != 0 {
			kept = append(kept, r)
		}
	}
	return kept, err
}

// mangling takes log records for text.
type mangling struct{ *memstore.Store }

func (s mangling) Log(ctx context.Context, plan string, after uint64, limit int) ([]ota.LogRow, error) {
	rows, err := s.Store.Log(ctx, plan, after, limit)
	for i := range rows {
		rows[i].Data = []byte(string([]rune(string(rows[i].Data))))
	}
	return rows, err
}

// keeper keeps the Control half that it was given.
type keeper struct {
	*memstore.Store
	mu   sync.Mutex
	kept map[string]*ota.Control
}

func newKeeper() *keeper {
	return &keeper{Store: memstore.New(), kept: map[string]*ota.Control{}}
}

func (s *keeper) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	revision, err := s.Store.Commit(ctx, c)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && c.NewControl != nil {
		s.kept[c.Plan] = c.NewControl
	}
	return revision, err
}

func (s *keeper) Plan(ctx context.Context, id string) (ota.PlanRow, error) {
	p, err := s.Store.Plan(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept := s.kept[id]; err == nil && kept != nil {
		p.Control = *kept
	}
	return p, err
}

// giver gives its own maps and slices away.
type giver struct {
	*memstore.Store
	mu   sync.Mutex
	rows map[string]ota.PlanRow
}

func newGiver() *giver { return &giver{Store: memstore.New(), rows: map[string]ota.PlanRow{}} }

func (s *giver) Plan(ctx context.Context, id string) (ota.PlanRow, error) {
	p, err := s.Store.Plan(ctx, id)
	if err != nil {
		return p, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if own, ok := s.rows[id]; ok && own.Revision == p.Revision {
		return own, nil
	}
	s.rows[id] = p
	return p, nil
}

// deaf does not look at the context.
type deaf struct{ *memstore.Store }

func (s deaf) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	return s.Store.Commit(context.WithoutCancel(ctx), c)
}

// local gives times of the place where it runs.
type local struct{ *memstore.Store }

func (s local) Plan(ctx context.Context, id string) (ota.PlanRow, error) {
	p, err := s.Store.Plan(ctx, id)
	p.Progress.At = p.Progress.At.In(time.FixedZone("CET", 3600))
	return p, err
}
