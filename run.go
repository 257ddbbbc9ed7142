package ota

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"
)

// driver is the shell around one plan's core: it owns nothing but goroutines. One goroutine, in run, owns the session; all others
// send it values: outcomes through the pool, everything else through the mail.
type driver struct {
	host    *host
	office  office
	id      string
	session *session
	pool    *pool
	ready   chan struct{} // something is in the mail or the pool

	mu     sync.Mutex
	mail   mail
	closed bool
	done   chan struct{} // closed when the driver has stopped

	base         context.Context // parent of every question's context, and of calls
	endBase      context.CancelCauseFunc
	callsContext context.Context // parent of every call's context
	endCalls     context.CancelCauseFunc
	endedAt      time.Time // when endCalls was called last
	endReason    Reason
	asks         sync.WaitGroup
	asked        map[askKey]bool // questions whose answer was not fetched yet; of run's goroutine only
	nudged       atomic.Bool     // the plan may have been changed by somebody else
	refreshed    time.Time       // when the plan was last read because others may have changed it

	// The other plan of a rollback: what is known of it, and when to ask again. Used by run's goroutine only.
	counterpart        counterpart
	counterpartChanged <-chan struct{}
	stopWatching       func()
	advancing          bool
	advanceAt          time.Time

	nextAbandonCheck time.Time    // when to look for calls to abandon
	nextRelease      time.Time    // when claims may be released next
	timer            *clock.Timer // of wait
	spareOutcomes    []outcome
	notice           notice
	slowCommits      bool   // the last turn with a commit took long: commits are dear
	lastMessage      uint64 // the last message read

	onCommitted []func(error) // to be called once what was reported is committed
	storeErrors int           // store errors in a row

	refusals refusals
}

func (d *driver) wake() {
	select {
	case d.ready <- struct{}{}:
	default:
	}
}

// slowTurn is how long a turn takes at least where commits are worth filling: that of a Store in memory is shorter.
const slowTurn = 200 * time.Microsecond

// gather lets calls return that are about to, where a commit costs much more than that, so that it takes them along.
func (d *driver) coalesce() {
	for n := 0; d.slowCommits; {
		have := d.pool.returned()
		if have == n {
			return
		}
		n = have
		runtime.Gosched()
	}
}

// fetch takes what is in the mail and the pool.
func (d *driver) fetch() mail {
	d.coalesce()
	d.mu.Lock()
	m := d.mail
	d.mail = mail{}
	d.mu.Unlock()
	for _, key := range m.answered {
		delete(d.asked, key)
	}
	done, lost := d.pool.fetch(d.spareOutcomes)
	d.spareOutcomes = append(done, m.input.outcomes...)
	m.input.outcomes = d.spareOutcomes
	d.session.addInput(m.input)                                         // at once, for nothing else knows of these outcomes now
	if lost && !errors.Is(context.Cause(d.callsContext), errShutdown) { // after that the next engine repeats what was in flight
		d.session.drop() // the next load looks which calls are out
	}
	return m
}

// run drives the plan until it has ended or is paused with nothing left to do, until another engine has taken it
// over (ErrFenced), or until ctx ends and what is in flight has drained.
func (d *driver) run(ctx context.Context) (err error) {
	defer func() { err = d.stop(err) }()
	work := context.WithoutCancel(ctx)
	var deadline time.Time // of draining
	for {
		now := d.host.now()
		draining := ctx.Err() != nil
		if draining && deadline.IsZero() {
			deadline = now.Add(max(d.host.opt.DrainTimeout, 0))
		}
		wake, again, err := d.turn(work, now, draining)
		switch {
		case err != nil:
			return err
		case again:
			continue
		case draining && d.drained(now, deadline), !draining && d.idle(wake):
			return nil
		case draining && now.Before(deadline):
			wake = soonest(wake, deadline)
		}
		if d.storeErrors == 0 { // else a turn does neither: it would be followed by the next at once
			wake = soonest(soonest(wake, d.nextAbandonCheck), d.releaseDue())
		}
		d.wait(ctx, draining, wake)
	}
}

// turn is one round: take what came in, let the session go as far as it can, make the calls that it committed.
func (d *driver) turn(ctx context.Context, now time.Time, draining bool) (wake time.Time, again bool, err error) {
	m := d.fetch()
	if m.counterpart != nil {
		d.counterpart, d.advancing = *m.counterpart, false
		if d.counterpart.drained {
			d.session.blockedElsewhere = d.counterpart.blocked
		}
		if st := d.session.st; d.counterpartChanged == nil && st != nil && st.c.Rollback != nil {
			d.advanceAt = time.Time{} // the other plan is there now, and is to be watched
		}
	}
	x := d.session
	if since := now.Sub(d.refreshed); since >= d.host.opt.Poll || since >= minRefresh && d.nudged.Load() {
		d.refreshed = now
		d.nudged.Store(false)
		left, err := d.refresh(ctx)
		x.addInput(left)
		if err != nil {
			d.host.opt.Logger.WarnContext(ctx, "plan could not be read", "plan", d.id, "error", err)
		}
	}
	x.calls.draining, x.calls.leaseOut = draining, !d.host.lease.ok(d.host.opt.Clock.Now())
	x.calls.muted = now.Before(d.refusals.until)
	x.calls.source, x.calls.refusal, x.untouched = d.counterpart.drained, d.counterpart.refusal, d.counterpart.untouched
	d.applyMail(ctx, now, m.commands)
	if x.background = nil; d.slowCommits {
		x.background = d.background
	}
	began := time.Now()
	wake, again, err = x.turn(ctx, now, input{})
	if x.committed {
		d.slowCommits = time.Since(began) > slowTurn
	}
	for _, look := range m.inspections {
		look(x)
	}
	d.acknowledge(m.onCommitted, err)
	switch {
	case errors.Is(err, ErrFenced), errors.Is(err, ErrNotFound), errors.Is(err, errSchema), errors.Is(err, errAtRest):
		d.end(now, errFencedOff, ReasonNone)
		return wake, false, err
	case errors.Is(err, ErrRefused):
		return d.refused(ctx, now, err), false, nil
	case err != nil:
		d.host.opt.Logger.WarnContext(ctx, "store does not answer", "plan", d.id, "error", err)
		return d.retryLater(now), false, nil
	}
	d.storeAnswered(now)
	if x.committed {
		x.committed = false
		d.host.hub.tellPlan(d.id)
	}
	if x.st == nil { // refused again and again: what others said has to be looked at first
		return wake, again, nil
	}
	d.notice.log(ctx, d.host.opt.Logger, x.st)
	d.call(now)
	d.abandon(now)
	d.release(now, false)
	return wake, again, nil
}

// acknowledge answers those who wait until what they have reported is committed.
func (d *driver) acknowledge(more []func(error), err error) {
	d.onCommitted = append(d.onCommitted, more...)
	if err == nil && !d.session.unacked.empty() {
		return // orders come first, or each commit was refused: nothing is committed yet
	}
	for _, report := range d.onCommitted {
		report(err)
	}
	clear(d.onCommitted)
	d.onCommitted = d.onCommitted[:0]
}

// aside runs what may take as long as the Store does, beside the owner.
func (d *driver) background(f func(context.Context)) {
	d.asks.Go(func() { f(d.base) })
}

// call hands out what was committed.
func (d *driver) call(now time.Time) {
	x := d.session
	if d.endReason == ReasonInterrupted && d.callsContext.Err() != nil && !interrupting(&x.st.c) { // the rollback was canceled
		d.callsContext, d.endCalls = context.WithCancelCause(d.base)
		d.pool.renew(d.callsContext)
	}
	if len(x.reportedCalls) > 0 {
		x.starts = slices.DeleteFunc(x.starts, func(j job) bool { return slices.Contains(x.reportedCalls, j.key()) })
		d.pool.endReported(x.reportedCalls, now)
		d.nextAbandonCheck = soonest(d.nextAbandonCheck, now.Add(d.host.opt.AbandonAfter))
		x.reportedCalls = x.reportedCalls[:0]
	}
	if len(x.starts) > 0 {
		if first := x.starts[0].deadline; first != 0 {
			d.nextAbandonCheck = soonest(d.nextAbandonCheck, stamp(first).Add(d.host.opt.AbandonAfter))
		}
		x.starts = d.pool.push(x.starts, max(x.st.c.Policy.Concurrency, len(x.starts)), d.office.moreDriversThanCPUs())
	}
	for _, a := range x.asks {
		d.ask(a)
	}
	x.asks = x.asks[:0]
	if interrupting(&x.st.c) {
		d.end(now, errInterrupted, ReasonInterrupted)
	}
	d.advanceRollback(now)
}

// interrupting reports whether the calls in flight are to be ended.
func interrupting(c *Control) bool {
	return c.Cancel != nil && c.Cancel.Interrupt ||
		c.Rollback != nil && c.Rollback.Started != nil && c.Rollback.Started.Interrupt
}

// end ends the contexts of all calls that are out, once.
func (d *driver) end(now time.Time, cause error, reason Reason) {
	if d.callsContext.Err() == nil {
		d.endedAt, d.endReason = now, reason
		d.endCalls(cause)
		d.nextAbandonCheck = now
	}
}

// abandon leaves behind calls that have not returned in time.
func (d *driver) abandon(now time.Time) {
	if !d.nextAbandonCheck.IsZero() && !now.Before(d.nextAbandonCheck) {
		d.nextAbandonCheck = d.pool.abandon(now, d.endedAt, d.host.opt.AbandonAfter, d.endReason)
	}
}

// idle reports whether the plan needs no driver any more.
func (d *driver) idle(wake time.Time) bool {
	return d.pool.inFlight() == 0 && d.storeErrors == 0 && d.session.idle(wake, d.advancing)
}

// settled reports whether everything that came in was committed.
func (d *driver) allCommitted() bool {
	return d.session.st != nil && len(d.session.unacked.outcomes) == 0
}

// wait returns when there is something to do: mail, outcomes, a change of the linked plan, the time, or the end of ctx.
func (d *driver) wait(ctx context.Context, draining bool, wake time.Time) {
	poll := d.refreshed.Add(d.host.opt.Poll)
	if d.nudged.Load() {
		poll = d.refreshed.Add(minRefresh)
	}
	left := soonest(wake, poll).Sub(d.host.now())
	if left <= 0 {
		return
	}
	if d.timer == nil {
		d.timer = d.host.opt.Clock.Timer(left)
	} else {
		d.timer.Reset(left)
	}
	defer d.timer.Stop()
	done := ctx.Done()
	if draining {
		done = nil
	}
	select {
	case <-d.ready:
	case <-d.timer.C:
	case <-done:
	case <-d.counterpartChanged:
		d.advanceAt = time.Time{}
	}
}

// refresh looks at what others have done: verbs, and reports left for the owner.
func (d *driver) refresh(ctx context.Context) (left input, err error) {
	x := d.session
	if err := x.refresh(ctx); err != nil || x.st == nil {
		return left, err
	}
	if len(x.blockedElsewhere) > 0 {
		if err := x.readBlockedElsewhere(ctx); err != nil {
			return left, err
		}
	}
	d.lastMessage = max(d.lastMessage, x.st.p.Inbox)
	ctx, cancel := context.WithTimeout(ctx, storeLimit)
	defer cancel()
	left, last, more, err := d.host.readInbox(ctx, d.id, d.lastMessage)
	d.lastMessage = max(d.lastMessage, last)
	if more {
		d.nudged.Store(true)
	}
	return left, err
}

// minRefresh is how long a driver waits at least between two looks at what others may have changed. The engine's own
// commits come back as such hints, and a commit would notice a change anyway.
const minRefresh = 100 * time.Millisecond

// nudge tells the driver that the plan may have been changed by somebody else.
func (d *driver) nudge() {
	if !d.nudged.Swap(true) {
		d.wake()
	}
}
