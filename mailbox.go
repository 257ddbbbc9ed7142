package ota

import (
	"context"
	"errors"
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
	row PlanRow
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
		c.reply <- answer{row: row, err: err}
	}
}

// apply applies a verb to the plan in memory; the commit compares the numbers. If nothing was
// committed, the plan in the Store may be newer, so apply reads it and tries once more. This holds
// for a verb that changes nothing too: the Store decides what it answers.
func (x *session) apply(ctx context.Context, now time.Time, in turnInput, w *command, f func(*command) error) (PlanRow, error) {
	for read := false; ; read = true {
		var err error
		if read {
			err = x.refresh(ctx)
		}
		if err == nil && x.st == nil { // commit first: a verb must not see uncommitted changes
			_, _, err = x.turn(ctx, now, in)
		}
		if errors.Is(err, ErrRefused) { // the owner cannot commit, but the verb by itself may
			return PlanRow{}, errStopped
		}
		if err != nil || x.st == nil {
			return PlanRow{}, errors.Join(ErrConflict, err)
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
func (x *session) commitVerb(w *command, f func(*command) error) (PlanRow, error) {
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
	// agents of the rollback with a call of another plan out; known once drained
	blocked []blockedAgent
}
