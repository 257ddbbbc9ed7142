package main

import (
	"context"
	"fmt"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/bench/internal/fleet"
	"github.com/seed-19b57ce3/ota/bench/internal/place"
	"github.com/seed-19b57ce3/ota/memstore"
)

const (
	sideOne     = "one plan"
	sideHundred = "100 plans"
)

// plansMemory drives a hundred plans at once on one memstore, compared with one plan of as many
// agents.
func plansMemory(ctx context.Context, t *trial) error {
	n := t.size(3_000, 200)
	err := t.each(func() error {
		for _, s := range []struct {
			side           string
			plans, agentsN int
		}{{sideOne, 1, 100 * n}, {sideHundred, 100, n}} {
			store := memstore.New()
			if err := addPlans(ctx, store, s.plans, s.agentsN); err != nil {
				return err
			}
			if err := t.takePlans(ctx, store, work{side: s.side}, s.plans, s.agentsN); err != nil {
				return err
			}
		}
		return nil
	})
	t.plansFigures()
	return err
}

// plansDurable does the same on a database.
func plansDurable(ctx context.Context, t *trial, d place.Database) error {
	n := t.size(500, 50)
	err := t.each(func() error {
		if err := t.takePlansFresh(ctx, d, sideOne, 1, 100*n); err != nil {
			return err
		}
		return t.takePlansFresh(ctx, d, sideHundred, 100, n)
	})
	t.plansFigures()
	return err
}

func (t *trial) plansFigures() {
	one, hundred := side{sideOne, 0}, side{sideHundred, 0}
	t.figure("tasks per second of 100 plans, against one", "x", t.ratio(hundred, one, rate), 0, 0.9)
	t.figure("commits per task of 100 plans", "", t.of(hundred, commits), 0, 0)
	t.figure("commits per task of one", "", t.of(one, commits), 0, 0)
}

func (t *trial) takePlansFresh(ctx context.Context, d place.Database, name string, plans, agents int) error {
	if err := d.Fresh(ctx); err != nil {
		return err
	}
	err := through(ctx, d, func(s ota.Store) error { return addPlans(ctx, s, plans, agents) })
	if err != nil {
		return err
	}
	s, err := d.Open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	return t.takePlans(ctx, s, work{side: name, meter: d.Meter(), after: closeAndSettle(ctx, d, s)}, plans, agents)
}

func planOf(i, agents int) fleet.Plan {
	return fleet.Plan{ID: fmt.Sprintf("plan%03d", i), Agents: agents}
}

func addPlans(ctx context.Context, s ota.Store, plans, agents int) error {
	e, err := ota.New(s, nil, ota.Options{})
	if err != nil {
		return err
	}
	for i := range plans {
		if err := fleet.Add(ctx, e, planOf(i, agents)); err != nil {
			return err
		}
	}
	return nil
}

// takePlans drives all plans of a store at once, until the last one is done.
func (t *trial) takePlans(ctx context.Context, s ota.Store, w work, plans, agents int) error {
	e, err := ota.New(s, fleet.Noop, ota.Options{Name: "bench"})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	w.tasks = plans * agents
	w.do = func() (commits uint64, err error) {
		go func() { ended <- e.Run(ctx) }()
		for i := range plans {
			p, err := e.Wait(ctx, planOf(i, agents).ID)
			if err != nil {
				return 0, err
			}
			if p.Counts.Succeeded != agents {
				return 0, fmt.Errorf("plan %s ended %s, %+v", p.ID, p.Status, p.Counts)
			}
			commits += p.Revision - 2 // without those of Create and Start
		}
		return commits, nil
	}
	closing := w.after
	w.after = func() error {
		cancel()
		if err := <-ended; err != nil || closing == nil {
			return err
		}
		return closing()
	}
	_, err = t.take(w)
	return err
}
