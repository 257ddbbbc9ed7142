package ota

import "slices"

// A breach is ambient if agents are sick which the plan has not begun. It pauses the plan, and what
// failed meanwhile is judged again.

var ambientBreach = Breach{Reason: ReasonAmbient, Batch: -1, Action: ActionPause}

// ambientVerdict finds that agents are sick which this plan has not begun. The breaches by failures
// become one that pauses, and the agents that failed since the last quiet round are judged again.
func (s *state) ambientVerdict(now int64) need {
	g, p := &s.group, &s.p
	if n, done := s.judgeAgain(now, now); !done {
		return n
	}
	br := ambientBreach
	br.At, br.Text = stamp(now), g.String()+" too: an outage, or a release that harms others"
	s.pruneBreaches()
	p.Breaches = slices.DeleteFunc(p.Breaches, func(b Breach) bool {
		waits := b.Number >= p.Undecided && fromFailures(b.Reason)
		if waits && b.At.Before(br.At) {
			br.At = b.At
		}
		return waits
	})
	for i := range p.Breaches {
		if b := &p.Breaches[i]; b.Number >= p.Undecided && b.Action == ActionRollback {
			b.Action = ActionPause
		}
	}
	for _, i := range sortedKeys(s.batches) {
		b := s.batches[i]
		if b.Continued || b.ExpectContinued { // what happens after the outage is news
			b.Continued, b.ExpectContinued = false, false
			s.dirtyBatch(b)
		}
	}
	p.Undecided, p.Ambient, p.ConsecutiveFailures = 0, true, 0
	if old := s.openBreach(br); old != nil {
		old.Text = br.Text
		s.change.bump = true
		s.event(Event{Kind: EventBreach, Batch: -1, Reason: br.Reason, Text: br.String()})
	} else {
		s.recordBreach(br)
	}
	g.active, s.change.again = false, true
	return need{}
}

// judgeAgain takes back the failures from the beginning of the last quiet round until then. An
// agent that turned unhealthy is asked again. One whose attempt failed is pending, and no try is
// charged. It reads the failed agents a chunk at a time; done reports that it has read them all.
func (s *state) judgeAgain(until, now int64) (n need, done bool) {
	g, q := &s.group, &s.queue
	if q.orderRows == nil {
		if len(s.change.agents) > 0 { // the Store does not have these failures yet
			s.change.again = true
			return need{}, false
		}
		if b := s.current(); g.cursor == 0 && b != nil {
			s.probing.active = false
			s.probing.beginSoak(b) // also no question missed in an outage counts
			clear(s.probing.silent)
		}
		return need{kind: needFailed, from: g.cursor, status: []TaskStatus{TaskFailed, TaskUnknown}}, false
	}
	for _, r := range q.orderRows {
		if s.batch(r.Batch) == nil {
			return need{kind: needBatch, from: r.Batch}, false
		}
	}
	retried := false
	for _, r := range q.orderRows {
		g.cursor = r.Ordinal + 1
		switch at, unwell := r.State.failed(); {
		case at < s.p.Quiet || at > until || at == 0:
		case unwell && !s.healthCounts(s.batch(r.Batch)): // nothing asks it again
		case unwell:
			s.unfail(r, now)
		default:
			retried = true
			s.retry(r, stamp(now))
		}
	}
	q.orderRows = nil
	if retried {
		s.stepBack()
	}
	if q.moreOrderRows {
		s.change.again = true
		return need{}, false
	}
	g.cursor = 0
	return need{}, true
}

// healthCounts reports whether the health of a batch's agents still counts.
func (s *state) healthCounts(b *batch) bool {
	return b.Status != BatchCompleted || s.c.Policy.Soak.ToEnd || b.Index == s.watched()
}

// failed returns when an agent failed, or 0 if a person ended its attempt. unwell reports that it
// had succeeded before.
func (a *agentState) failed() (at int64, unwell bool) {
	for i := range a.tasks() {
		if t := a.task(i); bad(t.Status) {
			if t.Why == ReasonOperator {
				return 0, false
			}
			at, unwell = max(at, t.Ended), t.Why == ReasonUnhealthy || t.Why == ReasonSilent
		}
	}
	return at, unwell
}

// unfail takes back that an agent failed because it turned unhealthy. It is still unhealthy, and
// its next answer counts.
func (s *state) unfail(r *cachedRow, now int64) {
	i := r.State.tasks() - 1
	t := r.State.task(i)
	t.Why, t.More = ReasonSucceeded, nil
	if !r.is(agentChanged) {
		t.Why = ReasonAtTarget
	}
	s.setTask(r, i, TaskSucceeded)
	s.setAgent(r, TaskSucceeded)
	b := s.batch(r.Batch)
	for _, e := range [2]*evidence{&b.Evidence, &s.p.Evidence} {
		e.retried()
	}
	b.Accepted = min(b.Accepted, b.Counts.Bad())
	s.p.Accepted = min(s.p.Accepted, s.p.Counts.Bad())
	s.setFlag(r, agentAtTarget, !r.is(agentChanged))
	s.setFlag(r, agentUnhealthy, true)
	s.setUnhealthySince(r, now)
	if b.Status == BatchCompleted {
		s.probing.note(r.Ordinal, silence{agent: r.Agent.ID, proven: true}) // the next round asks it
	}
	s.taskEvent(EventTaskSucceeded, r, i, ReasonAmbient, "its health is judged again")
}
