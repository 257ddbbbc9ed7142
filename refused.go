package ota

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// A write that the Store refuses for good (ErrRefused) is not tried again as it is. What a commit of the owner was to tell
// is forgotten, as in a crash, and the plan is paused by a breach that has the Store's words. Where the Store refuses even
// that, Explain says so, verbs reach the Store without the owner, and the owner tries again with growing waits.

// giveUp forgets what the Store has refused, and has the plan paused instead. The calls whose outcomes
// are forgotten are over, so the next load repeats them.
func (x *session) giveUp(err error) {
	h := &x.unacked
	next := input{refusal: cleanLine(err.Error()), inbox: h.inbox}
	for i := range h.reports {
		next.inbox = max(next.inbox, h.reports[i].message)
	}
	for i := range h.health {
		next.inbox = max(next.inbox, h.health[i].message)
	}
	x.unacked = next
}

// refusals is what a driver remembers of what the Store has refused for good.
type refusals struct {
	consecutive int
	until       time.Time // when to ask something again
	logged      cleaned   // what was logged last
}

// refusalMemory is how long a refusal counts as one of a row: a question that is asked again at once is refused again.
const refusalMemory = time.Minute

// refused goes on after the Store has refused a commit for good, and says when.
func (d *driver) refused(ctx context.Context, now time.Time, err error) (wake time.Time) {
	r := &d.refusals
	if why := d.session.refusal; why != r.logged {
		r.logged = why
		d.host.opt.Logger.ErrorContext(ctx, "store refuses for good what the plan writes", "plan", d.id, "error", err)
	}
	r.consecutive++
	d.session.giveUp(err)
	d.abandon(now) // calls that do not return are left behind meanwhile
	r.until = now.Add(backoff(r.consecutive-1, 10*time.Millisecond, 30*time.Second))
	if d.nextRelease.Before(r.until) {
		d.nextRelease = r.until // agents are released by a turn that is taken
	}
	return r.until
}

// later is when to try again what the Store did not take.
func (d *driver) retryLater(now time.Time) time.Time {
	d.abandon(now) // calls that do not return wait for no Store
	d.storeErrors++
	return now.Add(backoff(d.storeErrors-1, 50*time.Millisecond, 5*time.Second))
}

// taken takes in that the Store has taken a commit, or answered.
func (d *driver) storeAnswered(now time.Time) {
	d.storeErrors = 0
	if r := &d.refusals; r.consecutive > 0 && now.Sub(r.until) > refusalMemory {
		*r = refusals{}
	}
}

// onlyRefused is the text of an error that says ErrRefused, and empty for any other: that may tell of hosts and users.
func onlyRefused(err error) cleaned {
	if !errors.Is(err, ErrRefused) {
		return ""
	}
	return cleanMessage("it refuses for good: " + err.Error())
}

// levelOf is how loudly an error of the Store is logged: one that never goes away needs a person.
func levelOf(err error) slog.Level {
	if errors.Is(err, ErrRefused) {
		return slog.LevelError
	}
	return slog.LevelWarn
}
