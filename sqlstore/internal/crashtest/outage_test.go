//go:build unix

package crashtest

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore"
	"github.com/seed-19b57ce3/ota/sqlstore/pgtest"
)

// The database goes away while calls are in flight, and comes back after seconds: nothing is called that is not
// committed, no agent fails because of it, and the plan goes on by itself.
func TestOutage(t *testing.T) {
	t.Parallel()
	cluster, err := pgtest.New()
	if err != nil {
		t.Skipf("no PostgreSQL to test with: %v", err)
	}
	defer cluster.Stop()
	f := startFleet(t, 40*time.Millisecond)
	e := startEngine(t, cluster.URL(), "", f, ota.Options{Lease: time.Second})
	s := story{ID: "p", Kind: accept, Agents: 60, Batch: 20, Shape: 2}
	told := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	go func() {
		for {
			err := s.tell(ctx, e)
			if err == nil || ctx.Err() != nil {
				told <- err
				return
			}
			_ = wait(ctx, 50*time.Millisecond)
		}
	}()
	for len(f.lines(t)) < 20 {
		time.Sleep(time.Millisecond)
	}
	cluster.Kill()
	gone := f.called(t)
	time.Sleep(time.Duration(amount(3000, 1500, 1000)) * time.Millisecond)
	before := len(f.lines(t))
	if late := f.called(t) - gone; late > s.spec().Policy.Concurrency { // each had a slot before the database was away
		t.Errorf("%d calls were made while nothing could be committed, want at most %d", late, s.spec().Policy.Concurrency)
	}
	if err := cluster.Start(); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	for len(f.lines(t)) == before && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	t.Logf("calls again %v after it was back", time.Since(back).Round(time.Millisecond))
	if err := <-told; err != nil {
		t.Fatal(err)
	}
	h := read(t, e, "p")
	for _, p := range append(check(h, f.lines(t)), compare(h, uninterrupted(t, s))...) {
		t.Error(p)
	}
}

// countedStore counts the commits that are tried.
type countedStore struct {
	*sqlstore.Store
	tried atomic.Int64
}

func (s *countedStore) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	s.tried.Add(1)
	return s.Store.Commit(ctx, c)
}

// Pause from another process takes two commits at most, while the owner commits as fast as it can.
func TestPauseLatency(t *testing.T) {
	t.Parallel()
	dsn, schema := pgtest.Schema(t)
	f := startFleet(t, 0)
	e := startEngine(t, dsn, schema, f, ota.Options{})
	s, err := sqlstore.Open(t.Context(), dsn, sqlstore.Options{Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	counted := &countedStore{Store: s}
	other, err := ota.New(counted, nil, ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	spec := ota.Spec{ID: "p", Name: "p", ToVersion: "2", Agents: manyAgents(100_000), Shape: ota.Shape{Size: 100_000}}
	spec.Policy.Concurrency = 32
	if _, err := e.Create(ctx, spec); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Start(ctx, "p", operator); err != nil {
		t.Fatal(err)
	}
	var took []time.Duration
	for range amount(200, 60, 30) {
		time.Sleep(5 * time.Millisecond)
		began, tried := time.Now(), counted.tried.Load()
		if _, err := other.Pause(ctx, "p", operator); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
		if tried = counted.tried.Load() - tried; tried > 2 {
			t.Errorf("a Pause took %d commits, want at most 2", tried)
		}
		if _, err := other.Resume(ctx, "p", ota.Decision{}, operator); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(took)
	p99 := took[len(took)*99/100]
	t.Logf("%d pauses: median %v, p99 %v", len(took), took[len(took)/2], p99)
}

// startEngine drives all plans of a database until the test ends.
func startEngine(t *testing.T, dsn, schema string, f *fleet, o ota.Options) *ota.Engine {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), dsn, sqlstore.Options{Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	e, err := ota.New(s, client{f.address()}, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return e
}
