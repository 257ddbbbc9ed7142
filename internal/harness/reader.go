package harness

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/seed-19b57ce3/ota"
)

// storeReader reads single rows and records the way a user does: an Engine shows them.
type storeReader struct {
	mu    sync.Mutex
	shown *shown
	e     *ota.Engine
}

func newStoreReader(t *testing.T) *storeReader {
	s := &shown{}
	e, err := ota.New(s, nil, ota.Options{Name: "reader", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return &storeReader{shown: s, e: e}
}

// status is the status of a plan by its two halves.
func (r *storeReader) status(row ota.PlanRow) ota.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shown.row = row
	p, _ := r.e.Plan(context.Background(), row.ID)
	return p.Status
}

// record is a record of a plan's log.
func (r *storeReader) Record(plan string, row ota.LogRow) (rec ota.Record, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shown.log = row
	for rec, err = range r.e.Watch(context.Background(), plan, 0) {
		break
	}
	return rec, err
}

// shown is a Store with one plan that has one record.
type shown struct {
	ota.Store
	row ota.PlanRow
	log ota.LogRow
}

func (*shown) Unwrap() ota.Store { return nil }

func (s *shown) Plan(context.Context, string) (ota.PlanRow, error) { return s.row, nil }

func (s *shown) Log(context.Context, string, ota.LogQuery) (ota.Page[ota.LogRow], error) {
	return ota.Page[ota.LogRow]{Items: []ota.LogRow{s.log}}, nil
}

// countOf is the counter of one status.
func countOf(c *ota.Counts, s ota.TaskStatus) *int {
	return map[ota.TaskStatus]*int{
		ota.TaskPending: &c.Pending, ota.TaskRunning: &c.Running, ota.TaskWaiting: &c.Waiting, ota.TaskSucceeded: &c.Succeeded,
		ota.TaskFailed: &c.Failed, ota.TaskSkipped: &c.Skipped, ota.TaskCanceled: &c.Canceled, ota.TaskUnknown: &c.Unknown,
	}[s]
}
