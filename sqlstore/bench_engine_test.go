package sqlstore

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqltest"
)

// The engine benchmarks drive a plan of agents that take no time, at concurrency 64 in batches of
// 10,000. Start and outcome of each are committed: two transitions. The metric ratio is their rate
// divided by the rate of rows that are updated by hand, 64 in a commit, on the same file or server,
// right before and right after.
const engineAgents = 50_000

func BenchmarkEngineSQLite(b *testing.B)   { benchEngine(b, sqlitePlace(b), rawSQLite) }
func BenchmarkEnginePostgres(b *testing.B) { benchEngine(b, postgresPlace(b), rawPostgres) }

func benchEngine(b *testing.B, p place, raw func(testing.TB, place) func(*ota.Commit, int) error) {
	s := p.open(b)
	sqltest.Create(b, s, "floor", floorAgents)
	commit := raw(b, p)
	c := sqltest.OwnerCommit(b, s, "floor", 0, floorRows)
	c.Log.Data = make([]byte, 40*floorRows)
	n := 0
	var floor, engine sqltest.Stopwatch
	measure := func() {
		for range 400 {
			for i := range c.Rows {
				c.Rows[i] = sqltest.Agent((n*floorRows+i)%floorAgents, n)
			}
			n++
			floor.Time(func() {
				if err := commit(&c, n); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
	var transitions, commits int
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		measure()
		id := fmt.Sprint("plan-", i)
		e := startPlan(b, s, id, engineAgents, 10_000)
		var done ota.Plan
		engine.Time(func() { done = runPlan(b, e, id) })
		transitions, commits = transitions+2*engineAgents, commits+int(done.Revision)
		measure()
	}
	rate := float64(transitions) / engine.Total.Seconds()
	b.ReportMetric(rate, "transitions/s")
	b.ReportMetric(floorRows*floor.Rate(), "floor-rows/s")
	b.ReportMetric(rate/(floorRows*floor.Rate()), "ratio")
	b.ReportMetric(float64(transitions)/float64(commits), "transitions/commit")
}

func startPlan(tb testing.TB, s ota.Store, id string, agents, batch int) *ota.Engine {
	tb.Helper()
	e := engineOf(tb, s)
	spec := ota.Spec{
		ID: id, Name: id, ToVersion: "2", Agents: fleetOf(id, agents), Shape: ota.Shape{Size: batch},
		Policy: ota.Policy{Concurrency: 64},
	}
	if _, err := e.Create(tb.Context(), spec); err != nil {
		tb.Fatal(err)
	}
	if _, err := e.Start(tb.Context(), id, ota.Request{}); err != nil {
		tb.Fatal(err)
	}
	return e
}

// engineOf returns an engine whose agents take no time.
func engineOf(tb testing.TB, s ota.Store) *ota.Engine {
	tb.Helper()
	e, err := ota.New(s, ota.ExecutorFunc(func(context.Context, ota.Attempt) (ota.Result, error) { return ota.Result{}, nil }), ota.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func runPlan(tb testing.TB, e *ota.Engine, id string) ota.Plan {
	tb.Helper()
	p, err := e.RunPlan(tb.Context(), id)
	if err != nil || p.Status != ota.StatusCompleted {
		tb.Fatal(p.Status, err)
	}
	return p
}

func fleetOf(id string, n int) iter.Seq2[ota.Agent, error] {
	return func(yield func(ota.Agent, error) bool) {
		for i := range n {
			if !yield(ota.Agent{ID: fmt.Sprintf("%s-agent-%07d", id, i)}, nil) {
				return
			}
		}
	}
}

// A plan is made and driven in tables of its own, of which PostgreSQL knows nothing, and then one
// in tables that were analyzed. The metric ratio is the rate of the first divided by that of the
// second.
func BenchmarkFreshPostgres(b *testing.B) {
	const agents = 20_000
	run := func(w *sqltest.Stopwatch, after string) {
		s := postgresPlace(b).open(b)
		defer s.Close()
		statements := []string{after}
		for _, table := range []string{"ota_agents", "ota_states", "ota_batches", "ota_plans", "ota_log"} {
			statements = append(statements, `ALTER TABLE `+table+` SET (autovacuum_enabled = false)`)
		}
		e := startPlan(b, s, "p", agents, 10_000)
		for _, query := range statements {
			if _, err := sqlcore.DatabaseOf(s).Exec(b.Context(), query); err != nil {
				b.Fatal(err)
			}
		}
		w.Time(func() { runPlan(b, e, "p") })
	}
	var fresh, analyzed sqltest.Stopwatch
	for b.Loop() {
		run(&fresh, `SELECT 1`)
		run(&analyzed, `ANALYZE ota_agents, ota_states, ota_batches, ota_plans, ota_log`)
	}
	b.ReportMetric(2*agents*fresh.Rate(), "transitions/s")
	b.ReportMetric(2*agents*analyzed.Rate(), "analyzed-transitions/s")
	b.ReportMetric(fresh.Rate()/analyzed.Rate(), "ratio")
}

// A plan of a million agents is killed half way, and recovered: the metric first-start is how long
// it takes from the engine's start to the first call, peak-heap the most memory that driving half
// of the plan took.
func BenchmarkRecoverySQLite(b *testing.B)   { benchRecovery(b, sqlitePlace) }
func BenchmarkRecoveryPostgres(b *testing.B) { benchRecovery(b, postgresPlace) }

func benchRecovery(b *testing.B, where func(testing.TB) place) {
	agents := 1_000_000
	if testing.Short() {
		agents = 50_000
	}
	for _, batch := range []int{10_000, agents} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) { recoverPlan(b, where(b), agents, batch) })
	}
}

func recoverPlan(b *testing.B, p place, agents, batch int) {
	s := p.open(b)
	began := time.Now()
	startPlan(b, s, "p", agents, batch)
	b.Logf("created and started in %v", time.Since(began).Round(time.Millisecond))
	runtime.GC()
	peak := watchHeap()
	toHalf(b, s, agents)
	heap, first := peak(), 0.0
	for b.Loop() {
		var start time.Time
		var took atomic.Int64
		ctx, cancel := context.WithCancel(context.Background())
		e, err := ota.New(s, ota.ExecutorFunc(func(context.Context, ota.Attempt) (ota.Result, error) {
			if took.CompareAndSwap(0, int64(time.Since(start))) {
				cancel()
			}
			return ota.Result{}, nil
		}), ota.Options{Name: "back"})
		if err != nil {
			b.Fatal(err)
		}
		start = time.Now()
		_, _ = e.RunPlan(ctx, "p")
		cancel()
		first = max(first, time.Duration(took.Load()).Seconds())
	}
	b.ReportMetric(first, "s/first-start")
	b.ReportMetric(heap, "MB/peak-heap")
	if first > 5 {
		b.Errorf("the first start came after %v s", first)
	}
}

// toHalf makes the plan what it is when its engine is killed half way: half of its batches
// completed, 64 agents running.
func toHalf(b *testing.B, s *Store, agents int) {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var calls atomic.Int64
	e, err := ota.New(s, ota.ExecutorFunc(func(context.Context, ota.Attempt) (ota.Result, error) {
		if calls.Add(1) > int64(agents/2) {
			cancel()
			time.Sleep(time.Hour)
		}
		return ota.Result{}, nil
	}), ota.Options{Name: "back", DrainTimeout: -1, AbandonAfter: time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	_, _ = e.RunPlan(ctx, "p")
	b.Logf("driven half way in %v", time.Since(began).Round(time.Millisecond))
}

// watchHeap looks at the heap until the returned function is called, which returns the most there
// was, in MB.
func watchHeap() func() float64 {
	stop, most := make(chan struct{}), make(chan float64)
	go func() {
		var m runtime.MemStats
		peak := 0.0
		for {
			runtime.ReadMemStats(&m)
			peak = max(peak, float64(m.HeapInuse)/1e6)
			select {
			case <-stop:
				most <- peak
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() float64 { close(stop); return <-most }
}
