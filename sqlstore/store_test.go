package sqlstore

import (
	"errors"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqltest"
)

// A plan's way through every method, on both databases.
func TestRoundTrip(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		s, ctx := p.open(t), t.Context()
		sqltest.Create(t, s, "a", 250)
		if err := s.Create(ctx, sqltest.NewPlan("a", 1), sqltest.AgentRows(1)); !errors.Is(err, ota.ErrExists) {
			t.Fatalf("a second plan a: %v", err)
		}
		c := sqltest.OwnerCommit(t, s, "a", 0, 64)
		c.Batches = []ota.BatchRow{{Index: 1, Name: "first", Size: 100, Status: ota.BatchRunning, StartedAt: sqltest.Created}}
		if rev, err := s.Commit(ctx, c); rev != 2 || err != nil {
			t.Fatal(rev, err)
		}
		if _, err := s.Commit(ctx, c); !errors.Is(err, ota.ErrConflict) {
			t.Fatal(err)
		}
		c = sqltest.OwnerCommit(t, s, "a", 249, 2)
		if rev, err := s.Commit(ctx, c); err == nil {
			t.Fatal("a commit of a row that is not there made revision", rev)
		}
		c = sqltest.OwnerCommit(t, s, "a", 64, 1)
		c.Epoch++
		if _, err := s.Commit(ctx, c); !errors.Is(err, ota.ErrFenced) {
			t.Fatal(err)
		}
		row, err := s.Plan(ctx, "a")
		if err != nil || row.Revision != 2 {
			t.Fatal(row, err)
		}
		verb := ota.Commit{Plan: "a", Control: 1, NewControl: &ota.Control{Schema: 1, Promoted: 3}, Log: []byte("v"), Request: "r"}
		if rev, err := s.Commit(ctx, verb); rev != 3 || err != nil {
			t.Fatal(rev, err)
		}
		agents, err := s.Agents(ctx, "a", ota.RowQuery{Status: []ota.TaskStatus{ota.TaskRunning}, IDs: []string{"agent-0000003", "agent-0000100"}, Total: true})
		if err != nil || len(agents.Items) != 1 || agents.Total != 1 {
			t.Fatal(agents, err)
		}
		batches, err := s.Batches(ctx, "a", ota.RowQuery{})
		if err != nil || len(batches.Items) != 3 || batches.Items[1].StartedAt != sqltest.Created {
			t.Fatal(batches, err)
		}
		log, err := s.Log(ctx, "a", 0, 10)
		if err != nil || len(log) != 3 {
			t.Fatal(log, err)
		}
	})
}
