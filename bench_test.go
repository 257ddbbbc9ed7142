package ota_test

import (
	"context"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// BenchmarkRun upgrades a fleet of no-op agents in memory, and compares it, in the same run, with bare errgroup over the same no-op.
func BenchmarkRun(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000, 1_000_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			ids := make([]string, n)
			for i := range ids {
				ids[i] = "agent-" + strconv.Itoa(i)
			}
			var floor, run time.Duration
			var commits uint64
			for b.Loop() {
				b.StopTimer()
				e, id := benchPlan(b, ids)
				runtime.GC() // each begins with the same heap: what Create left behind is neither's
				start := time.Now()
				bareErrgroup(n)
				floor += time.Since(start)
				runtime.GC()
				b.StartTimer()
				start = time.Now()
				p, err := e.RunPlan(context.Background(), id)
				if err != nil || p.Counts.Succeeded != n {
					b.Fatal(p.Status, p.Counts, err)
				}
				run += time.Since(start)
				commits += p.Revision
			}
			b.ReportMetric(float64(run.Nanoseconds())/float64(b.N*n), "ns/task")
			b.ReportMetric(run.Seconds()/floor.Seconds(), "x-errgroup")
			b.ReportMetric(float64(commits)/float64(b.N*n), "commits/task")
		})
	}
}

// counts is an Observer that counts.
type counts struct{ commits, calls atomic.Int64 }

func (c *counts) Committed(*ota.Committed) { c.commits.Add(1) }
func (c *counts) Called(*ota.Called)       { c.calls.Add(1) }

// BenchmarkObserver is BenchmarkRun without an Observer, and with one that counts.
func BenchmarkObserver(b *testing.B) {
	ids := make([]string, 100_000)
	for i := range ids {
		ids[i] = "agent-" + strconv.Itoa(i)
	}
	for name, o := range map[string]ota.Observer{"none": nil, "counting": &counts{}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				e, id := benchPlanOf(b, ids, ota.Options{Observer: o})
				runtime.GC()
				b.StartTimer()
				if p, err := e.RunPlan(b.Context(), id); err != nil || p.Counts.Succeeded != len(ids) {
					b.Fatal(p.Status, p.Counts, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(ids)), "ns/task")
		})
	}
}

// BenchmarkCore is what the owner of a plan does for one agent, without goroutines: fold its outcome, decide, commit in
// memory, hand out the next start. The outcomes come 64 at a time.
func BenchmarkCore(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			ids := make([]string, n)
			for i := range ids {
				ids[i] = "agent-" + strconv.Itoa(i)
			}
			var spent time.Duration
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				e, id := benchPlan(b, ids)
				play := e.CoreOf(id)
				b.StartTimer()
				began := time.Now()
				if c, err := play(b.Context()); c.Succeeded != n {
					b.Fatal(c, err)
				}
				spent += time.Since(began)
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N*n), "ns/task")
		})
	}
}

func benchPlan(b *testing.B, ids []string) (*ota.Engine, string) {
	b.Helper()
	return benchPlanOf(b, ids, ota.Options{})
}

func benchPlanOf(b *testing.B, ids []string, o ota.Options) (*ota.Engine, string) {
	b.Helper()
	noop := ota.ExecutorFunc(func(context.Context, ota.Attempt) (ota.Result, error) { return ota.Result{}, nil })
	e, err := ota.New(memstore.New(), noop, o)
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	p, err := e.Create(ctx, ota.Spec{
		Name: "bench", ToVersion: "2", Agents: ota.AgentIDs(ids...), Shape: ota.Shape{Size: 10_000}, Policy: ota.Policy{Concurrency: 64},
	})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := e.Start(ctx, p.ID, ota.Request{}); err != nil {
		b.Fatal(err)
	}
	return e, p.ID
}

func bareErrgroup(n int) {
	var g errgroup.Group
	g.SetLimit(64)
	ctx := context.Background()
	noop := func(context.Context) error { return nil }
	for range n {
		g.Go(func() error { return noop(ctx) })
	}
	_ = g.Wait()
}
