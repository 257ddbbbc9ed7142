package ota

import (
	"slices"
	"time"
)

// Schema is the number of the stored forms written by this version. An engine leaves alone a plan whose halves carry a
// higher number, and Explain says so.
const Schema = 1

// PlanSpec is what never changes about a plan.
type PlanSpec struct {
	Schema      int               `json:"schema"`
	Name        string            `json:"name"`
	FromVersion string            `json:"fromVersion,omitempty"`
	FromRelease string            `json:"fromRelease,omitempty"`
	ToVersion   string            `json:"toVersion"`
	ToRelease   string            `json:"toRelease,omitempty"`
	CreatedBy   string            `json:"createdBy,omitempty"`
	CreatedAt   time.Time         `json:"createdAt"`
	Labels      map[string]string `json:"labels,omitempty"`
	Agents      int               `json:"agents"`
	Batches     int               `json:"batches"`
	Components  []string          `json:"components,omitempty"` // names of the components that its tasks are about, in order
	Source      string            `json:"source,omitempty"`
	Doubtful    int               `json:"doubtful,omitempty"` // of a rollback: no agent from this ordinal on may turn out untouched
	Warnings    []string          `json:"warnings,omitempty"`
}

// Control is the half of a plan's state that says what people want. Only verbs write it.
type Control struct {
	Schema      int               `json:"schema"`
	Policy      Policy            `json:"policy"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Started     *Stamp            `json:"started,omitempty"`
	Paused      *Stamp            `json:"paused,omitempty"` // the operator's pause
	Cancel      *Stop             `json:"cancel,omitempty"`
	Promoted    int               `json:"promoted,omitempty"` // the highest batch that was promoted
	Cleared     uint64            `json:"cleared,omitempty"`  // breaches up to this number were answered
	Rollback    *RollbackRef      `json:"rollback,omitempty"`
	Template    *RollbackSpec     `json:"template,omitempty"`   // of a rollback that a breach asks for
	Rollbacks   int               `json:"rollbacks,omitempty"`  // rollback plans of this plan that were canceled
	Orders      []Order           `json:"orders,omitempty"`     // not carried out yet, as far as the last verb knew
	OrderCount  uint64            `json:"orderCount,omitempty"` // number of the last order ever given
	PausedFor   time.Duration     `json:"pausedFor,omitempty"`  // how long the plan was paused, up to the last Resume
	LiftedPlan  bool              `json:"liftedPlan,omitempty"` // the plan's limit was lifted by Accept
	Lifted      int               `json:"lifted,omitempty"`     // one more than the batch whose limit was lifted by Accept
	Gated       int               `json:"gated,omitempty"`      // one more than the batch whose gate was passed by Accept
	Undone      uint64            `json:"undone,omitempty"`     // breaches up to this number had their rollback made, or found nothing to undo
	Warnings    []string          `json:"warnings,omitempty"`   // about the policy; Edit renews them
	Bare        int               `json:"bare,omitempty"`       // agents without the label of the policy's budget
	Readiness   *Readiness        `json:"readiness,omitempty"`  // what the last Precheck has found
	Requests    []Request         `json:"requests,omitempty"`   // the newest verbs that carried a request ID
}

// Stop is a Stamp with a mode: how a plan is canceled or rolled back.
type Stop struct {
	Stamp
	Interrupt bool `json:"interrupt,omitempty"` // end the calls in flight; otherwise they drain
}

// RollbackRef ties a plan to its rollback plan.
type RollbackRef struct {
	ID      string       `json:"id"`
	Spec    RollbackSpec `json:"spec"`
	Frozen  Stamp        `json:"frozen"`
	Wanted  *Stamp       `json:"wanted,omitempty"`  // Rollback was accepted: the engine makes the plan and starts it
	Started *Stop        `json:"started,omitempty"` // nil: not started; once it is set, the rollback is not taken back
	Request string       `json:"request,omitempty"` // request ID of the Start that set Started, for the rollback plan's own commit
	Done    time.Time    `json:"done,omitzero"`     // when the rollback plan completed
}

// begun reports whether the engine is to carry the rollback out, or does so already.
func (r *RollbackRef) begun() bool { return r != nil && (r.Wanted != nil || r.Started != nil) }

// refusable reports whether the rollback may still turn out not to be startable. What waits can then go on.
func (r *RollbackRef) refusable() bool { return r != nil && r.Wanted != nil && r.Started == nil }

// Request remembers what was carried out under a request ID, so that it is not carried out twice. It is recorded with the
// first commit of an operation, on the plan that the caller named, or by itself where the wish was fulfilled already.
// Further commits of the operation do not look at it: they follow from the state of the two plans.
type Request struct {
	ID   string `json:"id"`
	Verb Verb   `json:"verb"`           // zero: Precheck
	Plan string `json:"plan,omitempty"` // of Rollback and CreateRollback: ID of the rollback plan
}

// known returns what the plan remembers of a request.
func (c *Control) known(id string, v Verb) (r Request, ok bool) {
	i := slices.IndexFunc(c.Requests, func(r Request) bool { return r.ID == id && r.Verb == v })
	if i < 0 || id == "" {
		return Request{}, false
	}
	return c.Requests[i], true
}

// remember records a request, and forgets all but the newest 64.
func (c *Control) remember(r Request) {
	c.Requests = append(slices.Clone(c.Requests), r)
	c.Requests = c.Requests[max(0, len(c.Requests)-maxRequests):]
}

const maxRequests = 64

// Order is a verb that changes rows. Verbs write it to Control; the owner carries it out in chunks, and nothing starts
// before it is done.
type Order struct {
	Number  uint64    `json:"number"`
	Kind    OrderKind `json:"kind"`
	Agents  []string  `json:"agents,omitempty"`  // of retry and skip; none: all failed ones, for retry
	Batches []int     `json:"batches,omitempty"` // of accept: the breached batches, -1 for the plan
	By      Stamp     `json:"by"`
}

// OrderKind says what an Order does.
type OrderKind uint8

// The kinds of orders.
const (
	OrderRetry  OrderKind = iota + 1 // failed agents are put back to pending
	OrderSkip                        // agents that were not started are left out
	OrderAccept                      // the failures of the breached batches are accepted
)

// Progress is the half of a plan's state that says what happened. Only the plan's owner writes it.
type Progress struct {
	Schema   int       `json:"schema"`
	Owner    string    `json:"owner,omitempty"` // name of the engine that drives the plan
	Life     string    `json:"life,omitempty"`  // tells engines apart that were given one name
	At       time.Time `json:"at,omitzero"`     // of the last commit of an owner
	Batch    int       `json:"batch"`           // the lowest batch that is not closed; len(batches) when all are
	Counts   Counts    `json:"counts"`          // agents by status
	Tasks    Counts    `json:"tasks"`           // tasks by status
	Open     int       `json:"open"`            // agents that hold a slot
	Touched  int       `json:"touched"`         // agents that may have been changed
	Accepted int       `json:"accepted,omitempty"`
	Row      int       `json:"row,omitempty"`      // agents that failed in a row
	Halved   int       `json:"halved,omitempty"`   // how often Concurrency is halved
	RateAt   int64     `json:"rateAt,omitempty"`   // until when the rate is used up, Unix nanoseconds
	Late     bool      `json:"late,omitempty"`     // that the plan's limit has passed was told
	Breaches []Breach  `json:"breaches,omitempty"` // the newest; those above Control.Cleared stand
	Struck   uint64    `json:"struck,omitempty"`   // number of the last breach
	Folded   uint64    `json:"folded,omitempty"`   // number of the last order carried out
	Cursor   int       `json:"cursor,omitempty"`   // how far the order after Folded was carried out
	Doubts   int       `json:"doubts,omitempty"`   // of a rollback: how many doubtful agents were looked up in the source
	Inbox    uint64    `json:"inbox,omitempty"`    // number of the last message folded
	Reached  int       `json:"reached"`            // the highest batch that was begun
	EndedAt  time.Time `json:"endedAt,omitzero"`
	End      Status    `json:"end,omitempty"` // completed or canceled, once ended
}

// BatchRow is one batch as stored.
type BatchRow struct {
	Index        int           `json:"index"`
	Name         string        `json:"name,omitempty"`
	First        int           `json:"first"` // ordinal of its first agent
	Size         int           `json:"size"`
	Status       BatchStatus   `json:"status"`
	Cursor       int           `json:"cursor"` // no agent of it before this ordinal is pending
	Counts       Counts        `json:"counts"` // agents by status
	Tasks        Counts        `json:"tasks"`  // tasks by status
	Open         int           `json:"open"`   // agents that hold a slot
	Changed      int           `json:"changed"`
	Unhealthy    int           `json:"unhealthy,omitempty"` // reported unhealthy, not failed yet
	Accepted     int           `json:"accepted,omitempty"`
	Canary       bool          `json:"canary,omitempty"`    // it must change an agent before another batch begins
	PausedFor    time.Duration `json:"pausedFor,omitempty"` // how long the plan had been paused when the batch started
	Late         bool          `json:"late,omitempty"`      // that its limit has passed was told
	Gate         GateVerdict   `json:"gate,omitempty"`      // the last answer
	GateAt       time.Time     `json:"gateAt,omitzero"`
	Inconclusive int           `json:"inconclusive,omitempty"` // answers
	GateErrors   int           `json:"gateErrors,omitempty"`
	Continued    bool          `json:"continued,omitempty"` // a breach with the action continue was recorded
	StartedAt    time.Time     `json:"startedAt,omitzero"`
	SettledAt    time.Time     `json:"settledAt,omitzero"`
	HealthySince time.Time     `json:"healthySince,omitzero"`
	ClosedAt     time.Time     `json:"closedAt,omitzero"`
}

// AgentRow is one agent of a plan as stored, its tasks inside, so that counters, slots and rows agree by construction.
type AgentRow struct {
	Ordinal int // its place in the plan, from 0
	Batch   int // index of its batch
	Agent   AgentSpec
	State   AgentState
}

// AgentSpec is what never changes about an agent of a plan. Create writes it; a Commit does not carry it.
type AgentSpec struct {
	ID      string            `json:"id"`
	Version string            `json:"version,omitempty"` // what it ran before the plan, when the Spec said so
	Target  string            `json:"target,omitempty"`  // of a rollback: the version it goes back to; empty means the plan's
	Labels  map[string]string `json:"labels,omitempty"`
	Tasks   []TaskSpec        `json:"tasks,omitempty"` // as many as its state has; none for an agent with one task that its plan tells
}

// AgentState is what happens to an agent. A Store may keep it as the bytes that AppendBinary makes.
type AgentState struct {
	Status TaskStatus
	Flags  AgentFlags
	Task   TaskState   // the agent's first task
	Rest   []TaskState // its further tasks; nil for nearly every agent
	More   *AgentMore  // what few agents have; nil otherwise, and never changed in place
}

// AgentFlags are facts about an agent.
type AgentFlags uint8

// The facts about an agent.
const (
	AgentTouched   AgentFlags = 1 << iota // it may have been changed
	AgentOpen                             // it holds a slot
	AgentAtTarget                         // it succeeded without being changed
	AgentUnhealthy                        // reported unhealthy, not failed yet
	AgentReleased                         // its plan did not change it and never calls it again: other plans may have it
)

// AgentMore is what few agents have.
type AgentMore struct {
	Previous  string // the version before its first start, where a precheck reported one
	Unhealthy int64  // since when it is unhealthy, Unix nanoseconds
}

// TaskState is what happens to one task. Times are Unix nanoseconds, UTC; 0 is none.
type TaskState struct {
	Status  TaskStatus
	Why     Reason    // how it ended, or why it waits
	Tries   uint8     // tries of the retry budget used
	Touched bool      `json:",omitempty"` // it may have changed the agent
	Number  uint32    // how often it was started
	Started int64     // its newest start
	Ended   int64     // when it ended; while it waits, when it is due
	More    *TaskMore // what few tasks have; nil otherwise, and never changed in place
}

// TaskMore is what few tasks have.
type TaskMore struct {
	Version string // reported, where it is not the target
	Error   string // of the last failed attempt, cut to 4 KiB
	Away    int64  // since when the agent is away, Unix nanoseconds
}
