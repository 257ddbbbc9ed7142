package ota

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// statusOf computes a plan's status from its two halves. If several apply, the first in this order
// wins.
func statusOf(c *planControl, p *planProgress) Status {
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

// pausedSince returns when a pausing or paused plan stopped starting agents; zero for any other
// plan.
func pausedSince(c *planControl, p *planProgress) time.Time {
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

// is reports whether r refers to the rollback plan with that ID. An ID that was not recorded fits
// any.
func (r *rollbackRef) is(id string) bool { return r != nil && (id == "" || id == r.ID) }

// Schema is the number of the stored forms that this version writes. An engine does not touch a
// plan whose halves have a higher number, and Explain says so.
const Schema = 1

// planSpec is what never changes about a plan.
type planSpec struct {
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
	// Components are the names of the components of its tasks, sorted.
	Components []string `json:"components,omitempty"`
	Source     string   `json:"source,omitempty"`
	// Unconfirmed, of a rollback: agents below this ordinal were in flight when the source was
	// frozen and are checked again.
	Unconfirmed int      `json:"doubtful,omitempty"`
	Warnings    []string `json:"warnings,omitempty"`
	// Ungated, of a rollback: no Gater is asked about its batches.
	Ungated bool `json:"ungated,omitempty"`
	// Represent are the labels of Shape.Represent.
	Represent []string `json:"represent,omitempty"`
}

// planControl is the half of a plan's state with what operators want. Only verbs write it.
type planControl struct {
	Schema         int               `json:"schema"`
	Policy         Policy            `json:"policy"`
	Annotations    map[string]string `json:"annotations,omitempty"`
	Started        *Audit            `json:"started,omitempty"`
	Paused         *Audit            `json:"paused,omitempty"` // by an operator
	Cancel         *planStop         `json:"cancel,omitempty"`
	Promoted       int               `json:"promoted,omitempty"` // the highest promoted batch
	AnsweredBreach uint64            `json:"cleared,omitempty"`  // resolved up to this number
	Rollback       *rollbackRef      `json:"rollback,omitempty"`
	// RollbackSpec is for a rollback that a breach asks for.
	RollbackSpec *RollbackSpec `json:"template,omitempty"`
	Rollbacks    int           `json:"rollbacks,omitempty"` // canceled rollback plans
	// Orders are those that were not carried out when the last verb was committed.
	Orders     []planOrder   `json:"orders,omitempty"`
	OrderCount uint64        `json:"orderCount,omitempty"` // number of the newest order
	PausedFor  time.Duration `json:"pausedFor,omitempty"`  // total pause up to the last Resume
	// PausedOpen is the part of PausedFor in which the plan's windows were open.
	PausedOpen time.Duration `json:"pausedOpen,omitempty"`
	// PlanTimeoutAccepted says that Accept removed the plan's timeout.
	PlanTimeoutAccepted bool `json:"liftedPlan,omitempty"`
	// BatchTimeoutAccepted is 1 + the index of the batch whose timeout Accept removed; 0 means
	// none.
	BatchTimeoutAccepted int `json:"lifted,omitempty"`
	// GateAccepted is 1 + the index of the batch whose gate Accept passed; 0 means none.
	GateAccepted int `json:"gated,omitempty"`
	// RolledBackBreach: breaches up to this number have their rollback plan, or had nothing to
	// roll back.
	RolledBackBreach uint64        `json:"undone,omitempty"`
	Warnings         []string      `json:"warnings,omitempty"`  // about the policy
	Unlabeled        []int         `json:"bare,omitempty"`      // by budget: agents without its label
	Readiness        *Readiness    `json:"readiness,omitempty"` // result of the last Precheck
	Requests         []pastRequest `json:"requests,omitempty"`  // newest verbs with a request ID
	// Expected is what Policy.Expect tolerates, as it was computed when that was set.
	Expected expectTables `json:"expected,omitzero"`
	// StarvedAnswered: breaches up to this number were followed by a Skip or a Retry.
	StarvedAnswered uint64 `json:"starvedAnswered,omitempty"`
	// StragglersAccepted is the highest batch that a person lets begin while agents before it are
	// out.
	StragglersAccepted int `json:"stragglersAccepted,omitempty"`
}

// planStop is an Audit with a mode: how a plan is canceled or rolled back.
type planStop struct {
	Audit
	Interrupt bool `json:"interrupt,omitempty"` // end the calls in flight; otherwise wait for them
}

// rollbackRef links a plan to its rollback plan.
type rollbackRef struct {
	ID     string       `json:"id"`
	Spec   RollbackSpec `json:"spec"`
	Frozen Audit        `json:"frozen"`
	// Wanted is set once Rollback is accepted: the engine makes the rollback plan and starts it.
	Wanted *Audit `json:"wanted,omitempty"`
	// Started is nil until the rollback is started. Once it is set, the rollback is final.
	Started *planStop `json:"started,omitempty"`
	// Request is the request ID of the Start that set Started, for the rollback plan's own commit.
	Request string `json:"request,omitempty"`
	// Done is when the rollback plan completed.
	Done time.Time `json:"done,omitzero"`
}

// pastRequest remembers what was done under a request ID, so that it is not done twice. It is
// recorded with the first commit of an operation, on the plan that the caller named. If the verb
// had already taken effect, it is recorded alone. Further commits of the operation ignore it: they
// follow from the state of the two plans.
type pastRequest struct {
	ID   string `json:"id"`
	Verb Verb   `json:"verb"` // zero: Precheck
	// Plan, of Rollback and CreateRollback, is the ID of the rollback plan.
	Plan string `json:"plan,omitempty"`
}

// planOrder is a verb that changes rows. Verbs write it to Control. The owner carries it out in
// chunks, and no agent starts before it is done.
type planOrder struct {
	Number uint64    `json:"number"`
	Kind   orderKind `json:"kind"`
	// Agents are those of retry, skip, give up and now. For retry, empty means all failed ones.
	Agents []string `json:"agents,omitempty"`
	// Batches, of accept, are the breached batches; -1 is the plan.
	Batches []int `json:"batches,omitempty"`
	By      Audit `json:"by"`
}

// orderKind says what an Order does.
type orderKind uint8

// The kinds of orders.
const (
	orderRetry  orderKind = iota + 1 // return failed agents to pending
	orderSkip                        // skip agents that were not started
	orderAccept                      // accept the failures of the breached batches
	orderGiveUp                      // end the attempts that are out for agents
	orderNow                         // start agents next, past windows, holds and order
)

// planProgress is the half of a plan's state with what happened. Only the plan's owner writes it.
type planProgress struct {
	Schema int    `json:"schema"`
	Owner  string `json:"owner,omitempty"` // name of the engine that drives the plan
	// Instance distinguishes engines that were given one name.
	Instance string    `json:"life,omitempty"`
	At       time.Time `json:"at,omitzero"` // of the last commit of an owner
	// Batch is the lowest batch that is not completed, or the number of batches when all are.
	Batch               int    `json:"batch"`
	Counts              Counts `json:"counts"`  // agents by status
	Tasks               Counts `json:"tasks"`   // tasks by status
	Open                int    `json:"open"`    // agents that have a slot
	Changed             int    `json:"touched"` // agents that may have been changed
	Accepted            int    `json:"accepted,omitempty"`
	ConsecutiveFailures int    `json:"row,omitempty"`    // agents that failed in a row
	Halved              int    `json:"halved,omitempty"` // how often Concurrency is halved
	// RateAt is the time until which the rate is used up, in Unix nanoseconds.
	RateAt int64 `json:"rateAt,omitempty"`
	// TimeoutReported says that the breach of the plan's timeout was recorded.
	TimeoutReported bool `json:"late,omitempty"`
	// Breaches are the newest ones. Those above Control.AnsweredBreach are open.
	Breaches   []Breach `json:"breaches,omitempty"`
	LastBreach uint64   `json:"struck,omitempty"` // number of the last breach
	// LastOrder is the number of the last order that was carried out. OrderCursor is the progress
	// of the next one.
	LastOrder   uint64 `json:"folded,omitempty"`
	OrderCursor int    `json:"cursor,omitempty"`
	// Confirmed, of a rollback, is how many unconfirmed agents were looked up in the source.
	Confirmed int `json:"doubts,omitempty"`
	// Inbox is the number of the last message that was processed.
	Inbox   uint64    `json:"inbox,omitempty"`
	Reached int       `json:"reached"` // highest batch that was begun
	EndedAt time.Time `json:"endedAt,omitzero"`
	End     Status    `json:"end,omitempty"` // completed or canceled, once ended
	// Evidence are the agents by which Expect judges the plan.
	Evidence evidence `json:"evidence,omitzero"`
	// Starved are the first values of the newest breach with the reason starved.
	Starved []starvedValue `json:"starved,omitempty"`
	// Group are the ordinals of the agents to compare with, in order. The plan has not begun them,
	// and they were healthy when they joined.
	Group []int `json:"group,omitempty"`
	// Quiet is when the last round of questions began in which the group was healthy, in Unix
	// nanoseconds.
	Quiet int64 `json:"quiet,omitempty"`
	// Undecided: what follows from breaches with this number or a higher one waits until the group
	// was asked. 0 means none.
	Undecided uint64 `json:"undecided,omitempty"`
	// Ambient says that the group was sick, and that failures since Quiet are to be judged again.
	Ambient bool `json:"ambient,omitempty"`
	// Stragglers is the number of agents with the flag agentStraggler. No batch before
	// StragglersFrom has one.
	Stragglers     int `json:"stragglers,omitempty"`
	StragglersFrom int `json:"stragglersFrom,omitempty"`
}

// starvedValue is a value of a label whose budget is used up by agents that do not come back by
// themselves. As it is stored, Resume reads it.
type starvedValue struct {
	Label string `json:"label"`
	Value string `json:"value,omitempty"`
	Down  int    `json:"down"`
}

func (x starvedValue) compare(y starvedValue) int {
	return cmp.Or(strings.Compare(x.Label, y.Label), strings.Compare(x.Value, y.Value))
}

// starves reports whether a value that was found to be starved is so still, by the policy's
// budgets.
func (p *Policy) starves(values []starvedValue) bool {
	return slices.ContainsFunc(p.Budgets, func(b Budget) bool {
		used := 0
		for _, x := range values {
			if b.Of != UnavailableAgents || b.Label != x.Label {
				continue
			}
			if used++; x.Down >= b.limit(x.Value) || b.Values > 0 && used >= b.Values {
				return true
			}
		}
		return false
	})
}

// canMove reports whether an owner may have something to do for the plan. A verb may write a status
// that is too weak, such as canceling of a plan that has drained meanwhile. The owner then records
// the right one, because lists, claims and Prune use the stored status.
func (row *planRow) canMove() bool {
	ordered := row.Control.OrderCount > row.Progress.LastOrder
	st := statusOf(&row.Control, &row.Progress)
	if st != row.Status {
		return true
	}
	switch st {
	case StatusPending:
		return ordered
	case StatusPaused:
		return ordered || row.Control.Rollback != nil || row.Progress.Owner == "" || waitsForGroup(&row.Control, &row.Progress) || row.Progress.Ambient || row.Control.Policy.watches(row.Progress.Batch)
	case StatusRunning, StatusPausing, StatusCanceling, StatusRollingBack:
		return true
	default:
		return false
	}
}

// over reports whether the plan has ended, also if its log and stored status do not have the end.
func (row *planRow) over() bool { return statusOf(&row.Control, &row.Progress).Ended() }

// legalNow returns the LegalVerbs of a plan without those that would be refused, or would change
// nothing, for reasons besides its status. It ignores claims of other plans, and the decision that
// a Resume may need. b is the current batch, or nil if it was not read.
func legalNow(s *planSpec, c *planControl, p *planProgress, b *batchRow) []Verb {
	frozen, next := c.Rollback != nil, p.Reached+1
	touched := p.Changed+p.Counts.Running > 0
	return slices.DeleteFunc(LegalVerbs(statusOf(c, p)), func(v Verb) bool {
		switch v {
		case VerbResume:
			return frozen
		case VerbCancel:
			return c.Cancel != nil && c.Cancel.Interrupt || !cancelable(c, p)
		case VerbPromote:
			useless := openAgents(p) > 0 && !c.Policy.at(next).held && !mayStraggle(s, p, b)
			return frozen || next >= s.Batches && !short(s, c, p) || c.Promoted >= next || useless
		case VerbSkip:
			return p.Counts.Pending+p.Counts.Waiting == 0
		case VerbNow:
			return frozen || p.Counts.Pending+p.Counts.Waiting == 0
		case VerbRetry:
			return frozen || p.Counts.Bad() == 0
		case VerbGiveUp:
			return openAgents(p) == 0
		case VerbCreateRollback:
			return s.Source != "" || frozen || !touched
		case VerbRollback:
			return s.Source != "" || !frozen && !touched
		default:
			return false
		}
	})
}

// short reports whether every agent of a plan has finished, and its coverage keeps the plan open:
// Promote with the number of batches completes it.
func short(s *planSpec, c *planControl, p *planProgress) bool {
	rule := c.Policy.Complete
	return rule.Min > 0 && p.Reached+1 == s.Batches && p.Counts.Pending+openAgents(p) == 0 &&
		rule.missing(p.Counts.Succeeded, s.Agents) > 0
}

// mayStraggle reports whether Promote of the next batch lets the plan go on without the agents of
// batch b that are out.
func mayStraggle(s *planSpec, p *planProgress, b *batchRow) bool {
	return b != nil && b.Status == BatchRunning && b.Index == p.Reached && b.Index+1 < s.Batches &&
		b.Counts.Pending == 0 && b.out() > 0
}

// openAgents returns how many agents are running or waiting.
func openAgents(p *planProgress) int { return p.Counts.Running + p.Counts.Waiting }

// cancelable reports whether Cancel is legal in a status that lists it. A plan that rolls back may
// be canceled until its rollback plan was started. After that, only the rollback plan can be
// canceled.
func cancelable(c *planControl, p *planProgress) bool {
	return statusOf(c, p) != StatusRollingBack || c.Rollback == nil || c.Rollback.Started == nil
}

// standing returns the oldest open breach, or nil.
func standing(c *planControl, p *planProgress) *Breach {
	for i := range p.Breaches {
		if p.Breaches[i].Number > c.AnsweredBreach {
			return &p.Breaches[i]
		}
	}
	return nil
}

// undoing reports whether an open breach asks for a rollback that has not begun yet, and need not
// wait until the group to compare with was asked.
func undoing(c *planControl, p *planProgress) bool {
	for _, b := range p.Breaches {
		if (!waitsForGroup(c, p) || b.Number < p.Undecided) && b.Number > c.AnsweredBreach && b.Number > c.RolledBackBreach && b.Action == ActionRollback {
			return true
		}
	}
	return false
}

// waitsForGroup reports whether what follows from a breach waits until the group to compare with was
// asked. A Resume ends that.
func waitsForGroup(c *planControl, p *planProgress) bool { return p.Undecided > c.AnsweredBreach }

// coverageOf returns how many of a plan's agents are at its target.
func coverageOf(s *planSpec, p *planProgress) Coverage {
	switch n := p.Counts.Succeeded; {
	case n == 0:
		return CoverageNone
	case n < s.Agents:
		return CoveragePartial
	default:
		return CoverageAll
	}
}
