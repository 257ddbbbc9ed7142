package ota

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// A limit answers how many agents may start now: of any kind (All), and of those without a slot
// (New). The smallest answer of all limits counts. To add a limit, add a function to this list.
var limits = []func(*view) allowance{
	operatorLimit,
	breachLimit,
	compareLimit,
	cancelLimit,
	rollbackLimit,
	orderLimit,
	drainLimit,
	leaseLimit,
	sourceLimit,
	windowLimit,
	stragglersLimit,
	concurrencyLimit,
	reserveLimit,
	budgetLimit,
	rateLimit,
}

// allowance is the answer of a limit.
type allowance struct {
	All, New int
	Why      Reason // why not more
	Until    int64  // when this may clear by itself, Unix nanoseconds; 0: it does not
	Verb     Verb   // the verb that clears it; 0: none
	With     string // the decision that the verb needs, and what else clears it
	Text     string
}

// limiting are the answers of limits that let nothing more start.
func (v *view) limiting(yield func(allowance) bool) {
	for _, limit := range limits {
		if r := limit(v); (r.All == 0 || r.New == 0) && !yield(r) {
			return
		}
	}
}

// unlimited is the answer of a limit that does not apply.
var unlimited = allowance{All: math.MaxInt32, New: math.MaxInt32}

// blockedBy is an answer that lets nothing start.
func blockedBy(why Reason, verb Verb, text string) allowance {
	return allowance{Why: why, Verb: verb, Text: text}
}

// slots limits agents that need a slot to n. Agents with a slot continue.
func slots(n int, why Reason) allowance {
	return allowance{All: math.MaxInt32, New: max(n, 0), Why: why}
}

func operatorLimit(v *view) allowance {
	if p := v.c.Paused; p != nil {
		return blockedBy(ReasonPaused, VerbResume, describeAudit(*p))
	}
	return unlimited
}

// describeAudit says who changed the plan, why, and since when.
func describeAudit(s Audit) string {
	text := "by " + s.Actor
	if s.Actor == "" {
		text = "by an operator"
	}
	if s.Reason != "" {
		text += ": " + s.Reason
	}
	return text + ", since " + s.At.Format(time.RFC3339)
}

func breachLimit(v *view) allowance {
	if b := standing(v.c, v.p); b != nil {
		r := blockedBy(ReasonBreached, VerbResume, b.String())
		r.Text += v.noGroup(b)
		r.With = decisionsOn(b.Reason, v.p.Counts.Bad())
		if v.spec.Source == "" && v.p.Changed > 0 {
			r.With = strings.TrimPrefix(r.With+", or by rollback", ", ")
		}
		return r
	}
	return unlimited
}

func cancelLimit(v *view) allowance {
	if v.c.Cancel != nil {
		return blockedBy(ReasonCanceling, 0, describeAudit(v.c.Cancel.Audit))
	}
	return unlimited
}

func rollbackLimit(v *view) allowance {
	switch r := v.c.Rollback; {
	case r == nil:
		return unlimited
	case !r.begun():
		return allowance{Why: ReasonFrozen, Verb: VerbRollback, With: "or by cancel of the rollback plan", Text: "rollback plan " + r.ID}
	default:
		return blockedBy(ReasonRollingBack, 0, "rollback plan "+r.ID)
	}
}

func orderLimit(v *view) allowance {
	if v.c.OrderCount > v.p.LastOrder {
		return blockedBy(ReasonOrders, 0, "")
	}
	return unlimited
}

func drainLimit(v *view) allowance {
	if v.calls.draining {
		return blockedBy(ReasonDraining, 0, "")
	}
	return unlimited
}

func leaseLimit(v *view) allowance {
	if v.calls.leaseOut {
		return blockedBy(ReasonLease, 0, "")
	}
	return unlimited
}

func sourceLimit(v *view) allowance {
	if v.spec.Source != "" && (!v.calls.source || v.p.Confirmed < v.spec.Unconfirmed) {
		return blockedBy(ReasonSource, 0, "plan "+v.spec.Source)
	}
	return unlimited
}

func windowLimit(v *view) allowance {
	windows := v.c.Policy.Windows
	if len(windows) == 0 {
		return unlimited
	}
	at, ok := nextOpen(windows, v.now)
	if ok && at == v.now {
		return unlimited
	}
	r := blockedBy(ReasonWindow, 0, unknownZones(windows))
	r.Until = at
	return r
}

func concurrencyLimit(v *view) allowance {
	most := v.c.Policy.at(v.p.Batch).concurrency
	r := slots(v.concurrency()-v.p.Open, ReasonConcurrency)
	if n := v.concurrency(); n < most {
		r.Text = fmt.Sprintf("%d instead of %d, after batches with failures", n, most)
	}
	return r
}

// concurrency is that of the current batch, halved for batches with failures if the policy says so.
func (v *view) concurrency() int {
	n := v.c.Policy.at(v.p.Batch).concurrency
	if !v.c.Policy.Halve {
		return n
	}
	return max(n>>v.p.Halved, 1)
}

// halved returns how often concurrency is halved after a batch with this many failures has closed.
func halved(before, concurrency, failed int) int {
	switch {
	case failed == 0:
		return max(before-1, 0)
	case concurrency>>before > 1:
		return before + 1
	default:
		return before
	}
}

func reserveLimit(v *view) allowance {
	if !v.c.Policy.Reserve || v.b == nil {
		return unlimited
	}
	tolerated, failed := v.tolerance()
	r := slots(tolerated+1-failed-v.p.Open, ReasonReserve)
	if v.c.Policy.Expect == nil {
		return r
	}
	for _, t := range v.c.expectTests(v.spec, v.p, v.b) {
		if room := max(t.room(), 0); room < r.New {
			r.New, r.Text = room, t.String()
		}
	}
	return r
}

// rateLimit is a leaky bucket. Its level is stored as the time when the bucket will be empty, so a
// crash does not refill it.
func rateLimit(v *view) allowance {
	r := v.c.Policy.Rate
	if r.Starts == 0 {
		return unlimited
	}
	step, burst := r.interval(), r.burst()
	ahead := max(v.p.RateAt-v.now, 0)
	n := burst - (ahead+step-1)/step
	return allowance{All: int(max(n, 0)), New: int(max(n, 0)), Why: ReasonRate, Until: v.p.RateAt - (burst-1)*step}
}

// view is what a decision reads: counters, never the fleet. It is small and made anew for each
// decision.
type view struct {
	status  Status
	spec    *planSpec
	c       *planControl
	p       *planProgress
	b       *batchRow // the current batch; nil when all are closed
	now     int64
	calls   callsView
	slotted int // queued agents that hold a slot
	// an upper bound of agents that need a slot and could get one; 0 is exact
	fresh  int
	inLine int // agents queued in lanes without room
	// agents whose value has no turn; of pending ones only the first counts
	postponed int
	// values whose agents are down for good, while nothing but agents that wait for them is left
	starved []starvedValue
	// agents that count as open because they are prechecked, including ready ones
	prechecking int
	ready       int // of prechecking: agents that may start
	// agents that must not start yet, because a call for them is out
	blocked       int
	blockedAgents []blockedAgent // all blocked agents, those of blocked among them
	urgents       int            // urgent agents
	urgent        urgentCounts   // those that are due
	wake          int64          // when the next timer is due; 0: none
	allProbed     bool           // every agent of the batch was asked since the batch finished
	unproven      int            // of these: agents without a healthy answer since their success
	silent        func() string  // names some of them
	stale         bool           // the batch before a pending one was not asked within Soak.Interval
}

// tolerance returns how many failures are tolerated, and how many count, in the scope of the
// threshold.
func (v *view) tolerance() (tolerated, failed int) {
	r := v.c.Policy.at(v.b.Index)
	switch {
	case v.c.Policy.Scope == ScopePlan:
		return Tolerated(*r.threshold, v.spec.Agents), v.p.Counts.Bad() - v.p.Accepted
	case !r.judges:
		return v.spec.Agents, 0
	}
	return r.tolerated(v.b.Size), v.b.Counts.Bad() - v.b.Accepted
}

// Clocks measure time for the timeouts of a policy. A clock that bounds work stands still while the
// plan may not work: while it is paused, while its windows are shut, or while it has no engine.
// docs/policies.md has the table of all clocks.

// planDeadline is when the plan's timeout expires. It is zero without a timeout, or when the
// timeout was accepted. Pauses stop its clock; windows do not.
func planDeadline(c *planControl) time.Time {
	if c.Policy.PlanTimeout == 0 || c.PlanTimeoutAccepted || c.Started == nil {
		return time.Time{}
	}
	return c.Started.At.Add(c.Policy.PlanTimeout + c.PausedFor)
}

// batchDeadline is when the batch's timeout expires. It is zero without a timeout, when the timeout
// was accepted, or when the batch is not open. Pauses and shut windows stop its clock.
func batchDeadline(c *planControl, b *batchRow) time.Time {
	if c.Policy.BatchTimeout == 0 || c.BatchTimeoutAccepted > b.Index || b.Status != BatchRunning && b.Status != BatchSoaking {
		return time.Time{}
	}
	return openUntil(c.Policy.Windows, b.StartedAt, c.Policy.BatchTimeout+c.PausedOpen-b.PausedFor)
}

// batchClock remembers a deadline, since windows make it expensive to compute.
type batchClock struct {
	batch     int
	pausedFor time.Duration
	status    BatchStatus
	control   uint64 // the control number
	at        time.Time
}

// batchDeadline returns batchDeadline of an open batch.
func (s *state) batchDeadline(b *batch) time.Time {
	if len(s.c.Policy.Windows) == 0 || s.c.Policy.BatchTimeout == 0 {
		return batchDeadline(&s.c, &b.batchRow)
	}
	k := batchClock{batch: b.Index, pausedFor: b.PausedFor, status: b.Status, control: s.controlNumber}
	if k.at = s.batchClock.at; s.batchClock != k {
		k.at = batchDeadline(&s.c, &b.batchRow)
		s.batchClock = k
	}
	return k.at
}

// startClock gives a batch its whole timeout, from now on: the batch begins, or goes on after an
// earlier batch, or itself, was closed and runs again.
func (s *state) startClock(b *batch, now time.Time) {
	windows := s.c.Policy.Windows
	b.PausedFor = s.c.PausedOpen - openFor(windows, b.StartedAt, now)
	if since := pausedSince(&s.c, &s.p); !since.IsZero() { // the Resume will count this pause as a whole
		b.PausedFor += openFor(windows, since, now)
	}
	s.dirtyBatch(b)
}

// endPause stops the clocks of the plan and its batches for the time of a pause.
func (c *planControl) endPause(since, until time.Time) {
	if since.IsZero() || !since.Before(until) {
		return
	}
	c.PausedFor += until.Sub(since)
	c.PausedOpen += openFor(c.Policy.Windows, since, until)
}

// standStill moves the start of an agent's absence by the time in which its next attempt was due
// and could not be made: the windows were shut, the plan was paused, it had no slot, or no engine.
// So only waits between attempts, and attempts, count for UnreachableTimeout. Of an attempt whose
// call was lost, nothing counts.
func (t *taskState) standStill(now int64) {
	due := t.Ended
	if t.Why == ReasonRepeat {
		due = t.Started
	}
	if t.Status != TaskWaiting || t.More == nil || t.More.UnreachableSince == 0 || now <= due {
		return
	}
	more := *t.More
	more.UnreachableSince = min(more.UnreachableSince+now-due, now)
	t.More = &more
}

// deadline is when the newest attempt must end; 0: it has no limit.
func (t *taskState) deadline(limit time.Duration) int64 {
	if limit == NoTimeout || int64(limit) > math.MaxInt64-t.Started {
		return 0
	}
	return t.Started + int64(limit)
}

// keepDeadline gives a lost attempt that is called again the deadline that it had, so a plan that
// often loses its engine still ends an attempt that hangs. Time since the call was found lost does
// not count: the plan could not repeat it.
//
// The deadline may have passed while no engine was there to make the call. Then the attempt has its
// whole time again, since only a call finds out how it ended, but once only. After that the context
// of the call has ended when the call begins.
func (s *state) keepDeadline(r *cachedRow, t *taskState, now int64) {
	t.Started += max(now-t.Ended, 0)
	limit := s.c.Policy.AttemptTimeout
	switch at := t.deadline(limit); {
	case at == 0, at > now:
	case r.is(agentExtended):
		t.Started = now - int64(limit)
	default:
		t.Started = now
		s.setFlag(r, agentExtended, true)
	}
}

// allFinished reports whether every agent of a batch has ended.
func allFinished(b *batchRow) bool { return b.Counts.Pending+b.out() == 0 }

// earlier returns the earlier of two times in nanoseconds, where 0 means none.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// soonest is earlier for times, where the zero time means none.
func soonest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
