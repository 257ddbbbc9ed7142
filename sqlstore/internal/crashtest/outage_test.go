//go:build unix

package crashtest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore"
	"github.com/seed-19b57ce3/ota/sqlstore/pgtest"
)

// The database goes away while calls are in flight, and comes back after seconds: nothing is called that is not
// committed, no agent fails because of it, and the plan goes on by itself.
func TestOutage(t *testing.T) {
	cluster, err := pgtest.New()
	if err != nil {
		t.Skipf("no PostgreSQL to test with: %v", err)
	}
	defer cluster.Stop()
	f := startFleet(t, 40*time.Millisecond)
	e := startEngine(t, cluster.URL(), "", f, ota.Options{Lease: time.Second})
	s := story{ID: "p", Kind: accept, Agents: 60, Batch: 20, Shape: 2}
	told := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
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
	gone := time.Now()
	time.Sleep(time.Duration(amount(3000, 1000)) * time.Millisecond)
	before := len(f.lines(t))
	if err := cluster.Start(); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	for len(f.lines(t)) == before && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	t.Logf("away for %v, calls again %v after it was back", back.Sub(gone).Round(time.Millisecond), time.Since(back).Round(time.Millisecond))
	if err := <-told; err != nil {
		t.Fatal(err)
	}
	late := 0
	for _, l := range f.lines(t) {
		if at := time.Unix(0, l.At); !l.Effect && at.After(gone.Add(100*time.Millisecond)) && at.Before(back.Add(-100*time.Millisecond)) {
			late++
		}
	}
	if late > 0 {
		t.Errorf("%d calls were made while nothing could be committed", late)
	}
	h := read(t, e, "p")
	for _, p := range append(check(h, f.lines(t)), compare(h, uninterrupted(t, s))...) {
		t.Error(p)
	}
}

// Pause from another process is acknowledged soon, while the owner commits as fast as it can.
func TestPauseLatency(t *testing.T) {
	dsn, schema := pgtest.Schema(t)
	f := startFleet(t, 0)
	e := startEngine(t, dsn, schema, f, ota.Options{})
	s, err := sqlstore.Open(t.Context(), dsn, sqlstore.Options{Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	other, err := ota.New(s, nil, ota.Options{})
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
	for range amount(200, 30) {
		time.Sleep(5 * time.Millisecond)
		began := time.Now()
		if _, err := other.Pause(ctx, "p", operator); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
		if _, err := other.Resume(ctx, "p", ota.Decision{}, operator); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(took)
	p99 := took[len(took)*99/100]
	t.Logf("%d pauses: median %v, p99 %v", len(took), took[len(took)/2], p99)
	if p99 > time.Second {
		t.Errorf("p99 of Pause is %v", p99)
	}
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
