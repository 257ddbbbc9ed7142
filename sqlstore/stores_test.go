package sqlstore

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/pgtest"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(driveEnv); file != "" {
		if err := drive(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	pgtest.Main(m)
}

// place is where a test's store is: opened again, it has the same plans.
type place struct {
	dsn  string
	opts Options
}

func (p place) open(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.Context(), p.dsn, p.opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func sqlitePlace(t testing.TB) place { return place{dsn: filepath.Join(t.TempDir(), "plans.db")} }

func postgresPlace(t testing.TB) place {
	t.Helper()
	dsn, schema := pgtest.Schema(t)
	return place{dsn: dsn, opts: Options{Schema: schema}}
}

// both runs a test on both databases.
func both(t *testing.T, f func(t *testing.T, p place)) {
	t.Run("SQLite", func(t *testing.T) { t.Parallel(); f(t, sqlitePlace(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { t.Parallel(); f(t, postgresPlace(t)) })
}

var created = time.Date(2026, 3, 4, 5, 6, 7, 89, time.UTC)

// newPlan is a plan with agents in batches of 100.
func newPlan(id string, agents int) ota.NewPlan {
	return ota.NewPlan{
		ID: id, CreatedAt: created,
		Finish: func() (ota.Created, error) {
			c := ota.Created{
				Spec:     ota.PlanSpec{Schema: ota.Schema, Name: "name of " + id, ToVersion: "2", CreatedAt: created, Agents: agents},
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

func agentRows(n int) iter.Seq2[ota.AgentRow, error] {
	return func(yield func(ota.AgentRow, error) bool) {
		for i := range n {
			if !yield(ota.AgentRow{Ordinal: i, Batch: i / 100, Agent: ota.AgentSpec{ID: fmt.Sprintf("agent-%07d", i)}}, nil) {
				return
			}
		}
	}
}

func create(t testing.TB, s ota.Store, id string, agents int) {
	t.Helper()
	if err := s.Create(t.Context(), newPlan(id, agents), agentRows(agents)); err != nil {
		t.Fatal(err)
	}
}

// ownerCommit is the next commit of a plan's owner, which starts n agents from the given ordinal on.
func ownerCommit(t testing.TB, s ota.Store, id string, from, n int) ota.Commit {
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
			Task: ota.TaskState{Status: ota.TaskRunning, Number: 1, Started: created.UnixNano()},
		}})
	}
	return c
}
