package brokenstore

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// claiming is a claims table without the reference's care.
type claiming struct {
	*memstore.Store
	mu      sync.Mutex
	holders map[string]string
	greedy  bool // keeps what it got before a conflict
	void    bool // knows that claims of an ended plan are void
}

func newGreedy() *claiming {
	return &claiming{Store: memstore.New(), holders: map[string]string{}, greedy: true, void: true}
}

func newClinging() *claiming {
	return &claiming{Store: memstore.New(), holders: map[string]string{}}
}

func (s *claiming) Claim(ctx context.Context, plan, from string) (conflicts []ota.Conflict, total int, err error) {
	page, err := s.Rows(ctx, plan, ota.RowQuery{Kind: ota.KindAgent, Limit: 1000})
	if err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var free []string
	for _, row := range page.Items {
		id := row.ID
		if by := s.holders[id]; by != "" && by != plan && by != from && !s.ended(ctx, by) {
			if total++; total <= 32 {
				conflicts = append(conflicts, ota.Conflict{Agent: id, Plan: by})
			}
			continue
		}
		free = append(free, id)
	}
	if total == 0 || s.greedy {
		for _, id := range free {
			s.holders[id] = plan
		}
	}
	return conflicts, total, nil
}

func (s *claiming) ended(ctx context.Context, plan string) bool {
	p, err := s.Plan(ctx, plan)
	return s.void && (err != nil || p.Head.Status.Ended())
}

// immortal never ends a lease early.
type immortal struct{ *memstore.Store }

func (s immortal) Renew(ctx context.Context, engine string, ttl time.Duration) error {
	return s.Store.Renew(ctx, engine, max(ttl, time.Minute))
}

// repeating appends a message although it was posted before.
type repeating struct {
	*memstore.Store
	mu sync.Mutex
	n  int
}

func (s *repeating) Post(ctx context.Context, plan string, messages []ota.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	renamed := make([]ota.Message, len(messages))
	for i, m := range messages {
		s.n++
		renamed[i] = ota.Message{ID: m.ID + "#" + strconv.Itoa(s.n), Body: m.Body}
	}
	return s.Store.Post(ctx, plan, renamed)
}

// silent tells nobody of commits, and closes no channel.
type silent struct{ *memstore.Store }

func (silent) Changes(context.Context) (<-chan string, error) { return make(chan string), nil }

// ruthless prunes every plan.
type ruthless struct{ *memstore.Store }

func (s ruthless) Prune(ctx context.Context, _ time.Time) (int, error) {
	return s.Store.Prune(ctx, time.Now().AddDate(100, 0, 0))
}

// careless keeps claims without the reference's care, in one way.
type careless struct {
	*memstore.Store
	wrong keeping

	mu   sync.Mutex
	kept map[[2]string][]string // agents, by plan and engine
}

type keeping int

const (
	keepsNothing     keeping = iota // forgets at once
	keepsForTheDead                 // does not look at leases
	keepsMoreAndMore                // takes each list for an addition
	keepsUntilPrune                 // forgets when plans are pruned
	releasesKept                    // Release ends kept claims, too
	releasesNothing                 // Release does nothing
	releasesOthers                  // Release ends the claims of every plan
)

func newCareless(wrong keeping) func() ota.Store {
	return func() ota.Store {
		return &careless{Store: memstore.New(), wrong: wrong, kept: map[[2]string][]string{}}
	}
}

func (s *careless) Keep(ctx context.Context, plan, engine string, agents []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	by := [2]string{plan, engine}
	switch s.wrong {
	case keepsNothing:
		return nil
	case keepsForTheDead:
		engine += "'s ghost"
		if err := s.Renew(ctx, engine, time.Hour); err != nil {
			return err
		}
	case keepsMoreAndMore:
		agents = append(s.kept[by], agents...)
	}
	s.kept[by] = agents
	return s.Store.Keep(ctx, plan, engine, agents)
}

func (s *careless) Prune(ctx context.Context, before time.Time) (int, error) {
	n, err := s.Store.Prune(ctx, before)
	if s.wrong == keepsUntilPrune {
		for by := range s.kept {
			_ = s.Store.Keep(ctx, by[0], by[1], nil)
		}
	}
	return n, err
}

func (s *careless) Release(ctx context.Context, plan string, agents []string) error {
	switch s.wrong {
	case releasesNothing:
		return nil
	case releasesKept:
		for by := range s.kept {
			_ = s.Store.Keep(ctx, by[0], by[1], nil)
		}
	case releasesOthers:
		page, err := s.Plans(ctx, ota.PlanQuery{})
		if err != nil {
			return err
		}
		for i := range page.Items {
			_ = s.Store.Release(ctx, page.Items[i].ID, agents)
		}
	}
	return s.Store.Release(ctx, plan, agents)
}

// historian names every plan that has ever claimed an agent.
type historian struct {
	*memstore.Store
	mu    sync.Mutex
	plans []string
}

func (s *historian) Claim(ctx context.Context, plan, from string) ([]ota.Conflict, int, error) {
	s.mu.Lock()
	s.plans = append(s.plans, plan)
	s.mu.Unlock()
	return s.Store.Claim(ctx, plan, from)
}

func (s *historian) Holders(ctx context.Context, agents []string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(agents) == 0 {
		return nil, nil
	}
	return slices.Clone(s.plans), ctx.Err()
}
