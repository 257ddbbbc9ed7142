package ota

import (
	"time"

	"github.com/seed-19b57ce3/ota/internal/queue"
)

// precheckHolds is how long a precheck stays valid. If an agent could not start by then, because
// the plan was paused or its window closed, it is asked again.
const precheckHolds = time.Minute

// checks are the agents of the current batch that are being prechecked, or have passed and wait to
// start. Each counts as open. They are not stored.
type checks struct {
	of    map[int]*check // by ordinal
	ready queue.FIFO     // those with an answer
	down  queue.FIFO     // those with an answer that are down: they start first
}

type check struct {
	at      int64 // when it was answered; 0: the question is out
	expired bool  // the answer does not count any more
	found   precheckFound
}

// precheckAnswer is the answer of a Prechecker: what happens to the agent. Without an outcome the
// agent may start.
type precheckAnswer struct {
	ordinal int
	at      int64
	found   precheckFound
	outcome *outcome
}

// unchecked reports whether an agent needs a precheck before it starts.
func (s *state) unchecked(r *cachedRow) bool {
	return s.calls.prechecker && r.State.active() == 0 && r.State.Task.Number == 0
}

// precheck queues a precheck. The agent counts as open from here.
func (s *state) precheck(r *cachedRow) {
	q := &s.queue
	if q.checks.of == nil {
		q.checks.of = map[int]*check{}
	}
	q.checks.of[r.Ordinal] = &check{}
	q.lanes.count(r, 1)
	if r.State.Status == TaskPending {
		q.passed.Add(r.Ordinal)
	}
	s.asks = append(s.asks, ask{kind: askPrecheck, ordinal: r.Ordinal})
}

// precheckFound is what a precheck found out about an agent. Empty means unknown.
type precheckFound struct {
	version, release cleaned
	down             bool
}

// checked removes the agent from the prechecks, because it starts or ended, and returns what its
// precheck found.
func (s *state) checked(r *cachedRow) precheckFound {
	c := s.queue.checks.of[r.Ordinal]
	if c == nil {
		return precheckFound{}
	}
	delete(s.queue.checks.of, r.Ordinal)
	s.queue.passed.Remove(r.Ordinal)
	s.queue.lanes.count(r, -1)
	return c.found
}

// foldPrechecks folds the answers of the Prechecker. An answer to a question from before the state
// was loaded again is ignored: the agent is asked anew.
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

func (s *state) prechecked(r *cachedRow, c *check, a *precheckAnswer) {
	switch {
	case !startable(r):
		s.checked(r)
	case a.outcome == nil, s.status() != StatusRunning:
		// An outcome has no effect while the plan is paused. The agent is asked again before it
		// starts.
		c.at, c.found, c.expired = a.at, a.found, a.outcome != nil
		switch {
		case r.is(agentUrgent):
		case a.found.down:
			s.queue.checks.down.Push(r.Ordinal)
		default:
			s.queue.checks.ready.Push(r.Ordinal)
		}
	default:
		s.checked(r)
		s.applyOutcome(r, a.outcome)
		if a.found.down && r.State.Status != TaskSucceeded {
			s.setFlag(r, agentDown, true)
		}
		b := s.batch(r.Batch)
		b.Cursor = s.queue.cursor()
	}
}

func startable(r *cachedRow) bool {
	return r.State.Status == TaskPending || r.State.Status == TaskWaiting
}

// startChecked starts up to n agents that passed their precheck. It asks again where the precheck
// has expired.
func (s *state) startChecked(n int, now int64) need {
	q := &s.queue.checks
	for ; n > 0 && q.readyLen() > 0; n-- {
		from := &q.ready
		if q.down.Len() > 0 {
			from = &q.down
		}
		o := from.Front()
		r := s.rows.at(o)
		if r == nil {
			return need{kind: needPage, from: o}
		}
		from.Pop()
		switch {
		case !startable(r):
			s.checked(r)
		case q.of[o] == nil, r.is(agentUrgent): // it was made urgent, and is queued there
		case s.overChecked(r): // another agent went down since the question
			s.checked(r)
			if !s.queue.lanes.postpone(r) && s.queue.lanes.wait(r) && r.State.Status == TaskPending {
				s.queue.passed.Add(o)
			}
		case !s.checkExpired(o, now):
			s.start(r, now)
		}
	}
	return need{}
}

// readyLen returns how many agents have an answer and may start.
func (q *checks) readyLen() int { return q.ready.Len() + q.down.Len() }

// overChecked reports whether an agent that is prechecked must not start, see lanes.over. By then
// its answer says whether it serves. That is news if an earlier one said that it was down.
func (s *state) overChecked(r *cachedRow) bool {
	down := s.queue.checks.of[r.Ordinal].found.down
	if !down && r.is(agentDown) && !r.is(agentChanged) {
		s.setFlag(r, agentDown, false)
		s.event(Event{Kind: EventHealth, Batch: r.Batch, Agent: r.Agent.ID, Reason: ReasonSucceeded, Text: "it serves, as its precheck says"})
	}
	return !down && s.queue.lanes.over(r)
}

// checkExpired reports whether the answer of a precheck does not count any more, and asks again
// then.
func (s *state) checkExpired(ordinal int, now int64) bool {
	c := s.queue.checks.of[ordinal]
	expired := c.expired || now-c.at > int64(precheckHolds)
	if expired {
		c.at, c.expired = 0, false
		s.asks = append(s.asks, ask{kind: askPrecheck, ordinal: ordinal})
	}
	return expired
}

// keepPrevious records the version and the release that a precheck found, if they differ from the
// known ones.
func (s *state) keepPrevious(r *cachedRow, found precheckFound) {
	version := found.version != "" && string(found.version) != s.previous(r)
	release := found.release != "" && string(found.release) != s.spec.task(&r.Agent, 0).FromRelease
	if !version && !release {
		return
	}
	more := agentMore{}
	if r.State.More != nil {
		more = *r.State.More
	}
	if version {
		more.Previous = string(found.version)
	}
	if release {
		more.Release = string(found.release)
	}
	r.State.More = &more
	s.dirty(r)
}

// previous is the agent's version before the plan, as far as it is known.
func (s *state) previous(r *cachedRow) string { return r.previous(&s.spec) }
