package memstore_test

import (
	"fmt"
	"iter"
	"runtime"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

func million(n, batch int) (rows iter.Seq2[ota.Row, error], batches []ota.Row) {
	rows = func(yield func(ota.Row, error) bool) {
		for i := range n {
			if !yield(ota.Row{Kind: ota.KindAgent, Number: i, Batch: i / batch, ID: fmt.Sprintf("agent-%07d", i)}, nil) {
				return
			}
		}
	}
	for first := 0; first < n; first += batch {
		batches = append(batches, ota.Row{Kind: ota.KindBatch, Number: len(batches), State: make([]byte, 70)})
	}
	return rows, batches
}

// ownerCommit is an owner's commit as the engine makes it: rows of agents, a batch, the progress, a record.
func ownerCommit(agents int) ota.Commit {
	c := ota.Commit{
		Plan: "p", If: ota.Numbers{Epoch: 1, Control: 1, Progress: 1}, Then: ota.Numbers{Progress: 2},
		Head:  &ota.Head{Status: ota.StatusRunning, Owner: "engine", Show: make([]byte, 120)},
		Parts: ota.Parts{Progress: make([]byte, 150)}, Log: ota.LogRow{Data: make([]byte, 24*agents)},
		Rows: []ota.Row{{Kind: ota.KindBatch, State: make([]byte, 70), Show: make([]byte, 100)}},
	}
	for range agents {
		c.Rows = append(c.Rows, ota.Row{Kind: ota.KindAgent, State: make([]byte, 21)})
	}
	return c
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
	c := ownerCommit(rows)
	at := 0
	b.ReportAllocs()
	for b.Loop() {
		for i := 1; i <= rows; i++ {
			c.Rows[i].Number = at % n
			c.Rows[i].State[9]++
			at++
		}
		if _, err := s.Commit(b.Context(), c); err != nil {
			b.Fatal(err)
		}
		c.If.Progress, c.Then.Progress = c.Then.Progress, c.Then.Progress+1
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
}

func create(b testing.TB, s *memstore.Store, n int) {
	b.Helper()
	agents, batches := million(n, 10_000)
	first := func() (ota.Commit, error) {
		return ota.Commit{Head: &ota.Head{}, Rows: batches, Log: ota.LogRow{Data: []byte("1")}}, nil
	}
	if err := s.Create(b.Context(), ota.PlanRow{ID: "p"}, agents, first); err != nil {
		b.Fatal(err)
	}
}
