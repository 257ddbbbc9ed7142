package ota

import (
	"math"
	"time"
)

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

// standStill moves the start of an agent's absence by the time in which its next attempt was due and
// could not be made: the windows were shut, the plan was paused, it had no slot, or no engine. So
// only waits between attempts, and attempts, count for UnreachableTimeout. Of an attempt whose call
// was lost, nothing counts.
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
// often loses its engine still ends an attempt that hangs. Time since the call was found lost does not
// count: the plan could not repeat it.
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
