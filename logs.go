package ota

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// notice logs what an operator must know of a plan: its breaches, its changes of status, and when
// it begins and ends to wait. The engine that drives the plan logs each once. Only the owner's
// goroutine uses it.
type notice struct {
	lastBreach uint64 // number of the newest breach that was logged or existed before
	status     Status // the status that was logged last
	waits      waiting
}

// waiting is why a plan waits, since when, and whether that was logged.
type waiting struct {
	why    Reason
	since  time.Time
	logged bool
}

// A wait is logged when it has lasted this long. So a plan that goes on all the time logs none.
const (
	waitLogged = time.Minute
	hungLogged = 10 * time.Minute // if the plan waits for its calls
)

// log logs what is new.
func (n *notice) log(ctx context.Context, log *slog.Logger, st *state, now time.Time) {
	n.logWaits(ctx, log, st, now)
	was := *n
	n.lastBreach, n.status = st.p.LastBreach, st.loggedStatus
	if was.lastBreach == n.lastBreach && was.status == n.status {
		return
	}
	log = log.With("plan", st.id, "name", st.spec.Name)
	for i := range st.p.Breaches {
		if b := &st.p.Breaches[i]; b.Number > was.lastBreach {
			log.WarnContext(ctx, "plan breached", "why", b.String(), "action", b.Action)
		}
	}
	c := &st.p.Counts
	log = log.With("batch", min(st.p.Batch, st.p.Reached), "succeeded", c.Succeeded, "failed", c.Bad(), "pending", c.Pending, "coverage", coverageOf(&st.spec, &st.p))
	switch st.loggedStatus {
	case was.status:
	case StatusPaused:
		log.WarnContext(ctx, "plan paused", "was", was.status)
	default:
		log.InfoContext(ctx, "plan status changed", "was", was.status, "is", st.loggedStatus)
	}
}

// logWaits logs that a plan has begun to wait, or waits no more.
func (n *notice) logWaits(ctx context.Context, log *slog.Logger, st *state, now time.Time) {
	r, since := waitsFor(st, now)
	if w := n.waits; r.Why != w.why || r.Why == ReasonInFlight && !since.Equal(w.since) {
		if w.logged {
			log.InfoContext(ctx, "plan waits no more", "plan", st.id, "name", st.spec.Name, "reason", w.why, "since", w.since)
		}
		n.waits = waiting{why: r.Why, since: since}
	}
	w, limit := &n.waits, waitLogged
	switch w.why {
	case ReasonInFlight:
		limit = hungLogged
	case ReasonFrozen: // the plan may come to rest before
		limit = 0
	}
	if w.why == ReasonNone || w.logged || now.Sub(w.since) < limit {
		return
	}
	w.logged = true
	about := []any{"plan", st.id, "name", st.spec.Name, "reason", w.why, "since", w.since, "why", r.Why.Sentence()}
	if r.Text != "" {
		about = append(about, "text", r.Text)
	}
	if r.Until != 0 {
		about = append(about, "until", stamp(r.Until))
	}
	if r.Verb != 0 {
		about = append(about, "verb", r.Verb)
	}
	log.InfoContext(ctx, "plan waits", about...)
}

// waitReasons are the reasons for which a plan may wait long, the first one first.
var waitReasons = []Reason{
	ReasonFrozen, ReasonSource, ReasonWindow, ReasonHeld, ReasonEvidence, ReasonGate, ReasonAbandonedCall,
	ReasonBudget, ReasonReserve, ReasonBackoff, ReasonRate,
}

// waitsFor returns what a plan waits for, and since when. The zero allowance means that it goes on,
// or that its status says why it does not.
func waitsFor(st *state, now time.Time) (r allowance, since time.Time) {
	status := st.status()
	switch {
	case status == StatusPending, status.Ended():
		return r, now
	case st.p.Counts.Running > 0:
		return allowance{Why: ReasonInFlight, Text: "no call has returned since"}, st.p.At
	case status == StatusRollingBack, status == StatusPaused && st.c.Rollback == nil:
		return r, now
	}
	v := st.view(now.UnixNano())
	all := v.blockers()
	for _, why := range waitReasons {
		if i := slices.IndexFunc(all, func(r allowance) bool { return r.Why == why }); i >= 0 {
			return all[i], now
		}
	}
	return r, now
}

// storeErrors logs errors of the Store: each once a minute, because everything that an engine does
// meets the same error many times a second.
type storeErrors struct {
	mu    sync.Mutex
	since time.Time // of the first error; zero: the Store answers
	last  map[string]*loggedError
}

// loggedError is when an error was logged, and how often it came since.
type loggedError struct {
	at       time.Time
	repeated int
}

const (
	storeErrorEvery = time.Minute
	storeErrorsMost = 64 // different ones that are remembered
)

// storeFailed logs that the Store does not answer. doing is what the engine wanted; plan may be
// empty.
func (h *host) storeFailed(ctx context.Context, doing, plan string, err error) {
	now, s := h.now(), &h.storeErrors
	cause := err
	for next := errors.Unwrap(cause); next != nil; next = errors.Unwrap(cause) {
		cause = next
	}
	s.mu.Lock()
	if s.since.IsZero() {
		s.since = now
	}
	seen := s.last[cause.Error()]
	if seen != nil && now.Sub(seen.at) < storeErrorEvery {
		seen.repeated++
		s.mu.Unlock()
		return
	}
	if s.last == nil || len(s.last) >= storeErrorsMost {
		s.last = map[string]*loggedError{}
	}
	s.last[cause.Error()] = &loggedError{at: now}
	since := s.since
	s.mu.Unlock()
	about := []any{"doing", doing, "error", withoutPlan(err, plan), "since", since}
	if plan != "" {
		about = append([]any{"plan", plan}, about...)
	}
	if seen != nil {
		about = append(about, "repeated", seen.repeated)
	}
	h.opt.Logger.WarnContext(ctx, "store does not answer", about...)
}

// storeWorks logs that the Store answers again, once.
func (h *host) storeWorks(ctx context.Context) {
	s := &h.storeErrors
	s.mu.Lock()
	since := s.since
	s.since, s.last = time.Time{}, nil
	s.mu.Unlock()
	if !since.IsZero() {
		h.opt.Logger.InfoContext(ctx, "store answers again", "since", since)
	}
}

// warnUnchecked logs the first success of which the Executor has not reported the version.
func (d *driver) warnUnchecked(outcomes []outcome) {
	for i := 0; i < len(outcomes) && !d.unchecked; i++ {
		if o := &outcomes[i]; o.reason == ReasonSucceeded && o.version == "" {
			d.unchecked = true
			d.host.opt.Logger.WarnContext(d.base, "success counts without a check of the version", "plan", d.id, "agent", o.agent)
		}
	}
}

// withoutPlan is the text of an error for a line that names the plan already.
func withoutPlan(err error, plan string) string {
	text := err.Error()
	if plan == "" {
		return text
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, " of plan "+plan, ""), " plan "+plan, "")
}

// logVerb logs a verb if it has changed the plan, with its actor and reason.
func (h *host) logVerb(w *command) {
	if !w.wrote {
		return
	}
	about := []any{"plan", w.row.ID, "name", w.row.Spec.Name, "verb", w.verb, "actor", w.request.Actor, "reason", w.request.Reason}
	if w.request.ID != "" {
		about = append(about, "request", w.request.ID)
	}
	h.opt.Logger.InfoContext(w.ctx, "verb changed the plan", append(about, "status", w.row.Status)...)
}
