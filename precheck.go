package ota

import (
	"context"
	"time"
)

// Prechecker is an Executor that can tell how an agent is before anything is done to it. It is asked before the first
// attempt for an agent, when that agent's turn has come; an agent that is being asked counts as open for Concurrency and
// Budget. Precheck is a question: it must change nothing. It should return soon after ctx ends, at the latest 30 seconds
// after the call.
//
// The Number of a is 0, since no attempt was made; a.Rollback tells that the agent would be taken back. An error, or a
// panic, means that nobody knows, and counts as PrecheckAway: an agent about which nothing can be learned is not touched.
// An error marked by Throttled says when to ask again.
type Prechecker interface {
	Precheck(ctx context.Context, a Attempt) (Precheck, error)
}

// Precheck is an answer of a Prechecker. The zero value lets the agent be upgraded.
type Precheck struct {
	State PrecheckState `json:"state"`
	// Version is what the agent runs now; empty means that it is not known. A rollback takes the agent back to it,
	// rather than to what the Spec said. A ready agent that runs the version of the target is at the target.
	Version string `json:"version,omitempty"`
	// Reason is why the agent is to be left out, or does not answer, for people; cut to 4 KiB.
	Reason string `json:"reason,omitempty"`
}

// PrecheckState is how an agent is before anything is done to it.
type PrecheckState uint8

// The states that a precheck can find an agent in.
const (
	PrecheckReady    PrecheckState = iota // it may be upgraded
	PrecheckAtTarget                      // nothing has to be done: it succeeds untouched
	PrecheckBlocked                       // it is to be left out: it is skipped, which is no failure
	PrecheckAway                          // it does not answer: it is asked again later, until QueueLimit, without a slot
)

var precheckNames = []string{"ready", "at_target", "blocked", "away"}

// String returns "ready", "at_target", "blocked" or "away".
func (s PrecheckState) String() string { return enumName(precheckNames, s) }

// MarshalText returns what String returns.
func (s PrecheckState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText accepts what String returns and refuses everything else.
func (s *PrecheckState) UnmarshalText(b []byte) error {
	return enumParse(precheckNames, "precheck state", b, s)
}

// precheckHolds is how long an answer lets an agent be started. One that could not start by then, because the plan was
// paused or its window closed, is asked again.
const precheckHolds = time.Minute

// checks are the agents of the current batch that are asked whether they may be started, or may be and wait for that. Each
// counts as open; nothing of them is stored before they start.
type checks struct {
	of    map[int]*check // by ordinal
	ready fifo           // those that have answered
}

type check struct {
	at      int64 // when it was answered; 0: it is being asked
	version cleaned
}

// precheckAnswer is what a Prechecker said: what becomes of the agent, or, without an outcome, that it may be started.
type precheckAnswer struct {
	ordinal int
	at      int64
	version cleaned
	outcome *outcome
}

// unchecked reports whether an agent has to be asked before it is started.
func (s *state) unchecked(r *resident) bool {
	return s.calls.prechecker && r.State.active() == 0 && r.State.Task.Number == 0
}

// precheck has an agent asked, which takes a place from now on.
func (s *state) precheck(r *resident) {
	q := &s.queue
	if q.checks.of == nil {
		q.checks.of = map[int]*check{}
	}
	q.checks.of[r.Ordinal] = &check{}
	q.lanes.count(r, 1)
	if r.State.Status == TaskPending {
		q.passed.add(r.Ordinal)
	}
	s.asks = append(s.asks, ask{kind: askPrecheck, ordinal: r.Ordinal})
}

// checked takes an agent out of those that are asked: it starts, or was left out.
func (s *state) checked(r *resident) (version cleaned) {
	c := s.queue.checks.of[r.Ordinal]
	if c == nil {
		return ""
	}
	delete(s.queue.checks.of, r.Ordinal)
	s.queue.passed.remove(r.Ordinal)
	s.queue.lanes.count(r, -1)
	return c.version
}

// foldPrechecks takes in the answers of the Prechecker. What is not expected, because the state was loaded again since it
// was asked, is nothing: the agent is asked anew.
func (s *state) foldPrechecks() need {
	for len(s.in.prechecks) > 0 {
		a := &s.in.prechecks[0]
		if c := s.queue.checks.of[a.ordinal]; c != nil && c.at == 0 {
			r := s.rows.at(a.ordinal)
			if r == nil {
				return need{kind: needPage, from: a.ordinal}
			}
			s.prechecked(r, c, a)
		}
		s.in.prechecks = s.in.prechecks[1:]
	}
	return need{}
}

func (s *state) prechecked(r *resident, c *check, a *precheckAnswer) {
	switch {
	case !startable(r):
		s.checked(r)
	case a.outcome == nil, s.status() != StatusRunning:
		c.at, c.version = a.at, a.version
		if a.outcome != nil { // nothing becomes of it while the plan is held; it is asked again
			c.at = 1
		}
		s.queue.checks.ready.push(r.Ordinal)
	default:
		s.checked(r)
		s.become(r, a.outcome)
		b := s.batch(r.Batch)
		b.Cursor = s.queue.cursor()
	}
}

func startable(r *resident) bool {
	return r.State.Status == TaskPending || r.State.Status == TaskWaiting
}

// startChecked starts agents that may be, as far as their prechecks go.
func (s *state) startChecked(n int, now int64) need {
	q := &s.queue.checks
	for ; n > 0 && q.ready.len() > 0; n-- {
		o := q.ready.items[q.ready.head]
		r := s.rows.at(o)
		if r == nil {
			return need{kind: needPage, from: o}
		}
		q.ready.pop()
		switch c := q.of[o]; {
		case !startable(r):
			s.checked(r)
		case now-c.at > int64(precheckHolds):
			c.at = 0
			s.asks = append(s.asks, ask{kind: askPrecheck, ordinal: o})
		default:
			s.start(r, now)
		}
	}
	return need{}
}

// keepPrevious remembers the version that a precheck has found, where it is not the one known.
func (s *state) keepPrevious(r *resident, version cleaned) {
	if version == "" || string(version) == s.previous(r) {
		return
	}
	more := AgentMore{}
	if r.State.More != nil {
		more = *r.State.More
	}
	more.Previous = string(version)
	r.State.More = &more
	s.dirty(r)
}

// previous is the version of an agent before the plan, as far as known.
func (s *state) previous(r *resident) string { return r.previous(&s.spec) }

func (r *AgentRow) previous(s *PlanSpec) string {
	switch {
	case r.State.More != nil && r.State.More.Previous != "":
		return r.State.More.Previous
	case r.Agent.Version != "":
		return r.Agent.Version
	default:
		return s.FromVersion
	}
}

// answerPrecheck asks the Prechecker.
func (d *driver) answerPrecheck(ctx context.Context, a ask, err error) func(*input) {
	p, after := precheckSaid(d.e.opt.SameVersion, a.attempt, Precheck{}, err)
	if err == nil {
		p, after = d.e.precheck(ctx, d.e.with.Prechecker, a.attempt)
	}
	reply := p.answer(a, after, d.e.now())
	return func(in *input) { in.prechecks = append(in.prechecks, reply) }
}

// precheck asks.
func (e *Engine) precheck(ctx context.Context, x Prechecker, a Attempt) (p Precheck, after time.Duration) {
	p, err := protect(func() (Precheck, error) { return x.Precheck(ctx, a) })
	e.logPanic(ctx, err, "plan", a.Plan, "agent", a.Agent)
	return precheckSaid(e.opt.SameVersion, a, p, err)
}

// precheckSaid is what an answer means.
func precheckSaid(same sameness, a Attempt, p Precheck, err error) (_ Precheck, after time.Duration) {
	if err != nil {
		x := readError(err)
		return Precheck{State: PrecheckAway, Reason: string(x.text)}, x.after
	}
	p.Reason, p.Version = string(cleanMessage(p.Reason)), string(same.as(cleanVersion(p.Version), a.ToVersion))
	switch {
	case p.State > PrecheckAway:
		return Precheck{State: PrecheckAway, Reason: "the precheck answered with the unknown state " + p.State.String()}, 0
	case p.State == PrecheckReady && p.Version == a.ToVersion:
		p.State = PrecheckAtTarget
	}
	return p, 0
}

// answer is what a precheck makes of its agent, by the same table as the outcome of a call.
func (p Precheck) answer(a ask, after time.Duration, now time.Time) precheckAnswer {
	out := precheckAnswer{ordinal: a.ordinal, at: now.UnixNano(), version: cleanVersion(p.Version)}
	o := &outcome{
		ordinal: a.ordinal, agent: a.attempt.Agent, task: a.attempt.Task, at: out.at, unchanged: true, after: after, text: cleanMessage(p.Reason),
	}
	switch p.State {
	case PrecheckReady:
		return out
	case PrecheckAtTarget:
		o.reason = ReasonSucceeded
	case PrecheckBlocked:
		o.reason = ReasonBlocked
	default:
		o.reason = ReasonUnreachable
		if after > 0 {
			o.reason = ReasonThrottled
		}
	}
	out.outcome = o
	return out
}
