package simulate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/seed-19b57ce3/ota"
)

// simulator is a loop around Steppers in virtual time. Where an engine calls, asks and waits, it
// asks the simulated fleet, queues the answer, and jumps to the next moment at which something
// happens.
type simulator struct {
	caller context.Context // ends the simulation
	// ctx is caller without its end: no call of the Store waits, and a context for each of them
	// would be most of what a run allocates.
	ctx    context.Context
	engine *ota.Engine
	clock  *virtualClock
	fleet  Fleet
	with   companions
	opt    Options
	plans  []*plan // the plan, and its rollback plan once that was started
	events events
	breach *ota.Breach // the first that paused the plan and was accepted
	number int         // of events so far
	calls  int

	delivered []*event // to be used again
}

// plan is one plan that is simulated.
type plan struct {
	id      string
	stepper *ota.Stepper
	due     bool // step it at once
	wake    time.Time
	late    int // calls that were abandoned and will return
}

// virtualClock stands still until it is set.
type virtualClock struct {
	clock.Clock // only Now is used: nothing waits in a simulation
	now         time.Time
}

// Now returns the virtual time.
func (c *virtualClock) Now() time.Time { return c.now }

func newSimulator(ctx context.Context, in ota.Store, fleet Fleet, with companions, opt Options) (*simulator, error) {
	s := &simulator{
		caller: ctx, ctx: context.WithoutCancel(ctx), clock: &virtualClock{Clock: clock.New(), now: opt.Start},
		fleet: fleet, with: with, opt: opt,
	}
	var err error
	s.engine, err = ota.New(in, nil, ota.Options{Name: actor, Clock: s.clock, SameVersion: opt.SameVersion})
	return s, err
}

// actor is the engine's name, the ID of a plan that has none, and the actor of verbs.
const actor = "simulation"

// create creates the plan, and returns its ID.
func (s *simulator) create(spec ota.Spec) (id string, err error) {
	spec.ID = cmp.Or(spec.ID, actor)
	p, err := s.engine.Create(s.caller, spec)
	return p.ID, err
}

// start starts the plan.
func (s *simulator) start(id, by string) error {
	if _, err := s.engine.Start(s.caller, id, ota.Request{Actor: by}); err != nil {
		return err
	}
	s.add(id)
	return nil
}

func (s *simulator) add(id string) {
	can := ota.Answers{Health: s.with.Prober != nil, Precheck: s.with.Prechecker != nil, Gate: s.with.Gater != nil}
	s.plans = append(s.plans, &plan{id: id, stepper: s.engine.Stepper(id, can), due: true})
}

// run goes from one moment to the next until nothing happens any more.
func (s *simulator) run() (Stop, error) {
	end := s.opt.Start.Add(s.opt.MaxTime)
	for {
		if s.caller.Err() != nil {
			return 0, context.Cause(s.caller)
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
			return StopWaits, nil
		case next.After(end):
			s.clock.now = end
			return StopMaxTime, nil
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
			if err := s.step(p); err != nil {
				return err
			}
		}
	}
}

func (p *plan) isDue(now time.Time) bool {
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

// step steps a plan, makes its calls and asks its questions.
func (s *simulator) step(p *plan) error {
	step, err := p.stepper.Step(s.ctx, s.clock.now)
	if err != nil {
		return err
	}
	p.wake, p.due = step.Wake, step.Again
	for _, c := range step.Calls {
		s.call(p, c)
	}
	for _, q := range step.Questions {
		if err := s.ask(p, q); err != nil {
			return err
		}
	}
	if step.Committed {
		return s.counterpart()
	}
	if !step.Again && p.isDue(s.clock.now) {
		return fmt.Errorf("simulate: plan %s does not go on at %s", p.id, s.clock.now.Format(time.RFC3339Nano))
	}
	return nil
}

// rest looks whether the plan has come to rest, and acts as Options say.
func (s *simulator) rest() (Stop, error) {
	if s.opt.Promote {
		if err := s.promote(); err != nil || s.anyDue() {
			return 0, err
		}
	}
	p := s.plans[0]
	needsPerson := s.needsPerson(p)
	if !needsPerson && !p.stepper.Resting() {
		return 0, nil
	}
	st, err := p.stepper.Plan(s.ctx)
	switch {
	case err != nil:
		return 0, err
	case st.Status == ota.StatusRunning:
		return StopWaits, nil
	case st.Status.Ended():
		return StopEnded, nil
	case p.late > 0: // their return changes the plan's log
		return 0, nil
	case !s.opt.Accept || len(st.Breaches) == 0 || st.Breaches[0].Reason == ota.ReasonFault:
		return StopPaused, nil
	}
	if s.breach == nil {
		s.breach = &st.Breaches[0]
	}
	if _, err := s.engine.Resume(s.ctx, p.id, ota.Accept(st.Counts.Bad()), ota.Request{Actor: actor}); err != nil {
		return 0, err
	}
	return 0, s.refresh(p)
}

// whilePaused are the reasons of blockers that stay as long as the plan is paused: it starts nothing,
// asks no Gater, and completes no last batch. A straggler whose call is out has a blocker of its own.
var whilePaused = []ota.Reason{
	ota.ReasonGate, ota.ReasonConcurrency, ota.ReasonReserve, ota.ReasonBudget, ota.ReasonCoverage, ota.ReasonStragglers,
}

// needsPerson reports whether only a person can make the plan go on: each blocker needs a verb, or
// stays until the plan is resumed. A plan whose agents are probed is never at rest by itself.
func (s *simulator) needsPerson(p *plan) bool {
	if s.with.Prober == nil {
		return false
	}
	blockers := p.stepper.Blockers()
	paused := slices.ContainsFunc(blockers, func(b ota.Blocker) bool {
		return b.Reason == ota.ReasonPaused || b.Reason == ota.ReasonBreached
	})
	return len(blockers) > 0 && !slices.ContainsFunc(blockers, func(b ota.Blocker) bool {
		return b.Verb == 0 && !(paused && slices.Contains(whilePaused, b.Reason))
	})
}

// promote promotes what nothing else holds.
func (s *simulator) promote() error {
	for _, p := range s.plans {
		batch, held := p.stepper.Held()
		if !held {
			continue
		}
		if _, err := s.engine.Promote(s.ctx, p.id, batch, ota.Request{Actor: actor}); err != nil {
			return err
		}
		if err := s.refresh(p); err != nil {
			return err
		}
	}
	return nil
}

// refresh makes a plan take in a verb.
func (s *simulator) refresh(p *plan) error {
	changed, err := p.stepper.Refresh(s.ctx)
	p.due = p.due || changed
	return err
}

// counterpart does what is due between the two plans of a rollback, after one of them has
// committed.
func (s *simulator) counterpart() error {
	for i := 0; i < len(s.plans); i++ { //nolint:intrange // a plan may be added on the way
		p := s.plans[i]
		other, changed, err := p.stepper.Counterpart(s.ctx)
		p.due = p.due || changed
		if err != nil {
			return err
		}
		if other != "" && len(s.plans) == 1 {
			s.add(other)
		}
	}
	if len(s.plans) == 1 {
		return nil
	}
	return s.refresh(s.plans[0]) // the rollback plan may have changed it
}

// next is when something happens next; zero when nothing does.
func (s *simulator) next() time.Time {
	var next time.Time
	if len(s.events) > 0 {
		next = s.events[0].at
	}
	for _, p := range s.plans {
		if w := p.wake; !w.IsZero() && (next.IsZero() || w.Before(next)) {
			next = w
		}
	}
	return next
}
