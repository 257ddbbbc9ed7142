package ota

import (
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota/internal/clonetest"
)

func TestCloneSharesNothing(t *testing.T) {
	t.Run("PlanRow", func(t *testing.T) { clonetest.Check(t, PlanRow.Clone) })
	t.Run("Control", func(t *testing.T) { clonetest.Check(t, Control.Clone) })
	t.Run("Progress", func(t *testing.T) { clonetest.Check(t, Progress.clone) })
}

func TestPlanRowEndedAt(t *testing.T) {
	at := func(n int64) time.Time { return time.Unix(n, 0) }
	canceled := Control{Cancel: &Stop{Audit: Audit{At: at(1)}}}
	undone := Control{Rollback: &RollbackRef{Done: at(3)}}
	for _, c := range []struct {
		name string
		row  PlanRow
		want time.Time
	}{
		{"running", PlanRow{Status: StatusRunning, Control: canceled, Progress: Progress{EndedAt: at(2)}}, time.Time{}},
		{"completed", PlanRow{Status: StatusCompleted, Progress: Progress{EndedAt: at(2)}}, at(2)},
		{"canceled and drained", PlanRow{Status: StatusCanceled, Control: canceled, Progress: Progress{EndedAt: at(2)}}, at(2)},
		{"canceled while pending", PlanRow{Status: StatusCanceled, Control: canceled}, at(1)},
		{"rolled back", PlanRow{Status: StatusRolledBack, Control: undone, Progress: Progress{EndedAt: at(2)}}, at(3)},
		{"ended nobody knows when", PlanRow{Status: StatusCompleted}, time.Time{}},
	} {
		if got := c.row.EndedAt(); !got.Equal(c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}
