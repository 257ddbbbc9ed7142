package ota_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

var (
	shellSeeds = flag.Int("shell.seeds", 0, "schedules of the shell; 0: 500, or 100 with -short")
	shellFirst = flag.Int("shell.first", 0, "the first seed")
)

// TestShellSimulation plays seeded schedules of whole engines over a Store whose answers are late by up to four leases, lost, or never
// come; with errors that stay, engines that stand still, die, and begin again, and operators. The counterpart of TestSimulation
// for the pool, the driver and the lease. Run more with -shell.seeds; one that failed with -shell.first N -shell.seeds 1, several
// times, for goroutines take turns as the scheduler likes.
func TestShellSimulation(t *testing.T) {
	first, n := *shellFirst, *shellSeeds
	if n == 0 {
		n = 500
		if testing.Short() {
			n = 100
		}
	}
	if s := os.Getenv("OTA_SIM_SEEDS"); s != "" { // for the mutants: "first:count"
		if _, err := fmt.Sscanf(s, "%d:%d", &first, &n); err != nil {
			t.Fatal(err)
		}
	}
	var next atomic.Int64
	next.Store(int64(first))
	var failed atomic.Bool
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		wg.Go(func() {
			for !failed.Load() {
				seed := next.Add(1) - 1
				if seed >= int64(first+n) {
					return
				}
				if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { newShellWorld(t, uint64(seed)).play() })
				}) {
					failed.Store(true)
				}
			}
		})
	}
	wg.Wait()
}

func (w *shellWorld) play() {
	for until := time.Now().Add(shellWild); time.Now().Before(until); {
		w.after(time.Duration(w.r.Int64N(int64(6 * time.Second))))
		i := w.r.IntN(len(w.procs))
		switch w.r.IntN(12) {
		case 0, 1:
			w.end(i, true)
		case 2:
			w.end(i, false)
		case 3:
			freeze := time.Duration(w.r.Int64N(int64(4 * shellLease)))
			w.procs[i].store.frozen.Store(time.Now().Add(freeze).UnixNano())
		case 4, 5, 6:
			w.verb()
		}
	}
	w.shutsDown()
	close(w.calm)
	w.after(4 * shellLease)
	for begun := time.Now(); !w.allEnded(); {
		w.inFlight()
		if time.Since(begun) > shellEnd {
			w.stuck()
			break
		}
		w.release()
		w.after(time.Duration(1+w.r.IntN(10)) * time.Second)
	}
	w.effects()
	for _, p := range w.procs {
		p.stop()
		w.ended(<-p.done)
	}
	w.pending.Wait()
	for _, p := range w.past { // what is left of a process that has died ends with its calls, once the Store knows
		p.store.dead.Store(false)
	}
	w.after(2 * time.Minute) // calls that ignore their contexts return
	for _, p := range slices.Concat(w.past, w.procs) {
		p.store.compare()
	}
	if w.Failed() {
		w.tell()
	}
}

// shutsDown lets, in some schedules, a process end while its Store goes wrong: that takes no longer than its calls may.
func (w *shellWorld) shutsDown() {
	if w.r.IntN(4) != 0 {
		return
	}
	begun := time.Now()
	p := w.procs[0]
	w.procs = w.procs[1:]
	p.stop()
	w.ended(<-p.done)
	if took := time.Since(begun); took > 15*time.Minute {
		w.Errorf("%s took %s to end", p.store.name, took)
	}
	w.start(p.name)
}

// verb says something to a plan, by way of an engine that may drive it, or of none that does.
func (w *shellWorld) verb() {
	e := w.operator()
	if w.r.IntN(2) == 0 || w.bare() { // without leases whoever folds a report owns the plan
		e = w.procs[w.r.IntN(len(w.procs))].e
	}
	id := w.plans[w.r.IntN(len(w.plans))]
	by, kind, agent := ota.Request{Actor: "ann"}, w.r.IntN(10), fmt.Sprintf("%s-a%d", id, w.r.IntN(3))
	interrupt := w.r.IntN(2) == 0
	w.pending.Go(func() {
		ctx, cancel := context.WithTimeout(w.ctx, 2*time.Minute)
		defer cancel()
		switch kind { // a refusal is as good an answer as any
		case 0, 1:
			_, _ = e.Pause(ctx, id, by)
		case 2, 3:
			_, _ = e.Resume(ctx, id, ota.RetryFailed(), by)
		case 4:
			_, _ = e.Skip(ctx, id, []string{agent}, by)
		case 5:
			_, _ = e.Cancel(ctx, id, interrupt, by)
		case 6:
			_, _ = e.Rollback(ctx, id, ota.RollbackSpec{Interrupt: interrupt}, by)
		case 7:
			_ = e.ReportHealth(ctx, id, []ota.HealthReport{{Agent: agent}})
		case 8:
			_ = e.ReportOutcomes(ctx, id, []ota.OutcomeReport{upgraded(agent, 1)})
		case 9:
			_, _ = e.Edit(ctx, id, func(p *ota.Policy) { p.AttemptTimeout = 10 * time.Second }, by)
		}
	})
}

// Two engines with the shortest lease share one processor with thirty goroutines that never rest: leases run out all the time, answers of
// commits come after them, plans go from one engine to the other. Each plan ends all the same. The load is an amount of work, not a
// time, and nothing is measured. One with more: go test -run TestStarvation -shell.seeds 10000 .
func TestStarvation(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	rounds := max(*shellSeeds/100, 10)
	if testing.Short() {
		rounds = 2
	}
	store := memstore.New()
	exec := ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		runtime.Gosched()
		return ota.Result{Version: a.ToVersion}, nil
	})
	var engines [2]*ota.Engine
	for i := range engines {
		e, err := ota.New(store, exec, ota.Options{Name: fmt.Sprint("engine-", i), Lease: 100 * time.Millisecond, Poll: 10 * time.Millisecond})
		require.NoError(t, err)
		engines[i] = e
	}
	ctx, cancel := context.WithCancel(t.Context())
	var load, runs sync.WaitGroup
	var sum atomic.Uint64
	for range 30 {
		load.Go(func() { sum.Add(spin(rounds)) })
	}
	for _, e := range engines {
		runs.Go(func() {
			if err := e.Run(ctx); err != nil && !errors.Is(err, ota.ErrAbandoned) {
				t.Error(err)
			}
		})
	}
	var ids []string
	for i := range 30 {
		p, err := engines[i%2].Create(ctx, ota.Spec{
			Name: "starved", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs(names(fmt.Sprint("p", i), 10)...),
			Shape: ota.Shape{Size: 3}, Policy: ota.Policy{Concurrency: 2},
		})
		require.NoError(t, err)
		_, err = engines[i%2].Start(ctx, p.ID, ota.Request{})
		require.NoError(t, err)
		ids = append(ids, p.ID)
	}
	load.Wait()
	for _, id := range ids {
		p, err := engines[0].Wait(ctx, id)
		require.NoError(t, err)
		require.Equal(t, ota.StatusCompleted, p.Status)
		require.Equal(t, 10, p.Counts.Succeeded)
	}
	cancel()
	runs.Wait()
	require.NotZero(t, sum.Load(), "the load was nothing")
}

// spin keeps a processor at work.
func spin(rounds int) (sum uint64) {
	for range rounds {
		for i := range uint64(20_000_000) {
			sum = sum*31 + i
		}
	}
	return sum
}
