package main

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// story is what the quickstart shows: everything that it needs from the library. Every step first
// checks what exists already. So an interrupted story continues.
type story struct {
	fleet  *fleet
	engine *ota.Engine
	out    *output
	shape  ota.Shape
	policy ota.Policy
	me     ota.Request
	resume bool
	what   string // distinguishes this story from others in the same database
}

func newStory(c config, store ota.Store, f *fleet, out *output) (*story, error) {
	engine, err := ota.New(store, executor{f}, ota.Options{
		Name:         "quickstart", // an engine that returns under its name has its plans back at once
		DrainTimeout: time.Second,  // how long calls may continue after Ctrl-C
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
			Soak:             ota.Soak{Duration: time.Second, Interval: 250 * time.Millisecond},
			AttemptTimeout:   10 * time.Second,
		},
		me:     ota.Request{Actor: "quickstart"},
		resume: c.resume,
		what:   fmt.Sprintf("%d agents in batches of %d", c.agents, c.batch),
	}, nil
}

// tell runs three plans. After each it asks every agent whether the plan's record is true.
func (s *story) tell(ctx context.Context) error {
	if err := s.first(ctx); err != nil {
		return err
	}
	if err := s.badRelease(ctx); err != nil {
		return err
	}
	if err := s.goodRelease(ctx); err != nil {
		return err
	}
	s.out.title("The answers of the agents and the records of the plans agree")
	return s.summary(ctx)
}

// first asks all agents for their version: at the beginning that is 1.2.0.
func (s *story) first(ctx context.Context) error {
	now := s.fleet.census(ctx)
	if s.resume {
		return s.out.census(now, nil, "; going on where it was")
	}
	return s.out.census(now, agreeOn(now, "1.2.0"), "")
}

// badRelease is an upgrade that pauses by itself, and is rolled back.
func (s *story) badRelease(ctx context.Context) error {
	before := s.fleet.census(ctx)
	s.out.title("Upgrade 1.2.0 to 1.3.0")
	bad, err := s.upgrade(ctx, "1.2.0", "1.3.0")
	if err != nil {
		return err
	}
	switch bad.Status {
	case ota.StatusRolledBack: // in the previous run
		s.out.say("It was rolled back.")
		return nil
	case ota.StatusRollingBack:
	case ota.StatusPaused:
		if err := s.compare(ctx, bad, before); err != nil {
			return err
		}
		s.out.title("Why does it not go on?")
		why, err := s.engine.Explain(ctx, bad.ID)
		if err != nil {
			return err
		}
		s.out.explain(why)
	default:
		return fmt.Errorf("plan %s is %s, but it should have paused itself", bad.Name, bad.Status)
	}

	s.out.title("Roll back exactly the agents that were touched")
	undo, err := s.engine.Rollback(ctx, bad.ID, ota.RollbackSpec{}, s.me)
	if err != nil {
		return err
	}
	if undo, err = s.drive(ctx, undo); err != nil {
		return err
	}
	return s.compareRollback(ctx, bad, undo, before)
}

// goodRelease is an upgrade that completes.
func (s *story) goodRelease(ctx context.Context) error {
	before := s.fleet.census(ctx)
	s.out.title("Upgrade 1.2.0 to 1.3.1")
	good, err := s.upgrade(ctx, "1.2.0", "1.3.1")
	if err != nil {
		return err
	}
	if good.Status != ota.StatusCompleted {
		return fmt.Errorf("plan %s is %s, but it should have completed", good.Name, good.Status)
	}
	return s.compare(ctx, good, before)
}

// upgrade makes a plan for the whole fleet, starts it, and drives it until it is paused or has
// ended. If the plan exists already, an earlier run was interrupted.
func (s *story) upgrade(ctx context.Context, from, to string) (ota.Plan, error) {
	id := planID(to)
	if p, err := s.engine.Plan(ctx, id); err == nil && (p.Status.Ended() || p.Status == ota.StatusRollingBack) {
		return p, nil
	}
	spec := ota.Spec{
		ID: id, Name: from + " to " + to, FromVersion: from, ToVersion: to,
		Agents: ota.AgentIDs(s.fleet.ids()...), Shape: s.shape, Policy: s.policy,
		CreatedBy:  s.me.Actor,
		RequestKey: id, Fingerprint: s.what, // the same request again returns the same plan
	}
	p, err := s.engine.Create(ctx, spec)
	if err != nil {
		return p, err
	}
	if p.Status == ota.StatusPending {
		preview, err := s.engine.Preview(ctx, spec, ota.PreviewOptions{})
		if err != nil {
			return p, err
		}
		s.out.preview(preview)
		if p, err = s.engine.Start(ctx, p.ID, s.me); err != nil {
			return p, err
		}
	}
	return s.drive(ctx, p)
}

func planID(to string) string { return "quickstart-" + to }

// drive runs a started plan, and shows its progress.
func (s *story) drive(ctx context.Context, p ota.Plan) (ota.Plan, error) {
	s.out.plan(p)
	show, err := follow(ctx, s.engine, p, s.out)
	if err != nil {
		return p, err
	}
	p, err = s.engine.RunPlan(ctx, p.ID)
	return p, show.end(p, err)
}
