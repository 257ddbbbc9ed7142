package ota

import (
	"fmt"
	"maps"
	"slices"

	"github.com/seed-19b57ce3/ota/internal/queue"
)

// release queues a waiting agent whose timer has expired.
func (q *queues) release(r *cachedRow) {
	switch {
	case r.is(agentUrgent):
		q.urgent = append(q.urgent, r.Ordinal)
	case r.is(agentOpen):
		q.retries.Push(r.Ordinal)
	case r.is(agentDown):
		q.down.Push(r.Ordinal)
	default:
		q.back.Push(r.Ordinal)
	}
}

// blockOf returns the entry of a blocked agent, and makes one if there is none.
func (q *queues) blockOf(ordinal int, agent string) *blockedAgent {
	i := q.blockedAt(ordinal)
	if i < 0 {
		i = len(q.blocked)
		q.blocked = append(q.blocked, blockedAgent{ordinal: ordinal, agent: agent})
	}
	return &q.blocked[i]
}

func (q *queues) block(ordinal int, agent string) { q.blockOf(ordinal, agent).own = true }

// blockElsewhere blocks exactly these agents, besides those that a call of this plan by this engine
// blocks.
func (q *queues) blockElsewhere(out []blockedAgent) {
	if len(q.blocked)+len(out) == 0 {
		return
	}
	for i := range q.blocked {
		q.blocked[i].other, q.blocked[i].foreign = false, false
	}
	for _, o := range out {
		b := q.blockOf(o.ordinal, o.agent)
		b.other, b.engine, b.foreign = true, o.engine, o.foreign
	}
	for i := range slices.Backward(q.blocked) {
		q.lift(i)
	}
}

func (q *queues) blockedAt(ordinal int) int {
	return slices.IndexFunc(q.blocked, func(b blockedAgent) bool { return b.ordinal == ordinal })
}

// park takes a waiting agent out of its queue if a call of another plan is out for it.
func (q *queues) park(ordinal int, from *queue.FIFO) (parked bool) {
	i := q.blockedAt(ordinal)
	if i < 0 || !q.blocked[i].foreign {
		return false
	}
	q.blocked[i].parked = from
	return true
}

// waitingBlocked returns how many agents of the current batch are pending but blocked.
func (q *queues) waitingBlocked() int {
	return q.countBlocked(func(b *blockedAgent) bool { return b.pending })
}

// countBlocked returns how many blocked agents are such.
func (q *queues) countBlocked(such func(*blockedAgent) bool) int {
	n := 0
	for i := range q.blocked {
		if such(&q.blocked[i]) {
			n++
		}
	}
	return n
}

// unblock records that the call of this plan by this engine has returned. It reports whether the
// call was known to be out.
func (q *queues) unblock(ordinal int) bool {
	i := q.blockedAt(ordinal)
	if i < 0 || !q.blocked[i].own {
		return false
	}
	q.blocked[i].own = false
	q.lift(i)
	return true
}

// lift removes an entry whose calls have all returned: its agent may be picked again.
func (q *queues) lift(i int) {
	b := q.blocked[i]
	if b.parked != nil && !b.foreign {
		b.parked.Push(b.ordinal)
		q.blocked[i].parked = nil
	}
	if b.own || b.other {
		return
	}
	if b.pending {
		q.next = min(q.next, b.ordinal)
	}
	q.blocked = slices.Delete(q.blocked, i, i+1)
}

// cursor returns the ordinal at which a restart begins its search for pending agents.
func (q *queues) cursor() int {
	c := q.passed.Lowest(q.next)
	if from := q.lanes.turns.from; from > 0 {
		c = min(c, from-1)
	}
	for _, b := range q.blocked {
		if b.pending {
			c = min(c, b.ordinal)
		}
	}
	return c
}

// fresh returns how many agents that need a slot may be looked at. It is 0 only if none of them
// could get one.
func (q *queues) fresh(b *batch) int {
	n := q.down.Len() + q.back.Len() + q.lanes.Ready()
	if b.Status == BatchRunning && q.next < b.First+b.Size && q.lanes.InLine() < lookAhead {
		n += b.Counts.Pending
	}
	return n
}

// held is how many queued agents hold a slot already.
func (q *queues) slotted() int { return q.repeats.Len() + q.partly.Len() + q.retries.Len() }

// enterBatch builds the queues of the current batch from the rows at hand.
func (s *state) enterBatch() {
	q := &s.queue
	q.timers.DeleteFunc(func(t queue.Timer) bool { return t.Kind != timerHealth })
	*q = queues{blocked: q.blocked, timers: q.timers, orderRows: q.orderRows, moreOrderRows: q.moreOrderRows, lanes: s.newLanes()}
	for i := range q.blocked {
		q.blocked[i].pending, q.blocked[i].parked, q.blocked[i].since = false, nil, 0
	}
	b := s.current()
	if b == nil {
		return
	}
	q.next = max(b.Cursor, b.First)
	s.queueDown(b)
	s.rows.busyRows(func(r *cachedRow) {
		if r.is(agentOpen) {
			q.lanes.count(r, 1)
		}
		s.requeue(r)
	})
}

// requeue puts one busy row where it belongs.
func (s *state) requeue(r *cachedRow) {
	i := r.State.active()
	t := r.State.task(i)
	here := s.isTurn(r)
	switch {
	case r.State.Status != TaskWaiting:
	case r.is(agentUrgent):
		if !r.inspecting {
			s.requeueUrgent(r)
		}
	case t.Status == TaskPending:
		switch {
		case here && r.is(agentOpen):
			s.queue.partly.Push(r.Ordinal)
		case here:
			s.queue.back.Push(r.Ordinal)
		}
	case t.Why != ReasonRepeat:
		s.queue.timers.Push(queue.Timer{At: t.Ended, Item: r.Ordinal, Kind: timerAttempt})
	case r.inspecting || !here:
	case s.calls.inspector:
		s.queue.inspect.Push(r.Ordinal)
	default:
		s.requeueRepeat(r)
	}
}

// requeueRepeat queues an attempt that was lost in a crash.
func (s *state) requeueRepeat(r *cachedRow) {
	switch {
	case r.is(agentUrgent):
		s.queue.urgent = append(s.queue.urgent, r.Ordinal)
	case !s.isTurn(r):
	case r.is(agentOpen):
		s.queue.repeats.Push(r.Ordinal)
	default:
		s.queue.back.Push(r.Ordinal)
	}
}

// pick starts as many agents as was decided, or has them prechecked first. It needs a page when the
// next pending agents are not in memory.
func (s *state) pick(d decision, now int64) need {
	q, held := &s.queue, d.all-d.ready-d.fresh
	for _, f := range []*queue.FIFO{&q.repeats, &q.partly, &q.retries} {
		for held > 0 && f.Len() > 0 {
			if o := f.Pop(); !q.park(o, f) && s.startWaiting(o, now) {
				held--
			}
		}
	}
	if n := s.startChecked(d.ready, now); n.kind != needNothing {
		return n
	}
	for range d.fresh {
		r, n := s.candidate()
		if r == nil {
			return n
		}
		if s.unchecked(r) {
			s.precheck(r)
		} else {
			s.start(r, now)
		}
	}
	if b := s.current(); q.next == b.First+b.Size && q.lanes.turns.from == 0 && b.Counts.Pending > q.waitingBlocked()+q.passed.Len() {
		s.fault(now, fmt.Sprintf("batch %d counts %d pending agents, but none is left", b.Index, b.Counts.Pending))
	}
	return need{}
}

// candidate removes the next agent that needs a slot from its queue. First come agents that are
// down, then the lines of lanes that have a free slot again, then agents that were unreachable,
// then the pending ones. It is nil if there is none, or if a page is needed.
func (s *state) candidate() (*cachedRow, need) {
	q, b := &s.queue, s.current()
	if q.down.Len() > 0 {
		if r, n := s.downCandidate(); r != nil || n.kind != needNothing {
			return r, n
		}
	}
	for o, ok := q.lanes.First(); ok; o, ok = q.lanes.First() {
		r := s.rows.at(o)
		if r == nil {
			return nil, need{kind: needPage, from: o}
		}
		q.lanes.Pop()
		q.passed.Remove(o)
		if startable(r) && !q.lanes.postpone(r) {
			return r, need{}
		}
	}
	for q.back.Len() > 0 {
		r := s.rows.at(q.back.Pop())
		if r != nil && r.State.Status == TaskWaiting && !q.park(r.Ordinal, &q.back) && !q.lanes.postpone(r) && !q.lanes.wait(r) {
			return r, need{}
		}
	}
	for b.Status == BatchRunning && b.Counts.Pending > 0 && q.next < b.First+b.Size && q.lanes.InLine() < lookAhead {
		r := s.rows.at(q.next)
		if r == nil {
			return nil, need{kind: needPage, from: q.next}
		}
		q.next++
		switch i := q.blockedAt(r.Ordinal); {
		case r.State.Status != TaskPending, q.passed.Has(r.Ordinal):
		case i >= 0:
			q.blocked[i].pending = true
		case q.lanes.postpone(r):
		case q.lanes.wait(r):
			q.passed.Add(r.Ordinal)
		default:
			return r, need{}
		}
	}
	return nil, need{}
}

// startWaiting starts a queued agent, unless it was skipped while it was in the queue.
func (s *state) startWaiting(ordinal int, now int64) bool {
	r := s.rows.at(ordinal)
	if r == nil || r.State.Status != TaskWaiting || s.giveSlotBack(r) {
		return false
	}
	s.start(r, now)
	return true
}

// start makes an agent's task running. Its call is made once that is committed.
func (s *state) start(r *cachedRow, now int64) {
	i := r.State.active()
	t := r.State.task(i)
	kind := EventTaskStarted
	t.standStill(now)
	if t.Status == TaskWaiting && t.Why == ReasonRepeat {
		s.keepDeadline(r, t, now)
		kind = EventTaskRepeated
	} else {
		t.Number++
	}
	if kind == EventTaskRepeated || t.Number == 1 {
		s.noteStart(s.batch(r.Batch), now)
	}
	t.Ended = 0
	if kind == EventTaskStarted {
		t.Why, t.Started = ReasonNone, now
		s.setFlag(r, agentExtended, false)
	}
	s.setTask(r, i, TaskRunning)
	s.setAgent(r, TaskRunning)
	s.setFlag(r, agentOpen, true)
	s.beginTurn(r)
	found := s.checked(r)
	if found.down {
		s.setFlag(r, agentDown, true)
	}
	s.keepPrevious(r, found)
	s.taskEvent(kind, r, i, t.Why, "")
	b := s.current()
	b.Cursor = s.queue.cursor()
	if rate := s.c.Policy.Rate; rate.Starts > 0 {
		s.p.RateAt = max(s.p.RateAt, now) + rate.interval()
	}
	s.change.starts = append(s.change.starts, started{ordinal: r.Ordinal, task: i})
}

func sortedKeys[V any](m map[int]V) []int { return slices.Sorted(maps.Keys(m)) }

// lookAhead is how many agents may wait in lines. The search for pending agents stops there, so
// that a batch whose next agents all have full lanes does not fill the memory.
const lookAhead = 2 * pageSize
