package ota

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"
)

// driver is the shell around the core of one plan. The owner is the goroutine in run; it owns the
// session. Other goroutines send it values: outcomes through the pool, everything else by mail.
type driver struct {
	host   *host
	office office
	id     string
	pool   *pool
	ready  chan struct{} // signals mail or outcomes; every goroutine writes, the owner reads

	// The driver ends when the plan is paused, also if more may happen to the plan. Never changes.
	untilPaused bool

	mu     sync.Mutex    // guards mail, closed and unreturned
	mail   mail          // written by every goroutine, taken by the owner
	closed bool          // written by the owner; mail is refused from then on
	done   chan struct{} // closed by the owner when the driver has stopped
	// how many goroutines of a question run, also those that no one waits for any more
	unreturned map[askKey]int

	base    context.Context // parent of the contexts of all questions and calls
	endBase context.CancelCauseFunc
	asks    sync.WaitGroup // goroutines beside the owner
	// the plan may have changed; set by every goroutine, cleared by the owner
	nudged atomic.Bool
	// lease.lapses when this driver last knew that it owned the plan, or -1 when it had lost the
	// plan; written by the owner
	sure atomic.Int64

	// All fields below are written and read by the owner only.

	session      *session
	callsContext context.Context // parent of the contexts of all calls
	endCalls     context.CancelCauseFunc
	endedAt      time.Time // when endCalls was last called
	endReason    Reason
	asked        map[askKey]bool // questions whose answers were not fetched yet
	refreshed    time.Time       // when the plan was last read again
	lastMessage  uint64          // number of the last inbox message that was read

	// The other plan of a rollback: what is known of it, and when to ask again.
	counterpart        counterpart
	counterpartChanged <-chan struct{}
	stopWatching       func()
	advancing          bool
	advanceAt          time.Time

	nextAbandonCheck time.Time // when a call may have to be abandoned
	nextRelease      time.Time // when claims may be released next
	timer            *clock.Timer
	spareOutcomes    []outcome
	notice           notice
	unchecked        bool          // a success without a version was logged
	slowCommits      bool          // the last commit was slow, so filling commits pays
	onCommitted      []func(error) // acknowledgements that wait for a commit
	storeErrors      int           // consecutive ones
	refusals         refusals
}

// run drives the plan. It returns when the plan has ended, or is paused with nothing to do; with
// untilPaused, when it is paused. It also returns when another engine has taken the plan over
// (ErrFenced), and when ctx has ended and all calls have drained.
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
		if d.storeErrors == 0 { // otherwise a turn can record neither
			wake = soonest(soonest(wake, d.nextAbandonCheck), d.releaseDue())
		}
		d.wait(ctx, draining, wake)
	}
}

// turn is one round: fetch what came in, step and commit, make the calls that were committed.
func (d *driver) turn(ctx context.Context, now time.Time, draining bool) (wake time.Time, again bool, err error) {
	m := d.fetch()
	in := d.lookAround(ctx, now, &m, draining)
	d.applyMail(ctx, now, in, m.commands)
	x := d.session
	began, lapses := time.Now(), d.host.lease.lapses.Load()
	wake, again, err = x.turn(ctx, now, in)
	if x.committed {
		d.sure.Store(lapses)
		d.slowCommits = time.Since(began) > slowTurn
	}
	for _, inspect := range m.inspections {
		inspect(x)
	}
	d.acknowledge(m.onCommitted, err)
	switch {
	case errors.Is(err, ErrFenced), errors.Is(err, ErrNotFound), unreadable(err), errors.Is(err, errAtRest):
		d.sure.Store(-1)
		d.end(now, errFencedOff, ReasonNone)
		return wake, false, err
	case errors.Is(err, ErrRefused):
		return d.refused(ctx, now, err), false, nil
	case err != nil:
		d.host.storeFailed(ctx, "turn", d.id, err)
		return d.retryLater(now), false, nil
	}
	d.storeAnswered(ctx, now)
	if x.committed {
		x.committed = false
		d.host.hub.TellPlan(d.id)
	}
	if x.st == nil { // every commit lost to another writer: look around before the next try
		return wake, again, nil
	}
	d.notice.log(ctx, d.host.opt.Logger, x.st, now)
	d.call(now)
	d.abandon(now)
	d.release(now, false)
	return wake, again, nil
}

// background runs f beside the owner. f may take as long as the Store does.
func (d *driver) background(f func(context.Context)) {
	d.asks.Go(func() { f(d.base) })
}

// call makes the calls and questions that were committed, and ends calls that are over.
func (d *driver) call(now time.Time) {
	x := d.session
	// The rollback that interrupted the calls was canceled: new calls need a context that has not
	// ended.
	if d.endReason == ReasonInterrupted && d.callsContext.Err() != nil && !interrupting(&x.st.c) {
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
		var first int64
		for i := range x.starts {
			first = earlier(first, x.starts[i].deadline)
		}
		if first != 0 {
			d.nextAbandonCheck = soonest(d.nextAbandonCheck, stamp(first).Add(d.host.opt.AbandonAfter))
		}
		x.starts = d.pool.push(x.starts, max(x.st.c.Policy.at(x.st.p.Batch).concurrency, len(x.starts)), d.office.moreDriversThanCPUs())
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

// wait returns when there is something to do: mail, outcomes, a change of the other plan, the time,
// or the end of ctx.
func (d *driver) wait(ctx context.Context, draining bool, wake time.Time) {
	poll := d.refreshed.Add(d.host.opt.Poll)
	if d.nudged.Load() {
		poll = d.refreshed.Add(minRefresh)
	}
	done := ctx.Done()
	if draining {
		done = nil
	}
	d.sleepUntil(soonest(wake, poll), done)
}

// sleepUntil is wait for exactly this time, or until done is closed.
func (d *driver) sleepUntil(until time.Time, done <-chan struct{}) {
	wait := until.Sub(d.host.now())
	if wait <= 0 {
		return
	}
	if d.timer == nil {
		d.timer = d.host.opt.Clock.Timer(wait)
	} else {
		d.timer.Reset(wait)
	}
	defer d.timer.Stop()
	select {
	case <-d.ready:
	case <-d.timer.C:
	case <-done:
	case <-d.counterpartChanged:
		d.advanceAt = time.Time{}
	}
}
