package ota

import (
	"errors"
	"slices"
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

// How the shell stops waiting for a call: because its context has ended long ago, or because an
// operator has given its attempt up.

// endGivenUp ends the calls of the attempts that this step gives up. It runs before the commit, so
// that the Store keeps the agents of those that have not returned. If the commit fails, the next
// owner finds a lost call and the same order. Agents without a call are free again.
func (x *session) endGivenUp(now time.Time) {
	given := x.st.change.givenUp
	if len(given) == 0 {
		return
	}
	calls := make([]callKey, len(given))
	for i := range given {
		calls[i] = given[i].call
	}
	x.starts = slices.DeleteFunc(x.starts, func(j job) bool { return slices.Contains(calls, j.key()) })
	var out []callKey
	if x.giveUpCalls != nil {
		out = x.giveUpCalls(calls, now)
	}
	for _, g := range given {
		if !g.blocked && !slices.Contains(out, g.call) && x.st.queue.unblock(g.call.ordinal) {
			x.st.change.again = true // a retry in this step may start it now
		}
	}
}

// giveUp gives calls up, and notes when the driver no longer waits for their return.
func (d *driver) giveUp(calls []callKey, now time.Time) (out []callKey) {
	d.nextAbandonCheck = soonest(d.nextAbandonCheck, now.Add(d.host.opt.AbandonAfter))
	return d.pool.giveUp(calls, now)
}

// giveUp ends these calls and abandons them. It removes those that were not made yet, and returns
// those that have not returned. The plan does not wait for them. The end of the driver does, for as
// long as for a call whose context has ended, so that it reports only calls that ignore that.
func (p *pool) giveUp(calls []callKey, now time.Time) (out []callKey) {
	defer p.observeKept()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = slices.Delete(p.queue, 0, p.head)
	p.head = 0
	p.queue = slices.DeleteFunc(p.queue, func(j job) bool { return slices.Contains(calls, j.key()) })
	for _, w := range p.workers {
		if !w.busy || !slices.Contains(calls, w.job.key()) {
			continue
		}
		out = append(out, w.job.key())
		w.job.call.End()
		if !w.abandoned {
			w.endedAt, w.givenUp = now.UnixNano(), true
			p.returning++
			p.letGo(w)
		}
	}
	p.wakeOne()
	return out
}

// letGo stops waiting for the call of a worker. Another worker may take its place.
func (p *pool) letGo(w *worker) {
	w.abandoned = true
	p.awaited--
	p.abandoned++
	p.liveWorkers--
	p.onAbandoned(w.job)
	p.observeLater(w, Called{Reason: ReasonAbandoned, Err: errNoReturn, Abandoned: true})
}

// abandon abandons the calls whose context ended more than after ago. ended is when all contexts
// were ended at once, zero if they were not. It returns when to check again. All calls of a plan
// have the same time limit, and a later call ends later. So nothing is due between two checks.
func (p *pool) abandon(now, ended time.Time, after time.Duration, reason Reason) (again time.Time) {
	defer p.observeKept()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.workers {
		if !w.busy || w.abandoned && !w.givenUp {
			continue
		}
		end, why := stamp(earlier(w.job.deadline, w.endedAt)), ReasonAbandoned
		if w.calls.Err() != nil && (end.IsZero() || ended.Before(end)) {
			end, why = ended, reason
		}
		if end.IsZero() {
			continue
		}
		end = end.Add(after)
		if now.Before(end) {
			if again.IsZero() || end.Before(again) {
				again = end
			}
			continue
		}
		if w.givenUp {
			w.givenUp = false
			p.returning--
			continue
		}
		p.letGo(w)
		if why == ReasonNone {
			p.lost = true
			continue
		}
		p.done = append(p.done, w.job.abandoned(now, why))
		p.notifyOwner()
	}
	p.wakeOne()
	return again
}

// observeCall notifies of a call of the Executor.
func (p *pool) observeCall(j *job, began, at time.Time, reason Reason, err error) {
	if p.observer != nil {
		p.observer.called(&Called{Attempt: j.attempt(), Reason: reason, Err: err, Began: began, Took: at.Sub(began)})
	}
}

// observeLater keeps a call that has not returned for observeKept. The caller holds p.mu.
func (p *pool) observeLater(w *worker, c Called) {
	if p.observer != nil {
		c.Attempt, c.Began, c.Took = w.job.attempt(), w.began, p.observer.now().Sub(w.began)
		p.unobserved = append(p.unobserved, c)
	}
}

// observeKept notifies of the calls of observeLater. The caller does not hold p.mu: an Observer is
// user code.
func (p *pool) observeKept() {
	if p.observer == nil {
		return
	}
	p.mu.Lock()
	kept := p.unobserved
	p.unobserved = nil
	p.mu.Unlock()
	for i := range kept {
		p.observer.called(&kept[i])
	}
}
