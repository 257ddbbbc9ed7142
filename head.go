package ota

import (
	"slices"
	"time"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// The core computes a plan's Head for each commit: what lists select by and show, without a look
// into the parts of the plan.

// headAfter returns the Head of a plan after a commit. v is the plan after it, and before is the
// Head before it. The Show is appended to show.
func (v *view) headAfter(before *Head, show []byte) Head {
	h := Head{Status: v.status, Ended: endedAt(v.status, v.c, v.p), Owner: v.p.Owner, Coverage: coverageOf(v.spec, v.p)}
	h.Hold, h.Person = v.hold(before)
	if h.Hold != ReasonNone {
		h.Since = v.holdSince(h.Hold)
		if h.Since.IsZero() {
			if h.Since = stamp(v.now); h.Hold == before.Hold {
				h.Since = before.Since
			}
		}
	}
	h.Show = showPlan(show, v.spec, v.c, v.p)
	return h
}

// endedAt returns when a plan ended, and the zero time while it has not. It is the time at which
// its rollback plan completed, or else at which its owner recorded the end. For a plan that no
// engine ever drove, it is the time of its Cancel.
func endedAt(st Status, c *planControl, p *planProgress) time.Time {
	switch {
	case !st.Ended():
		return time.Time{}
	case st == StatusRolledBack && c.Rollback != nil && !c.Rollback.Done.IsZero():
		return c.Rollback.Done
	case p.EndedAt.IsZero() && c.Cancel != nil:
		return c.Cancel.At
	default:
		return p.EndedAt
	}
}

// passing are the reasons of limits that a Head does not name. They belong to a plan that is at
// work, or pass within moments.
var passing = []Reason{
	ReasonOrders, ReasonConcurrency, ReasonReserve, ReasonDraining, ReasonLease, ReasonRate, ReasonBudget,
	ReasonInquiry,
}

// ofBatch are the reasons that only the row of the current batch shows.
var ofBatch = []Reason{ReasonSource, ReasonSoaking, ReasonGate, ReasonEvidence, ReasonStragglers, ReasonCoverage, ReasonAbandonedCall, ReasonBackoff}

// hold returns the reason why the plan makes no progress, or ReasonNone. person reports whether the
// plan waits for a person: a verb that is legal now would clear the reason. A running plan with
// calls in flight makes progress, unless it waits for stragglers and nothing else is at work.
// before is the Head of the last commit: a commit that has not read the current batch keeps its
// reason.
func (v *view) hold(before *Head) (why Reason, person bool) {
	switch {
	case v.status == StatusPending:
		return ReasonPending, true
	case v.status == StatusCanceling:
		return ReasonCanceling, false
	case v.status == StatusRollingBack:
		return ReasonRollingBack, false
	case v.status.Ended(), v.status == StatusRunning && v.p.Counts.Running > 0:
		if v.status == StatusRunning && v.straggling(before.Hold) {
			return ReasonStragglers, false
		}
		return ReasonNone, false
	}
	legal := legalNow(v.spec, v.c, v.p, v.b)
	add := func(reason Reason, verb Verb) {
		needed := verb != 0 && slices.Contains(legal, verb)
		if why == ReasonNone || needed && !person { // time alone does not clear what needs a person
			why = reason
		}
		person = person || needed
	}
	if v.calls.refusal != "" {
		add(ReasonStore, VerbCancel)
	}
	for r := range v.limiting {
		if !slices.Contains(passing, r.Why) {
			add(r.Why, r.Verb)
		}
	}
	if v.b != nil {
		v.holdOfBatch(add)
	} else if why == ReasonNone && slices.Contains(ofBatch, before.Hold) {
		return before.Hold, before.Person // a verb does not read the batch, and changes none
	}
	return why, person
}

// holdOfBatch adds what holds the current batch.
func (v *view) holdOfBatch(add func(Reason, Verb)) {
	if v.b.Status == BatchRunning {
		if v.blocked > 0 {
			add(ReasonAbandonedCall, 0)
		}
		if v.b.Counts.Waiting > 0 {
			add(ReasonBackoff, 0)
		}
	}
	for b := range v.holding {
		if b.Why != ReasonInquiry {
			add(b.Why, b.Verb)
		}
	}
}

// holdSince returns since when a reason holds the plan, if the plan's two halves say so.
func (v *view) holdSince(why Reason) time.Time {
	c := v.c
	switch {
	case why == ReasonPending:
		return v.spec.CreatedAt
	case why == ReasonPaused && c.Paused != nil:
		return c.Paused.At
	case why == ReasonBreached && standing(c, v.p) != nil:
		return standing(c, v.p).At
	case why == ReasonCanceling && c.Cancel != nil:
		return c.Cancel.At
	case why == ReasonFrozen && c.Rollback != nil:
		return c.Rollback.Frozen.At
	case why == ReasonRollingBack && c.Rollback != nil && c.Rollback.Wanted != nil:
		return c.Rollback.Wanted.At
	default:
		return time.Time{}
	}
}

// headView is the view of a plan whose rows were not read. A batch that has not begun needs no row.
func headView(s *planSpec, c *planControl, p *planProgress, st Status, now time.Time) view {
	v := view{
		status: st, spec: s, c: c, p: p, now: now.UnixNano(), allProbed: true,
		calls: callsView{surroundings: surroundings{source: true}},
	}
	if p.Batch > p.Reached && p.Batch < s.Batches {
		v.b = &batchRow{Index: p.Batch, Status: BatchPending}
	}
	return v
}

// recordStatus records the plan's status if it changed, and the end of the plan.
func (s *state) recordStatus(now time.Time) {
	st := s.status()
	if st == s.loggedStatus {
		return
	}
	s.loggedStatus = st
	e := Event{Kind: EventStatus, Batch: -1}
	switch st {
	case StatusCanceled:
		if b := s.current(); b != nil && (b.Status == BatchRunning || b.Status == BatchSoaking) {
			b.Status, b.ClosedAt = BatchCanceled, now
			s.dirtyBatch(b)
			s.event(Event{Kind: EventBatchCanceled, Batch: b.Index})
		}
		s.p.EndedAt = now
	case StatusCompleted:
		s.p.EndedAt = now
	case StatusPaused, StatusPausing:
		if br := standing(&s.c, &s.p); br != nil {
			e.Reason, e.Text = br.Reason, br.String()
		}
	}
	// A new control number refuses verbs that were decided before the end.
	s.change.bump = s.change.bump || st.Ended() && !s.over
	s.event(e)
}

// waitRecorded is how long a plan waits before a commit records it. A plan that goes on all the
// time makes none.
const waitRecorded = time.Second

// recordWait records that the plan has begun to wait, or waits for something else, if no commit has
// said so by itself. It returns when to look again.
func (s *state) recordWait(now, wake time.Time) time.Time {
	if s.change.again || s.change.log.events > 0 || s.p.Counts.Running > 0 || s.calls.draining || s.loggedStatus.Ended() {
		s.stillSince = time.Time{}
		return wake
	}
	v := s.view(now.UnixNano())
	why, person := v.hold(&s.head)
	switch {
	case why == s.head.Hold && person == s.head.Person:
		s.stillSince = time.Time{}
		return wake
	case s.stillSince.IsZero():
		s.stillSince = now
	}
	if at := s.stillSince.Add(waitRecorded); now.Before(at) {
		return soonest(wake, at)
	}
	e := Event{Kind: EventWaiting, Batch: -1, Reason: why}
	for _, r := range v.blockers() {
		if r.Why == why {
			e.Until = stamp(r.Until)
			break
		}
	}
	s.event(e)
	return wake
}

// blockers lists the limits and barriers that block the plan, and what its agents wait for.
func (v *view) blockers() (all []allowance) {
	for r := range v.limiting {
		all = append(all, r)
	}
	if v.b == nil {
		return all
	}
	if v.b.Status == BatchRunning {
		if v.blocked > 0 {
			all = append(all, allowance{Why: ReasonAbandonedCall, Text: plural.Count(v.blocked, "agent")})
		}
		if n := v.b.Counts.Waiting; n > 0 {
			all = append(all, allowance{Why: ReasonBackoff, Until: v.wake, Text: plural.Count(n, "agent")})
		}
	}
	for b := range v.holding {
		all = append(all, allowance{Why: b.Why, Until: b.Until, Verb: b.Verb, Text: b.Text})
	}
	return all
}
