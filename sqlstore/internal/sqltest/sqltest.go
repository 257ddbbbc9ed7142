// Package sqltest makes plans and commits for the tests of the Stores.
package sqltest

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
)

// Created is when plans are created.
var Created = time.Date(2026, 3, 4, 5, 6, 7, 89, time.UTC)

// NewPlan is a plan with agents in batches of 100, and what Create asks for after its agents.
func NewPlan(id string, agents int) (ota.PlanRow, func() (ota.Commit, error)) {
	p := ota.PlanRow{ID: id, Created: Created, Names: ota.Names{Name: "name of " + id}}
	return p, func() (ota.Commit, error) {
		c := ota.Commit{
			Head:  &ota.Head{Status: ota.StatusPending, Hold: ota.ReasonPending, Since: Created, Person: true, Show: []byte(`{"batch":0}`)},
			Parts: ota.Parts{Spec: []byte("spec"), Control: []byte("control"), Progress: []byte("progress")},
			Log:   ota.LogRow{At: Created, Notable: true, Data: []byte("created")},
		}
		for first := 0; first < agents; first += 100 {
			c.Rows = append(c.Rows, ota.Row{Kind: ota.KindBatch, Number: first / 100, State: []byte("batch"), Show: []byte(`{"first":0}`)})
		}
		return c, nil
	}
}

// AgentRows are n agents in batches of 100.
func AgentRows(n int) iter.Seq2[ota.Row, error] {
	return func(yield func(ota.Row, error) bool) {
		for i := range n {
			if !yield(ota.Row{Kind: ota.KindAgent, Number: i, Batch: i / 100, ID: fmt.Sprintf("agent-%07d", i)}, nil) {
				return
			}
		}
	}
}

// Make makes a plan by NewPlan with agents by AgentRows.
func Make(ctx context.Context, s ota.Store, id string, agents int) error {
	p, first := NewPlan(id, agents)
	return s.Create(ctx, p, AgentRows(agents), first)
}

// Create is Make for a test.
func Create(t testing.TB, s ota.Store, id string, agents int) {
	t.Helper()
	if err := Make(t.Context(), s, id, agents); err != nil {
		t.Fatal(err)
	}
}

// Agent is an agent that runs: its state has the number of its attempt.
func Agent(number, attempt int) ota.Row {
	return ota.Row{
		Kind: ota.KindAgent, Number: number, Status: uint8(ota.TaskRunning), State: binary.BigEndian.AppendUint64(make([]byte, 13), uint64(attempt)),
	}
}

// Attempt is the number that Agent has put into a state; 0 for an agent that was never started.
func Attempt(r ota.Row) int {
	if len(r.State) == 0 {
		return 0
	}
	return int(binary.BigEndian.Uint64(r.State[13:]))
}

// OwnerCommit is the next commit of a plan's owner, which starts n agents from the given number on.
func OwnerCommit(t testing.TB, s ota.Store, id string, from, n int) ota.Commit {
	t.Helper()
	row, err := s.Plan(context.WithoutCancel(t.Context()), id)
	if err != nil {
		t.Fatal(err)
	}
	c := ota.Commit{
		Plan: id, If: row.Numbers, Then: ota.Numbers{Progress: row.Numbers.Progress + 1},
		Head:  &ota.Head{Status: ota.StatusRunning, Owner: "engine", Show: []byte(`{"batch":1}`)},
		Parts: ota.Parts{Progress: fmt.Appendf(nil, "progress %d", n)}, Log: ota.LogRow{At: Created, Data: []byte("started some")},
	}
	for i := range n {
		c.Rows = append(c.Rows, Agent(from+i, 1))
	}
	return c
}

// Exec runs a statement on the tables of a Store.
func Exec(t *testing.T, s *sqlcore.Store, query string, args ...any) {
	t.Helper()
	if _, err := sqlcore.DatabaseOf(s).Exec(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

// Stopwatch measures how often something can be done in a second.
type Stopwatch struct {
	n     int
	Total time.Duration
}

// Time runs f and counts it.
func (w *Stopwatch) Time(f func()) {
	start := time.Now()
	f()
	w.Total += time.Since(start)
	w.n++
}

// Rate is how many calls of Time fit into a second of them.
func (w *Stopwatch) Rate() float64 { return float64(w.n) / w.Total.Seconds() }
