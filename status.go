package ota

// Status is where a plan stands. It is never stored as a fact of its own: it is computed from what people want
// (Control) and what happened (Progress), so the two can never disagree about it.
type Status uint8

// The statuses of a plan. There is no status "failed": a deadline, a failed gate or too many failures pause the plan
// with their reason, and only completion, Cancel and Rollback end it.
const (
	StatusUnknown     Status = iota // no plan has it
	StatusPending                   // made, never started
	StatusRunning                   // batches are being upgraded or observed
	StatusPausing                   // nothing starts any more; calls that were made are still out
	StatusPaused                    // nothing starts, nothing is in flight
	StatusCanceling                 // nothing starts any more; calls that were made are still out
	StatusCanceled                  // ended by Cancel
	StatusRollingBack               // its rollback plan is at work, or about to be
	StatusRolledBack                // ended: its rollback plan completed
	StatusCompleted                 // ended: its last batch was closed
)

var statuses = enum[Status]{"status", []string{
	"unknown", "pending", "running", "pausing", "paused", "canceling", "canceled",
	"rolling_back", "rolled_back", "completed",
}}

// Ended reports whether a plan in this status has reached its end: canceled, rolled back or completed. An ended plan
// may still be rolled back, and its log may still grow by late reports.
func (s Status) Ended() bool {
	return s == StatusCanceled || s == StatusRolledBack || s == StatusCompleted
}

// Active reports whether a plan in this status holds its claims on its agents: it was started and has not ended.
func (s Status) Active() bool { return s > StatusPending && !s.Ended() }

// BatchStatus is where a batch stands.
type BatchStatus uint8

// The statuses of a batch. A completed batch runs again when its failed agents are retried.
const (
	BatchPending   BatchStatus = iota // nothing of it was started
	BatchRunning                      // its agents are being upgraded
	BatchSoaking                      // all its agents are settled; it is being watched
	BatchCompleted                    // observed and passed; the next batch may begin
	BatchCanceled                     // its plan ended before the batch did
)

var batchStatuses = enum[BatchStatus]{"batch status", []string{"pending", "running", "observing", "completed", "canceled"}}

// TaskStatus is where a task stands, and, derived from its tasks, where an agent stands.
type TaskStatus uint8

// The statuses of a task and of an agent. Only TaskRunning means that the Executor may be at work.
const (
	TaskPending   TaskStatus = iota // never started, or put back by Retry
	TaskRunning                     // its start was committed and its outcome was not
	TaskWaiting                     // between two attempts: to retry, to repeat after a crash, or for an absent agent
	TaskSucceeded                   // at the target, by this plan or already before it
	TaskFailed                      // ended without success
	TaskSkipped                     // left out on purpose
	TaskCanceled                    // its plan ended before it was started
	TaskUnknown                     // interrupted without a definite answer; counts as failed
)

var taskStatuses = enum[TaskStatus]{"task status", []string{
	"pending", "running", "waiting", "succeeded", "failed", "skipped", "canceled", "unknown",
}}

// Settled reports whether a task in this status has ended. Retry may put it back, and a success may still turn
// unhealthy while its batch is observed.
func (s TaskStatus) Finished() bool { return s >= TaskSucceeded }
