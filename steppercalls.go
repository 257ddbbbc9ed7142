package ota

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Call is a call of the Executor that a Step has committed. A Call belongs to its Stepper.
type Call struct {
	job    job
	slot   int
	number uint64 // of all calls of the Stepper
}

// Attempt is what Executor.Execute takes. Its Deadline is when the call's context should end; zero
// means never.
func (c Call) Attempt() Attempt { return c.job.attempt() }

// callSlot has one call that is out. A slot is used again, so that the calls that are out need as
// much memory as the plan's concurrency, and no more.
type callSlot struct {
	job       job
	number    uint64 // of the call; 0: there is none
	abandoned bool
}

// QuestionKind says what a Question is about.
type QuestionKind uint8

// What a Question is about, and the method that takes its answer.
const (
	QuestionHealth   = QuestionKind(askProbe)    // is the agent healthy? AnswerHealth
	QuestionInspect  = QuestionKind(askInspect)  // what became of the attempt? AnswerInspect
	QuestionGate     = QuestionKind(askGate)     // was the batch good enough? AnswerGate
	QuestionPrecheck = QuestionKind(askPrecheck) // may the agent be started? AnswerPrecheck
)

// Question is a read-only question that a Step asks. A Question belongs to its Stepper. A Step does
// not ask a question again while it has no answer.
type Question struct {
	Kind QuestionKind
	// Deadline is 30 seconds after the Step. Hand in an error then if there is no answer yet.
	Deadline time.Time
	ask      ask
}

// Attempt is what the question is about. It is the zero value for QuestionGate.
func (q Question) Attempt() Attempt { return q.ask.attempt }

// Batch is the index of the batch that a QuestionGate is about. It is 0 for other questions.
func (q Question) Batch() int { return q.ask.batch }

// handOut gives each call that was committed a slot.
func (s *Stepper) handOut() []Call {
	x := s.session
	if len(x.reportedCalls) > 0 { // reported before they were made
		x.starts = slices.DeleteFunc(x.starts, func(j job) bool { return slices.Contains(x.reportedCalls, j.key()) })
	}
	s.calls = s.calls[:0]
	for i := range x.starts {
		s.given++
		c := Call{job: x.starts[i], slot: len(s.slots), number: s.given}
		if n := len(s.free); n > 0 {
			c.slot, s.free = s.free[n-1], s.free[:n-1]
		} else {
			s.slots = append(s.slots, callSlot{})
		}
		s.slots[c.slot] = callSlot{job: c.job, number: c.number}
		s.calls = append(s.calls, c)
	}
	x.starts = x.starts[:0]
	return s.calls
}

// endedCalls lists the calls that need not go on: their outcome was reported, or they were given
// up.
func (s *Stepper) endedCalls() []Call {
	x := s.session
	s.ended = s.ended[:0]
	if len(x.reportedCalls)+len(s.givenUp) == 0 {
		return nil
	}
	for i := range s.slots {
		c := &s.slots[i]
		if c.out() && slices.Contains(x.reportedCalls, c.job.key()) || c.number != 0 && slices.Contains(s.givenUp, c.job.key()) {
			s.ended = append(s.ended, Call{job: c.job, slot: i, number: c.number})
		}
	}
	x.reportedCalls, s.givenUp = x.reportedCalls[:0], s.givenUp[:0]
	return s.ended
}

// giveUp is that of a pool: it abandons these calls, and returns those that have not returned.
func (s *Stepper) giveUp(calls []callKey, _ time.Time) (out []callKey) {
	for i := range s.slots {
		c := &s.slots[i]
		if c.number == 0 || !slices.Contains(calls, c.job.key()) {
			continue
		}
		out = append(out, c.job.key())
		if !c.abandoned {
			c.abandoned = true
			s.e.abandoned.add(abandonedCall{plan: s.id, agent: c.job.agent, ordinal: c.job.ordinal})
			s.givenUp = append(s.givenUp, c.job.key())
		}
	}
	return out
}

// out reports whether the plan waits for the call.
func (c *callSlot) out() bool { return c.number != 0 && !c.abandoned }

// callsOut adds the calls that are out, as a pool does: a row in flight has a call here, or its
// outcome is in the session.
func (s *Stepper) callsOut(calls map[callKey]bool) (lost bool) {
	for i := range s.slots {
		if c := &s.slots[i]; c.out() {
			calls[c.job.key()] = true
		}
	}
	return false
}

// waitsForCalls reports whether a call is out that was not abandoned.
func (s *Stepper) waitsForCalls() bool {
	return slices.ContainsFunc(s.slots, func(c callSlot) bool { return c.out() })
}

// slot is that of a call that is out, or nil.
func (s *Stepper) slot(c *Call) *callSlot {
	if c.slot >= len(s.slots) || c.number == 0 || s.slots[c.slot].number != c.number {
		return nil
	}
	return &s.slots[c.slot]
}

// Returned hands in how a call has ended: what Execute returned, and when. An error may be marked,
// as by Permanent; a *PanicError is a panic. After Deadline it is a timeout. After Step.Interrupt
// an error that is context.Canceled is an interrupted call. A call that was Abandoned before has
// now returned: its agent may be called again.
//
// Each call is handed in once. A call that is not out changes nothing.
func (s *Stepper) Returned(c Call, at time.Time, result Result, err error) {
	slot := s.slot(&c)
	if slot == nil {
		return
	}
	o := c.job.outcome(at)
	var ended error
	if s.interrupted && err != nil {
		if canceled, _ := protect(func() (bool, error) { return errors.Is(err, context.Canceled), nil }); canceled {
			ended = errInterrupted
		}
	}
	o.tell(result, err, ended, c.job.deadline)
	if slot.abandoned {
		o.returnedLate, s.late = true, true
		s.e.abandoned.remove(s.abandonedCall(&c))
	}
	*slot = callSlot{}
	s.free = append(s.free, c.slot)
	s.in.outcomes = append(s.in.outcomes, o)
}

// Abandoned hands in that a call has not returned although its context has ended. Options has the
// time that Run gives it: AbandonAfter. The task ends without it. The agent is not called again
// before the call has Returned: not by this plan, nor by another plan of this engine. Where the
// Store is a Claimer and a Leaser, other engines do not call it either, while the Stepper steps at
// least once per Options.Lease. Hand calls in as Abandoned, and Step, before you leave a Stepper
// while they are out.
func (s *Stepper) Abandoned(c Call, at time.Time) {
	slot := s.slot(&c)
	if slot == nil || slot.abandoned {
		return
	}
	why := ReasonAbandoned
	if s.interrupted && (c.job.deadline == 0 || at.UnixNano() < c.job.deadline) {
		why = ReasonInterrupted
	}
	slot.abandoned = true
	s.e.abandoned.add(s.abandonedCall(&c))
	s.in.outcomes = append(s.in.outcomes, c.job.abandoned(at, why))
}

func (s *Stepper) abandonedCall(c *Call) abandonedCall {
	return abandonedCall{plan: s.id, agent: c.job.agent, ordinal: c.job.ordinal}
}

// questionsOf hands out the questions of a step, but those that are out.
func (s *Stepper) questionsOf() []Question {
	x := s.session
	s.questions = s.questions[:0]
	for i := range x.asks {
		key := x.asks[i].key()
		if s.asked[key] {
			continue
		}
		if s.asked == nil {
			s.asked = map[askKey]bool{}
		}
		s.asked[key] = true
		s.questions = append(s.questions, Question{Kind: QuestionKind(x.asks[i].kind), Deadline: s.now.Add(askLimit), ask: x.asks[i]})
	}
	clear(x.asks)
	x.asks = x.asks[:0]
	return s.questions
}

// answered reports whether an answer counts: the question is out, and of that kind.
func (s *Stepper) answered(q *Question, kind askKind) bool {
	key := q.ask.key()
	if q.ask.kind != kind || !s.asked[key] {
		return false
	}
	delete(s.asked, key)
	return true
}

// AnswerHealth hands in what Prober.Health returned, and when. An error means that the health is
// not known. An answer to another question, or a second one, changes nothing.
func (s *Stepper) AnswerHealth(q Question, at time.Time, health Health, err error) {
	if s.answered(&q, askProbe) {
		s.in.probes = append(s.in.probes, health.answer(q.ask, at, err))
	}
}

// AnswerPrecheck hands in what Prechecker.Precheck returned, and when. An error means that the
// agent is unreachable. An answer to another question, or a second one, changes nothing.
func (s *Stepper) AnswerPrecheck(q Question, at time.Time, answer Precheck, err error) {
	if s.answered(&q, askPrecheck) {
		p, after := readPrecheck(s.e.opt.SameVersion, q.ask.attempt, answer, err)
		s.in.prechecks = append(s.in.prechecks, p.answer(q.ask, after, at))
	}
}

// AnswerInspect hands in what Inspector.Inspect returned, and when. With an error the attempt is
// repeated. An answer to another question, or a second one, changes nothing.
func (s *Stepper) AnswerInspect(q Question, at time.Time, found Inspection, err error) {
	if !s.answered(&q, askInspect) {
		return
	}
	if err != nil {
		found = Inspection{}
	}
	a := inspectAnswer{ordinal: q.ask.ordinal, task: q.ask.attempt.Task, number: q.ask.number}
	a.outcome = found.outcome(q.ask, at)
	s.in.inspects = append(s.in.inspects, a)
}

// AnswerGate hands in what Gater.Gate returned. With an error the gate is asked again later. An
// answer to another question, or a second one, changes nothing.
func (s *Stepper) AnswerGate(q Question, verdict GateVerdict, err error) {
	if !s.answered(&q, askGate) {
		return
	}
	a := gateAnswer{batch: q.ask.batch, finishedAt: q.ask.finishedAt}
	if err != nil {
		a.text = ": " + readError(err).text
	} else if verdict <= GateInconclusive {
		a.verdict = verdict
	}
	s.in.gates = append(s.in.gates, a)
}
