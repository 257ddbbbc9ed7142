package brokenstore

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// torn writes the agents of a commit before it looks at the numbers.
type torn struct {
	*memstore.Store
	mu   sync.Mutex
	rows map[string]map[int][]byte
}

func newTorn() *torn {
	return &torn{Store: memstore.New(), rows: map[string]map[int][]byte{}}
}

func (s *torn) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	revision, err := s.Store.Commit(ctx, c)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows[c.Plan] == nil {
		s.rows[c.Plan] = map[int][]byte{}
	}
	for _, a := range c.Rows {
		if err == nil {
			delete(s.rows[c.Plan], a.Number)
		} else if a.Kind == ota.KindAgent && errors.Is(err, ota.ErrConflict) {
			s.rows[c.Plan][a.Number] = a.State
		}
	}
	return revision, err
}

func (s *torn) Rows(ctx context.Context, plan string, q ota.RowQuery) (ota.Page[ota.Row], error) {
	page, err := s.Store.Rows(ctx, plan, q)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, row := range page.Items {
		if state, ok := s.rows[plan][row.Number]; ok && q.Kind == ota.KindAgent {
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

func (s forgetful) Log(ctx context.Context, plan string, q ota.LogQuery) (ota.Page[ota.LogRow], error) {
	page, err := s.Store.Log(ctx, plan, q)
	page.Items = slices.DeleteFunc(page.Items, func(r ota.LogRow) bool { return r.Revision%5 == 0 })
	return page, err
}

// mangling takes log records for text.
type mangling struct{ *memstore.Store }

func (s mangling) Log(ctx context.Context, plan string, q ota.LogQuery) (ota.Page[ota.LogRow], error) {
	page, err := s.Store.Log(ctx, plan, q)
	for i := range page.Items {
		page.Items[i].Data = []byte(string([]rune(string(page.Items[i].Data))))
	}
	return page, err
}

// unremarkable does not look at Notable.
type unremarkable struct{ *memstore.Store }

func (s unremarkable) Log(ctx context.Context, plan string, q ota.LogQuery) (ota.Page[ota.LogRow], error) {
	q.Notable = false
	return s.Store.Log(ctx, plan, q)
}

// keeper keeps the Control part that it was given.
type keeper struct {
	*memstore.Store
	mu   sync.Mutex
	kept map[string][]byte
}

func newKeeper() *keeper {
	return &keeper{Store: memstore.New(), kept: map[string][]byte{}}
}

func (s *keeper) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	revision, err := s.Store.Commit(ctx, c)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && c.Parts.Control != nil {
		s.kept[c.Plan] = c.Parts.Control
	}
	return revision, err
}

func (s *keeper) Plan(ctx context.Context, id string) (ota.PlanRow, error) {
	p, err := s.Store.Plan(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept := s.kept[id]; err == nil && kept != nil {
		p.Parts.Control = kept
	}
	return p, err
}

// giver gives its own bytes away, and writes into them.
type giver struct {
	*memstore.Store
	mu       sync.Mutex
	progress map[string][]byte
}

func newGiver() *giver { return &giver{Store: memstore.New(), progress: map[string][]byte{}} }

func (s *giver) Plan(ctx context.Context, id string) (ota.PlanRow, error) {
	p, err := s.Store.Plan(ctx, id)
	if err != nil {
		return p, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress[id] = append(s.progress[id][:0], p.Parts.Progress...)
	p.Parts.Progress = s.progress[id]
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
	p.Head.Since = p.Head.Since.In(time.FixedZone("CET", 3600))
	return p, err
}
