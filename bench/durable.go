package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/bench/internal/fleet"
	"github.com/seed-19b57ce3/ota/bench/internal/peer/groupcommit"
	"github.com/seed-19b57ce3/ota/bench/internal/place"
	"github.com/seed-19b57ce3/ota/sqlstore"
)

// The sides of the durable measurements. A task of the engine is two transitions, a start and an
// outcome; a task of the floor is one row.
const (
	sideEngine500 = "engine at 500"
	sideWaiters   = "64 writers, group commit"
	sideFull      = "groups of 64, nobody waiting"
)

// durable drives a plan at concurrency 64 and 500, where every start and outcome is committed
// before it counts. The other side is a group commit by hand of as many rows, one for each agent.
// Its log records are as large as the engine's.
func durable(ctx context.Context, t *trial, d place.Database) error {
	n := t.size(50_000, 5_000)
	rows, err := typical(ctx, d)
	if err != nil {
		return err
	}
	err = t.each(func() error {
		for _, s := range []struct {
			name  string
			write func(int, int, func([]int32) error) (uint64, error)
		}{{sideWaiters, groupcommit.Run}, {sideFull, groupcommit.Full}} {
			if err := t.takeRaw(ctx, d, s.name, 2*n, rows, s.write); err != nil {
				return err
			}
		}
		if err := t.takeDurable(ctx, d, sideEngine, fleet.Plan{ID: t.id("p64"), Agents: n}, 0); err != nil {
			return err
		}
		return t.takeDurable(ctx, d, sideEngine500, fleet.Plan{ID: t.id("p500"), Agents: n, Concurrency: 500}, 0)
	})
	if err != nil {
		return err
	}
	// one task is two transitions
	at64, at500, floor, full := side{sideEngine, 0}, side{sideEngine500, 0}, side{sideWaiters, 0}, side{sideFull, 0}
	t.figure("transitions at 64, against rows of a group commit of 64 writers", "x", scaled(t.ratio(at64, floor, rate), 2), 0, 0.9)
	t.figure("transitions at 64, against full groups of 64 with nobody waiting", "x", scaled(t.ratio(at64, full, rate), 2), 0, 0)
	t.figure("transitions at 500, against the group commit of 64 writers", "x", scaled(t.ratio(at500, floor, rate), 2), 0, 1.2)
	t.figure("flushes per task at 64", "", t.of(at64, flushes), 0.07, 0)
	t.figure("commits per task at 64", "", t.of(at64, commits), 0, 0)
	t.figure("flushes per task at 500", "", t.of(at500, flushes), 0, 0)
	t.figure("tasks per second at 64", "/s", t.of(at64, rate), 0, 0)
	t.figure("processor time per task at 64, server included", "us", micros(t.of(at64, cpuPerTask)), 0, 0)
	return nil
}

// id returns a plan's ID for this round.
func (t *trial) id(name string) string { return fmt.Sprintf("%s-%d", name, t.round) }

// takeDurable makes a plan on the database, and drives it with a store of its own.
func (t *trial) takeDurable(ctx context.Context, d place.Database, name string, p fleet.Plan, vary int) error {
	if err := startDurable(ctx, d, p); err != nil {
		return err
	}
	return t.takeStarted(ctx, d, name, p, vary)
}

// startDurable makes a plan on the database, and starts it.
func startDurable(ctx context.Context, d place.Database, p fleet.Plan) error {
	return through(ctx, d, func(s ota.Store) error {
		_, err := fleet.Start(ctx, s, fleet.Noop, p)
		return err
	})
}

// takeStarted drives a plan that was started.
func (t *trial) takeStarted(ctx context.Context, d place.Database, name string, p fleet.Plan, vary int) error {
	s, err := d.Open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	e, err := ota.New(s, fleet.Noop, ota.Options{Name: "bench"})
	if err != nil {
		return err
	}
	_, err = t.take(work{
		side: name, x: vary, tasks: p.Agents, meter: d.Meter(),
		do:    func() (uint64, error) { return fleet.Run(ctx, e, p) },
		after: closeAndSettle(ctx, d, s),
	})
	return err
}

func closeAndSettle(ctx context.Context, d place.Database, s *sqlstore.Store) func() error {
	return func() error { return errors.Join(s.Close(), d.Settle(ctx)) }
}

// through calls f with a store, and closes the store.
func through(ctx context.Context, d place.Database, f func(s ota.Store) error) error {
	s, err := d.Open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(f(s), s.Close(), d.Settle(ctx))
}

// floorPlan is the plan for whose agents the floor has rows.
var floorPlan = fleet.Plan{ID: "floor", Agents: 100_000}

// sizes are the sizes of the rows and records in an engine's commits.
type sizes struct {
	state []byte // the state of an agent that succeeded
	log   int    // bytes of the log for each transition
}

// typical makes the floor's plan, drives a small plan, and measures the rows that the small plan
// wrote.
func typical(ctx context.Context, d place.Database) (z sizes, err error) {
	err = through(ctx, d, func(s ota.Store) error {
		z, err = typicalOf(ctx, s)
		return err
	})
	return z, err
}

func typicalOf(ctx context.Context, s ota.Store) (z sizes, err error) {
	e, err := fleet.Start(ctx, s, fleet.Noop, floorPlan)
	if err != nil {
		return z, err
	}
	p := fleet.Plan{ID: "typical", Agents: 10_000}
	if err := fleet.Add(ctx, e, p); err != nil {
		return z, err
	}
	if _, err := fleet.Run(ctx, e, p); err != nil {
		return z, err
	}
	page, err := s.Rows(ctx, p.ID, ota.RowQuery{Kind: ota.KindAgent, Limit: 1})
	if err != nil {
		return z, err
	}
	z.state = page.Items[0].State
	for q := (ota.LogQuery{}); ; {
		page, err := s.Log(ctx, p.ID, q)
		if err != nil {
			return z, err
		}
		for _, r := range page.Items {
			z.log += len(r.Data)
			q.After = r.Revision
		}
		if !page.More {
			break
		}
	}
	z.log /= 2 * p.Agents
	return z, nil
}

// takeRaw writes rows of the floor's agents by hand.
func (t *trial) takeRaw(ctx context.Context, d place.Database, name string, rows int, z sizes,
	write func(group, rows int, commit func([]int32) error) (uint64, error),
) error {
	raw, err := d.Raw(ctx)
	if err != nil {
		return err
	}
	defer raw.Close()
	if err := raw.Plan(ctx, floorPlan.ID); err != nil {
		return err
	}
	if err := raw.Copy(ctx); err != nil {
		return err
	}
	log := make([]byte, z.log*64)
	for i := range log {
		log[i] = byte(i * 7) // so that it does not compress to nothing
	}
	_, err = t.take(work{
		side: name, tasks: rows, meter: d.Meter(),
		do: func() (uint64, error) {
			return write(64, rows, func(ordinals []int32) error {
				for i := range ordinals {
					ordinals[i] %= int32(floorPlan.Agents)
				}
				return raw.Commit(ctx, ordinals, z.state, log[:z.log*len(ordinals)])
			})
		},
		after: func() error { raw.Close(); return d.Settle(ctx) },
	})
	return err
}
