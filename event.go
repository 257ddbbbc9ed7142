package ota

import "time"

// Record is one record of a plan's log: what one commit changed. Records are numbered by the revision they made, from 1,
// without gap.
type Record struct {
	Plan     string    `json:"plan"`
	Revision uint64    `json:"revision"`
	Request  string    `json:"request,omitempty"` // request ID of the verb that caused it
	At       time.Time `json:"at"`                // UTC, to the nanosecond, by the clock of the engine that wrote it
	Status   Status    `json:"status"`            // of the plan, after this record
	Events   []Event   `json:"events"`            // in the order in which they happened; never empty
}

// Event is one change. Fields that do not apply are zero.
type Event struct {
	Kind   EventKind `json:"kind"`
	Batch  int       `json:"batch"`            // index of the batch, for events of batches, agents and tasks; else -1
	Agent  string    `json:"agent,omitempty"`  // ID
	Task   int       `json:"task,omitempty"`   // which of the agent's tasks, from 0
	Number int       `json:"number,omitempty"` // of a start: which; else a count: of what, the kind says
	Reason Reason    `json:"reason,omitempty"`
	Until  time.Time `json:"until,omitzero"` // when a wait ends
	Actor  string    `json:"actor,omitempty"`
	Text   string    `json:"text,omitempty"` // an error, a message, what was edited
}

// EventKind says what an Event tells.
type EventKind uint8

// The kinds of events.
const (
	EventCreated        EventKind = iota + 1 // the plan was made
	EventStarted                             // Start
	EventPaused                              // Pause; Number are in flight
	EventResumed                             // Resume; Text is the decision
	EventCanceled                            // Cancel; Reason is interrupted when calls are not drained
	EventPromoted                            // Promote; Batch
	EventEdited                              // Edit; Text is before and after, as JSON
	EventAnnotated                           // Annotate; Text names the keys
	EventOrdered                             // Retry, Skip or Accept was ordered; Number is the order
	EventCarriedOut                          // that order was carried out
	EventFrozen                              // a rollback plan was made, or is about to be, or is to be started: Text is its ID
	EventRollback                            // the rollback plan is started, and that is final; Text is its ID
	EventRolledBack                          // the rollback plan completed
	EventRollbackOff                         // the rollback plan was canceled, would have been empty, was refused, or may not be started: Text is its ID and why
	EventStatus                              // the plan's status became the record's, by what happened
	EventOwned                               // an engine took the plan over; Text is its name, Number the epoch
	EventBreach                              // a verdict struck
	EventBatchStarted                        // a batch began
	EventBatchSoaking                        // its last agent was settled; it is being observed
	EventBatchCompleted                      // it was observed and passed
	EventBatchReopened                       // its failed agents were put back
	EventBatchCanceled                       // its plan was canceled first
	EventTaskStarted                         // an attempt was started
	EventTaskRepeated                        // an attempt lost in a crash is called again
	EventTaskSucceeded                       // and so on: how a task ended
	EventTaskFailed
	EventTaskSkipped
	EventTaskCanceled
	EventTaskUnknown
	EventTaskWaiting // it waits until Until for its next attempt
	EventTaskRetried // it was put back to pending by an order
	EventHealth      // a report that changed whether an agent counts as healthy
	EventLate        // a report or an outcome that came too late to count
	EventGate        // the Gater has answered; Number is its verdict, Text what it said
	EventPrechecked  // Precheck; Number of agents are blocked or away, Text is the counts
	EventFulfilled   // a verb with a request ID found its wish fulfilled already; Text is the verb
)

var eventKinds = enum[EventKind]{"event kind", []string{
	"none", "plan_created", "plan_started", "plan_paused", "plan_resumed", "plan_canceled", "batch_promoted",
	"plan_edited", "plan_annotated", "order_given", "order_carried_out", "plan_frozen", "rollback_started",
	"rollback_completed", "rollback_off", "plan_status", "plan_owned", "breach", "batch_started", "batch_observing",
	"batch_completed", "batch_reopened", "batch_canceled", "task_started", "task_repeated", "task_succeeded",
	"task_failed", "task_skipped", "task_canceled", "task_unknown", "task_waiting", "task_retried", "health", "late", "gate",
	"plan_prechecked", "already_fulfilled",
}}
