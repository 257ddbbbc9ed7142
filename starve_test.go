package ota_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

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
