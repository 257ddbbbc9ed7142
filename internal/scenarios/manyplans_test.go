package scenarios

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// listTakes is how long a list of an askedStore takes.
const listTakes = 100 * time.Microsecond

// askedStore counts lists of plans, and keeps how many rows were asked for at once.
type askedStore struct {
	*memstore.Store
	mu    sync.Mutex
	lists int
	page  int
}

func (s *askedStore) Plans(ctx context.Context, q ota.PlanQuery) (ota.Page[ota.PlanRow], error) {
	s.mu.Lock()
	s.lists++
	s.mu.Unlock()
	time.Sleep(listTakes)
	return s.Store.Plans(ctx, q)
}

func (s *askedStore) Rows(ctx context.Context, plan string, q ota.RowQuery) (ota.Page[ota.Row], error) {
	s.mu.Lock()
	if q.Kind == ota.KindAgent {
		s.page = max(s.page, q.Limit)
	}
	s.mu.Unlock()
	return s.Store.Rows(ctx, plan, q)
}

// Claim is what Start calls, after Create has read the plan. What is read from then on is the owner's.
func (s *askedStore) Claim(ctx context.Context, plan, from string) ([]ota.Conflict, int, error) {
	s.mu.Lock()
	s.page = 0
	s.mu.Unlock()
	return s.Store.Claim(ctx, plan, from)
}

// drivePlans makes so many plans and drives them at once to their ends, each with calls that take a little longer than those
// of the one before.
func drivePlans(t *testing.T, s ota.Store, plans, agents, concurrency int) {
	t.Helper()
	took := map[string]time.Duration{}
	e, err := ota.New(s, ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		time.Sleep(took[a.Plan])
		return ota.Result{}, nil
	}), ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range plans {
		id := fmt.Sprint("plan-", i)
		took[id] = time.Millisecond + time.Duration(i)*10*time.Microsecond
		_, err := e.Create(t.Context(), ota.Spec{
			ID: id, Name: id, ToVersion: "2", Agents: ota.AgentIDs(ids(id, agents)...), Shape: ota.Shape{Size: agents},
			Policy: ota.Policy{Concurrency: concurrency},
		})
		if err == nil {
			_, err = e.Start(t.Context(), id, ota.Request{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	for id := range took {
		if p, err := e.Wait(t.Context(), id); err != nil || p.Counts.Succeeded != agents {
			t.Fatalf("%s: %+v, %v", id, p.Counts, err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// Plans that end one after the other do not have all the others listed each time: that would be work that grows with their
// square.
func TestPlansAreListedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &askedStore{Store: memstore.New()}
		began := time.Now()
		drivePlans(t, s, 100, 20, 5)
		took := time.Since(began)
		if most := 2 + int(took/(listTakes+scanRest*listTakes)); s.lists > most {
			t.Errorf("%d lists in %v, want at most %d", s.lists, took, most)
		}
	})
}

// What an owner reads at once, and holds, grows with Concurrency and not with the batch: many plans at once are many times that.
func TestPagesGrowWithConcurrency(t *testing.T) {
	for concurrency, want := range map[int]int{0: 256, 5: 256, 65: 512, 1_000_000: 4096} {
		synctest.Test(t, func(t *testing.T) {
			s := &askedStore{Store: memstore.New()}
			drivePlans(t, s, 2, 1000, concurrency)
			if s.page != want {
				t.Errorf("%d rows were read at once at concurrency %d, want %d", s.page, concurrency, want)
			}
		})
	}
}
