package ota

import (
	"slices"
	"time"

	"github.com/seed-19b57ce3/ota/internal/queue"
)

// An inquiry is a question to the outside, which the shell asks for the core. It is read-only and
// has a time limit, and at most Concurrency are out at once, besides those to a group to compare
// with. Its answer is input: it counts when it is committed.

// probeAnswer is the answer of a Prober. known is false if it could not tell.
type probeAnswer struct {
	ordinal int
	number  uint32 // the successful attempt when the question was asked
	at      int64
	known   bool
	healthy bool
	reason  cleaned
	compare bool // the plan has not begun the agent
}

// inspectAnswer is the answer of an Inspector: how the attempt ended. Without an outcome the
// attempt is called again.
type inspectAnswer struct {
	ordinal int
	task    int
	number  uint32
	outcome *outcome
}

// foldHealth folds health reports and answers of the Prober. It needs the rows of agents that are
// not in memory.
func (s *state) foldHealth() need {
	for len(s.in.probes) > 0 {
		a := s.in.probes[0]
		if a.compare {
			s.foldCompared(&a)
			s.in.probes = s.in.probes[1:]
			continue
		}
		r := s.rows.at(a.ordinal)
		switch {
		case r == nil: // the state was loaded again since the question
			return need{kind: needPage, from: a.ordinal}
		case s.batch(r.Batch) == nil:
			return need{kind: needBatch, from: r.Batch}
		}
		if a.number == r.State.task(r.State.tasks()-1).Number { // the agent was not retried since
			s.setProbing(r, false)
			if a.known {
				s.health(r, a.healthy, a.at, ReasonUnhealthy, a.reason)
			} else {
				s.missed(r, a.at)
			}
		}
		s.in.probes = s.in.probes[1:]
	}
	for len(s.in.health) > 0 {
		h := &s.in.health[0]
		s.p.Inbox = max(s.p.Inbox, h.message)
		if !h.found {
			return s.wantHealth()
		}
		if h.ordinal < 0 {
			s.lateHealth(h.agent, h.healthy, "the plan has no such agent")
		} else {
			r := s.rows.at(h.ordinal)
			if s.batch(r.Batch) == nil {
				return need{kind: needBatch, from: r.Batch}
			}
			s.health(r, h.healthy, h.at, ReasonUnhealthy, h.reason)
		}
		s.in.health = s.in.health[1:]
	}
	return need{}
}

// wantHealth is the need for the rows of health reports, a chunk at a time.
func (s *state) wantHealth() need {
	n := need{kind: needHealth}
	for i := range s.in.health {
		if !s.in.health[i].found && len(n.ids) < orderChunk {
			n.ids = append(n.ids, s.in.health[i].agent)
		}
	}
	return n
}

// healthRowsLoaded adds the rows of wantHealth. An ID without a row is unknown to the plan.
func (s *state) healthRowsLoaded(ids []string, rows []agentRow) {
	ordinals := make(map[string]int, len(rows))
	for _, row := range rows {
		s.rows.add(row)
		ordinals[row.Agent.ID] = row.Ordinal
	}
	for _, id := range ids {
		for i := range s.in.health {
			if h := &s.in.health[i]; h.agent == id && !h.found {
				h.found, h.ordinal = true, -1
				if o, ok := ordinals[id]; ok {
					h.ordinal = o
				}
			}
		}
	}
}

// health folds one report. A report counts once, if its time is between the agent's success and the
// start of the next batch. With Soak.ToEnd, it counts until the plan ends. Otherwise an unhealthy
// report is only an event. why is the reason of an unhealthy one.
func (s *state) health(r *cachedRow, healthy bool, at int64, why Reason, reason cleaned) {
	b := s.batch(r.Batch)
	switch {
	case r.State.Status != TaskSucceeded, !canBreach(s.status()):
		s.lateHealth(r.Agent.ID, healthy, reason)
		return
	case r.is(agentReleased): // the plan's claim on the agent has ended
		s.lateHealth(r.Agent.ID, healthy, reason)
		return
	case at < r.State.task(r.State.tasks()-1).Ended, b.Status == BatchCompleted && at > nanos(b.ClosedAt) && !s.c.Policy.Soak.ToEnd && b.Index != s.watched() && !r.is(agentStraggler):
		s.lateHealth(r.Agent.ID, healthy, reason)
		return
	}
	was, late := r.is(agentUnhealthy), r.is(agentStraggler)
	if why != ReasonSilent {
		s.heard(r, healthy)
	}
	switch {
	case healthy && !was && late:
		s.event(Event{Kind: EventHealth, Batch: r.Batch, Agent: r.Agent.ID, Reason: ReasonSucceeded, Text: string(reason)})
	case healthy && !was:
	case healthy:
		s.setFlag(r, agentUnhealthy, false)
		s.setFlag(r, agentDown, false)
		s.setUnhealthySince(r, 0)
		b.HealthySince = stamp(at)
		s.event(Event{Kind: EventHealth, Batch: r.Batch, Agent: r.Agent.ID, Reason: ReasonSucceeded, Text: string(reason)})
	case s.c.Policy.Soak.Grace == 0, b.Status == BatchCompleted:
		s.failUnhealthy(r, at, why, reason)
	case !was:
		s.setFlag(r, agentUnhealthy, true)
		s.setFlag(r, agentDown, true)
		s.setUnhealthySince(r, at)
		s.queue.timers.Push(queue.Timer{At: at + int64(s.c.Policy.Soak.Grace), Item: r.Ordinal, Kind: timerHealth})
		s.event(Event{Kind: EventHealth, Batch: r.Batch, Agent: r.Agent.ID, Reason: why, Text: string(reason)})
	case at >= r.State.More.Unhealthy+int64(s.c.Policy.Soak.Grace):
		s.failUnhealthy(r, at, why, reason)
	}
}

// lateHealth records an unhealthy report that does not count. Healthy ones are ignored.
func (s *state) lateHealth(agent string, healthy bool, reason cleaned) {
	if healthy {
		return
	}
	s.event(Event{Kind: EventLate, Batch: -1, Agent: agent, Reason: ReasonUnhealthy, Text: string(reason)})
}

// setUnhealthySince records since when an agent is unhealthy; 0: it is not.
func (s *state) setUnhealthySince(r *cachedRow, at int64) {
	more := agentMore{}
	if r.State.More != nil {
		more = *r.State.More
	}
	more.Unhealthy = at
	r.State.More = nil
	if more != (agentMore{}) {
		r.State.More = &more
	}
	s.dirty(r)
}

// asksFirst reports whether an unhealthy agent whose grace is over is to be asked once more before
// it fails. No round of questions was completed since the plan was loaded. So the agent may have
// recovered while the plan had no engine.
func (s *state) asksFirst(r *cachedRow) bool {
	b := s.batch(r.Batch)
	return s.calls.prober && s.probing.rounds == 0 && b != nil && b.Status == BatchSoaking && r.Batch == s.p.Batch
}

// unhealthyLongEnough fails an agent that did not recover within Soak.Grace.
func (s *state) unhealthyLongEnough(r *cachedRow, now int64) {
	if !r.is(agentUnhealthy) || r.State.More == nil || !canBreach(s.status()) {
		return
	}
	if now >= r.State.More.Unhealthy+int64(s.c.Policy.Soak.Grace) {
		why := ReasonUnhealthy
		if _, silent := s.probing.silent[r.Ordinal]; silent {
			why = ReasonSilent
		}
		s.failUnhealthy(r, now, why, cleanLine("unhealthy for "+s.c.Policy.Soak.Grace.String()))
	}
}

// failUnhealthy fails an agent that had succeeded.
func (s *state) failUnhealthy(r *cachedRow, at int64, why Reason, reason cleaned) {
	i := r.State.tasks() - 1
	t := r.State.task(i)
	s.probing.forget(r.Ordinal)
	t.Why, t.Ended = why, at
	t.More = &taskMore{Error: string(reason)}
	s.setUnhealthySince(r, 0)
	s.setFlag(r, agentUnhealthy, false)
	s.setFlag(r, agentDown, true)
	s.setFlag(r, agentAtTarget, false)
	s.setTask(r, i, TaskFailed)
	s.taskEvent(EventTaskFailed, r, i, why, string(reason))
	s.setAgent(r, TaskFailed)
	b := s.batch(r.Batch)
	if b.Unhealthy == 0 {
		b.HealthySince = time.Unix(0, at).UTC()
	}
}

// foldUnconfirmed skips the tasks of a rollback that proved unchanged after their calls in the
// source had ended. An agent without another task is skipped too. It also marks the agents that
// proved bad.
func (s *state) foldUnconfirmed(now int64) need {
	if !s.calls.source || s.p.Confirmed >= s.spec.Unconfirmed {
		return need{}
	}
	ordinals := slices.Clone(s.calls.bad)
	for _, d := range s.calls.untouched {
		ordinals = append(ordinals, d.ordinal)
	}
	for _, o := range ordinals {
		r := s.rows.at(o)
		if r == nil {
			return need{kind: needPage, from: o}
		}
		if s.batch(r.Batch) == nil {
			return need{kind: needBatch, from: r.Batch}
		}
	}
	for _, o := range s.calls.bad {
		s.setFlag(s.rows.at(o), agentWasBad, true)
	}
	for _, d := range s.calls.untouched {
		r := s.rows.at(d.ordinal)
		t := r.State.task(d.task)
		if !t.unstarted() {
			continue
		}
		t.Why, t.Ended = ReasonUnchanged, now
		s.setTask(r, d.task, TaskSkipped)
		s.taskEvent(EventTaskSkipped, r, d.task, ReasonUnchanged, "")
		switch {
		case r.State.task(r.State.active()).Status.Finished():
			s.setAgent(r, TaskSkipped)
		case r.is(agentUrgent): // it goes on with its next task
			s.queue.dropUrgent(r.Ordinal)
			s.requeue(r)
		}
	}
	s.p.Confirmed = s.spec.Unconfirmed
	return need{}
}

// askLimit is the time limit of a question.
const askLimit = 30 * time.Second

// askGate asks the gate of the soaking batch, unless a question is out. It returns when to ask
// again.
func (s *state) askGate(now time.Time) (due int64) {
	b := s.current()
	every := s.c.Policy.Gate.Interval
	if every == 0 {
		every = DefaultGateInterval
	}
	if at := b.GateAt.Add(every); !b.GateAt.IsZero() && now.Before(at) {
		return at.UnixNano()
	}
	if !s.gating && s.calls.asks() {
		s.gating, s.asksGate = true, true
	}
	return 0
}

// gateAnswer is the answer of a Gater about a batch.
type gateAnswer struct {
	batch int
	// when the batch of the question finished; a later finish makes the answer stale
	finishedAt time.Time
	verdict    GateVerdict
	text       cleaned // of an error
}

// foldGates folds answers of the Gater.
func (s *state) foldGates(now time.Time) {
	for _, a := range s.in.gates {
		b := s.batch(a.batch)
		if b == nil || !b.FinishedAt.Equal(a.finishedAt) {
			continue // the batch has run again since the question
		}
		s.gating = false
		if b.Status != BatchSoaking || !canBreach(s.status()) {
			continue
		}
		b.Gate, b.GateAt = a.verdict, now
		switch a.verdict {
		case GateInconclusive:
			b.Inconclusive++
		case GateNone:
			b.GateErrors++
		}
		s.dirtyBatch(b)
		s.event(Event{Kind: EventGate, Batch: b.Index, Number: int(a.verdict), Text: string(cleanMessage(a.verdict.String() + string(a.text)))})
		s.gateVerdict(b, now)
	}
	s.in.gates = nil
}

// readPrecheck interprets the answer of a Prechecker.
func readPrecheck(same sameness, a Attempt, p Precheck, err error) (_ Precheck, after time.Duration) {
	if err != nil {
		x := readError(err)
		return Precheck{State: PrecheckUnreachable, Reason: string(x.text)}, x.after
	}
	p.Reason, p.Version = string(cleanMessage(p.Reason)), string(same.as(cleanVersion(p.Version), a.ToVersion))
	switch {
	case p.State > PrecheckUnreachable:
		return Precheck{State: PrecheckUnreachable, Reason: "the precheck answered with the unknown state " + p.State.String()}, 0
	case p.State == PrecheckReady && p.Version == a.ToVersion:
		p.State = PrecheckAtTarget
	case p.State == PrecheckAtTarget && p.Version != "" && p.Version != a.ToVersion:
		p.State = PrecheckReady // what it runs counts
	}
	return p, 0
}

// answer turns a precheck into input. An agent that cannot start gets an outcome of the same table
// as a call.
func (p Precheck) answer(a ask, after time.Duration, now time.Time) precheckAnswer {
	out := precheckAnswer{ordinal: a.ordinal, at: now.UnixNano(), found: precheckFound{cleanVersion(p.Version), cleanVersion(p.Release), p.Down}}
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
