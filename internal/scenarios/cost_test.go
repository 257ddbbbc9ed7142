package scenarios

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// What docs/performance.md promises and no clock is needed for: allocations, commits and bytes, and that none of them grows
// with the fleet. These tests do not run beside others, whose allocations would be counted, too.

// countingStore is a dearStore, whose commits fill as they do on a database, that counts commits of owners, and rows that are read.
type countingStore struct {
	dearStore
	commits, rows atomic.Int64
}

func newCountingStore() *countingStore {
	return &countingStore{dearStore: dearStore{memstore.New()}}
}

func (s *countingStore) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	if c.If.Epoch != 0 {
		s.commits.Add(1)
	}
	return s.dearStore.Commit(ctx, c)
}

func (s *countingStore) Rows(ctx context.Context, plan string, q ota.RowQuery) (ota.Page[ota.Row], error) {
	p, err := s.Store.Rows(ctx, plan, q)
	s.rows.Add(int64(len(p.Items)))
	return p, err
}

const idLength = len("agent-0000000")

// costPlan makes and starts a plan of n agents, in batches of 10,000, at concurrency 64.
func costPlan(t *testing.T, s ota.Store, n int) (e *ota.Engine, id string) {
	t.Helper()
	return costPlanOf(t, s, n, ota.Options{})
}

func costPlanOf(t *testing.T, s ota.Store, n int, o ota.Options) (e *ota.Engine, id string) {
	t.Helper()
	e, err := ota.New(s, ota.ExecutorFunc(func(context.Context, ota.Attempt) (ota.Result, error) { return ota.Result{}, nil }), o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Create(t.Context(), ota.Spec{
		Name: "cost", ToVersion: "2", Shape: ota.Shape{Size: 10_000}, Policy: ota.Policy{Concurrency: 64},
		Agents: func(yield func(ota.Agent, error) bool) {
			for i := range n {
				if !yield(ota.Agent{ID: fmt.Sprintf("agent-%07d", i)}, nil) {
					return
				}
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Start(t.Context(), p.ID, ota.Request{}); err != nil {
		t.Fatal(err)
	}
	return e, p.ID
}

func runCost(t *testing.T, e *ota.Engine, id string, n int) {
	t.Helper()
	if p, err := e.RunPlan(t.Context(), id); err != nil || p.Counts.Succeeded != n {
		t.Fatal(p.Status, p.Counts, err)
	}
}

// allocsPerTask drives a plan in memory.
func allocsPerTask(t *testing.T, n int) float64 {
	t.Helper()
	return allocsOf(t, n, ota.Options{})
}

func allocsOf(t *testing.T, n int, o ota.Options) float64 {
	t.Helper()
	e, id := costPlanOf(t, memstore.New(), n, o)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	runCost(t, e, id, n)
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(n)
}

func TestAllocationsPerTask(t *testing.T) {
	small, large := allocsPerTask(t, 10_000), allocsPerTask(t, 100_000)
	t.Logf("%.2f per task of 10,000, %.2f of 100,000", small, large)
	if raceEnabled {
		return // the race detector allocates
	}
	if large > 2 {
		t.Errorf("%.2f allocations per task, want at most 2", large)
	}
	if large > 1.2*small {
		t.Errorf("%.2f allocations per task of 100,000, %.2f of 10,000: they grow with the fleet", large, small)
	}
}

// commitsPerTask drives a plan on a store whose commits take a millisecond.
func commitsPerTask(t *testing.T, n int) float64 {
	t.Helper()
	s := newCountingStore()
	e, id := costPlan(t, s, n)
	runCost(t, e, id, n)
	return float64(s.commits.Load()) / float64(n)
}

// Where a commit is dear, the outcomes and starts of 64 agents share one: 1/64 would be the least.
func TestCommitsPerTask(t *testing.T) {
	small, large := commitsPerTask(t, 3_000), commitsPerTask(t, 30_000)
	t.Logf("%.4f per task of 3,000, %.4f of 30,000", small, large)
	if large > 0.024 {
		t.Errorf("%.4f commits per task at concurrency 64, want at most 0.024", large)
	}
	if large > 1.2*small {
		t.Errorf("%.4f commits per task of 30,000, %.4f of 3,000: they grow with the fleet", large, small)
	}
}

// To begin and end a plan costs little beside driving it, or small plans were dear: no worker for a call that is never out beside
// others, no room that is made again and again, and pages that the plan before has used.
func TestCostOfASmallPlan(t *testing.T) {
	const n, mostAllocs, mostBytes = 1_000, 280, 240_000
	allocs, bytes := math.Inf(1), math.Inf(1)
	for range 5 { // now and then the runtime has something to allocate, too
		e, id := costPlan(t, memstore.New(), n)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		runCost(t, e, id, n)
		runtime.ReadMemStats(&after)
		allocs, bytes = min(allocs, float64(after.Mallocs-before.Mallocs)), min(bytes, float64(after.TotalAlloc-before.TotalAlloc))
	}
	t.Logf("%.0f allocations, %.0f bytes", allocs, bytes)
	if raceEnabled {
		return // the race detector allocates
	}
	if allocs > mostAllocs {
		t.Errorf("%.0f allocations for a plan of %d, want at most %d", allocs, n, mostAllocs)
	}
	if bytes > mostBytes {
		t.Errorf("%.0f bytes for a plan of %d, want at most %d", bytes, n, mostBytes)
	}
}

// A memstore.Store keeps an agent, with its claim and without its ID, in so many bytes, and its part of the log in so many more.
func TestBytesPerAgent(t *testing.T) {
	const n, mostRow, mostLog = 100_000, 100, 64
	empty := heapInUse()
	s := memstore.New()
	e, id := costPlan(t, s, n)
	started := heapInUse()
	runCost(t, e, id, n)
	done := heapInUse()
	runtime.KeepAlive(s)
	row, log := (started-empty)/n-float64(idLength), (done-started)/n
	t.Logf("%.0f and %.0f bytes per agent", row, log)
	if raceEnabled {
		return // the race detector takes memory of its own
	}
	if row > mostRow {
		t.Errorf("an agent takes %.0f bytes, want at most %d", row, mostRow)
	}
	if log > mostLog {
		t.Errorf("its part of the log takes %.0f bytes, want at most %d", log, mostLog)
	}
}

func heapInUse() float64 {
	least := math.Inf(1)
	for range 3 { // what has finalizers goes with the second
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		least = min(least, float64(m.HeapAlloc))
	}
	return least
}

// Explain and Plan cost the same whatever the size of the plan: rows and allocations, from the Store and from the owner.
func TestExplainCostsTheSameAtAnySize(t *testing.T) {
	ask := map[int]map[string]askCost{}
	for _, n := range []int{1_000, 100_000} {
		s := newCountingStore()
		e, id := costPlan(t, s, n)
		ask[n] = map[string]askCost{}
		for name, f := range map[string]func() error{
			"Explain": func() error { _, err := e.Explain(t.Context(), id); return err },
			"Plan":    func() error { _, err := e.Plan(t.Context(), id); return err },
		} {
			const times = 20
			s.rows.Store(0)
			allocs := testing.AllocsPerRun(times, func() {
				if err := f(); err != nil {
					t.Fatal(err)
				}
			})
			ask[n][name] = askCost{float64(s.rows.Load()) / (times + 1), allocs} // one more to warm up
		}
	}
	for name, small := range ask[1_000] {
		large := ask[100_000][name]
		if large.rows != small.rows || !raceEnabled && math.Abs(large.allocs-small.allocs) > 1 {
			t.Errorf("%s reads %s at 1,000 agents and %s at 100,000", name, small, large)
		}
	}
}

// askCost is what one question costs.
type askCost struct{ rows, allocs float64 }

func (c askCost) String() string {
	return fmt.Sprintf("%g rows with %s allocations", c.rows, strconv.FormatFloat(c.allocs, 'f', 0, 64))
}
