package ota

import (
	"slices"

	"github.com/seed-19b57ce3/ota/internal/queue"
)

// An urgent agent is one that an operator has put first with Now. It starts next. The windows, the
// holds and the order of batches do not apply to it. Every other limit applies to it: a pause, an
// open breach, Concurrency, Reserve, Rate and Budgets. It stays urgent until it ends, also for a
// retry.

// urgentLimits are the limits that apply to urgent agents. The budget is compared for each agent.
var urgentLimits = []func(*view) allowance{
	operatorLimit,
	breachLimit,
	compareLimit,
	cancelLimit,
	rollbackLimit,
	orderLimit,
	drainLimit,
	leaseLimit,
	sourceLimit,
	concurrencyLimit,
	reserveLimit,
	rateLimit,
}

// urgentCounts are how many urgent agents are due.
type urgentCounts struct {
	slotted int // they have a slot
	ready   int // they passed their precheck, or must be asked again
	fresh   int // they need a slot, and their budget has one
	unbegun int // of the current batch, also those that are not counted above: without an attempt
}

// isTurn reports whether an agent may start now as far as the order of batches goes.
func (s *state) isTurn(r *cachedRow) bool {
	return r.Batch == s.p.Batch || r.is(agentUrgent) || r.is(agentStraggler)
}

// makeUrgent carries out Now for one agent that has not ended. A pending agent waits from now on,
// so that it is in memory in every batch. An agent that waits becomes due.
func (s *state) makeUrgent(r *cachedRow, o planOrder, now int64) {
	if r.is(agentUrgent) || r.State.Status != TaskPending && r.State.Status != TaskWaiting {
		return
	}
	s.checked(r)
	s.queue.withdraw(r.Ordinal)
	s.queue.passed.Remove(r.Ordinal)
	i := r.State.active()
	t := r.State.task(i)
	if t.Status == TaskPending {
		t.Why = ReasonOperator
		s.setTask(r, i, TaskWaiting)
	}
	if t.Why != ReasonRepeat {
		t.Ended = now
	}
	s.setFlag(r, agentUrgent, true)
	s.setAgent(r, TaskWaiting)
	s.event(Event{
		Kind: EventTaskWaiting, Batch: r.Batch, Agent: r.Agent.ID, Task: i, Reason: t.Why, Until: stamp(now),
		Actor: o.By.Actor, Text: o.By.Reason,
	})
	s.requeue(r)
}

// urgent counts the urgent agents that are due. There are few.
func (s *state) urgent() (n urgentCounts) {
	for _, o := range s.queue.urgent {
		r, c := s.rows.at(o), s.queue.checks.of[o]
		if r != nil && r.Batch == s.p.Batch && r.State.Task.unstarted() {
			n.unbegun++
		}
		switch {
		case r == nil, r.State.Status != TaskWaiting, s.urgentBlocked(r):
		case r.is(agentOpen):
			n.slotted++
		case c != nil && c.at == 0: // it is being asked
		case c != nil:
			n.ready++
		case !s.queue.lanes.full(r):
			n.fresh++
		}
	}
	return n
}

// urgentBlocked reports whether a call that is out blocks an urgent agent. As for other agents, a
// repeat or a retry waits only for calls of other plans.
func (s *state) urgentBlocked(r *cachedRow) bool {
	i, t := s.queue.blockedAt(r.Ordinal), r.State.task(r.State.active())
	return i >= 0 && (s.queue.blocked[i].foreign || t.unstarted())
}

// dropUrgent removes an agent that is not due any more.
func (q *queues) dropUrgent(ordinal int) {
	q.urgent = slices.DeleteFunc(q.urgent, func(o int) bool { return o == ordinal })
}

// decideUrgent decides about urgent agents. Without any that may start it waits, at most until
// wake.
func (v *view) decideUrgent() decision {
	n := v.urgent
	if n == (urgentCounts{}) {
		return decision{}
	}
	all, fresh, wake := v.admission(urgentLimits)
	slotted := min(all, n.slotted)
	fresh = min(fresh, all-slotted)
	ready := min(fresh, n.ready)
	fresh = min(max(fresh-v.prechecking, 0), n.fresh)
	if sum := slotted + ready + fresh; sum > 0 {
		return decision{action: actStartUrgent, all: sum, ready: ready, fresh: fresh}
	}
	return decision{wake: wake}
}

// startUrgent starts as many urgent agents as was decided, or has them prechecked first.
func (s *state) startUrgent(d decision, now int64) {
	q := &s.queue
	slotted, ready, fresh := d.all-d.ready-d.fresh, d.ready, d.fresh
	due := q.urgent
	q.urgent = nil
	for _, o := range due {
		r, c := s.rows.at(o), q.checks.of[o]
		stays := true
		switch {
		case r == nil || r.State.Status != TaskWaiting: // it has started or ended
			stays = false
			if r != nil {
				s.checked(r)
			}
		case s.urgentBlocked(r):
		case r.is(agentOpen) && slotted > 0:
			slotted--
			if stays = s.giveSlotBack(r); !stays {
				s.start(r, now)
			}
		case r.is(agentOpen), c != nil && c.at == 0:
		case c != nil && ready > 0:
			ready--
			if s.overChecked(r) { // another agent went down since the question
				s.checked(r)
			} else if stays = s.checkExpired(o, now); !stays {
				s.start(r, now)
			}
		case c == nil && fresh > 0 && !q.lanes.full(r):
			fresh--
			if stays = s.unchecked(r); stays {
				s.precheck(r)
			} else {
				s.start(r, now)
			}
		}
		if stays {
			q.urgent = append(q.urgent, o)
		}
	}
}

// requeueUrgent queues an urgent agent that is due, or sets the timer of one that is not.
func (s *state) requeueUrgent(r *cachedRow) {
	t := r.State.task(r.State.active())
	switch {
	case t.Status == TaskPending, t.Why == ReasonRepeat && !s.calls.inspector:
		s.queue.urgent = append(s.queue.urgent, r.Ordinal)
	case t.Why == ReasonRepeat:
		s.queue.inspect.Push(r.Ordinal)
	default:
		s.queue.timers.Push(queue.Timer{At: t.Ended, Item: r.Ordinal, Kind: timerAttempt})
	}
}
