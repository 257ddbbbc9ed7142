package ota

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"time"
)

// mail is what other goroutines send to the owner.
type mail struct {
	input       input
	commands    []commandMail
	inspections []func(*session)
	counterpart *counterpart
	onCommitted []func(error) // called once input is committed

	answered []askKey // questions whose answers are in input
}

// commandMail is a verb on its way to the owner.
type commandMail struct {
	command *command
	apply   func(*command) error
	reply   chan<- answer
}

// answer is what the owner replies to a commandMail.
type answer struct {
	row planRow
	err error
}

// post adds to the mail and wakes the owner. It reports false when the driver has stopped.
func (d *driver) post(f func(*mail)) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	f(&d.mail)
	d.wake()
	return true
}

// acknowledge calls the functions that wait until a report is committed.
func (d *driver) acknowledge(more []func(error), err error) {
	d.onCommitted = append(d.onCommitted, more...)
	if err == nil && !d.session.unacked.empty() {
		// Orders are folded first, or every commit was refused: the reports are not committed yet.
		return
	}
	for _, report := range d.onCommitted {
		report(err)
	}
	clear(d.onCommitted)
	d.onCommitted = d.onCommitted[:0]
}

// applyMail applies the verbs that came by mail.
func (d *driver) applyMail(ctx context.Context, now time.Time, in turnInput, all []commandMail) {
	for _, c := range all {
		row, err := d.session.apply(ctx, now, in, c.command, c.apply)
		d.host.logVerb(c.command)
		if c.command.wrote {
			d.host.hub.TellPlan(d.id) // the sender may have left
		}
		c.reply <- answer{row: row, err: err}
	}
}

// apply applies a verb to the plan in memory; the commit compares the numbers. If nothing was
// committed, the plan in the Store may be newer, so apply reads it and tries once more. This holds
// for a verb that changes nothing too: the Store decides what it answers.
func (x *session) apply(ctx context.Context, now time.Time, in turnInput, w *command, f func(*command) error) (planRow, error) {
	for read := false; ; read = true {
		var err error
		if read {
			err = x.refresh(ctx)
		}
		if err == nil && x.st == nil { // commit first: a verb must not see uncommitted changes
			_, _, err = x.turn(ctx, now, in)
		}
		if errors.Is(err, ErrRefused) { // the owner cannot commit, but the verb by itself may
			return planRow{}, errStopped
		}
		if err != nil || x.st == nil {
			return planRow{}, errors.Join(ErrConflict, err)
		}
		before := x.st.controlNumber
		w.row, w.now = x.row(), now
		row, err := x.commitVerb(w, f)
		if !read && (err == nil && row.ControlNumber == before || refusal(err) || errors.Is(err, ErrConflict)) {
			continue
		}
		if err == nil {
			x.adopt(&row)
		} else if !refusal(err) {
			x.drop()
		}
		return row, err
	}
}

// commitVerb commits a verb within the owner's time limit. The sender's context may have none.
func (x *session) commitVerb(w *command, f func(*command) error) (planRow, error) {
	ctx, cancel := context.WithTimeout(w.ctx, storeLimit)
	defer cancel()
	defer func(sender context.Context) { w.ctx = sender }(w.ctx)
	w.ctx = ctx
	return w.commit(f)
}

// refusal reports whether this error of a verb means that nothing was written.
func refusal(err error) bool {
	for _, nothing := range []error{ErrState, ErrInvalid, ErrBreach, ErrNotFound, ErrRefused} {
		if errors.Is(err, nothing) {
			return true
		}
	}
	return false
}

// counterpart is what the driver of a plan knows of the other plan of a rollback.
type counterpart struct {
	drained   bool          // the source has no agent in flight or waiting
	refusal   cleaned       // the Store's refusal that blocks the rollback; empty: none
	untouched []unconfirmed // unconfirmed tasks of the rollback that proved unchanged
	bad       []int         // unconfirmed agents of the rollback that proved bad
	// agents of the rollback with a call of another plan out; known once drained
	blocked []blockedAgent
}

// refresh reads what others have changed: verbs in the Store, reports in the inbox, and agents that
// other engines block.
func (d *driver) refresh(ctx context.Context) (in input, err error) {
	in, last, more, err := d.host.refresh(ctx, d.session, d.lastMessage)
	d.lastMessage = last
	if more {
		d.nudged.Store(true)
	}
	return in, err
}

// refresh is that of a driver and of a Stepper. It reads messages after a number, and returns the
// number of the last one, and whether there may be more.
func (e *host) refresh(ctx context.Context, x *session, after uint64) (in input, last uint64, more bool, err error) {
	if err := x.refresh(ctx); err != nil || x.st == nil {
		return in, after, false, err
	}
	if len(x.blockedElsewhere) > 0 {
		if err := x.readBlockedElsewhere(ctx); err != nil {
			return in, after, false, err
		}
	}
	after = max(after, x.st.p.Inbox)
	ctx, cancel := context.WithTimeout(ctx, storeLimit)
	defer cancel()
	in, last, more, err = e.readInbox(ctx, x.plan, after)
	return in, max(after, last), more, err
}

// minRefresh is the shortest time between two refreshes. The engine's own commits cause nudges too,
// and a commit would notice a change by others anyway.
const minRefresh = 100 * time.Millisecond

// nudge wakes the driver, because the plan may have changed. Every goroutine may call it.
func (d *driver) nudge() {
	if !d.nudged.Swap(true) {
		d.wake()
	}
}

// readInbox reads messages after a number. It returns the number of the last one, and whether there
// may be more.
func (e *host) readInbox(ctx context.Context, id string, after uint64) (in input, last uint64, more bool, err error) {
	box := e.with.Inbox
	if box == nil {
		return in, after, false, nil
	}
	messages, err := box.Read(ctx, id, after, orderChunk)
	if err != nil {
		return in, after, false, err
	}
	for _, msg := range messages {
		last = msg.Number
		var o outcomeMessage
		if err := json.Unmarshal(msg.Body, &o); err != nil {
			continue // from a newer version; this one cannot read it
		}
		if o.Outcome != nil {
			r := o.Outcome.input(o.At)
			r.message = msg.Number
			in.reports = append(in.reports, r)
			continue
		}
		var h HealthReport
		if err := json.Unmarshal(msg.Body, &h); err != nil {
			continue
		}
		in.health = append(in.health, healthReport{
			agent: h.Agent, healthy: h.Healthy, at: h.At.UnixNano(), reason: cleanMessage(h.Reason), message: msg.Number,
		})
	}
	return in, last, len(messages) == orderChunk, nil
}

// slowTurn is the duration from which filling commits pays. A Store in memory is faster.
const slowTurn = 200 * time.Microsecond

// coalesce lets calls return that are about to, so that one commit takes them along. It does so
// only where commits are slow.
func (d *driver) coalesce() {
	for before := 0; d.slowCommits; {
		returned := d.pool.returned()
		if returned == before {
			return
		}
		before = returned
		runtime.Gosched()
	}
}

// wake signals the owner that there is mail or an outcome.
func (d *driver) wake() {
	select {
	case d.ready <- struct{}{}:
	default:
	}
}

// fetch takes the mail, and the outcomes in the pool.
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
	d.warnUnchecked(m.input.outcomes)
	d.session.addInput(m.input) // at once: these outcomes are recorded nowhere else
	// After a lost call, the session loads again to find out which calls are out. During a
	// shutdown, the next engine does that.
	if lost && !errors.Is(context.Cause(d.callsContext), errShutdown) {
		d.session.drop()
	}
	return m
}

// lookAround finds out what the next turn has to know: the other plan of a rollback, changes by
// others, the lease, and how long commits take.
func (d *driver) lookAround(ctx context.Context, now time.Time, m *mail, draining bool) turnInput {
	x := d.session
	if m.counterpart != nil {
		d.counterpart, d.advancing = *m.counterpart, false
		if d.counterpart.drained {
			x.blockedElsewhere = d.counterpart.blocked
		}
		if d.counterpartChanged == nil && x.st != nil && x.st.c.Rollback != nil {
			d.advanceAt = time.Time{} // the other plan exists now: watch it at once
		}
	}
	if since := now.Sub(d.refreshed); since >= d.host.opt.Poll || since >= minRefresh && d.nudged.Load() {
		d.refreshed = now
		d.nudged.Store(false)
		reports, err := d.refresh(ctx)
		x.addInput(reports)
		if err != nil {
			d.host.storeFailed(ctx, "refresh", d.id, err)
		}
	}
	ends := d.untilPaused && x.paused() // only answers to open questions still count
	in := turnInput{surroundings: surroundings{
		draining: draining, leaseOut: !d.host.lease.ok(d.host.opt.Clock.Now()), muted: ends || now.Before(d.refusals.until),
		source: d.counterpart.drained, refusal: d.counterpart.refusal, untouched: d.counterpart.untouched, bad: d.counterpart.bad,
	}}
	if d.slowCommits {
		in.background = d.background
	}
	return in
}
