// Package sqltest makes plans and commits for the tests of the Stores.
package sqltest

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
)

// Created is when plans are created.
var Created = time.Date(2026, 3, 4, 5, 6, 7, 89, time.UTC)

// NewPlan is a plan with agents in batches of 100.
func NewPlan(id string, agents int) ota.NewPlan {
	return ota.NewPlan{
		ID: id, CreatedAt: Created,
		Finish: func() (ota.Created, error) {
			c := ota.Created{
				Spec:     ota.PlanSpec{Schema: ota.Schema, Name: "name of " + id, ToVersion: "2", CreatedAt: Created, Agents: agents},
				Control:  ota.Control{Schema: ota.Schema},
				Progress: ota.Progress{Schema: ota.Schema, Counts: ota.Counts{Pending: agents}},
				Status:   ota.StatusPending,
				Log:      []byte("created"),
			}
			for first := 0; first < agents; first += 100 {
				c.Batches = append(c.Batches, ota.BatchRow{Index: first / 100, First: first, Size: min(100, agents-first)})
			}
			return c, nil
		},
	}
}

// AgentRows are n agents in batches of 100.
func AgentRows(n int) iter.Seq2[ota.AgentRow, error] {
	return func(yield func(ota.AgentRow, error) bool) {
		for i := range n {
			if !yield(ota.AgentRow{Ordinal: i, Batch: i / 100, Agent: ota.AgentSpec{ID: fmt.Sprintf("agent-%07d", i)}}, nil) {
				return
			}
		}
	}
}

// Create makes a plan by NewPlan with agents by AgentRows.
func Create(t testing.TB, s ota.Store, id string, agents int) {
	t.Helper()
	if err := s.Create(t.Context(), NewPlan(id, agents), AgentRows(agents)); err != nil {
		t.Fatal(err)
	}
}

// OwnerCommit is the next commit of a plan's owner, which starts n agents from the given ordinal
// on.
func OwnerCommit(t testing.TB, s ota.Store, id string, from, n int) ota.Commit {
	t.Helper()
	row, err := s.Plan(context.WithoutCancel(t.Context()), id)
	if err != nil {
		t.Fatal(err)
	}
	c := ota.Commit{
		Plan: id, Owner: true, Control: row.ControlNumber, Progress: row.ProgressNumber, Epoch: row.Epoch,
		NewProgress: &row.Progress, Status: ota.StatusRunning, Log: []byte("started some"),
	}
	c.NewProgress.Counts.Pending -= n
	c.NewProgress.Counts.Running += n
	for i := range n {
		c.Agents = append(c.Agents, ota.AgentRow{Ordinal: from + i, State: ota.AgentState{
			Status: ota.TaskRunning, Flags: ota.AgentOpen | ota.AgentChanged,
			Task: ota.TaskState{Status: ota.TaskRunning, Number: 1, Started: Created.UnixNano()},
		}})
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
