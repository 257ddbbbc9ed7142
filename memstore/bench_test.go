package memstore_test

import (
	"fmt"
	"iter"
	"runtime"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

func million(n, batch int) (iter.Seq2[ota.AgentRow, error], []ota.BatchRow) {
	rows := func(yield func(ota.AgentRow, error) bool) {
		for i := range n {
			row := ota.AgentRow{Ordinal: i, Batch: i / batch, Agent: ota.AgentSpec{ID: fmt.Sprintf("agent-%07d", i)}}
			if !yield(row, nil) {
				return
			}
		}
	}
	var batches []ota.BatchRow
	for first := 0; first < n; first += batch {
		batches = append(batches, ota.BatchRow{Index: len(batches), First: first, Size: min(batch, n-first)})
	}
	return rows, batches
}

// BenchmarkCreate reports what an agent costs to create and to keep, its ID included.
func BenchmarkCreate(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		s := memstore.New()
		create(b, s, n)
		b.StopTimer()
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapAlloc)/n, "B/agent")
		runtime.KeepAlive(s)
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/agent")
}

// BenchmarkCommit is an owner's commit as the engine makes it: 64 rows, a batch, the progress, a record.
func BenchmarkCommit(b *testing.B) {
	const n, rows = 1_000_000, 64
	s := memstore.New()
	create(b, s, n)
	c := ota.Commit{
		Plan: "p", Control: 1, Progress: 1, Owner: true, Status: ota.StatusRunning,
		NewProgress: &ota.Progress{Schema: ota.Schema, Breaches: make([]ota.Breach, 1)},
		Batches:     make([]ota.BatchRow, 1), Agents: make([]ota.AgentRow, rows), Log: make([]byte, 24*rows),
	}
	at := 0
	b.ReportAllocs()
	for b.Loop() {
		for i := range c.Agents {
			c.Agents[i].Ordinal = at % n
			c.Agents[i].State.Task.Number++
			at++
		}
		if _, err := s.Commit(b.Context(), c); err != nil {
			b.Fatal(err)
		}
		c.Progress++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
}

func create(b testing.TB, s *memstore.Store, n int) {
	b.Helper()
	agents, batches := million(n, 10_000)
	p := ota.NewPlan{ID: "p", Finish: func() (ota.Created, error) {
		return ota.Created{Spec: ota.PlanSpec{Agents: n}, Batches: batches, Log: []byte("1")}, nil
	}}
	if err := s.Create(b.Context(), p, agents); err != nil {
		b.Fatal(err)
	}
}
