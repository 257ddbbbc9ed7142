package ota

import "time"

// An inquiry is a question to the world outside, asked by the shell for the core: read-only, with a time limit, and at
// most Concurrency at once. Its answer is an input like any other, and is committed before it counts.

// ask is a question.
type ask struct {
	kind    askKind
	task    int     // of the agent
	attempt Attempt // what it is about
	ordinal int
	number  uint32
	batch   int       // of askGate
	settled time.Time // of askGate: since when the batch is observed
}

type askKind uint8

const (
	askProbe    askKind = iota + 1 // is the agent healthy?
	askInspect                     // what became of the attempt?
	askGate                        // was the batch good enough?
	askPrecheck                    // may the agent be started?
)

// probeAnswer is what a Prober said, or that it did not know.
type probeAnswer struct {
	ordinal int
	number  uint32 // of the attempt that had succeeded when the agent was asked
	at      int64
	known   bool
	healthy bool
	reason  cleaned
}

// inspectAnswer is what an Inspector said: how the attempt ended, or, without an outcome, that it is to be called again.
type inspectAnswer struct {
	ordinal int
	task    int
	number  uint32
	outcome *outcome
}

// healthReport is one report of ReportHealth, for an agent whose row the shell has found.
type healthReport struct {
	agent   string
	healthy bool
	at      int64
	reason  cleaned
	message uint64 // of the inbox
	found   bool   // its row was looked for
	ordinal int    // -1: the plan has no such agent
}

// probing is one round of questions to the agents of the observed batch.
type probing struct {
	rounds  int   // finished since the batch was settled
	started int64 // of the round under way, or of the last one
	active  bool
	next    int // ordinal to ask next
	out     int // questions that are not answered yet
}

// probe goes on with the round of questions, and says when the next one is due.
func (s *state) probe(now int64) (n need, due int64) {
	b, pr := s.current(), &s.probing
	if !s.calls.prober || !s.calls.asks() {
		return need{}, 0
	}
	every := int64(s.c.Policy.Observe.Probe)
	if every <= 0 {
		every = int64(DefaultProbe)
	}
	if !pr.active {
		if due := pr.started + every; pr.started != 0 && now < due {
			return need{}, due
		}
		*pr = probing{rounds: pr.rounds, started: now, active: true, next: b.First, out: pr.out}
		if s.c.Policy.Observe.ToEnd {
			pr.next = 0
		}
	}
	for end := b.First + b.Size; pr.next < end && pr.out < s.c.Policy.Concurrency; pr.next++ {
		r := s.rows.at(pr.next)
		if r == nil {
			return need{kind: needPage, from: pr.next}, 0
		}
		if r.State.Status == TaskSucceeded && !r.is(AgentReleased) {
			i := r.State.tasks() - 1
			s.asking(r, true)
			s.asks = append(s.asks, ask{kind: askProbe, ordinal: r.Ordinal, task: i, number: r.State.task(i).Number})
		}
	}
	if pr.next == b.First+b.Size && pr.out == 0 {
		pr.active = false
		pr.rounds++
		s.fx.again = true // the barriers are to be asked again
		return need{}, pr.started + every
	}
	return need{}, 0
}

// asking keeps count of the agents about whose health a question is out.
func (s *state) asking(r *resident, on bool) {
	switch {
	case r.well == on:
		return
	case on:
		s.probing.out++
	default:
		s.probing.out--
	}
	s.rows.asking(r, on)
}

// foldHealth takes in reports and the answers of a Prober. It needs the rows of agents that are not in memory.
func (s *state) foldHealth() need {
	for len(s.in.probes) > 0 {
		a := s.in.probes[0]
		r := s.rows.at(a.ordinal)
		switch {
		case r == nil: // the question was asked before the state was loaded again
			return need{kind: needPage, from: a.ordinal}
		case s.batch(r.Batch) == nil:
			return need{kind: needBatch, from: r.Batch}
		}
		if a.number == r.State.task(r.State.tasks()-1).Number { // it has not been tried again since
			s.asking(r, false)
			if a.known {
				s.health(r, a.healthy, a.at, a.reason)
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
			s.late(h.agent, h.healthy, "the plan has no such agent")
		} else {
			r := s.rows.at(h.ordinal)
			if s.batch(r.Batch) == nil {
				return need{kind: needBatch, from: r.Batch}
			}
			s.health(r, h.healthy, h.at, h.reason)
		}
		s.in.health = s.in.health[1:]
	}
	return need{}
}

func (s *state) wantHealth() need {
	n := need{kind: needHealth}
	for i := range s.in.health {
		if !s.in.health[i].found && len(n.ids) < orderChunk {
			n.ids = append(n.ids, s.in.health[i].agent)
		}
	}
	return n
}

// found takes in the rows that reports of health are about.
func (s *state) found(ids []string, rows []AgentRow) {
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

// health takes in one report. It counts when its time lies between the agent's success and the end of the batch's
// observation, or the plan's end if so set, once; otherwise it is an event and nothing else.
func (s *state) health(r *resident, healthy bool, at int64, reason cleaned) {
	b := s.batch(r.Batch)
	switch {
	case r.State.Status != TaskSucceeded, !judged(s.status()):
		s.late(r.Agent.ID, healthy, reason)
		return
	case r.is(AgentReleased): // the plan has nothing to do with it any more
		s.late(r.Agent.ID, healthy, reason)
		return
	case at < r.State.task(r.State.tasks()-1).Ended, b.Status == BatchCompleted && at > nanos(b.ClosedAt) && !s.c.Policy.Observe.ToEnd:
		s.late(r.Agent.ID, healthy, reason)
		return
	}
	was := r.is(AgentUnhealthy)
	switch {
	case healthy && !was:
	case healthy:
		s.setFlag(r, AgentUnhealthy, false)
		s.setSince(r, 0)
		b.HealthySince = stamp(at)
		s.event(Event{Kind: EventHealth, Batch: r.Batch, Agent: r.Agent.ID, Reason: ReasonSucceeded, Text: string(reason)})
	case s.c.Policy.Observe.Retry == 0, b.Status == BatchCompleted:
		s.unhealthy(r, at, reason)
	case !was:
		s.setFlag(r, AgentUnhealthy, true)
		s.setSince(r, at)
		s.queue.timers.push(timer{at: at + int64(s.c.Policy.Observe.Retry), ordinal: r.Ordinal, health: true})
		s.event(Event{Kind: EventHealth, Batch: r.Batch, Agent: r.Agent.ID, Reason: ReasonUnhealthy, Text: string(reason)})
	case at >= r.State.More.Unhealthy+int64(s.c.Policy.Observe.Retry):
		s.unhealthy(r, at, reason)
	}
}

// late tells of a healthy report only when it answers something; unhealthy ones are always told.
func (s *state) late(agent string, healthy bool, reason cleaned) {
	if healthy {
		return
	}
	s.event(Event{Kind: EventLate, Batch: -1, Agent: agent, Reason: ReasonUnhealthy, Text: string(reason)})
}

func (s *state) setSince(r *resident, at int64) {
	more := AgentMore{}
	if r.State.More != nil {
		more = *r.State.More
	}
	more.Unhealthy = at
	r.State.More = nil
	if more != (AgentMore{}) {
		r.State.More = &more
	}
	s.dirty(r)
}

// unhealthyLongEnough fails an agent whose time to recover has passed.
func (s *state) unhealthyLongEnough(r *resident, now int64) {
	if !r.is(AgentUnhealthy) || r.State.More == nil || !judged(s.status()) {
		return
	}
	if now >= r.State.More.Unhealthy+int64(s.c.Policy.Observe.Retry) {
		s.unhealthy(r, now, cleanLine("unhealthy for "+s.c.Policy.Observe.Retry.String()))
	}
}

// unhealthy fails an agent that had succeeded.
func (s *state) unhealthy(r *resident, at int64, reason cleaned) {
	i := r.State.tasks() - 1
	t := r.State.task(i)
	t.Why, t.Ended = ReasonUnhealthy, at
	t.More = &TaskMore{Error: string(reason)}
	s.setSince(r, 0)
	s.setFlag(r, AgentUnhealthy, false)
	s.setFlag(r, AgentAtTarget, false)
	s.setTask(r, i, TaskFailed)
	s.taskEvent(EventTaskFailed, r, i, ReasonUnhealthy, string(reason))
	s.setAgent(r, TaskFailed)
	b := s.batch(r.Batch)
	if b.Unhealthy == 0 {
		b.HealthySince = time.Unix(0, at).UTC()
	}
}

// foldDoubts leaves out the tasks of a rollback that were in flight when their plan was frozen and turned out untouched, and
// with its last task the agent.
func (s *state) foldDoubts(now int64) need {
	if !s.calls.source || s.p.Doubts >= s.spec.Doubtful {
		return need{}
	}
	for _, d := range s.untouched {
		r := s.rows.at(d.ordinal)
		if r == nil {
			return need{kind: needPage, from: d.ordinal}
		}
		if s.batch(r.Batch) == nil {
			return need{kind: needBatch, from: r.Batch}
		}
	}
	for _, d := range s.untouched {
		r := s.rows.at(d.ordinal)
		t := r.State.task(d.task)
		if r.State.Status != TaskPending || t.Status != TaskPending {
			continue
		}
		t.Why, t.Ended = ReasonUntouched, now
		s.setTask(r, d.task, TaskSkipped)
		s.taskEvent(EventTaskSkipped, r, d.task, ReasonUntouched, "")
		if r.State.task(r.State.active()).Status.Settled() {
			s.setAgent(r, TaskSkipped)
		}
	}
	s.p.Doubts = s.spec.Doubtful
	return need{}
}
