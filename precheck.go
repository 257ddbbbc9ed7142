package ota

import (
	"time"
)

// precheckHolds is how long an answer lets an agent be started. One that could not start by then, because the plan was
// paused or its window closed, is asked again.
const precheckHolds = time.Minute

// unchecked reports whether an agent has to be asked before it is started.
func (s *state) unchecked(r *cachedRow) bool {
	return s.calls.prechecker && r.State.active() == 0 && r.State.Task.Number == 0
}

// precheck has an agent asked, which takes a place from now on.
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

// checked takes an agent out of those that are asked: it starts, or was left out.
func (s *state) checked(r *cachedRow) (version cleaned) {
	c := s.queue.checks.of[r.Ordinal]
	if c == nil {
		return ""
	}
	delete(s.queue.checks.of, r.Ordinal)
	s.queue.passed.Remove(r.Ordinal)
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

func (s *state) prechecked(r *cachedRow, c *check, a *precheckAnswer) {
	switch {
	case !startable(r):
		s.checked(r)
	case a.outcome == nil, s.status() != StatusRunning:
		c.at, c.version = a.at, a.version
		if a.outcome != nil { // nothing becomes of it while the plan is held; it is asked again
			c.at = 1
		}
		s.queue.checks.ready.Push(r.Ordinal)
	default:
		s.checked(r)
		s.applyOutcome(r, a.outcome)
		b := s.batch(r.Batch)
		b.Cursor = s.queue.cursor()
	}
}

func startable(r *cachedRow) bool {
	return r.State.Status == TaskPending || r.State.Status == TaskWaiting
}

// startChecked starts agents that may be, as far as their prechecks go.
func (s *state) startChecked(n int, now int64) need {
	q := &s.queue.checks
	for ; n > 0 && q.ready.Len() > 0; n-- {
		o := q.ready.Front()
		r := s.rows.at(o)
		if r == nil {
			return need{kind: needPage, from: o}
		}
		q.ready.Pop()
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
func (s *state) keepPrevious(r *cachedRow, version cleaned) {
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
func (s *state) previous(r *cachedRow) string { return r.previous(&s.spec) }
