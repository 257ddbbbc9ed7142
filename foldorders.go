package ota

import (
	"time"

	"github.com/seed-19b57ce3/ota/internal/queue"
)

// foldOrders carries out the orders of operators, a chunk at a time. Nothing starts before all are
// carried out. The end of the plan drops the rest.
func (s *state) foldOrders(now time.Time) need {
	if s.status().Ended() {
		return need{}
	}
	for _, o := range s.c.Orders {
		if o.Number <= s.p.LastOrder {
			continue
		}
		n, done := s.foldOrder(o, now)
		if n.kind != needNothing {
			return n
		}
		if !done {
			s.change.again = true
			return need{}
		}
		s.p.LastOrder, s.p.OrderCursor = o.Number, 0
		s.event(Event{Kind: EventCarriedOut, Batch: -1, Number: int(o.Number), Actor: o.By.Actor})
		if o.Number < s.c.OrderCount { // the next one reads rows that this one has changed
			s.change.again = true
			return need{}
		}
	}
	return need{}
}

func (s *state) foldOrder(o planOrder, now time.Time) (n need, done bool) {
	switch o.Kind {
	case orderAccept:
		return s.foldAccept(o)
	case orderSkip:
		return s.foldRows(o, func(r *cachedRow) { s.skip(r, o, now.UnixNano()) })
	case orderNow:
		return s.foldRows(o, func(r *cachedRow) { s.makeUrgent(r, o, now.UnixNano()) })
	case orderGiveUp:
		return s.foldRows(o, func(r *cachedRow) { s.giveUp(r, o, now.UnixNano()) })
	case orderRetry:
		n, done = s.foldRows(o, func(r *cachedRow) { s.retry(r, now) })
		if done && n.kind == needNothing {
			s.stepBack()
		}
		return n, done
	default:
		return need{}, true
	}
}

// foldAccept accepts the failures so far: of these batches, or of the plan for index -1. Expect
// judges anew, in the plan and in each batch in memory.
func (s *state) foldAccept(o planOrder) (need, bool) {
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
	s.p.Evidence.accept()
	for _, i := range sortedKeys(s.batches) {
		s.batches[i].Evidence.accept()
		s.dirtyBatch(s.batches[i])
	}
	return need{}, true
}

// foldRows carries an order out on the rows that the shell has loaded, chunk by chunk.
func (s *state) foldRows(o planOrder, f func(*cachedRow)) (n need, done bool) {
	if s.queue.orderRows == nil {
		return s.wantOrderRows(o), false
	}
	for _, r := range s.queue.orderRows {
		if s.batch(r.Batch) == nil {
			return need{kind: needBatch, from: r.Batch}, false
		}
	}
	for _, r := range s.queue.orderRows {
		f(r)
	}
	more := s.queue.moreOrderRows
	if len(o.Agents) > 0 {
		s.p.OrderCursor += min(orderChunk, len(o.Agents)-s.p.OrderCursor)
		more = s.p.OrderCursor < len(o.Agents)
	} else if k := len(s.queue.orderRows); k > 0 {
		s.p.OrderCursor = s.queue.orderRows[k-1].Ordinal + 1
	}
	s.queue.orderRows = nil
	return need{}, !more
}

// wantOrderRows is the need for the next chunk of an order's rows.
func (s *state) wantOrderRows(o planOrder) need {
	if len(o.Agents) == 0 {
		return need{kind: needFailed, from: s.p.OrderCursor, status: []TaskStatus{TaskFailed, TaskUnknown}}
	}
	return need{kind: needIDs, ids: o.Agents[s.p.OrderCursor:min(s.p.OrderCursor+orderChunk, len(o.Agents))]}
}

// orderRowsLoaded adds the rows of wantOrderRows. more means that the order has further rows.
func (s *state) orderRowsLoaded(rows []agentRow, more bool) {
	s.queue.orderRows = make([]*cachedRow, len(rows))
	for i := range rows {
		s.queue.orderRows[i] = s.rows.add(rows[i])
	}
	s.queue.moreOrderRows = more
}

// skip carries out a Skip of one agent. An unchanged agent is skipped; one that waits for a retry
// fails.
func (s *state) skip(r *cachedRow, o planOrder, now int64) {
	i := r.State.active()
	t := r.State.task(i)
	switch {
	case t.unstarted(), // also between two tasks
		t.Status == TaskWaiting && t.More != nil && t.More.UnreachableSince != 0 && !r.is(agentChanged):
		for k := range r.State.tasks() {
			if t := r.State.task(k); !t.Status.Finished() {
				t.Why, t.Ended = ReasonOperator, now
				s.setTask(r, k, TaskSkipped)
				s.event(Event{
					Kind: EventTaskSkipped, Batch: r.Batch, Agent: r.Agent.ID, Task: k, Reason: ReasonOperator,
					Actor: o.By.Actor, Text: o.By.Reason,
				})
			}
		}
		s.setAgent(r, TaskSkipped)
		s.queue.leaveLine(r.Ordinal)
		s.releaseClaim(r)
	case t.Status == TaskWaiting && t.Why != ReasonRepeat:
		t.Ended = now
		s.setTask(r, i, TaskFailed)
		s.taskEvent(EventTaskFailed, r, i, t.Why, lastError(t))
		s.endAgent(r, TaskFailed, ReasonAgentFailed, now)
	}
}

// givenUp is an attempt that an operator has given up. Its call may be out.
type givenUp struct {
	call    callKey
	blocked bool // an earlier call for the agent is out
}

// giveUp ends the attempt that is out for one agent, if there is one. The agent is blocked at once,
// so that a retry in the same step does not start it beside the call. The shell ends the call
// before the commit, and unblocks the agent if there was no call.
func (s *state) giveUp(r *cachedRow, o planOrder, now int64) {
	i := r.State.active()
	t := r.State.task(i)
	if !r.State.attemptOpen(i, t.Number) {
		return
	}
	s.queue.withdraw(r.Ordinal)
	r.inspecting = false
	s.change.givenUp = append(s.change.givenUp, givenUp{callKey{r.Ordinal, i, t.Number}, s.queue.blockedAt(r.Ordinal) >= 0})
	s.queue.block(r.Ordinal, r.Agent.ID)
	s.change.abandoned = true
	s.markChanged(r, i)
	s.setFlag(r, agentDown, true)
	t.Why, t.Ended = ReasonOperator, now
	s.countFailure(r)
	s.setTask(r, i, TaskUnknown)
	s.event(Event{
		Kind: EventTaskUnknown, Batch: r.Batch, Agent: r.Agent.ID, Task: i, Reason: ReasonOperator,
		Actor: o.By.Actor, Text: o.By.Reason,
	})
	s.endAgent(r, TaskUnknown, ReasonAgentFailed, now)
}

// retry resets a failed agent to pending. It queues for a slot like a new one, and its batch runs
// again.
func (s *state) retry(r *cachedRow, now time.Time) {
	if !bad(r.State.Status) {
		return
	}
	b := s.batch(r.Batch)
	s.setFlag(r, agentUnhealthy, false)
	s.setAgent(r, TaskPending) // first, since its tasks say how it failed
	for i := range r.State.tasks() {
		t := r.State.task(i)
		if !bad(t.Status) && !(t.Status == TaskSkipped && t.Why == ReasonAgentFailed) {
			continue
		}
		*t = taskState{Status: t.Status, Number: t.Number, Changed: t.Changed}
		s.setTask(r, i, TaskPending)
		s.taskEvent(EventTaskRetried, r, i, ReasonNone, "")
	}
	b.Evidence.retried()
	s.p.Evidence.retried()
	b.Accepted = min(b.Accepted, b.Counts.Bad())
	s.p.Accepted = min(s.p.Accepted, s.p.Counts.Bad())
	b.Cursor = min(b.Cursor, r.Ordinal)
	if b.Status == BatchSoaking || b.Status == BatchCompleted {
		b.Status, b.FinishedAt, b.ClosedAt = BatchRunning, time.Time{}, time.Time{}
		s.startClock(b, now)
		s.noteStart(b, now.UnixNano())
		s.event(Event{Kind: EventBatchReopened, Batch: b.Index})
	}
	s.p.Batch = min(s.p.Batch, b.Index)
}

// stepBack returns to a batch that runs again. Waiting agents of later batches give up their slots:
// they cannot continue before this batch has closed, and it may need every slot.
func (s *state) stepBack() {
	s.rows.busyRows(func(r *cachedRow) {
		if r.State.Status == TaskWaiting && r.Batch > s.p.Batch && !s.isTurn(r) {
			s.setFlag(r, agentOpen, false)
		}
	})
	s.enterBatch()
}

// input is a report as input of the core.
func (r *OutcomeReport) input(at time.Time) reported {
	return reported{outcome: outcome{
		agent: r.Agent, task: r.Task, number: uint32(r.Number), at: at.UnixNano(), reason: r.Reason, after: r.After,
		unchanged: r.Unchanged || r.Reason == ReasonUnreachable || r.Reason == ReasonThrottled,
		version:   cleanVersion(r.Version), text: cleanMessage(r.Message),
	}}
}

// foldReports folds reported outcomes. It needs the rows of their agents.
func (s *state) foldReports() need {
	for len(s.in.reports) > 0 {
		o := &s.in.reports[0]
		s.p.Inbox = max(s.p.Inbox, o.message)
		switch {
		case !o.found:
			return s.wantReports()
		case o.ordinal < 0:
			s.lateReport(&o.outcome)
		default:
			r := s.rows.at(o.ordinal)
			if s.batch(r.Batch) == nil {
				return need{kind: needBatch, from: r.Batch}
			}
			s.foldReport(r, &o.outcome)
		}
		s.in.reports = s.in.reports[1:]
	}
	return need{}
}

// wantReports is the need for the rows of reported outcomes, a chunk at a time.
func (s *state) wantReports() need {
	n := need{kind: needReports}
	for i := range s.in.reports {
		if !s.in.reports[i].found && len(n.ids) < orderChunk {
			n.ids = append(n.ids, s.in.reports[i].agent)
		}
	}
	return n
}

// reportRowsLoaded adds the rows of wantReports. An ID without a row is unknown to the plan.
func (s *state) reportRowsLoaded(ids []string, rows []agentRow) {
	ordinals := make(map[string]int, len(ids))
	for _, id := range ids {
		ordinals[id] = -1
	}
	for _, row := range rows {
		s.rows.add(row)
		ordinals[row.Agent.ID] = row.Ordinal
	}
	for i := range s.in.reports {
		if o, ok := ordinals[s.in.reports[i].agent]; ok {
			s.in.reports[i].ordinal, s.in.reports[i].found = o, true
		}
	}
}

// foldReport folds one reported outcome. The first outcome of an attempt counts, and ends its call.
func (s *state) foldReport(r *cachedRow, o *outcome) {
	if !r.State.attemptOpen(o.task, o.number) {
		target := s.spec.target(&r.Agent, o.task)
		o.version = s.same.as(o.version, target)
		if !r.State.shows(o, target) {
			s.lateReport(o)
		}
		if o.task < r.State.tasks() && o.number <= r.State.task(o.task).Number {
			s.change.reportedCalls = append(s.change.reportedCalls, o.key())
		}
		return
	}
	t := r.State.task(o.task)
	o.repeat = t.Why == ReasonRepeat
	if t.Status == TaskWaiting {
		s.queue.withdraw(o.ordinal)
	}
	slot := r.is(agentOpen)
	r.inspecting = false
	s.applyOutcome(r, o)
	// It had no slot before, and a report does not give it one.
	if !slot && r.is(agentOpen) {
		s.queue.withdraw(o.ordinal)
		s.setFlag(r, agentOpen, false)
		s.requeue(r)
	}
	s.change.reportedCalls = append(s.change.reportedCalls, o.key())
}

// lateReport records a report that no longer counts.
func (s *state) lateReport(o *outcome) {
	s.event(Event{Kind: EventLate, Batch: -1, Agent: o.agent, Task: o.task, Number: int(o.number), Reason: o.reason, Text: string(o.text)})
}

// withdraw removes an agent from the queues. Agents in retries need no removal: startWaiting skips
// those that do not wait any more.
func (q *queues) withdraw(ordinal int) {
	for _, f := range []*queue.FIFO{&q.repeats, &q.partly, &q.back, &q.down, &q.inspect} {
		f.Remove(ordinal)
	}
	q.lanes.Remove(ordinal)
	q.lanes.turns.waiting.Remove(ordinal)
	q.dropUrgent(ordinal)
}

// outcomeMessage is an OutcomeReport as a message in an Inbox.
type outcomeMessage struct {
	Outcome *OutcomeReport `json:"outcome"`
	At      time.Time      `json:"at"` // when it was reported
}
