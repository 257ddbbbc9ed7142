package ota

import (
	"slices"
	"time"
)

// statusOf computes a plan's status from its two halves. When several hold, the first in this order wins.
func statusOf(c *Control, p *Progress) Status {
	switch {
	case c.Rollback != nil && !c.Rollback.Done.IsZero():
		return StatusRolledBack
	case c.Rollback.begun(), undoing(c, p):
		return StatusRollingBack
	case p.End == StatusCompleted:
		return StatusCompleted
	case c.Cancel != nil && p.Counts.Running+p.Counts.Waiting == 0:
		return StatusCanceled
	case c.Cancel != nil:
		return StatusCanceling
	case c.Started == nil:
		return StatusPending
	case c.Paused == nil && c.Rollback == nil && standing(c, p) == nil:
		return StatusRunning
	case p.Counts.Running > 0:
		return StatusPausing
	default:
		return StatusPaused
	}
}

// pausedSince is when a plan that is pausing or paused stopped starting; zero for any other.
func pausedSince(c *Control, p *Progress) time.Time {
	var since time.Time
	first := func(t time.Time) {
		if !t.IsZero() && (since.IsZero() || t.Before(since)) {
			since = t
		}
	}
	if c.Paused != nil {
		first(c.Paused.At)
	}
	if b := standing(c, p); b != nil {
		first(b.At)
	}
	if c.Rollback != nil {
		first(c.Rollback.Frozen.At)
	}
	return since
}

// is reports whether this is the tie to that rollback plan; an ID that was not recorded fits any.
func (r *RollbackRef) is(id string) bool { return r != nil && (id == "" || id == r.ID) }

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
	Unconfirmed int               `json:"doubtful,omitempty"` // of a rollback: no agent from this ordinal on may turn out untouched
	Warnings    []string          `json:"warnings,omitempty"`
}

// Control is the half of a plan's state that says what people want. Only verbs write it.
type Control struct {
	Schema               int               `json:"schema"`
	Policy               Policy            `json:"policy"`
	Annotations          map[string]string `json:"annotations,omitempty"`
	Started              *Audit            `json:"started,omitempty"`
	Paused               *Audit            `json:"paused,omitempty"` // the operator's pause
	Cancel               *Stop             `json:"cancel,omitempty"`
	Promoted             int               `json:"promoted,omitempty"` // the highest batch that was promoted
	AnsweredBreach       uint64            `json:"cleared,omitempty"`  // breaches up to this number were answered
	Rollback             *RollbackRef      `json:"rollback,omitempty"`
	RollbackSpec         *RollbackSpec     `json:"template,omitempty"`   // of a rollback that a breach asks for
	Rollbacks            int               `json:"rollbacks,omitempty"`  // rollback plans of this plan that were canceled
	Orders               []Order           `json:"orders,omitempty"`     // not carried out yet, as far as the last verb knew
	OrderCount           uint64            `json:"orderCount,omitempty"` // number of the last order ever given
	PausedFor            time.Duration     `json:"pausedFor,omitempty"`  // how long the plan was paused, up to the last Resume
	PlanTimeoutAccepted  bool              `json:"liftedPlan,omitempty"` // the plan's limit was lifted by Accept
	BatchTimeoutAccepted int               `json:"lifted,omitempty"`     // one more than the batch whose limit was lifted by Accept
	GateAccepted         int               `json:"gated,omitempty"`      // one more than the batch whose gate was passed by Accept
	RolledBackBreach     uint64            `json:"undone,omitempty"`     // breaches up to this number had their rollback made, or found nothing to undo
	Warnings             []string          `json:"warnings,omitempty"`   // about the policy; Edit renews them
	Unlabeled            int               `json:"bare,omitempty"`       // agents without the label of the policy's budget
	Readiness            *Readiness        `json:"readiness,omitempty"`  // what the last Precheck has found
	Requests             []PastRequest     `json:"requests,omitempty"`   // the newest verbs that carried a request ID
}

// Stop is a Stamp with a mode: how a plan is canceled or rolled back.
type Stop struct {
	Audit
	Interrupt bool `json:"interrupt,omitempty"` // end the calls in flight; otherwise they drain
}

// RollbackRef ties a plan to its rollback plan.
type RollbackRef struct {
	ID      string       `json:"id"`
	Spec    RollbackSpec `json:"spec"`
	Frozen  Audit        `json:"frozen"`
	Wanted  *Audit       `json:"wanted,omitempty"`  // Rollback was accepted: the engine makes the plan and starts it
	Started *Stop        `json:"started,omitempty"` // nil: not started; once it is set, the rollback is not taken back
	Request string       `json:"request,omitempty"` // request ID of the Start that set Started, for the rollback plan's own commit
	Done    time.Time    `json:"done,omitzero"`     // when the rollback plan completed
}

// Request remembers what was carried out under a request ID, so that it is not carried out twice. It is recorded with the
// first commit of an operation, on the plan that the caller named, or by itself where the wish was fulfilled already.
// Further commits of the operation do not look at it: they follow from the state of the two plans.
type PastRequest struct {
	ID   string `json:"id"`
	Verb Verb   `json:"verb"`           // zero: Precheck
	Plan string `json:"plan,omitempty"` // of Rollback and CreateRollback: ID of the rollback plan
}

// Order is a verb that changes rows. Verbs write it to Control; the owner carries it out in chunks, and nothing starts
// before it is done.
type Order struct {
	Number  uint64    `json:"number"`
	Kind    OrderKind `json:"kind"`
	Agents  []string  `json:"agents,omitempty"`  // of retry and skip; none: all failed ones, for retry
	Batches []int     `json:"batches,omitempty"` // of accept: the breached batches, -1 for the plan
	By      Audit     `json:"by"`
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
	Schema              int       `json:"schema"`
	Owner               string    `json:"owner,omitempty"` // name of the engine that drives the plan
	Instance            string    `json:"life,omitempty"`  // tells engines apart that were given one name
	At                  time.Time `json:"at,omitzero"`     // of the last commit of an owner
	Batch               int       `json:"batch"`           // the lowest batch that is not closed; len(batches) when all are
	Counts              Counts    `json:"counts"`          // agents by status
	Tasks               Counts    `json:"tasks"`           // tasks by status
	Open                int       `json:"open"`            // agents that hold a slot
	Changed             int       `json:"touched"`         // agents that may have been changed
	Accepted            int       `json:"accepted,omitempty"`
	ConsecutiveFailures int       `json:"row,omitempty"`      // agents that failed in a row
	Halved              int       `json:"halved,omitempty"`   // how often Concurrency is halved
	RateAt              int64     `json:"rateAt,omitempty"`   // until when the rate is used up, Unix nanoseconds
	TimeoutReported     bool      `json:"late,omitempty"`     // that the plan's limit has passed was told
	Breaches            []Breach  `json:"breaches,omitempty"` // the newest; those above Control.Cleared stand
	LastBreach          uint64    `json:"struck,omitempty"`   // number of the last breach
	LastOrder           uint64    `json:"folded,omitempty"`   // number of the last order carried out
	OrderCursor         int       `json:"cursor,omitempty"`   // how far the order after Folded was carried out
	Confirmed           int       `json:"doubts,omitempty"`   // of a rollback: how many doubtful agents were looked up in the source
	Inbox               uint64    `json:"inbox,omitempty"`    // number of the last message folded
	Reached             int       `json:"reached"`            // the highest batch that was begun
	EndedAt             time.Time `json:"endedAt,omitzero"`
	End                 Status    `json:"end,omitempty"` // completed or canceled, once ended
}

// canMove reports whether a plan may have something to do for an owner. A verb may write a status that is too weak, such
// as canceling of a plan that has drained meanwhile. The owner then records the right one: lists, claims and Prune go by
// the stored status.
func (row *PlanRow) canMove() bool {
	ordered := row.Control.OrderCount > row.Progress.LastOrder
	st := statusOf(&row.Control, &row.Progress)
	if st != row.Status {
		return true
	}
	switch st {
	case StatusPending:
		return ordered
	case StatusPaused:
		return ordered || row.Control.Rollback != nil || row.Progress.Owner == "" || !row.Control.Policy.Soak.None()
	case StatusRunning, StatusPausing, StatusCanceling, StatusRollingBack:
		return true
	default:
		return false
	}
}

// over reports whether the plan has ended, whether or not its log and stored status say so.
func (row *PlanRow) over() bool { return statusOf(&row.Control, &row.Progress).Ended() }

// legalNow is LegalVerbs of a plan as it stands, without those that would be refused, or would change nothing, because of more than
// its status. What others hold and what a Resume has to decide is not looked at.
func legalNow(s *PlanSpec, c *Control, p *Progress) []Verb {
	frozen, next := c.Rollback != nil, p.Reached+1
	touched := p.Changed+p.Counts.Running > 0
	return slices.DeleteFunc(LegalVerbs(statusOf(c, p)), func(v Verb) bool {
		switch v {
		case VerbResume:
			return frozen
		case VerbCancel:
			return c.Cancel != nil && c.Cancel.Interrupt || !cancelable(c, p)
		case VerbPromote:
			return frozen || next >= s.Batches || c.Promoted >= next
		case VerbSkip:
			return p.Counts.Pending+p.Counts.Waiting == 0
		case VerbRetry:
			return frozen || p.Counts.Bad() == 0
		case VerbCreateRollback:
			return s.Source != "" || frozen || !touched
		case VerbRollback:
			return s.Source != "" || !frozen && !touched
		default:
			return false
		}
	})
}

// cancelable reports whether Cancel is legal in a status that lists it: a plan that rolls back may be canceled until its
// rollback plan was started. From then on its rollback plan is what may be canceled.
func cancelable(c *Control, p *Progress) bool {
	return statusOf(c, p) != StatusRollingBack || c.Rollback == nil || c.Rollback.Started == nil
}

// standing returns the breach that has stood longest without an answer, or nil.
func standing(c *Control, p *Progress) *Breach {
	for i := range p.Breaches {
		if p.Breaches[i].Number > c.AnsweredBreach {
			return &p.Breaches[i]
		}
	}
	return nil
}

// undoing reports whether a standing breach wants a rollback that nobody has begun yet.
func undoing(c *Control, p *Progress) bool {
	for _, b := range p.Breaches {
		if b.Number > c.AnsweredBreach && b.Number > c.RolledBackBreach && b.Action == ActionRollback {
			return true
		}
	}
	return false
}
