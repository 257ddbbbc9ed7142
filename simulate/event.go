package simulate

import (
	"container/heap"
	"context"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// event is an answer on its way.
type event struct {
	at       time.Time
	number   int // of all events: those of one moment come in the order of their causes
	plan     *plan
	kind     eventKind
	call     ota.Call
	end      Call      // of eventReturned and eventLate
	question *question // of eventAnswered
}

type eventKind uint8

const (
	eventReturned  eventKind = iota + 1 // a call returns
	eventAbandoned                      // a call is abandoned, and never returns
	eventDelayed                        // a call is abandoned, and returns later
	eventLate                           // an abandoned call returns
	eventAnswered                       // a question is answered
)

// question is a question with its answer.
type question struct {
	ota.Question
	health   ota.Health
	precheck ota.Precheck
	verdict  ota.GateVerdict
	err      error
}

// call asks the fleet how a call ends, and queues that end.
func (s *simulator) call(p *plan, c ota.Call) {
	s.calls++
	now := s.clock.now
	a := c.Attempt()
	end := s.fleet.SimulateCall(a, now)
	back, limit := now.Add(max(end.Latency, 0)), a.Deadline
	if end.Latency == ota.NoTimeout {
		back = time.Time{}
	}
	inTime := func(limit time.Time) bool { return limit.IsZero() || !back.IsZero() && !back.After(limit) }
	if !limit.IsZero() && end.IgnoresContext {
		limit = limit.Add(s.opt.AbandonAfter)
	}
	switch {
	case inTime(limit) && back.IsZero(): // it never returns
	case inTime(limit):
		s.send(event{at: back, plan: p, kind: eventReturned, call: c, end: end})
	case !end.IgnoresContext:
		s.send(event{at: limit, plan: p, kind: eventReturned, call: c, end: Call{Err: context.DeadlineExceeded}})
	case back.IsZero():
		s.send(event{at: limit, plan: p, kind: eventAbandoned, call: c})
	default:
		s.send(event{at: limit, plan: p, kind: eventDelayed, call: c})
		s.send(event{at: back, plan: p, kind: eventLate, call: c, end: end})
	}
}

// ask asks the fleet about an agent or a batch, and queues the answer.
func (s *simulator) ask(p *plan, q ota.Question) error {
	x := &question{Question: q}
	var latency time.Duration
	switch q.Kind {
	case ota.QuestionPrecheck:
		c := s.with.Prechecker.SimulatePrecheck(q.Attempt(), s.clock.now)
		latency, x.precheck, x.err = c.Latency, c.Precheck, c.Err
	case ota.QuestionGate:
		g, err := s.gate(p, q.Batch())
		if err != nil {
			return err
		}
		latency, x.verdict, x.err = g.Latency, g.Verdict, g.Err
	default:
		h := s.with.Prober.SimulateHealth(q.Attempt(), s.clock.now)
		latency, x.health, x.err = h.Latency, h.Health, h.Err
	}
	at := s.clock.now.Add(max(latency, 0))
	if at.After(q.Deadline) {
		at, x.err = q.Deadline, context.DeadlineExceeded
	}
	s.send(event{at: at, plan: p, kind: eventAnswered, question: x})
	return nil
}

// gate asks the fleet about a batch.
func (s *simulator) gate(p *plan, batch int) (Gate, error) {
	plan, err := p.stepper.Plan(s.ctx)
	if err != nil {
		return Gate{}, err
	}
	for b, err := range s.engine.Batches(s.ctx, p.id, batch) {
		if err != nil {
			return Gate{}, err
		}
		return s.with.Gater.SimulateGate(plan, b, s.clock.now), nil
	}
	return Gate{}, fmt.Errorf("simulate: plan %s has no batch %d", p.id, batch)
}

// send queues an event. It uses those again that were delivered.
func (s *simulator) send(e event) {
	s.number++
	e.number = s.number
	var x *event
	if n := len(s.delivered); n > 0 {
		x, s.delivered = s.delivered[n-1], s.delivered[:n-1]
	} else {
		x = new(event)
	}
	*x = e
	heap.Push(&s.events, x)
}

// deliver hands in what has arrived by now.
func (s *simulator) deliver() {
	for len(s.events) > 0 && !s.events[0].at.After(s.clock.now) {
		e := heap.Pop(&s.events).(*event) //nolint:forcetypeassert // only events are pushed
		p := e.plan
		p.due = true
		switch e.kind {
		case eventReturned:
			p.stepper.Returned(e.call, e.at, e.end.Result, e.end.Err)
		case eventAbandoned:
			p.stepper.Abandoned(e.call, e.at)
		case eventDelayed:
			p.stepper.Abandoned(e.call, e.at)
			p.late++
		case eventLate:
			p.stepper.Returned(e.call, e.at, e.end.Result, e.end.Err)
			p.late--
		case eventAnswered:
			e.question.deliver(p.stepper, e.at)
		}
		*e = event{}
		s.delivered = append(s.delivered, e)
	}
}

func (q *question) deliver(s *ota.Stepper, at time.Time) {
	switch q.Kind {
	case ota.QuestionPrecheck:
		s.AnswerPrecheck(q.Question, at, q.precheck, q.err)
	case ota.QuestionGate:
		s.AnswerGate(q.Question, q.verdict, q.err)
	default:
		s.AnswerHealth(q.Question, at, q.health, q.err)
	}
}

// events is a heap, the earliest first.
type events []*event

func (h events) Len() int { return len(h) }
func (h events) Less(i, j int) bool {
	if c := h[i].at.Compare(h[j].at); c != 0 {
		return c < 0
	}
	return h[i].number < h[j].number
}
func (h events) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *events) Push(x any)   { *h = append(*h, x.(*event)) } //nolint:forcetypeassert // only events are pushed
func (h *events) Pop() any {
	old := *h
	x := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return x
}
