package ota

import "time"

// Status is the status of a plan. It is never stored as a separate fact. It is computed from what
// operators want (Control) and what happened (Progress), so the two cannot disagree about it.
type Status uint8

// The statuses of a plan. There is no status "failed": an exceeded timeout, a failed gate, or too
// many failures pause the plan with their reason. Only completion, Cancel and Rollback end it.
const (
	StatusUnknown     Status = iota // no plan has it
	StatusPending                   // created, never started
	StatusRunning                   // batches are being upgraded or observed
	StatusPausing                   // nothing starts any more; calls are still in flight
	StatusPaused                    // nothing starts, nothing is in flight
	StatusCanceling                 // nothing starts any more; calls are still in flight
	StatusCanceled                  // ended by Cancel
	StatusRollingBack               // its rollback plan is running, or about to run
	StatusRolledBack                // ended: its rollback plan completed
	StatusCompleted                 // ended: its last batch is completed
)

var statuses = enum[Status]{"status", []string{
	"unknown", "pending", "running", "pausing", "paused", "canceling", "canceled",
	"rolling_back", "rolled_back", "completed",
}}

// Ended reports whether a plan in this status has ended: canceled, rolled back or completed. An
// ended plan may still be rolled back, and late reports may still be added to its log.
func (s Status) Ended() bool {
	return s == StatusCanceled || s == StatusRolledBack || s == StatusCompleted
}

// Active reports whether a plan in this status keeps the claims on its agents: it was started and
// has not ended.
func (s Status) Active() bool { return s > StatusPending && !s.Ended() }

// Coverage says how many agents of a plan are at its target. The numbers are stored.
type Coverage uint8

// The coverages.
const (
	CoverageNone    Coverage = iota // none of its agents
	CoveragePartial                 // some of them
	CoverageAll                     // all of them
)

var coverages = enum[Coverage]{"coverage", []string{"none", "partial", "all"}}

// BatchStatus is the status of a batch.
type BatchStatus uint8

// The statuses of a batch. A completed batch runs again when its failed agents are retried.
const (
	BatchPending   BatchStatus = iota // none of its agents was started
	BatchRunning                      // its agents are being upgraded
	BatchSoaking                      // all its agents are finished; it is being observed
	BatchCompleted                    // observed and passed; the next batch may begin
	BatchCanceled                     // its plan ended before the batch did
)

var batchStatuses = enum[BatchStatus]{"batch status", []string{"pending", "running", "observing", "completed", "canceled"}}

// TaskStatus is the status of a task, and, derived from its tasks, of an agent.
type TaskStatus uint8

// The statuses of a task and of an agent. Only TaskRunning means that the Executor may be at work.
const (
	TaskPending   TaskStatus = iota // never started, or returned to pending by Retry
	TaskRunning                     // its start is committed, its outcome is not
	TaskWaiting                     // for a retry, a repeat after a crash, or an unreachable agent
	TaskSucceeded                   // at the target, because of this plan or before it
	TaskFailed                      // ended without success
	TaskSkipped                     // skipped on purpose
	TaskCanceled                    // its plan ended before it was started
	TaskUnknown                     // interrupted without a definite answer; counts as failed
)

var taskStatuses = enum[TaskStatus]{"task status", []string{
	"pending", "running", "waiting", "succeeded", "failed", "skipped", "canceled", "unknown",
}}

// Finished reports whether a task in this status has ended. Retry may return it to pending. A
// success may still turn into a failure while its batch is observed.
func (s TaskStatus) Finished() bool { return s >= TaskSucceeded }

// Waiting says what holds a plan that makes no progress. The engine that drives the plan writes it
// with commits that happen anyway. If a plan has had nothing to do for a second and waits for
// something else than the last commit says, one commit records that. Explain says more: the agents,
// the verbs, and every other cause.
type Waiting struct {
	Reason Reason    `json:"reason"`
	Since  time.Time `json:"since,omitzero"` // when it began to wait for this
	Needs  Needs     `json:"needs"`          // who can let the plan go on
}

// String returns the reason as a sentence, and since when.
func (w Waiting) String() string {
	if w.Since.IsZero() {
		return w.Reason.Sentence()
	}
	return w.Reason.Sentence() + ", since " + w.Since.Format(time.RFC3339)
}

// Needs is who can let a plan go on that makes no progress.
type Needs uint8

// Who a plan needs.
const (
	NeedsTime   Needs = iota // it goes on by itself
	NeedsPerson              // a person has to call a verb; see LegalVerbs and Explain
	NeedsEngine              // no engine that is alive drives it
)

var needs = enum[Needs]{"need", []string{"time", "person", "engine"}}
