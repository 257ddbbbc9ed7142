package ota

import "time"

// Record is one record of a plan's log: the changes of one commit. Its number is the revision that
// the commit made: from 1, without gap.
type Record struct {
	Plan     string `json:"plan"`
	Revision uint64 `json:"revision"`
	Request  string `json:"request,omitempty"` // request ID of the verb that caused it
	// At is UTC, to the nanosecond, by the clock of the engine that wrote the record.
	At     time.Time `json:"at"`
	Status Status    `json:"status"` // of the plan, after this record
	// Events are in the order in which they happened, and never empty.
	Events []Event `json:"events"`
}

// Event is one change. Fields that do not apply are zero.
type Event struct {
	Kind EventKind `json:"kind"`
	// Batch is the index of the batch, for events of batches, agents and tasks; otherwise -1.
	Batch int    `json:"batch"`
	Agent string `json:"agent,omitempty"` // ID
	Task  int    `json:"task,omitempty"`  // which of the agent's tasks, from 0
	// Number is the number of a start; for other kinds it is a count, see the kind.
	Number int       `json:"number,omitempty"`
	Reason Reason    `json:"reason,omitempty"`
	Until  time.Time `json:"until,omitzero"` // when a wait ends
	Actor  string    `json:"actor,omitempty"`
	Text   string    `json:"text,omitempty"` // an error, a message, what was edited
}

// EventKind is the kind of an Event.
type EventKind uint8

// The kinds of events.
const (
	EventCreated    EventKind = iota + 1 // the plan was created
	EventStarted                         // Start
	EventPaused                          // Pause; Number agents are in flight
	EventResumed                         // Resume; Text is the decision
	EventCanceled                        // Cancel; Reason interrupted: calls are not drained
	EventPromoted                        // Promote; Batch
	EventEdited                          // Edit; Text is before and after, as JSON
	EventAnnotated                       // Annotate; Text names the keys
	EventOrdered                         // Retry, Skip or Accept; Number is the order
	EventCarriedOut                      // that order was carried out
	// A rollback plan was made, is about to be made, or is to be started; Text is its ID.
	EventFrozen
	// The rollback plan is started, which is final; Text is its ID.
	EventRollback
	EventRolledBack // the rollback plan completed
	// The rollback plan was canceled, would have been empty, was refused, or may not be started.
	// Text is its ID and why.
	EventRollbackOff
	// What happened, not a verb, changed the plan's status to the record's.
	EventStatus
	// An engine took the plan over; Text is its name, Number the epoch.
	EventOwned
	EventBreach         // a breach occurred
	EventBatchStarted   // a batch began
	EventBatchSoaking   // its last agent finished; it is being observed
	EventBatchCompleted // it was observed and passed
	EventBatchReopened  // its failed agents were returned to pending
	EventBatchCanceled  // its plan was canceled first
	EventTaskStarted    // an attempt was started
	EventTaskRepeated   // an attempt lost in a crash is called again
	EventTaskSucceeded  // this and the next four: how a task ended
	EventTaskFailed
	EventTaskSkipped
	EventTaskCanceled
	EventTaskUnknown
	EventTaskWaiting // it waits until Until for its next attempt
	EventTaskRetried // an order returned it to pending
	EventHealth      // a report changed whether an agent counts as healthy
	EventLate        // a report or an outcome came too late to count
	EventGate        // answer of the Gater; Number is the verdict, Text the details
	EventPrechecked  // Precheck; Number agents are blocked or away, Text is the counts
	EventFulfilled   // a verb with a request ID had already taken effect; Text is the verb
)

var eventKinds = enum[EventKind]{"event kind", []string{
	"none", "plan_created", "plan_started", "plan_paused", "plan_resumed", "plan_canceled", "batch_promoted",
	"plan_edited", "plan_annotated", "order_given", "order_carried_out", "plan_frozen", "rollback_started",
	"rollback_completed", "rollback_off", "plan_status", "plan_owned", "breach", "batch_started", "batch_observing",
	"batch_completed", "batch_reopened", "batch_canceled", "task_started", "task_repeated", "task_succeeded",
	"task_failed", "task_skipped", "task_canceled", "task_unknown", "task_waiting", "task_retried", "health", "late", "gate",
	"plan_prechecked", "already_fulfilled",
}}
