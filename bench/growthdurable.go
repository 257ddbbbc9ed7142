package main

import (
	"context"
	"fmt"

	"github.com/seed-19b57ce3/ota/bench/internal/fleet"
	"github.com/seed-19b57ce3/ota/bench/internal/place"
)

// growthDurable drives fleets of growing size, and one fleet in more and more batches, each on a
// fresh database.
func growthDurable(ctx context.Context, t *trial, d place.Database) error {
	agents, batches, n := []int{1_000, 10_000, 100_000}, []int{1, 3, 30, 300, 3_000}, 30_000
	if t.quick {
		agents, batches, n = []int{500, 2_000}, []int{1, 20, 200}, 2_000
	}
	err := t.each(func() error {
		for _, n := range agents {
			if err := t.takeFresh(ctx, d, sideEngine, fleet.Plan{ID: "plan", Agents: n}, n); err != nil {
				return err
			}
		}
		for _, b := range batches {
			if err := t.takeFresh(ctx, d, sideBatches, fleet.Plan{ID: "plan", Agents: n, Batch: n / b}, b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	first, last := side{sideEngine, agents[1]}, side{sideEngine, agents[len(agents)-1]}
	if t.quick {
		first = side{sideEngine, agents[0]}
	}
	t.figure(fmt.Sprintf("time per agent at %d, against %d", last.x, first.x), "x", t.ratio(last, first, perTask), 1.2, 0)
	t.figure(fmt.Sprintf("commits per agent at %d, against %d", last.x, first.x), "x", t.ratio(last, first, commits), 1.2, 0)
	for _, b := range batches[1:] {
		t.figure(fmt.Sprintf("time per agent in %d batches, against one", b), "x", t.ratio(side{sideBatches, b}, side{sideBatches, 1}, perTask), 0, 0)
	}
	return nil
}

// sideBatches is the engine with one fleet in a growing number of batches.
const sideBatches = "engine, by batches"

func (t *trial) takeFresh(ctx context.Context, d place.Database, name string, p fleet.Plan, vary int) error {
	if err := d.Fresh(ctx); err != nil {
		return err
	}
	return t.takeDurable(ctx, d, name, p, vary)
}
