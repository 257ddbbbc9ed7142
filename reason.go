package ota

import (
	"fmt"
	"strconv"
	"time"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// Reason is the one word that says why: why nothing starts, why a plan paused, how a task ended.
// Logs, the API and user interfaces all show the same word. Sentence is the same in plain
// language.
type Reason uint8

// Why nothing, or nothing more, may start. Explain lists every one that applies.
const (
	ReasonNone          Reason = iota
	ReasonPending              // Start was not called
	ReasonPaused               // an operator paused the plan
	ReasonBreached             // a breach is open: failures, a timeout, a failed gate, a fault
	ReasonCanceling            // Cancel was called
	ReasonFrozen               // a rollback plan exists, so no further agent is changed
	ReasonRollingBack          // the rollback plan is running
	ReasonOrders               // an order (retry, skip, accept) is being carried out
	ReasonConcurrency          // as many agents are open as the policy allows
	ReasonReserve              // the open agents could exceed the tolerated failures
	ReasonDraining             // the engine is shutting down
	ReasonLease                // the engine's lease on the plan is about to expire, or lost
	ReasonStore                // the Store does not answer, or refuses a write of the plan
	ReasonSource               // the plan being rolled back still has calls in flight
	ReasonNoEngine             // no engine drives this plan now
	ReasonSchema               // the plan was written by a newer version of this library
	ReasonInFlight             // calls in flight have not returned
	ReasonBackoff              // agents wait for their next try
	ReasonAway                 // agents did not answer and are asked again later
	ReasonAbandonedCall        // an abandoned call has not returned; it blocks its agent
	ReasonUnfinished           // agents of the batch have not finished
	ReasonSoaking              // the batch is being observed
	ReasonHeld                 // the next batch is held until it is promoted
	ReasonInquiry              // a question has no answer yet
	ReasonEnded                // the plan has ended
	ReasonRate                 // the rate allows no further start yet
	ReasonGate                 // the gate after the batch has not passed
	ReasonEvidence             // the canary changed no agent, so it proves nothing
	ReasonWindow               // no maintenance window is open
	ReasonBudget               // as many agents with one label value are unavailable as allowed
	ReasonDamaged              // the bytes of the plan in the Store are damaged
	ReasonCoverage             // the last batch has finished, and too few agents are at the target
	ReasonClaimed              // other plans have claimed agents, so Start would be refused
	ReasonStragglers           // agents of closed batches are out; the plan waits for them
)

// The reasons of a Breach.
const (
	ReasonThreshold        Reason = 64 + iota // more agents failed than tolerated
	ReasonTooManyAbandoned                    // more calls were abandoned than allowed
	ReasonFault                               // a companion of the Executor broke its contract
	ReasonPlanTimeout                         // the plan exceeded its timeout
	ReasonBatchTimeout                        // the batch exceeded its timeout
	ReasonConsecutive                         // too many agents in a row failed
	ReasonGateFailed                          // the gate after the batch failed it
	ReasonGateUndecided                       // the gate after the batch gave no clear answer
	ReasonRefused                             // the Store refused a write of the plan permanently
	ReasonExpect                              // more agents failed than is usual
	ReasonStarved                             // agents of a label value that are down use up its budget
	ReasonAmbient                             // agents that the plan has not begun are sick too
)

// How a task ended, or why it waits.
const (
	ReasonSucceeded    Reason = 128 + iota // upgraded, and the reported version agrees
	ReasonAtTarget                         // nothing had to be done
	ReasonError                            // the Executor returned an error, and no try is left
	ReasonPermanent                        // the Executor reported that another try cannot help
	ReasonRejected                         // the agent refused
	ReasonTimeout                          // the attempt exceeded its timeout
	ReasonAbandoned                        // the call did not return after its timeout
	ReasonWrongVersion                     // the agent reports another version than the target
	ReasonPanic                            // the Executor panicked
	ReasonUnreachable                      // the agent could not be reached
	ReasonThrottled                        // the agent, or a gateway, asked to come back later
	ReasonUnhealthy                        // it turned unhealthy while observed
	ReasonInterrupted                      // interrupted by Cancel or Rollback
	ReasonOperator                         // an operator ordered it
	ReasonAgentFailed                      // an earlier task of the same agent failed
	ReasonPlanEnded                        // the plan ended first
	ReasonUnchanged                        // the plan being rolled back never changed this agent
	ReasonRepeat                           // after an engine restart the same attempt is repeated
	ReasonBlocked                          // the precheck gave a reason to leave the agent out
	ReasonSilent                           // it succeeded, and then answered no question about its health
)

var reasons = map[Reason]struct{ word, sentence string }{
	ReasonNone:             {"none", "Nothing blocks it"},
	ReasonPending:          {"pending", "The plan has not been started"},
	ReasonPaused:           {"paused", "The plan was paused"},
	ReasonBreached:         {"breached", "A breach stands and needs a decision"},
	ReasonCanceling:        {"canceling", "The plan is being canceled"},
	ReasonFrozen:           {"frozen", "A rollback plan exists; nothing more is touched"},
	ReasonRollingBack:      {"rolling_back", "The plan is being rolled back"},
	ReasonOrders:           {"orders", "An order of an operator is being carried out"},
	ReasonConcurrency:      {"concurrency", "As many agents are open as the policy allows"},
	ReasonReserve:          {"reserve", "What is open could already exceed the tolerated failures"},
	ReasonDraining:         {"draining", "The engine is shutting down"},
	ReasonLease:            {"lease", "The engine's lease is nearly out or lost"},
	ReasonStore:            {"store", "The store does not answer, or refuses a write"},
	ReasonSource:           {"source", "The plan being rolled back still has calls in flight"},
	ReasonNoEngine:         {"no_engine", "No engine drives the plan"},
	ReasonSchema:           {"schema", "The plan was written by a newer version of the library"},
	ReasonInFlight:         {"in_flight", "Calls that were made have not returned"},
	ReasonBackoff:          {"backoff", "Agents wait for their next try"},
	ReasonAway:             {"away", "Agents did not answer and are asked again later"},
	ReasonAbandonedCall:    {"abandoned_call", "An abandoned call has not returned; its agent takes no other attempt"},
	ReasonUnfinished:       {"unsettled", "Agents of the batch have not ended"},
	ReasonSoaking:          {"observing", "The batch is being observed"},
	ReasonHeld:             {"held", "The next batch is held until it is promoted"},
	ReasonInquiry:          {"inquiry", "A question has not been answered yet"},
	ReasonEnded:            {"ended", "The plan has ended"},
	ReasonRate:             {"rate", "As many starts as the rate allows were made"},
	ReasonGate:             {"gate", "The gate after the batch has not passed"},
	ReasonEvidence:         {"evidence", "The canary changed no agent, so it proves nothing"},
	ReasonPlanTimeout:      {"plan_limit", "The plan took longer than its limit"},
	ReasonBatchTimeout:     {"batch_limit", "The batch took longer than its limit"},
	ReasonConsecutive:      {"consecutive", "Too many agents failed in a row"},
	ReasonGateFailed:       {"gate_failed", "The gate after the batch failed"},
	ReasonGateUndecided:    {"gate_undecided", "The gate after the batch came to no answer"},
	ReasonRefused:          {"refused", "The store refused for good what the plan was to write"},
	ReasonStarved:          {"starved", "Agents that are down use up the budget of those that wait"},
	ReasonAmbient:          {"ambient", "The release may not be why agents failed"},
	ReasonWindow:           {"window", "No maintenance window is open"},
	ReasonBudget:           {"budget", "As many agents with one value of a label are open or down as the policy allows"},
	ReasonDamaged:          {"damaged", "The plan's bytes in the store are damaged; no engine touches it"},
	ReasonCoverage:         {"coverage", "Too few agents are at the target for the plan to be completed"},
	ReasonStragglers:       {"stragglers", "The plan waits for agents of batches that went on without them"},
	ReasonClaimed:          {"claimed", "Other plans have claimed agents of the plan, so start would be refused"},
	ReasonExpect:           {"expect", "More agents failed than is usual"},
	ReasonThreshold:        {"threshold", "Failure threshold exceeded"},
	ReasonTooManyAbandoned: {"too_many_abandoned", "Too many calls were abandoned"},
	ReasonFault:            {"fault", "A part of the executor broke its contract"},
	ReasonSucceeded:        {"succeeded", "The agent runs the target version"},
	ReasonAtTarget:         {"at_target", "The agent already ran the target version"},
	ReasonError:            {"error", "The attempt failed and no try is left"},
	ReasonPermanent:        {"permanent", "The executor reported that another try cannot help"},
	ReasonRejected:         {"rejected", "The agent refused"},
	ReasonTimeout:          {"timeout", "The attempt exceeded its timeout"},
	ReasonAbandoned:        {"abandoned", "The call did not return after its limit"},
	ReasonWrongVersion:     {"wrong_version", "The agent reports another version than the target"},
	ReasonPanic:            {"panic", "The executor panicked"},
	ReasonUnreachable:      {"unreachable", "The agent could not be reached"},
	ReasonThrottled:        {"throttled", "The agent asked to come back later"},
	ReasonUnhealthy:        {"unhealthy", "The agent turned unhealthy while observed"},
	ReasonInterrupted:      {"interrupted", "The call was interrupted without a definite answer"},
	ReasonOperator:         {"operator", "An operator ordered it"},
	ReasonAgentFailed:      {"agent_failed", "An earlier task of the agent failed"},
	ReasonPlanEnded:        {"plan_ended", "The plan ended first"},
	ReasonUnchanged:        {"untouched", "The plan being rolled back never changed the agent"},
	ReasonRepeat:           {"repeat", "The engine was restarted; the same attempt is called again"},
	ReasonSilent:           {"silent", "The agent succeeded and then answered no question about its health"},
	ReasonBlocked:          {"blocked", "The precheck gave a reason to leave the agent out"},
}

// String returns the word, for example "concurrency".
func (r Reason) String() string {
	if x, ok := reasons[r]; ok {
		return x.word
	}
	return "reason_" + strconv.Itoa(int(r))
}

// Sentence returns the reason in plain language, without a full stop, for example "Failure
// threshold exceeded".
func (r Reason) Sentence() string {
	if x, ok := reasons[r]; ok {
		return x.sentence
	}
	return r.String()
}

// MarshalText returns what String returns.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText accepts the words that String returns for the reasons of this version. It refuses
// every other word, for example one of a newer version, and leaves r unchanged.
func (r *Reason) UnmarshalText(b []byte) error {
	for k, x := range reasons {
		if x.word == string(b) {
			*r = k
			return nil
		}
	}
	return &FieldError{Field: "reason", Value: string(b), Problem: "is no word this version knows"}
}

// decisions say what Resume needs to resolve a breach, for reasons that need anything.
var decisions = map[Reason]string{
	ReasonThreshold:     "with accept, raise or retry",
	ReasonExpect:        "with accept or retry, or after an edit of expect",
	ReasonPlanTimeout:   "with accept, or after an edit of the limit",
	ReasonBatchTimeout:  "with accept, or after an edit of the limit",
	ReasonGateFailed:    "with accept, or plainly to ask again",
	ReasonGateUndecided: "with accept, or plainly to ask again",
	ReasonStarved:       "with retry, or after a skip, a retry or an edit of the budgets",
}

// decisionsOn is which decisions answer a breach where so many agents have failed. Without one, the
// agents that are down were skipped, and a retry does nothing.
func decisionsOn(r Reason, failed int) string {
	if r == ReasonStarved && failed == 0 {
		return "after a skip or an edit of the budgets"
	}
	if r == ReasonAmbient && failed > 0 { // some may count against the release
		return "plainly, or with accept or retry where agents failed"
	}
	return decisions[r]
}

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
	// This and the next four: how a task ended. With the reason ambient, a failure was taken back.
	EventTaskSucceeded
	EventTaskFailed
	EventTaskSkipped
	EventTaskCanceled
	EventTaskUnknown
	EventTaskWaiting // it waits until Until for its next attempt
	EventTaskRetried // an order, or an outage that has passed, returned it to pending
	// A report changed whether an agent counts as healthy. Without an agent: Text says how many
	// agents are sick that the plan has not begun.
	EventHealth
	EventLate       // a report or an outcome came too late to count
	EventGate       // answer of the Gater; Number is the verdict, Text the details
	EventPrechecked // Precheck; Number agents are blocked or away, Text is the counts
	EventFulfilled  // a verb with a request ID had already taken effect; Text is the verb
	// The plan has waited for a second, for Reason, until Until if that is known. With ReasonNone it
	// waits no more.
	EventWaiting
)

var eventKinds = enum[EventKind]{"event kind", []string{
	"none", "plan_created", "plan_started", "plan_paused", "plan_resumed", "plan_canceled", "batch_promoted",
	"plan_edited", "plan_annotated", "order_given", "order_carried_out", "plan_frozen", "rollback_started",
	"rollback_completed", "rollback_off", "plan_status", "plan_owned", "breach", "batch_started", "batch_observing",
	"batch_completed", "batch_reopened", "batch_canceled", "task_started", "task_repeated", "task_succeeded",
	"task_failed", "task_skipped", "task_canceled", "task_unknown", "task_waiting", "task_retried", "health", "late", "gate",
	"plan_prechecked", "already_fulfilled", "waiting",
}}

// Breach is a recorded rule violation, for example too many failures. It stays open until Resume
// resolves it, even if the cause goes away.
type Breach struct {
	Number    uint64    `json:"number"` // among all breaches of the plan, from 1
	Reason    Reason    `json:"reason"`
	Batch     int       `json:"batch"` // the batch with the violation, -1 for the whole plan
	At        time.Time `json:"at"`
	Action    Action    `json:"action"`
	Failed    int       `json:"failed"`    // failed agents at that time
	Tolerated int       `json:"tolerated"` // how many failures were tolerated
	Size      int       `json:"size"`      // out of how many agents; of expect: that have begun
	Text      string    `json:"text,omitempty"`
}

// String returns one sentence with the numbers, for example
// "Failure threshold exceeded: 2 of the 10 agents of batch 3 failed, 1 is tolerated".
func (b Breach) String() string {
	s := b.Reason.Sentence()
	if b.Size > 0 {
		of := "the plan"
		if b.Batch >= 0 {
			of = "batch " + strconv.Itoa(b.Batch)
		}
		if b.Reason == ReasonExpect {
			of += " that have begun"
		}
		tolerated := "none is"
		switch {
		case b.Tolerated == 1:
			tolerated = "1 is"
		case b.Tolerated > 1:
			tolerated = strconv.Itoa(b.Tolerated) + " are"
		}
		s += fmt.Sprintf(": %d of the %s of %s failed, %s tolerated", b.Failed, plural.Count(b.Size, "agent"), of, tolerated)
	}
	if b.Text != "" {
		s += ": " + b.Text
	}
	return s
}
