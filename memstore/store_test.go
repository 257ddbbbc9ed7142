package memstore_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/storetest"
)

func TestMemStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) ota.Store { return memstore.New() }, storetest.Options{})
}

func BenchmarkMemStore(b *testing.B) {
	storetest.Bench(b, func(*testing.B) ota.Store { return memstore.New() })
}

func TestLeasesRunOutOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		owners := func(want ...string) {
			t.Helper()
			got, err := s.Owners(t.Context())
			if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %v, %v, want %v", got, err, want)
			}
		}
		for engine, ttl := range map[string]time.Duration{"b": 20 * time.Second, "a": 10 * time.Second} {
			if err := s.Renew(t.Context(), engine, ttl); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10*time.Second - time.Nanosecond)
		owners("a", "b")
		time.Sleep(time.Nanosecond)
		owners("b")
		time.Sleep(10 * time.Second)
		owners()
	})
}

// TestChangesMerge also proves that a subscription leaves no goroutine: the bubble would not end.
func TestChangesMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		create(t, s, 10)
		ctx, cancel := context.WithCancel(t.Context())
		changes, err := s.Changes(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			if _, err := s.Commit(ctx, ota.Commit{Plan: "p", Log: ota.LogRow{Data: []byte("x")}}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		n := 0
		for heard := true; heard; synctest.Wait() {
			select {
			case <-changes:
				n++
			default:
				heard = false
			}
		}
		if n < 1 || n > 2 {
			t.Errorf("1,000 unread changes of one plan were told %d times, want once or twice", n)
		}
		cancel()
		if _, open := <-changes; open {
			t.Error("the channel is still open")
		}
	})
}

func TestCommitDoesNotAllocatePerRow(t *testing.T) {
	s := memstore.New()
	create(t, s, 10_000)
	c := ownerCommit(100)
	n := testing.AllocsPerRun(1000, func() {
		for i := range 100 {
			c.Rows[1+i].Number = 100*i + int(c.If.Progress)%100
		}
		if _, err := s.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		c.If.Progress, c.Then.Progress = c.Then.Progress, c.Then.Progress+1
	})
	if n > 0 {
		t.Errorf("a commit of 100 rows allocates %v times, want none but for the blocks of the log", n)
	}
}

func TestPruneAndCommitTogether(t *testing.T) {
	s := memstore.New()
	create(t, s, 10)
	end := ota.Commit{Plan: "p", Head: &ota.Head{Ended: time.Unix(1, 0)}, Log: ota.LogRow{Data: []byte("x")}}
	if _, err := s.Commit(t.Context(), end); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				if _, err := s.Commit(t.Context(), ota.Commit{Plan: "p", Log: ota.LogRow{Data: []byte("x")}}); err != nil {
					return
				}
			}
		})
	}
	n, err := s.Prune(t.Context(), time.Unix(2, 0))
	if n != 1 || err != nil {
		t.Errorf("got %d, %v, want 1", n, err)
	}
	wg.Wait() // a commit that finds the plan for ever would hang here
	create(t, s, 5)
}

func TestRefusesWhatNoEngineAsks(t *testing.T) {
	s := memstore.New()
	create(t, s, 3)
	if _, err := s.Rows(t.Context(), "p", ota.RowQuery{IDs: make([]string, 1001)}); err == nil {
		t.Error("1,001 IDs at once were accepted")
	}
}
