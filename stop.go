package ota

import (
	"context"
	"errors"
	"time"
)

// drained reports whether a driver that shuts down is done: everything in flight has been committed, or given up.
func (d *driver) drained(now, deadline time.Time) bool {
	if d.pool.inFlight() == 0 && d.allCommitted() {
		return true
	}
	if !now.Before(deadline) {
		d.end(now, errShutdown, ReasonNone)
	}
	return !d.endedAt.IsZero() && !now.Before(deadline) && d.pool.inFlight() == 0
}

// stop ends what belongs to the driver.
func (d *driver) stop(err error) error {
	d.mu.Lock()
	d.closed = true
	m := d.mail
	d.mail = mail{}
	d.mu.Unlock()
	for _, s := range m.commands {
		s.reply <- answer{err: errStopped}
	}
	for _, report := range append(d.onCommitted, m.onCommitted...) {
		report(errStopped)
	}
	if err != nil { // fenced off: the new owner calls again what is in flight
		d.waitOut(d.host.opt.AbandonAfter)
	}
	d.release(d.host.now(), true)
	left := d.pool.close()
	if left > 0 { // those that were given up, too, of which nothing is committed
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
	if err == nil && left > 0 {
		return &AbandonedError{Calls: left}
	}
	return err
}

// errStopped tells a sender of mail that the driver stopped first.
var errStopped = errors.New("ota: the driver has stopped")

// waitOut gives calls whose contexts have ended some time to return.
func (d *driver) waitOut(most time.Duration) {
	d.nextAbandonCheck = d.host.now().Add(most)
	for d.pool.inFlight() > 0 {
		d.pool.fetch(nil)
		if d.refreshed = d.host.now(); d.refreshed.Before(d.nextAbandonCheck) {
			d.wait(context.Background(), true, d.nextAbandonCheck)
			continue
		}
		d.pool.abandon(d.host.now(), d.endedAt, 0, ReasonNone)
	}
}
