package ota

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
)

// speaker says verbs in a simulation, each under a request ID. It repeats them, at once, later, or after the process that
// said them has died at one of its writes.
type speaker struct {
	left   int        // how many more verbs are said
	lot    *rand.Rand // decides about repetitions and deaths, apart from the schedule; nil: there are none
	count  int
	past   []request
	saying bool // a verb is being said, not tended
	doomed int  // the process dies at this write; 0: it does not
	landed bool // and that write lands
	dead   bool
}

// request is a verb that was said.
type request struct {
	plan, id string
	say      func(Request) (Plan, error)
	rollback bool
	answer   string // ID of the plan that was returned; empty: there was no answer, since the process had died
}

var errSimDead = errors.New("sim: the process that says this has died")

// write lets a write of a verb happen, or the process die at it.
func (s *speaker) write(f func() error) error {
	if !s.saying {
		return f()
	}
	if s.dead {
		return errSimDead
	}
	if s.doomed--; s.doomed != 0 {
		return f()
	}
	s.dead = true
	if s.landed {
		_ = f() // nobody hears what came of it
	}
	return errSimDead
}

// draw is true once in n times.
func (s *speaker) draw(n int) bool { return s.lot != nil && s.lot.IntN(n) == 0 }

// verb says something to a plan, or repeats what was said to any.
func (w *world) verb(id string) {
	if w.verbs.left == 0 {
		return
	}
	w.verbs.left--
	q := w.newRequest(id)
	s := &w.verbs
	s.count++
	q.id = fmt.Sprintf("r%d", s.count)
	if s.doomed = 0; s.draw(4) {
		s.doomed, s.landed = 1+s.lot.IntN(5), s.lot.IntN(2) == 0
	}
	w.send(&q)
	for s.draw(3) {
		w.again(&q)
	}
	for len(s.past) > 0 && s.draw(3) {
		w.again(&s.past[s.lot.IntN(len(s.past))])
	}
	s.past = append(s.past, q)
}

// send says a verb, and remembers the answer.
func (w *world) send(q *request) {
	s := &w.verbs
	outer := s.saying
	s.saying = true
	p, err := q.say(Request{Actor: "ann", ID: q.id})
	dead := s.dead
	s.saying, s.dead, s.doomed = outer, false, 0
	w.referee.created(w.plans()...)
	switch {
	case err == nil:
		q.answer = p.ID
	case dead:
	case !refusedBySim(err):
		panic(fmt.Sprintf("sim: verb: %v", err))
	default:
		q.say = nil // it was refused: nothing was carried out that could be repeated
	}
}

func refusedBySim(err error) bool {
	kinds := []error{ErrState, ErrBreach, ErrInvalid, ErrNotFound, ErrNothing, ErrClaimed, ErrConflict}
	return slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) })
}

// again repeats a request. One that was answered changes nothing, and has the same answer.
func (w *world) again(q *request) {
	switch {
	case q.say == nil:
	case q.answer == "":
		w.send(q)
	default:
		for _, id := range w.plans() { // what is due between two plans is done first
			w.tend(id)
		}
		before := w.revisions()
		p, err := q.say(Request{Actor: "ann", ID: q.id})
		if err != nil || p.ID != q.answer || w.revisions() != before {
			w.referee.fail("request %s to %s was answered with %s; repeated: plan %s, %v, %d commits", q.id, q.plan, q.answer, p.ID, err, w.revisions()-before)
		}
	}
}

// newRequest draws a verb.
func (w *world) newRequest(id string) request {
	e, ctx := w.engine, w.ctx
	q := request{plan: id}
	resume := func(d Decision) func(Request) (Plan, error) {
		return func(by Request) (Plan, error) { return e.Resume(ctx, id, d, by) }
	}
	edit := func(change func(*Policy)) func(Request) (Plan, error) {
		return func(by Request) (Plan, error) { return e.Edit(ctx, id, change, by) }
	}
	q.say = func(Request) (Plan, error) { return Plan{}, ErrNothing }
	switch w.choose.pick(17) {
	case 0, 1:
		q.say = func(by Request) (Plan, error) { return e.Start(ctx, id, by) }
	case 2, 3:
		q.say = func(by Request) (Plan, error) { return w.pause(id, by) }
	case 4:
		q.say = resume(Decision{})
	case 5:
		row := w.row(id)
		q.say = resume(Accept(row.Progress.Counts.Bad()))
	case 6:
		q.say = resume(Raise(0.8))
	case 7:
		q.say = resume(RetryFailed())
	case 8:
		q.say = func(by Request) (Plan, error) { return e.Retry(ctx, id, nil, by) }
	case 9:
		batch := 1 + w.choose.pick(3)
		q.say = func(by Request) (Plan, error) { return e.Promote(ctx, id, batch, by) }
	case 10:
		agents := []string{fmt.Sprintf("a%02d", w.choose.pick(len(w.behave)))}
		q.say = func(by Request) (Plan, error) { return e.Skip(ctx, id, agents, by) }
	case 11:
		if w.choose.pick(3) == 0 {
			interrupt := w.choose.pick(2) == 0
			q.say = func(by Request) (Plan, error) { return e.Cancel(ctx, id, interrupt, by) }
		}
	case 12:
		if w.choose.pick(2) == 0 {
			spec := RollbackSpec{Inherit: w.inherit()}
			q.say = func(by Request) (Plan, error) { return e.CreateRollback(ctx, id, spec, by) }
			break
		}
		spec := RollbackSpec{Interrupt: w.choose.pick(2) == 0, Inherit: w.inherit()}
		q.rollback = true
		q.say = func(by Request) (Plan, error) { return e.Rollback(ctx, id, spec, by) }
	case 13:
		c := 1 + w.choose.pick(4)
		q.say = edit(func(p *Policy) { p.Concurrency = c })
	case 14:
		b := simBudgets(1+w.choose.pick(3), int(w.clock.t.Unix()))
		q.say = edit(func(p *Policy) { p.Budgets = b })
	case 15:
		agents := []string{fmt.Sprintf("a%02d", w.choose.pick(len(w.behave)))}
		if calls := w.procs[0].calls; len(calls) > 0 { // most agents have none
			agents[0] = calls[w.choose.pick(len(calls))].job.agent
		}
		q.say = func(by Request) (Plan, error) { return e.GiveUp(ctx, id, agents, by) }
	case 16:
		agents := []string{fmt.Sprintf("a%02d", w.choose.pick(len(w.behave)))}
		q.say = func(by Request) (Plan, error) { return e.Now(ctx, id, agents, by) }
	}
	return q
}

// pause tells the referee when a Pause that was carried out has returned. A repetition says nothing about the plan as it is now.
func (w *world) pause(id string, by Request) (Plan, error) {
	_, known := w.row(id).Control.known(by.ID, VerbPause)
	p, err := w.engine.Pause(w.ctx, id, by)
	if err == nil && !known {
		w.referee.paused(id, p)
	}
	return p, err
}

// inherit is what the rollbacks of this world inherit.
func (w *world) inherit() Inherit { return Inherit(len(w.behave) % 3) }

// together checks that a rollback plan moves only while its source rolls back.
func (r *referee) together(back *planRow) {
	st := statusOf(&back.Control, &back.Progress)
	if back.Source == "" || r.w.older || st == StatusPending || st.Ended() {
		return
	}
	source := r.w.row(back.Source)
	if ref := source.Control.Rollback; ref == nil || ref.ID != back.ID || ref.Started == nil {
		r.fail("rollback plan %s is %s, its source is %s", back.ID, st, statusOf(&source.Control, &source.Progress))
	}
}

// pairs checks at rest that a Rollback that was accepted has led to something, and that no plan of a pair stands where only the
// other one could help.
func (r *referee) pairs() {
	w := r.w
	for _, q := range w.verbs.past {
		if q.rollback && q.answer != "" && statusOf(&w.row(q.answer).Control, &w.row(q.answer).Progress) == StatusPending {
			r.fail("request %s was accepted, and rollback plan %s is pending", q.id, q.answer)
		}
	}
	for id := range r.plans {
		back := w.row(id)
		if back.Source == "" {
			continue
		}
		source := w.row(back.Source)
		st, src := statusOf(&back.Control, &back.Progress), statusOf(&source.Control, &source.Progress)
		tied := source.Control.Rollback != nil && source.Control.Rollback.ID == id
		var ok bool
		switch st {
		case StatusPending:
			ok = !tied || !source.Control.Rollback.begun()
		case StatusCompleted:
			ok = src == StatusRolledBack
		case StatusCanceled:
			ok = !tied || src == StatusCompleted || src == StatusCanceled // nobody drives a plan that has ended
		default:
			ok = tied && src == StatusRollingBack
		}
		if !ok {
			r.fail("rollback plan %s is %s, its source is %s, tied %t", id, st, src, tied)
		}
	}
}
