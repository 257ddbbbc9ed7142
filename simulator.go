package ota

import (
	"context"
	"fmt"
	"time"

	"github.com/benbjohnson/clock"
)

// simulator is the shell around the core in virtual time: where the driver calls, asks and waits, it asks the simulated
// fleet, puts the answer into a queue, and jumps to the next moment at which something happens.
type simulator struct {
	ctx    context.Context
	engine *Engine
	clock  *simClock
	fleet  SimFleet
	with   simCompanions
	opt    SimOptions
	plans  []*simPlan // the plan, and its rollback plan once that was started
	events simEvents
	breach *Breach // the first that struck the plan, once it was answered
	number int     // of events so far
	calls  int
}

// simPlan is one plan that is being simulated.
type simPlan struct {
	id      string
	session *session
	around  surroundings
	in      input
	due     bool // it is to be looked at again at once
	wake    time.Time
	out     int       // calls that the plan waits for
	left    int       // calls that were abandoned and will return
	never   []callKey // calls that never return
}

// simClock is a clock that stands still until it is set.
type simClock struct {
	clock.Clock // nothing but Now is asked of it: nobody waits in a simulation
	now         time.Time
}

// Now returns the virtual time.
func (c *simClock) Now() time.Time { return c.now }

func newSimulator(ctx context.Context, fleet SimFleet, opt SimOptions) (*simulator, error) {
	s := &simulator{ctx: ctx, clock: &simClock{Clock: clock.New(), now: opt.Start}, fleet: fleet, opt: opt}
	var m mistakes
	findCompanions(&m, "fleet", fleet, &s.with)
	err := m.result()
	if err != nil {
		return nil, err
	}
	s.engine, err = New(NewMemStore(), nil, Options{Name: "simulation", Clock: s.clock, SameVersion: opt.SameVersion})
	return s, err
}

// begin makes and starts the plan.
func (s *simulator) begin(spec Spec) error {
	p, err := s.engine.Create(s.ctx, spec)
	if err != nil {
		return err
	}
	if _, err := s.engine.Start(s.ctx, p.ID, Request{Actor: spec.CreatedBy}); err != nil {
		return err
	}
	s.add(p.ID)
	return nil
}

func (s *simulator) add(id string) {
	p := &simPlan{id: id, session: newSession(s.engine.store, id, s.engine.opt.Name, 0), due: true}
	p.session.same = s.engine.opt.SameVersion
	p.session.abilities.prober, p.session.abilities.prechecker = s.with.SimProber != nil, s.with.SimPrechecker != nil
	p.session.callsInFlight = func(calls map[callKey]bool) bool { return s.out(p, calls) }
	s.plans = append(s.plans, p)
}

// run goes from one moment to the next until nothing happens any more.
func (s *simulator) run() (SimStop, error) {
	end := s.opt.Start.Add(s.opt.MaxTime)
	for {
		if err := s.ctx.Err(); err != nil {
			return 0, context.Cause(s.ctx)
		}
		if err := s.now(); err != nil {
			return 0, err
		}
		if stop, err := s.rest(); stop != 0 || err != nil {
			return stop, err
		}
		if s.anyDue() {
			continue
		}
		switch next := s.next(); {
		case next.IsZero():
			return SimWaits, nil
		case next.After(end):
			s.clock.now = end
			return SimMaxTime, nil
		default:
			s.clock.now = next
		}
	}
}

// now does everything that is due at this moment.
func (s *simulator) now() error {
	for {
		s.deliver()
		if !s.anyDue() {
			return nil
		}
		for _, p := range s.plans {
			if !p.isDue(s.clock.now) {
				continue
			}
			if err := s.turn(p); err != nil {
				return err
			}
		}
	}
}

func (p *simPlan) isDue(now time.Time) bool {
	return p.due || !p.wake.IsZero() && !p.wake.After(now)
}

func (s *simulator) anyDue() bool {
	for _, p := range s.plans {
		if p.isDue(s.clock.now) {
			return true
		}
	}
	return false
}

// turn is what the driver's turn is: the session goes as far as it can, and what it hands out is called and asked.
func (s *simulator) turn(p *simPlan) error {
	x := p.session
	wake, again, err := x.turn(s.ctx, s.clock.now, turnInput{input: p.in, surroundings: p.around})
	p.in = input{outcomes: p.in.outcomes[:0]}
	if err != nil {
		return err
	}
	p.wake, p.due = wake, again
	for i := range x.starts {
		s.call(p, &x.starts[i])
	}
	x.starts = x.starts[:0]
	for _, a := range x.asks {
		s.ask(p, a)
	}
	x.asks = x.asks[:0]
	if !x.committed {
		if !again && p.isDue(s.clock.now) {
			return fmt.Errorf("ota: plan %s does not go on at %s", p.id, s.clock.now.Format(time.RFC3339Nano))
		}
		return nil
	}
	x.committed = false
	return s.tend(p)
}

// rest looks whether the plan has come to rest, and says what somebody who watches it would say.
func (s *simulator) rest() (SimStop, error) {
	if s.opt.Promote {
		if err := s.promote(); err != nil || s.anyDue() {
			return 0, err
		}
	}
	p := s.plans[0]
	if p.out > 0 || !p.session.idle(p.wake, p.left > 0) {
		return 0, nil
	}
	st := p.session.st
	if st.status().Ended() {
		return SimEnded, nil
	}
	b := standing(&st.c, &st.p)
	if !s.opt.Accept || b == nil || b.Reason == ReasonFault {
		return SimPaused, nil
	}
	if s.breach == nil {
		s.breach = b
	}
	if _, err := s.engine.Resume(s.ctx, p.id, Accept(st.p.Counts.Bad()), Request{Actor: simActor}); err != nil {
		return 0, err
	}
	return 0, s.heard(p)
}

// simActor is who says verbs in a simulation.
const simActor = "simulation"

// promote promotes what is held by nothing else.
func (s *simulator) promote() error {
	for _, p := range s.plans {
		v := p.session.st.view(s.clock.now.UnixNano())
		if v.status != StatusRunning || v.b == nil || v.b.Status != BatchPending {
			continue
		}
		if _, held := promotedBarrier(&v); !held {
			continue
		}
		if _, err := s.engine.Promote(s.ctx, p.id, v.b.Index, Request{Actor: simActor}); err != nil {
			return err
		}
		if err := s.heard(p); err != nil {
			return err
		}
	}
	return nil
}

// heard makes a session take in a verb.
func (s *simulator) heard(p *simPlan) error {
	if p.session.st == nil {
		return nil // it is due, and reads everything
	}
	number := p.session.st.controlNumber
	if err := p.session.refresh(s.ctx); err != nil {
		return err
	}
	p.due = p.due || p.session.st == nil || p.session.st.controlNumber != number
	return nil
}

// tend looks after the rollback, as the drivers of the two plans do. p is the plan that has just committed something.
func (s *simulator) tend(p *simPlan) error {
	st := p.session.st
	if st.spec.Source == "" && st.c.Rollback == nil && !undoing(&st.c, &st.p) {
		return nil
	}
	for i := 0; i < len(s.plans); i++ { //nolint:intrange // a plan may be added on the way
		p := s.plans[i]
		link, err := s.engine.advanceRollback(s.ctx, p.id)
		if err != nil {
			return err
		}
		if link.drained && !p.around.source {
			p.around.source, p.around.untouched, p.due = true, link.untouched, true
		}
		if err := s.heard(p); err != nil {
			return err
		}
		if ref := s.plans[0].session.st.c.Rollback; ref != nil && ref.Started != nil && len(s.plans) == 1 {
			s.add(ref.ID)
		}
	}
	return s.heard(s.plans[0]) // what was said to it from the other side
}

// next is when something happens next; zero when nothing does.
func (s *simulator) next() time.Time {
	var next time.Time
	for _, p := range s.plans {
		next = soonest(next, p.wake)
	}
	if len(s.events) > 0 {
		next = soonest(next, s.events[0].at)
	}
	return next
}
