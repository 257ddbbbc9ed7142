package ota

import (
	"fmt"

	"github.com/seed-19b57ce3/ota/internal/queue"
)

// Folding takes what happened into the state. It is idempotent: an outcome that was folded before
// changes nothing. So after a commit with an unknown result, the session folds its whole input
// again.

// foldOutcomes folds how calls ended.
func (s *state) foldOutcomes() {
	for i := range s.in.outcomes {
		s.foldOutcome(&s.in.outcomes[i])
	}
	s.in.outcomes = s.in.outcomes[:0]
}

func (s *state) foldOutcome(o *outcome) {
	if o.returnedLate {
		s.returned(o)
		return
	}
	// The outcome may be stale by now, but the call is still out.
	if o.abandoned {
		s.queue.block(o.ordinal, o.agent)
		s.change.abandoned = true
	}
	r := s.rows.at(o.ordinal)
	if r == nil {
		return
	}
	t := r.State.task(o.task)
	if !r.State.attemptOpen(o.task, o.number) {
		if t.Number == o.number && t.Status == TaskUnknown && t.Why == ReasonOperator && !o.abandoned {
			s.lateReport(o) // it was given up when this outcome was on its way
		}
		return
	}
	s.applyOutcome(r, o)
	if o.abandoned {
		s.abandonedVerdict(o.at)
	}
}

// returned folds the return of an abandoned call. Its agent may take another attempt now.
func (s *state) returned(o *outcome) {
	if !s.queue.unblock(o.ordinal) {
		return
	}
	s.event(Event{Kind: EventLate, Batch: -1, Agent: o.agent, Task: o.task, Number: int(o.number), Reason: o.reason, Text: string(o.text)})
}

// applyOutcome carries out the row of the outcome table for one outcome.
func (s *state) applyOutcome(r *cachedRow, o *outcome) {
	t := r.State.task(o.task)
	target := s.spec.target(&r.Agent, o.task)
	o.version = s.same.as(o.version, target)
	t.standStill(o.at)
	was := attemptsBefore{changed: r.is(agentChanged), taskChanged: r.State.touched(o.task), partly: r.State.partly()}
	var jitter uint64
	if o.reason != ReasonSucceeded || o.wrongVersion(target) {
		jitter = jitterOf(s.id, r.Agent.ID, o.task, o.number)
		was.oldVersion = o.wrongVersion(target) && s.hadBefore(r, o.task, o.version)
	}
	b := s.c.Policy.outcomeTable(o, t, target, was, jitter)
	t.Why, t.Ended = b.why, o.at
	if b.tried {
		t.Tries++
	}
	if b.changed {
		s.markChanged(r, o.task)
		if b.status != TaskSucceeded {
			s.setFlag(r, agentDown, true)
		}
	}
	s.keepMore(t, o, b, target)
	s.setTask(r, o.task, b.status)
	switch b.status {
	case TaskWaiting:
		s.wait(r, o.task, b)
	case TaskSucceeded:
		s.taskEvent(EventTaskSucceeded, r, o.task, b.why, string(o.text))
		s.nextTask(r, o.task)
	case TaskSkipped:
		s.taskEvent(EventTaskSkipped, r, o.task, b.why, string(o.text))
		s.endAgent(r, TaskSkipped, b.why, o.at)
	case TaskUnknown:
		s.countFailure(r)
		s.taskEvent(EventTaskUnknown, r, o.task, b.why, string(o.text))
		s.endAgent(r, TaskUnknown, ReasonAgentFailed, o.at)
	default:
		s.countFailure(r)
		s.taskEvent(EventTaskFailed, r, o.task, b.why, failText(o, b, target))
		s.endAgent(r, TaskFailed, ReasonAgentFailed, o.at)
	}
}

// countFailure counts an agent that failed, for MaxConsecutive. In a rollback, an agent that was
// bad before does not count.
func (s *state) countFailure(r *cachedRow) {
	if !r.is(agentWasBad) {
		s.p.ConsecutiveFailures++
	}
}

// hadBefore reports whether a task's agent had this version before the plan: by the Spec, or by its
// precheck.
func (s *state) hadBefore(r *cachedRow, task int, version cleaned) bool {
	for _, v := range []string{s.spec.task(&r.Agent, task).FromVersion, r.from(&s.spec, task)} {
		if v != "" && string(s.same.as(version, v)) == v {
			return true
		}
	}
	return false
}

func failText(o *outcome, b transition, target string) string {
	if b.why == ReasonWrongVersion {
		return fmt.Sprintf("reports version %q, the target is %q", shorten(string(o.version)), shorten(target))
	}
	return string(o.text)
}

// keepMore records what few tasks have: an error, another version, the start of an absence.
func (s *state) keepMore(t *taskState, o *outcome, b transition, target string) {
	old := t.More
	t.More = nil
	if b.status == TaskSucceeded {
		return
	}
	more := &taskMore{Error: failText(o, b, target)}
	if string(o.version) != target {
		more.Version = string(o.version)
	}
	if b.status == TaskWaiting && (b.why == ReasonUnreachable || b.why == ReasonThrottled) {
		more.UnreachableSince = o.at
		if old != nil && old.UnreachableSince != 0 {
			more.UnreachableSince = old.UnreachableSince
		}
	}
	t.More = more
}

// wait sets an agent aside until its next attempt is due.
func (s *state) wait(r *cachedRow, task int, b transition) {
	t := r.State.task(task)
	t.Ended = b.due
	s.setAgent(r, TaskWaiting)
	s.setFlag(r, agentOpen, !b.freeSlot && s.isTurn(r))
	s.queue.dropUrgent(r.Ordinal)
	s.queue.timers.Push(queue.Timer{At: b.due, Item: r.Ordinal, Kind: timerAttempt})
	e := Event{Kind: EventTaskWaiting, Batch: r.Batch, Agent: r.Agent.ID, Task: task, Reason: b.why, Until: stamp(b.due)}
	if t.More != nil {
		e.Text = t.More.Error
	}
	s.event(e)
}

// nextTask continues with an agent whose task succeeded: with its next task, which keeps the slot,
// or with its end.
func (s *state) nextTask(r *cachedRow, task int) {
	if r.is(agentDown) {
		s.setFlag(r, agentDown, false)
	}
	if task+1 < r.State.tasks() {
		s.setAgent(r, TaskWaiting)
		s.setFlag(r, agentOpen, s.isTurn(r))
		s.requeue(r)
		return
	}
	s.p.ConsecutiveFailures = 0
	s.setAgent(r, TaskSucceeded)
	if !r.is(agentChanged) {
		s.setFlag(r, agentAtTarget, true)
		// Without a soak, nothing can find the agent unhealthy, so no retry needs the claim.
		if !s.c.Policy.at(r.Batch).soaks {
			s.releaseClaim(r)
		}
	}
}

// endAgent ends an agent because of one of its tasks, with this reason. Its remaining tasks are
// skipped, or canceled if the plan is.
func (s *state) endAgent(r *cachedRow, to TaskStatus, why Reason, at int64) {
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
	if to == TaskSkipped || to == TaskCanceled {
		s.releaseClaim(r)
	}
}

// foldTimers queues agents that have become due. A timer that does not match its row any more is
// stale and ignored.
func (s *state) foldTimers(now int64) need {
	for s.queue.timers.Len() > 0 && s.queue.timers.First().At <= now {
		tm := s.queue.timers.First()
		r := s.rows.at(tm.Item)
		if r == nil && tm.Kind != timerAttempt {
			return need{kind: needPage, from: tm.Item}
		}
		s.queue.timers.Pop()
		if r == nil {
			continue
		}
		if tm.Kind == timerBlocked {
			s.blockedLongEnough(r, now)
			continue
		}
		if tm.Kind == timerHealth {
			if s.asksFirst(r) {
				s.queue.timers.Push(queue.Timer{At: now + s.c.Policy.Soak.interval(), Item: r.Ordinal, Kind: timerHealth})
			} else {
				s.unhealthyLongEnough(r, now)
			}
			continue
		}
		i := r.State.active()
		if t := r.State.task(i); t.Status == TaskWaiting && t.Ended == tm.At && s.isTurn(r) {
			s.queue.release(r)
		}
	}
	return need{}
}

// limitBlocked limits how long agents of a rollback that are next wait for their abandoned calls to
// return: UnreachableTimeout. Each owner counts anew, also after a pause.
func (s *state) limitBlocked(now int64) {
	if s.spec.Source == "" {
		return
	}
	for i := range s.queue.blocked {
		switch b := &s.queue.blocked[i]; {
		case s.status() != StatusRunning:
			b.since = 0
		case b.pending && b.since == 0:
			b.since = now
			s.limitWait(b)
		}
	}
}

func (s *state) limitWait(b *blockedAgent) {
	if at := b.until(&s.c.Policy); at > 0 {
		s.queue.timers.Push(queue.Timer{At: at, Item: b.ordinal, Kind: timerBlocked})
	}
}

// until is when a blocked agent of a rollback fails; 0: it does not.
func (b *blockedAgent) until(p *Policy) int64 {
	if !b.pending || b.since == 0 || p.UnreachableTimeout == NoTimeout {
		return 0
	}
	return max(b.since+int64(p.UnreachableTimeout), 0)
}

// blockedLongEnough fails an agent of a rollback whose abandoned call has not returned in time.
func (s *state) blockedLongEnough(r *cachedRow, now int64) {
	i := s.queue.blockedAt(r.Ordinal)
	if i < 0 || r.State.Status != TaskPending {
		return
	}
	b := &s.queue.blocked[i]
	if at := b.until(&s.c.Policy); at == 0 || at > now {
		s.limitWait(b)
		return
	}
	b.pending, b.since = false, 0
	k := r.State.active()
	s.applyOutcome(r, &outcome{
		ordinal: r.Ordinal, agent: r.Agent.ID, task: k, number: r.State.task(k).Number, at: now, reason: ReasonAbandoned, unchanged: true,
		text: cleanMessage("an earlier call for the agent has not returned within " + s.c.Policy.UnreachableTimeout.String()),
	})
}

// recovered marks a row for a repeat: it is running in the Store, but no call for it is out in this
// process. The call was lost or never made, so the agent counts as changed, for every answer
// of the repeat.
func (s *state) recovered(r *cachedRow, now int64) {
	i := r.State.active()
	t := r.State.task(i)
	if t.Status != TaskRunning {
		return
	}
	s.setTask(r, i, TaskWaiting)
	s.setAgent(r, TaskWaiting)
	s.markChanged(r, i)
	s.setFlag(r, agentDown, true)
	s.setFlag(r, agentOpen, s.isTurn(r))
	t.Why, t.Ended = ReasonRepeat, now
	s.noteStart(s.batch(r.Batch), now)
	s.taskEvent(EventTaskWaiting, r, i, ReasonRepeat, "")
}

// foldInspects folds the answers of the Inspector about attempts whose calls were lost.
func (s *state) foldInspects() {
	for _, a := range s.in.inspects {
		r := s.rows.at(a.ordinal)
		if r == nil || !r.inspecting {
			continue
		}
		r.inspecting = false
		t := r.State.task(a.task)
		if t.Status != TaskWaiting || t.Why != ReasonRepeat || t.Number != a.number {
			continue
		}
		if a.outcome != nil {
			o := *a.outcome
			o.repeat = true
			s.applyOutcome(r, &o)
			continue
		}
		s.requeueRepeat(r)
	}
	s.in.inspects = nil
}

// sweep ends waiting agents of a plan that is canceled or rolled back, at most so many in one
// commit.
func (s *state) sweep(now int64, most int) {
	n := 0
	s.rows.busyRows(func(r *cachedRow) {
		if n == most || r.State.Status != TaskWaiting {
			return
		}
		n++
		i := r.State.active()
		t := r.State.task(i)
		t.Ended = now
		switch {
		case t.Status == TaskPending: // an earlier task of this agent has succeeded
			s.endAgent(r, TaskCanceled, ReasonPlanEnded, now)
		case t.unstarted(), t.Why != ReasonRepeat && t.More != nil && t.More.UnreachableSince != 0 && !r.is(agentChanged):
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

func lastError(t *taskState) string {
	if t.More == nil {
		return ""
	}
	return t.More.Error
}
