package ota

import (
	"errors"
	"time"
)

// idle reports whether the plan needs no driver any more.
func (d *driver) idle(wake time.Time) bool {
	if d.pool.inFlight() > 0 || d.storeErrors > 0 {
		return false
	}
	if d.untilPaused && d.session.paused() {
		return !d.advancing && len(d.asked) == 0
	}
	return d.session.idle(wake, d.advancing)
}

// allCommitted reports whether all outcomes that came in are committed.
func (d *driver) allCommitted() bool {
	return d.session.st != nil && len(d.session.unacked.outcomes) == 0
}

// drained reports whether a driver that shuts down is done: every call has returned and is
// committed, or was abandoned.
func (d *driver) drained(now, deadline time.Time) bool {
	if d.pool.inFlight() == 0 && d.allCommitted() {
		return true
	}
	if !now.Before(deadline) {
		d.end(now, errShutdown, ReasonNone)
	}
	return !d.endedAt.IsZero() && !now.Before(deadline) && d.pool.inFlight() == 0
}

// doubtful reports whether another engine may have taken the plan since this driver last committed.
// Any goroutine may call it.
func (d *driver) doubtful() bool {
	return d.sure.Load() != d.host.lease.lapses.Load() || !d.host.lease.ok(d.host.opt.Clock.Now())
}

// stop ends everything that belongs to the driver.
func (d *driver) stop(err error) error {
	d.mu.Lock()
	d.closed = true
	m := d.mail
	d.mail = mail{}
	d.mu.Unlock()
	for _, c := range m.commands {
		c.reply <- answer{err: errStopped}
	}
	for _, report := range append(d.onCommitted, m.onCommitted...) {
		report(errStopped)
	}
	if err != nil { // fenced off: the new owner repeats the calls in flight
		d.waitOut(d.host.opt.AbandonAfter)
	}
	d.release(d.host.now(), true)
	abandoned := d.pool.close()
	if abandoned > 0 { // also those that no commit records
		d.host.abandoned.syncLater(d.id)
	}
	d.endBase(errShutdown)
	d.asks.Wait()
	if d.stopWatching != nil {
		d.stopWatching()
	}
	if st := d.session.st; st != nil {
		st.rows.retire()
	}
	close(d.done)
	if err == nil && abandoned > 0 {
		return &AbandonedError{Calls: abandoned}
	}
	return err
}

// errStopped is the answer to mail that reached a driver that has stopped.
var errStopped = errors.New("ota: the driver has stopped")

// waitOut gives calls whose contexts have ended this long to return, and abandons the rest.
func (d *driver) waitOut(most time.Duration) {
	until := d.host.now().Add(most)
	for d.pool.inFlight() > 0 {
		d.pool.fetch(nil)
		if now := d.host.now(); now.Before(until) {
			d.sleepUntil(soonest(until, now.Add(d.host.opt.Poll)), nil)
		} else {
			d.pool.abandon(now, d.endedAt, 0, ReasonNone)
		}
	}
}

// interrupting reports whether the plan wants calls in flight to end.
func interrupting(c *planControl) bool {
	return c.Cancel != nil && c.Cancel.Interrupt ||
		c.Rollback != nil && c.Rollback.Started != nil && c.Rollback.Started.Interrupt
}

// end ends the contexts of all calls, once.
func (d *driver) end(now time.Time, cause error, reason Reason) {
	if d.callsContext.Err() == nil {
		d.endedAt, d.endReason = now, reason
		d.endCalls(cause)
		d.nextAbandonCheck = now
	}
}

// abandon abandons calls that did not return in time, when a check is due.
func (d *driver) abandon(now time.Time) {
	if !d.nextAbandonCheck.IsZero() && !now.Before(d.nextAbandonCheck) {
		d.nextAbandonCheck = d.pool.abandon(now, d.endedAt, d.host.opt.AbandonAfter, d.endReason)
	}
}
