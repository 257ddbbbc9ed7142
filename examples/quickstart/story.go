package main

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// story is what the quickstart shows: all that it wants of the library.
type story struct {
	fleet  *fleet
	engine *ota.Engine
	out    *output
	shape  ota.Shape
	policy ota.Policy
	me     ota.By
}

func newStory(c config, f *fleet, out *output) (*story, error) {
	engine, err := ota.New(ota.NewMemStore(), executor{f}, ota.Options{
		DrainTimeout: time.Second, // how long calls may go on after Ctrl-C
		AbandonAfter: time.Second,
	})
	if err != nil {
		return nil, err
	}
	return &story{
		fleet: f, engine: engine, out: out,
		shape: ota.Shape{Size: c.batch},
		policy: ota.Policy{
			Concurrency:      c.concurrency,
			FailureThreshold: new(0.1), // of each batch
			Observe:          ota.Observe{Wait: time.Second, Probe: 250 * time.Millisecond},
			AttemptLimit:     10 * time.Second,
		},
		me: ota.By{Actor: "quickstart"},
	}, nil
}

// tell runs three plans, and after each one asks every agent whether what the plan has on record is true.
func (s *story) tell(ctx context.Context) error {
	before := s.fleet.census(ctx)
	if err := s.out.census(before, agreeOn(before, "1.2.0"), ""); err != nil {
		return err
	}

	s.out.title("Upgrade 1.2.0 to 1.3.0")
	bad, err := s.upgrade(ctx, "1.2.0", "1.3.0")
	if err != nil {
		return err
	}
	if bad.Status != ota.StatusPaused {
		return fmt.Errorf("plan %s is %s, but it should have paused itself", bad.Name, bad.Status)
	}
	if err := s.compare(ctx, bad, before); err != nil {
		return err
	}

	s.out.title("Why does it not go on?")
	why, err := s.engine.Explain(ctx, bad.ID)
	if err != nil {
		return err
	}
	s.out.explain(why)

	s.out.title("Roll back what was touched, and nothing else")
	undo, err := s.engine.Rollback(ctx, bad.ID, ota.RollbackSpec{}, s.me)
	if err != nil {
		return err
	}
	if undo, err = s.drive(ctx, undo); err != nil {
		return err
	}
	if err := s.compareRollback(ctx, bad, undo, before); err != nil {
		return err
	}

	s.out.title("Upgrade 1.2.0 to 1.3.1")
	before = s.fleet.census(ctx)
	good, err := s.upgrade(ctx, "1.2.0", "1.3.1")
	if err != nil {
		return err
	}
	if good.Status != ota.StatusCompleted {
		return fmt.Errorf("plan %s is %s, but it should have completed", good.Name, good.Status)
	}
	if err := s.compare(ctx, good, before); err != nil {
		return err
	}
	s.out.title("What the agents say and what the plans have on record is the same")
	return s.summary(ctx)
}

// upgrade makes a plan for the whole fleet, starts it, and drives it until it is paused or has ended.
func (s *story) upgrade(ctx context.Context, from, to string) (ota.Plan, error) {
	p, err := s.engine.Create(ctx, ota.Spec{
		Name: from + " to " + to, FromVersion: from, ToVersion: to,
		Agents: ota.AgentIDs(s.fleet.ids()...), Shape: s.shape, Policy: s.policy,
		CreatedBy: s.me.Actor,
	})
	if err != nil {
		return p, err
	}
	if p, err = s.engine.Start(ctx, p.ID, s.me); err != nil {
		return p, err
	}
	return s.drive(ctx, p)
}

// drive runs a plan that was started, and shows what it does meanwhile.
func (s *story) drive(ctx context.Context, p ota.Plan) (ota.Plan, error) {
	s.out.plan(p)
	show, err := follow(ctx, s.engine, p, s.out)
	if err != nil {
		return p, err
	}
	p, err = s.engine.RunPlan(ctx, p.ID)
	return p, show.end(p, err)
}
