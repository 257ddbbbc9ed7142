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
		if err := sqltest.Make(ctx, s, "a", 1); !errors.Is(err, ota.ErrExists) {
			t.Fatalf("a second plan a: %v", err)
		}
		c := sqltest.OwnerCommit(t, s, "a", 0, 64)
		c.Rows = append(c.Rows, ota.Row{Kind: ota.KindBatch, Number: 1, Status: 1, State: []byte("first")})
		if rev, err := s.Commit(ctx, c); rev != 2 || err != nil {
			t.Fatal(rev, err)
		}
		if _, err := s.Commit(ctx, c); !errors.Is(err, ota.ErrConflict) {
			t.Fatal(err)
		}
		if rev, err := s.Commit(ctx, sqltest.OwnerCommit(t, s, "a", 249, 2)); err == nil {
			t.Fatal("a commit of a row that is not there made revision", rev)
		}
		c = sqltest.OwnerCommit(t, s, "a", 64, 1)
		c.If.Epoch++
		if _, err := s.Commit(ctx, c); !errors.Is(err, ota.ErrFenced) {
			t.Fatal(err)
		}
		row, err := s.Plan(ctx, "a")
		if err != nil || row.Revision != 2 {
			t.Fatal(row, err)
		}
		verb := ota.Commit{Plan: "a", If: ota.Numbers{Control: 1}, Parts: ota.Parts{Control: []byte("new")}, Log: ota.LogRow{Data: []byte("v")}}
		if rev, err := s.Commit(ctx, verb); rev != 3 || err != nil {
			t.Fatal(rev, err)
		}
		agents, err := s.Rows(ctx, "a", ota.RowQuery{
			Kind: ota.KindAgent, Status: []uint8{uint8(ota.TaskRunning)}, IDs: []string{"agent-0000003", "agent-0000100"}, Total: true,
		})
		if err != nil || len(agents.Items) != 1 || agents.Total != 1 {
			t.Fatal(agents, err)
		}
		batches, err := s.Rows(ctx, "a", ota.RowQuery{Kind: ota.KindBatch})
		if err != nil || len(batches.Items) != 3 || string(batches.Items[1].State) != "first" {
			t.Fatal(batches, err)
		}
		log, err := s.Log(ctx, "a", ota.LogQuery{Limit: 10})
		if err != nil || len(log.Items) != 3 {
			t.Fatal(log, err)
		}
	})
}
