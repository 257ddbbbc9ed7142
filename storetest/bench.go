package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// Bench runs what decides how fast an engine is on a store: commits of 1, 64 and 1,000 agents,
// commits of many plans at once, the reading of 100,000 agents page by page, and Create. newStore
// returns an empty store.
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
				page, err := s.Rows(b.Context(), "p", ota.RowQuery{Kind: ota.KindAgent, From: from, Limit: 10_000})
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
	first := ota.Commit{
		Head: &ota.Head{Status: ota.StatusPending}, Parts: ota.Parts{Spec: some(60, 1), Control: some(200, 2), Progress: some(100, 3)},
		Log: ota.LogRow{Data: []byte("created")},
	}
	for from := 0; from < agents; from += batch {
		first.Rows = append(first.Rows, ota.Row{Kind: ota.KindBatch, Number: len(first.Rows), State: some(70, 4)})
	}
	rows := func(yield func(ota.Row, error) bool) {
		for i := range agents {
			if !yield(ota.Row{Kind: ota.KindAgent, Number: i, Batch: i / batch, ID: fmt.Sprintf("%s-%06d", id, i)}, nil) {
				return
			}
		}
	}
	p := ota.PlanRow{ID: id, Created: time.Now().UTC()}
	if err := s.Create(b.Context(), p, rows, func() (ota.Commit, error) { return first, nil }); err != nil {
		b.Fatal(err)
	}
}

// benchOwner makes commits as an owner does.
type benchOwner struct {
	s      ota.Store
	c      ota.Commit
	agents int
	at     int
}

func newBenchOwner(s ota.Store, plan string, rows, agents int) *benchOwner {
	w := &benchOwner{s: s, agents: agents, c: ota.Commit{
		Plan: plan, If: ota.Numbers{Epoch: 1, Control: 1, Progress: 1}, Then: ota.Numbers{Progress: 2},
		Head:  &ota.Head{Status: ota.StatusRunning, Owner: "engine", Show: []byte(`{"batch":1,"agents":{"running":64}}`)},
		Parts: ota.Parts{Progress: some(120, 1)}, Log: ota.LogRow{Data: make([]byte, 100*rows)},
		Rows: []ota.Row{{Kind: ota.KindBatch, Status: 1, State: some(70, 1), Show: []byte(`{"size":10000}`)}},
	}}
	for range rows {
		w.c.Rows = append(w.c.Rows, ota.Row{Kind: ota.KindAgent, State: some(21, 1)})
	}
	return w
}

func (w *benchOwner) commit(b *testing.B) {
	for i := range w.c.Rows[1:] {
		r := &w.c.Rows[1+i]
		r.Number, r.Status = w.at%w.agents, uint8(w.at%4)
		r.State[3]++
		w.at++
	}
	if _, err := w.s.Commit(context.Background(), w.c); err != nil {
		b.Error(err)
		return
	}
	w.c.If.Progress, w.c.Then.Progress = w.c.Then.Progress, w.c.Then.Progress+1
}
