package ota

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// storeReader reads single rows and records the way a user does: an Engine shows them.
type storeReader struct {
	mu    sync.Mutex
	shown *shown
	e     *Engine
}

func newStoreReader(t *testing.T) *storeReader {
	s := &shown{}
	e, err := New(s, nil, Options{Name: "reader", Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return &storeReader{shown: s, e: e}
}

// status is the status of a plan by its two halves.
func (r *storeReader) status(row PlanRow) Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shown.row = row
	p, _ := r.e.Plan(context.Background(), row.ID)
	return p.Status
}

// record is a record of a plan's log.
func (r *storeReader) record(plan string, row LogRow) (rec Record, err error) {
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
	Store
	row PlanRow
	log LogRow
}

func (*shown) Unwrap() Store { return nil }

func (s *shown) Plan(context.Context, string) (PlanRow, error) { return s.row, nil }

func (s *shown) Log(context.Context, string, uint64, int) ([]LogRow, error) {
	return []LogRow{s.log}, nil
}

// countOf is the counter of one status.
func countOf(c *Counts, s TaskStatus) *int {
	return map[TaskStatus]*int{
		TaskPending: &c.Pending, TaskRunning: &c.Running, TaskWaiting: &c.Waiting, TaskSucceeded: &c.Succeeded,
		TaskFailed: &c.Failed, TaskSkipped: &c.Skipped, TaskCanceled: &c.Canceled, TaskUnknown: &c.Unknown,
	}[s]
}

func taskCount(a *AgentState) int { return 1 + len(a.Rest) }

func taskAt(a *AgentState, i int) *TaskState {
	if i == 0 {
		return &a.Task
	}
	return &a.Rest[i-1]
}
