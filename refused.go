package ota

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// A write that the Store refuses for good (ErrRefused) is not repeated as it is. The input of such
// a commit is dropped, as in a crash, and the plan pauses by a breach that has the Store's words.
// If the Store refuses even that, Explain shows it, verbs reach the Store without the owner, and
// the owner tries again with growing waits.

// giveUp drops the input that the Store has refused, and has the plan paused instead. The calls of
// dropped outcomes are over, so the next load repeats them.
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

// refusals is what a driver remembers about refused commits. Only the owner uses it.
type refusals struct {
	consecutive int       // how many, without refusalMemory between them
	until       time.Time // no question is asked before
	logged      cleaned   // the refusal that was logged last
}

// refusalMemory is how long a refusal counts as consecutive: a question that is asked again at once
// would be refused again.
const refusalMemory = time.Minute

// refused handles a commit that the Store refused for good. It returns when to try again.
func (d *driver) refused(ctx context.Context, now time.Time, err error) (wake time.Time) {
	r := &d.refusals
	if why := d.session.refusal; why != r.logged {
		r.logged = why
		d.host.opt.Logger.ErrorContext(ctx, "store refused a write for good", "plan", d.id, "error", err)
	}
	r.consecutive++
	d.session.giveUp(err)
	d.abandon(now)
	r.until = now.Add(backoff(r.consecutive-1, 10*time.Millisecond, 30*time.Second))
	if d.nextRelease.Before(r.until) {
		d.nextRelease = r.until // agents are released by a turn that is taken
	}
	return r.until
}

// retryLater returns when to try again after the Store has failed.
func (d *driver) retryLater(now time.Time) time.Time {
	d.abandon(now) // abandoning a call does not wait for the Store
	d.storeErrors++
	return now.Add(backoff(d.storeErrors-1, 50*time.Millisecond, 5*time.Second))
}

// storeAnswered resets the counters of failures.
func (d *driver) storeAnswered(now time.Time) {
	d.storeErrors = 0
	if r := &d.refusals; r.consecutive > 0 && now.Sub(r.until) > refusalMemory {
		*r = refusals{}
	}
}

// onlyRefused is the text of an ErrRefused. It is empty for every other error, which may contain
// hosts and users.
func onlyRefused(err error) cleaned {
	if !errors.Is(err, ErrRefused) {
		return ""
	}
	return cleanMessage("it refused the write for good: " + err.Error())
}

// levelOf is the log level of an error of the Store. A refusal never goes away by itself and needs
// a person.
func levelOf(err error) slog.Level {
	if errors.Is(err, ErrRefused) {
		return slog.LevelError
	}
	return slog.LevelWarn
}
