package ota

import (
	"container/heap"
	"context"
	"time"
)

// simEvent is an answer on its way.
type simEvent struct {
	at      time.Time
	number  int // of all events: at one moment they come in the order in which they were caused
	plan    *simPlan
	outcome outcome
	probe   *probeAnswer    // instead of outcome
	check   *precheckAnswer // instead of outcome
	returns bool            // of a call that was abandoned: it returns some day
}

// call asks the fleet how a call ends, and sends the outcome on its way: the outcome that the driver's calls would have.
func (s *simulator) call(p *simPlan, j *job) {
	s.calls++
	now := s.clock.now
	c := s.fleet.SimulateCall(j.attempt(), now)
	p.out++
	back, limit := now.Add(max(c.Latency, 0)), stamp(j.deadline)
	if c.Latency == NoTimeout {
		back = time.Time{}
	}
	inTime := func(limit time.Time) bool { return limit.IsZero() || !back.IsZero() && !back.After(limit) }
	if !limit.IsZero() && c.IgnoresContext {
		limit = limit.Add(s.opt.AbandonAfter)
	}
	switch {
	case inTime(limit) && back.IsZero():
		p.never = append(p.never, j.key())
	case inTime(limit):
		s.send(&simEvent{at: back, plan: p, outcome: j.returned(back, c.Result, c.Err)})
	case !c.IgnoresContext:
		s.send(&simEvent{at: limit, plan: p, outcome: j.returned(limit, Result{}, context.DeadlineExceeded)})
	default:
		s.send(&simEvent{at: limit, plan: p, outcome: j.abandoned(limit, ReasonAbandoned), returns: !back.IsZero()})
		if !back.IsZero() {
			o := j.returned(back, c.Result, c.Err)
			o.returnedLate = true
			s.send(&simEvent{at: back, plan: p, outcome: o})
		}
	}
}

// returned is the outcome of a call that has returned.
func (j *job) returned(at time.Time, res Result, err error) outcome {
	o := j.outcome(at)
	o.tell(res, err, nil, j.deadline)
	return o
}

// ask asks the fleet how an agent is, and sends the answer on its way.
func (s *simulator) ask(p *simPlan, a ask) {
	if a.kind == askPrecheck {
		s.askPrecheck(p, a)
		return
	}
	h := s.with.SimProber.SimulateHealth(a.attempt, s.clock.now)
	if h.Latency > askLimit {
		h.Latency, h.Err = askLimit, context.DeadlineExceeded
	}
	at := s.clock.now.Add(max(h.Latency, 0))
	answer := h.Health.answer(a, at, h.Err)
	s.send(&simEvent{at: at, plan: p, probe: &answer})
}

func (s *simulator) askPrecheck(p *simPlan, a ask) {
	c := s.with.SimPrechecker.SimulatePrecheck(a.attempt, s.clock.now)
	if c.Latency > askLimit {
		c.Latency, c.Err = askLimit, context.DeadlineExceeded
	}
	at := s.clock.now.Add(max(c.Latency, 0))
	said, after := readPrecheck(s.engine.opt.SameVersion, a.attempt, c.Precheck, c.Err)
	answer := said.answer(a, after, at)
	s.send(&simEvent{at: at, plan: p, check: &answer})
}

// out adds the calls of a plan that are out, as a pool does.
func (s *simulator) out(p *simPlan, calls map[callKey]bool) (lost bool) {
	for _, e := range s.events {
		if e.plan == p && e.probe == nil && e.check == nil && !e.outcome.returnedLate {
			calls[e.outcome.key()] = true
		}
	}
	for _, key := range p.never {
		calls[key] = true
	}
	return false
}

func (s *simulator) send(e *simEvent) {
	s.number++
	e.number = s.number
	heap.Push(&s.events, e)
}

// deliver gives the sessions what has arrived by now.
func (s *simulator) deliver() {
	for len(s.events) > 0 && !s.events[0].at.After(s.clock.now) {
		e := heap.Pop(&s.events).(*simEvent) //nolint:forcetypeassert // only events are pushed
		p := e.plan
		p.due = true
		if e.probe != nil {
			p.in.probes = append(p.in.probes, *e.probe)
			continue
		}
		if e.check != nil {
			p.in.prechecks = append(p.in.prechecks, *e.check)
			continue
		}
		p.in.outcomes = append(p.in.outcomes, e.outcome)
		switch {
		case e.outcome.returnedLate:
			p.left--
		case e.returns:
			p.left++
			fallthrough
		default:
			p.out--
		}
	}
}

type simEvents []*simEvent

func (h simEvents) Len() int { return len(h) }
func (h simEvents) Less(i, j int) bool {
	if c := h[i].at.Compare(h[j].at); c != 0 {
		return c < 0
	}
	return h[i].number < h[j].number
}
func (h simEvents) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *simEvents) Push(x any)   { *h = append(*h, x.(*simEvent)) } //nolint:forcetypeassert // only events are pushed
func (h *simEvents) Pop() any {
	old := *h
	x := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return x
}
