package ota

import (
	"context"
	"errors"
	"time"
)

// mail is what other goroutines have for the owner.
type mail struct {
	input   input
	said    []said
	looks   []func(*session)
	link    *linkState
	reports []func(error) // called once what input holds is committed

	answered []askKey // questions whose answers input holds
}

// said is a verb on its way to the owner.
type said struct {
	w     *saying
	f     func(*saying) error
	reply chan<- answer
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
func (d *driver) sayAll(ctx context.Context, now time.Time, all []said) {
	for _, s := range all {
		row, err := d.session.say(ctx, now, s.w, s.f)
		s.reply <- answer{row: row, err: err}
	}
}

// say carries out a verb on the plan as it is in memory: the commit compares the numbers. Only when nothing was committed, others
// may have said something, and it is tried once more on the plan as it is stored: even a verb that changes nothing is
// answered by that.
func (x *session) say(ctx context.Context, now time.Time, w *saying, f func(*saying) error) (PlanRow, error) {
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
			x.said(&row)
		} else if !refusal(err) {
			x.drop()
		}
		return row, err
	}
}

// commitVerb commits a verb, within the owner's limit: a sender may have all the time of the world.
func (x *session) commitVerb(w *saying, f func(*saying) error) (PlanRow, error) {
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

// throughOwner says a verb by way of the driver of this process, if there is one.
func (e *Engine) throughOwner(ctx context.Context, id string, w *saying, f func(*saying) error) (row PlanRow, handled bool, err error) {
	d := e.driver(id)
	if d == nil {
		return row, false, nil
	}
	reply := make(chan answer, 1)
	if !d.post(func(m *mail) { m.said = append(m.said, said{w, f, reply}) }) {
		return row, false, nil
	}
	select {
	case a := <-reply:
		return a.row, !errors.Is(a.err, errStopped), a.err
	case <-ctx.Done():
		return row, true, context.Cause(ctx)
	}
}
