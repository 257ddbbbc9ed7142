package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// Bench runs what decides how fast an engine is on a store: commits of 1, 64 and 1,000 agents, commits of many plans at
// once, the reading of 100,000 agents page by page, and Create. newStore returns an empty store.
func Bench(b *testing.B, newStore func(b *testing.B) ota.Store) {
	for _, rows := range []int{1, 64, 1000} {
		b.Run(fmt.Sprintf("Commit/%dAgents", rows), func(b *testing.B) {
			s := newStore(b)
			benchCreate(b, s, "p", 100_000)
			w := newBenchOwner(s, "p", rows, 100_000)
			b.ReportAllocs()
			for b.Loop() {
				w.commit(b)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/agent")
		})
	}
	b.Run("Commit/PlansAtOnce", func(b *testing.B) {
		s := newStore(b)
		const plans = 8
		free := make(chan *benchOwner, 1024)
		for i := range plans {
			id := fmt.Sprint("p", i)
			benchCreate(b, s, id, 1000)
			free <- newBenchOwner(s, id, 64, 1000)
		}
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				w := <-free
				w.commit(b)
				free <- w
			}
		})
	})
	b.Run("Agents/100000", func(b *testing.B) {
		s := newStore(b)
		benchCreate(b, s, "p", 100_000)
		for b.Loop() {
			for from, more := 0, true; more; {
				page, err := s.Agents(b.Context(), "p", ota.RowQuery{From: from, Limit: 10_000})
				if err != nil {
					b.Fatal(err)
				}
				from, more = from+len(page.Items), page.More
			}
		}
	})
	b.Run("Create/100000", func(b *testing.B) {
		s := newStore(b)
		n := 0
		for b.Loop() {
			n++
			benchCreate(b, s, fmt.Sprint("p", n), 100_000)
		}
	})
}

func benchCreate(b *testing.B, s ota.Store, id string, agents int) {
	b.Helper()
	const batch = 10_000
	var batches []ota.BatchRow
	for first := 0; first < agents; first += batch {
		batches = append(batches, ota.BatchRow{Index: len(batches), First: first, Size: min(batch, agents-first)})
	}
	p := ota.NewPlan{ID: id, CreatedAt: time.Now().UTC(), Finish: func() (ota.Created, error) {
		return ota.Created{Spec: ota.PlanSpec{Schema: ota.Schema, Agents: agents}, Batches: batches, Log: []byte("{}")}, nil
	}}
	err := s.Create(b.Context(), p, func(yield func(ota.AgentRow, error) bool) {
		for i := range agents {
			row := ota.AgentRow{Ordinal: i, Batch: i / batch, Agent: ota.AgentSpec{ID: fmt.Sprintf("%s-%06d", id, i)}}
			if !yield(row, nil) {
				return
			}
		}
	})
	if err != nil {
		b.Fatal(err)
	}
}

// benchOwner commits as an engine does.
type benchOwner struct {
	s      ota.Store
	c      ota.Commit
	agents int
	at     int
}

func newBenchOwner(s ota.Store, plan string, rows, agents int) *benchOwner {
	return &benchOwner{s: s, agents: agents, c: ota.Commit{
		Plan: plan, Owner: true, Control: 1, Progress: 1, Status: ota.StatusRunning,
		NewProgress: &ota.Progress{Schema: ota.Schema}, Batches: make([]ota.BatchRow, 1),
		Agents: make([]ota.AgentRow, rows), Log: make([]byte, 100*rows),
	}}
}

func (w *benchOwner) commit(b *testing.B) {
	for i := range w.c.Agents {
		w.c.Agents[i].Ordinal = w.at % w.agents
		w.c.Agents[i].State.Task.Number++
		w.at++
	}
	if _, err := w.s.Commit(context.Background(), w.c); err != nil {
		b.Error(err)
		return
	}
	w.c.Progress++
}
