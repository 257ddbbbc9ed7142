package ota

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// storeLimit is the time limit of the engine's own calls of its Store: one call of a plan's owner,
// or one scan of all plans. A slower answer counts as an error, so a call that never returns blocks
// nothing else. A Store must return once its context has ended.
const storeLimit = time.Minute

// advanceLimit is the time limit of one step between the two plans of a rollback. The step may
// create the rollback plan.
const advanceLimit = 10 * time.Minute

// limited is the Store of one session, with a time limit for each call. Only the owner's goroutine
// uses ctx and timer.
type limited struct {
	store  rowStore
	writer commitWriter // its rows are those of the next commit

	// The context of the owner's calls, since the owner's own context never ends. It is reused
	// until it ends: one context for each call would be an eighth of the allocations of a plan of a
	// thousand agents.
	ctx   context.Context
	timer *time.Timer
}

// storeCall is a call of a Store that is in progress.
type storeCall struct {
	l      *limited
	cancel func() // of its own context; nil: it uses the context of l
}

// begin returns the context of a call.
func (l *limited) begin(ctx context.Context) (context.Context, storeCall) {
	if ctx.Done() != nil {
		ctx, cancel := context.WithTimeout(ctx, storeLimit)
		return ctx, storeCall{l, cancel}
	}
	if l.ctx == nil {
		var cancel func()
		l.ctx, cancel = context.WithCancel(ctx)
		l.timer = time.AfterFunc(storeLimit, cancel)
	} else {
		l.timer.Reset(storeLimit)
	}
	return l.ctx, storeCall{l, nil}
}

// end must be called when the call has returned.
func (c storeCall) end() {
	if c.cancel != nil {
		c.cancel()
	} else if !c.l.timer.Stop() {
		c.l.ctx = nil // it has ended, or is about to
	}
}

func (l *limited) plan(ctx context.Context, id string) (planRow, error) {
	ctx, call := l.begin(ctx)
	defer call.end()
	return l.store.Plan(ctx, id)
}

func (l *limited) batches(ctx context.Context, id string, q rowQuery) (Page[batchRow], error) {
	ctx, call := l.begin(ctx)
	defer call.end()
	return l.store.Batches(ctx, id, q)
}

func (l *limited) agents(ctx context.Context, id string, q rowQuery) (Page[agentRow], error) {
	ctx, call := l.begin(ctx)
	defer call.end()
	return l.store.Agents(ctx, id, q)
}

// commit makes a commit with the rows of l.writer.
func (l *limited) commit(ctx context.Context, c *planCommit) (uint64, error) {
	ctx, call := l.begin(ctx)
	defer call.end()
	return l.store.write(ctx, c, &l.writer)
}

// turn lets one caller at a time call the Store. Unlike a mutex, it stops waiting when a context
// ends. The caller before may take long.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t turn) give() { <-t }

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
		d.host.opt.Logger.ErrorContext(ctx, "store refused a write for good", "plan", d.id, "error", withoutPlan(err, d.id))
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
func (d *driver) storeAnswered(ctx context.Context, now time.Time) {
	if d.storeErrors > 0 {
		d.storeErrors = 0
		d.host.storeWorks(ctx)
	}
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
