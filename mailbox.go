package ota

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// mail is what other goroutines have for the owner.
type mail struct {
	input       input
	commands    []commandMail
	inspections []func(*session)
	counterpart *counterpart
	onCommitted []func(error) // called once what input holds is committed

	answered []askKey // questions whose answers input holds
}

// said is a verb on its way to the owner.
type commandMail struct {
	command *command
	apply   func(*command) error
	reply   chan<- answer
}

type answer struct {
	row PlanRow
	err error
}

// post puts something into the mail; it reports false when the driver has stopped.
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

// sayAll carries out verbs on their way to the plan.
func (d *driver) applyMail(ctx context.Context, now time.Time, all []commandMail) {
	for _, s := range all {
		row, err := d.session.apply(ctx, now, s.command, s.apply)
		s.reply <- answer{row: row, err: err}
	}
}

// say carries out a verb on the plan as it is in memory: the commit compares the numbers. Only when nothing was committed, others
// may have said something, and it is tried once more on the plan as it is stored: even a verb that changes nothing is
// answered by that.
func (x *session) apply(ctx context.Context, now time.Time, w *command, f func(*command) error) (PlanRow, error) {
	for read := false; ; read = true {
		var err error
		if read {
			err = x.refresh(ctx)
		}
		if err == nil && x.st == nil { // so that a verb sees nothing that is not committed
			_, _, err = x.turn(ctx, now, input{})
		}
		if errors.Is(err, ErrRefused) { // the owner can write nothing, but the verb may be able to
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

// commitVerb commits a verb, within the owner's limit: a sender may have all the time of the world.
func (x *session) commitVerb(w *command, f func(*command) error) (PlanRow, error) {
	ctx, cancel := context.WithTimeout(w.ctx, storeLimit)
	defer cancel()
	defer func(sender context.Context) { w.ctx = sender }(w.ctx)
	w.ctx = ctx
	return w.commit(f)
}

// refusal reports whether an error of a verb says that nothing was, or could have been, written.
func refusal(err error) bool {
	for _, nothing := range []error{ErrState, ErrInvalid, ErrBreach, ErrNotFound, ErrRefused} {
		if errors.Is(err, nothing) {
			return true
		}
	}
	return false
}

// readInbox fetches what other engines have left for a plan, and tells the number of the last message and whether there
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
			continue // of a newer version; it is no report that this one could count
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

// counterpart is what the driver of a rollback plan knows of its source.
type counterpart struct {
	drained   bool           // nothing of the source is in flight or waits
	refusal   cleaned        // why the Store will not let the rollback go on; empty when it does
	untouched []unconfirmed  // doubtful tasks of the rollback that turned out untouched
	blocked   []blockedAgent // agents of the rollback for which a call of another plan is out; known once it is drained
}
