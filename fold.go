package ota

import (
	"slices"
	"strconv"
	"time"
)

// Folding takes what happened into the state. It is idempotent: an outcome that was folded before changes nothing, so
// after a commit whose result is unknown everything held is simply folded again.

// foldOutcomes takes in how calls ended.
func (s *state) foldOutcomes() {
	for i := range s.in.outcomes {
		s.foldOutcome(&s.in.outcomes[i])
	}
	s.in.outcomes = s.in.outcomes[:0]
}

func (s *state) foldOutcome(o *outcome) {
	if o.left {
		s.returned(o)
		return
	}
	r := s.rows.at(o.ordinal)
	if r == nil {
		return
	}
	t := r.State.task(o.task)
	if t.Number != o.number || t.Status != TaskRunning && !(t.Status == TaskWaiting && t.Why == ReasonRepeat) {
		return
	}
	r.live = false
	s.become(r, o)
	if o.leaves {
		s.queue.bar(o.ordinal)
		s.tooManyAbandoned(o.at)
	}
}

// returned takes in a call that came back after it had been abandoned: its agent may take another attempt now.
func (s *state) returned(o *outcome) {
	if !s.queue.unbar(o.ordinal) {
		return
	}
	s.event(Event{Kind: EventLate, Batch: -1, Agent: o.agent, Task: o.task, Number: int(o.number), Reason: o.reason, Text: cutMessage(o.text)})
}

// become carries out what the table says of one outcome.
func (s *state) become(r *resident, o *outcome) {
	t := r.State.task(o.task)
	var jitter uint64
	if o.reason != ReasonSucceeded {
		jitter = jitterOf(s.id, r.Agent.ID, o.task, o.number)
	}
	target := s.spec.target(&r.Agent, o.task)
	was := past{touched: r.is(AgentTouched), task: r.State.touched(o.task), partly: r.State.partly()}
	b := s.c.Policy.becomes(o, t, target, was, jitter)
	t.Why, t.Ended = b.why, o.at
	if b.tried {
		t.Tries++
	}
	if b.touched {
		s.touch(r, o.task)
	}
	s.keepMore(t, o, b, target)
	s.setTask(r, o.task, b.status)
	switch b.status {
	case TaskWaiting:
		s.wait(r, o.task, b)
	case TaskSucceeded:
		s.taskEvent(EventTaskSucceeded, r, o.task, b.why, cutMessage(o.text))
		s.nextTask(r, o.task)
	case TaskSkipped:
		s.taskEvent(EventTaskSkipped, r, o.task, b.why, cutMessage(o.text))
		s.endAgent(r, TaskSkipped, b.why, o.at)
	case TaskUnknown:
		s.p.Row++
		s.taskEvent(EventTaskUnknown, r, o.task, b.why, cutMessage(o.text))
		s.endAgent(r, TaskUnknown, ReasonAgentFailed, o.at)
	default:
		s.p.Row++
		s.taskEvent(EventTaskFailed, r, o.task, b.why, failText(o, b))
		s.endAgent(r, TaskFailed, ReasonAgentFailed, o.at)
	}
}

func failText(o *outcome, b becoming) string {
	if b.why == ReasonWrongVersion {
		return "reports " + strconv.Quote(shorten(o.version))
	}
	return cutMessage(o.text)
}

// keepMore keeps what few tasks have: an error, another version, an absence.
func (s *state) keepMore(t *TaskState, o *outcome, b becoming, target string) {
	old := t.More
	t.More = nil
	if b.status == TaskSucceeded {
		return
	}
	more := &TaskMore{Error: failText(o, b)}
	if o.version != target {
		more.Version = cutMessage(o.version)
	}
	if b.status == TaskWaiting && (b.why == ReasonUnreachable || b.why == ReasonThrottled) {
		more.Away = o.at
		if old != nil && old.Away != 0 {
			more.Away = old.Away
		}
	}
	t.More = more
}

// wait puts an agent aside until its next attempt is due.
func (s *state) wait(r *resident, task int, b becoming) {
	t := r.State.task(task)
	t.Ended = b.due
	s.setAgent(r, TaskWaiting)
	s.setFlag(r, AgentOpen, !b.freeSlot && r.Batch == s.p.Batch)
	s.queue.timers.push(timer{at: b.due, ordinal: r.Ordinal})
	e := Event{Kind: EventTaskWaiting, Batch: r.Batch, Agent: r.Agent.ID, Task: task, Reason: b.why, Until: stamp(b.due)}
	if t.More != nil {
		e.Text = t.More.Error
	}
	s.event(e)
}

// nextTask goes on with an agent whose task succeeded: to its next task, which keeps the slot, or to its end.
func (s *state) nextTask(r *resident, task int) {
	if task+1 < r.State.tasks() {
		s.setAgent(r, TaskWaiting)
		s.setFlag(r, AgentOpen, r.Batch == s.p.Batch)
		s.requeue(r)
		return
	}
	s.p.Row = 0
	s.setAgent(r, TaskSucceeded)
	if !r.is(AgentTouched) {
		s.setFlag(r, AgentAtTarget, true)
	}
}

// endAgent ends an agent by one of its tasks; what is left of it is skipped, or canceled with its plan, for this reason.
func (s *state) endAgent(r *resident, to TaskStatus, why Reason, at int64) {
	rest, kind := TaskSkipped, EventTaskSkipped
	if to == TaskCanceled {
		rest, kind = TaskCanceled, EventTaskCanceled
	}
	for i := range r.State.tasks() {
		if t := r.State.task(i); t.Status == TaskPending {
			t.Why, t.Ended = why, at
			s.setTask(r, i, rest)
			s.taskEvent(kind, r, i, why, "")
		}
	}
	s.setAgent(r, to)
}

// foldTimers releases what has become due. A timer that the row no longer agrees with is stale, and nothing.
func (s *state) foldTimers(now int64) need {
	for len(s.queue.timers) > 0 && s.queue.timers[0].at <= now {
		tm := s.queue.timers[0]
		r := s.rows.at(tm.ordinal)
		if r == nil && tm.health {
			return need{kind: needPage, from: tm.ordinal}
		}
		s.queue.timers.pop()
		if r == nil {
			continue
		}
		if tm.health {
			s.unhealthyLongEnough(r, now)
			continue
		}
		i := r.State.active()
		if t := r.State.task(i); t.Status == TaskWaiting && t.Ended == tm.at && r.Batch == s.p.Batch {
			s.queue.release(r)
		}
	}
	return need{}
}

// active is the index of the task that an agent is at: the first that has not ended.
func (a *AgentState) active() int {
	if !a.Task.Status.Settled() {
		return 0
	}
	for i := range a.Rest {
		if !a.Rest[i].Status.Settled() {
			return i + 1
		}
	}
	return 0
}

// recovered takes in a row that the store says is running, or waits to be repeated, although no call for it is out in this process: its
// call was lost. It counts as touched, whatever it answers when it is called again.
func (s *state) recovered(r *resident, now int64) {
	i := r.State.active()
	t := r.State.task(i)
	if t.Status != TaskRunning || r.live {
		return
	}
	s.setTask(r, i, TaskWaiting)
	s.setAgent(r, TaskWaiting)
	s.touch(r, i)
	s.setFlag(r, AgentOpen, r.Batch == s.p.Batch)
	t.Why, t.Ended = ReasonRepeat, now
	s.taskEvent(EventTaskWaiting, r, i, ReasonRepeat, "")
}

// foldInspects takes in what became of attempts whose calls were lost.
func (s *state) foldInspects() {
	for _, a := range s.in.inspects {
		r := s.rows.at(a.ordinal)
		if r == nil || !r.asks {
			continue
		}
		r.asks = false
		t := r.State.task(a.task)
		if t.Status != TaskWaiting || t.Why != ReasonRepeat || t.Number != a.number {
			continue
		}
		if a.outcome != nil {
			o := *a.outcome
			o.repeat = true
			s.become(r, &o)
			continue
		}
		s.requeueRepeat(r)
	}
	s.in.inspects = nil
}

// sweep ends agents that wait when their plan is canceled or rolled back, some at a time.
func (s *state) sweep(now int64, most int) {
	n := 0
	s.rows.busyRows(func(r *resident) {
		if n == most || r.State.Status != TaskWaiting {
			return
		}
		n++
		i := r.State.active()
		t := r.State.task(i)
		t.Ended = now
		switch {
		case t.Status == TaskPending: // an earlier task of this agent is done
			s.endAgent(r, TaskCanceled, ReasonPlanEnded, now)
		case t.Why != ReasonRepeat && t.More != nil && t.More.Away != 0 && !r.is(AgentTouched):
			t.Why = ReasonPlanEnded
			s.setTask(r, i, TaskCanceled)
			s.taskEvent(EventTaskCanceled, r, i, ReasonPlanEnded, "")
			s.endAgent(r, TaskCanceled, ReasonPlanEnded, now)
		case t.Why == ReasonRepeat:
			s.setTask(r, i, TaskUnknown)
			s.taskEvent(EventTaskUnknown, r, i, ReasonInterrupted, "")
			s.endAgent(r, TaskUnknown, ReasonPlanEnded, now)
		default:
			s.setTask(r, i, TaskFailed)
			s.taskEvent(EventTaskFailed, r, i, t.Why, lastError(t))
			s.endAgent(r, TaskFailed, ReasonAgentFailed, now)
		}
	})
}

func lastError(t *TaskState) string {
	if t.More == nil {
		return ""
	}
	return t.More.Error
}

// foldOrders carries out the orders of operators, a chunk at a time; nothing starts before they are done.
func (s *state) foldOrders(now time.Time) need {
	for _, o := range s.c.Orders {
		if o.Number <= s.p.Folded {
			continue
		}
		n, done := s.foldOrder(o, now)
		if n.kind != needNothing {
			return n
		}
		if !done {
			s.fx.again = true
			return need{}
		}
		s.p.Folded, s.p.Cursor = o.Number, 0
		s.event(Event{Kind: EventCarriedOut, Batch: -1, Number: int(o.Number), Actor: o.By.Actor})
	}
	return need{}
}

func (s *state) foldOrder(o Order, now time.Time) (n need, done bool) {
	switch o.Kind {
	case OrderAccept:
		return s.foldAccept(o)
	case OrderSkip:
		return s.foldRows(o, func(r *resident) { s.skip(r, o, now.UnixNano()) })
	case OrderRetry:
		n, done = s.foldRows(o, s.retry)
		if done && n.kind == needNothing {
			s.stepBack()
		}
		return n, done
	default:
		return need{}, true
	}
}

func (s *state) foldAccept(o Order) (need, bool) {
	for _, i := range o.Batches {
		if i < 0 {
			s.p.Accepted = s.p.Counts.Bad()
			continue
		}
		b := s.batch(i)
		if b == nil {
			return need{kind: needBatch, from: i}, false
		}
		b.Accepted = b.Counts.Bad()
		s.dirtyBatch(b)
	}
	return need{}, true
}

// orderChunk is how many rows of an order are carried out in one commit.
const orderChunk = 500

// foldRows carries an order out on the rows that the shell was asked for, chunk by chunk.
func (s *state) foldRows(o Order, f func(*resident)) (n need, done bool) {
	if s.queue.given == nil {
		return s.wanted(o), false
	}
	for _, r := range s.queue.given {
		if s.batch(r.Batch) == nil {
			return need{kind: needBatch, from: r.Batch}, false
		}
	}
	for _, r := range s.queue.given {
		f(r)
	}
	more := s.queue.more
	if len(o.Agents) > 0 {
		s.p.Cursor += min(orderChunk, len(o.Agents)-s.p.Cursor)
		more = s.p.Cursor < len(o.Agents)
	} else if k := len(s.queue.given); k > 0 {
		s.p.Cursor = s.queue.given[k-1].Ordinal + 1
	}
	s.queue.given = nil
	return need{}, !more
}

func (s *state) wanted(o Order) need {
	if len(o.Agents) == 0 {
		return need{kind: needFailed, from: s.p.Cursor, status: []TaskStatus{TaskFailed, TaskUnknown}}
	}
	return need{kind: needIDs, ids: o.Agents[s.p.Cursor:min(s.p.Cursor+orderChunk, len(o.Agents))]}
}

// give takes in rows that were asked for.
func (s *state) give(rows []AgentRow, more bool) {
	s.queue.given = make([]*resident, len(rows))
	for i := range rows {
		s.queue.given[i] = s.rows.add(rows[i])
	}
	s.queue.more = more
}

func (s *state) skip(r *resident, o Order, now int64) {
	i := r.State.active()
	t := r.State.task(i)
	switch {
	case t.Status == TaskPending, // of an agent between two tasks too
		t.Status == TaskWaiting && t.More != nil && t.More.Away != 0 && !r.is(AgentTouched):
		for k := range r.State.tasks() {
			if t := r.State.task(k); !t.Status.Settled() {
				t.Why, t.Ended = ReasonOperator, now
				s.setTask(r, k, TaskSkipped)
				s.event(Event{
					Kind: EventTaskSkipped, Batch: r.Batch, Agent: r.Agent.ID, Task: k, Reason: ReasonOperator,
					Actor: o.By.Actor, Text: o.By.Reason,
				})
			}
		}
		s.setAgent(r, TaskSkipped)
	case t.Status == TaskWaiting && t.Why != ReasonRepeat:
		t.Ended = now
		s.setTask(r, i, TaskFailed)
		s.taskEvent(EventTaskFailed, r, i, t.Why, lastError(t))
		s.endAgent(r, TaskFailed, ReasonAgentFailed, now)
	}
}

// retry puts a failed agent back: it queues for a slot like a new one, and its batch runs again.
func (s *state) retry(r *resident) {
	if !bad(r.State.Status) {
		return
	}
	b := s.batch(r.Batch)
	for i := range r.State.tasks() {
		t := r.State.task(i)
		if !bad(t.Status) && !(t.Status == TaskSkipped && t.Why == ReasonAgentFailed) {
			continue
		}
		*t = TaskState{Status: t.Status, Number: t.Number, Touched: t.Touched}
		s.setTask(r, i, TaskPending)
		s.taskEvent(EventTaskRetried, r, i, ReasonNone, "")
	}
	s.setFlag(r, AgentUnhealthy, false)
	s.setAgent(r, TaskPending)
	b.Accepted = min(b.Accepted, b.Counts.Bad())
	s.p.Accepted = min(s.p.Accepted, s.p.Counts.Bad())
	b.Cursor = min(b.Cursor, r.Ordinal)
	if b.Status == BatchObserving || b.Status == BatchCompleted {
		b.Status, b.SettledAt, b.ClosedAt = BatchRunning, time.Time{}, time.Time{}
		s.event(Event{Kind: EventBatchReopened, Batch: b.Index})
	}
	s.p.Batch = min(s.p.Batch, b.Index)
}

// stepBack returns to a batch that runs again. Agents of later batches that wait give their slots back: they cannot go on before
// this batch has closed, and it may need every slot.
func (s *state) stepBack() {
	s.rows.busyRows(func(r *resident) {
		if r.State.Status == TaskWaiting && r.Batch > s.p.Batch {
			s.setFlag(r, AgentOpen, false)
		}
	})
	s.enterBatch()
}

// pruneBreaches forgets breaches that were answered.
func (s *state) pruneBreaches() {
	s.p.Breaches = slices.DeleteFunc(slices.Clone(s.p.Breaches), func(b Breach) bool { return b.Number <= s.c.Cleared })
}
