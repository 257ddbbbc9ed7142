package main

import (
	"context"
	"fmt"

	"github.com/seed-19b57ce3/ota/bench/internal/fleet"
	"github.com/seed-19b57ce3/ota/bench/internal/meter"
	"github.com/seed-19b57ce3/ota/bench/internal/place"
)

// heldDurable measures the heap while it drives plans on a database. Each plan is one batch, which
// is the worst case.
func heldDurable(ctx context.Context, t *trial, d place.Database) error {
	sizes := []int{20_000, 200_000}
	if t.quick {
		sizes = []int{1_000, 4_000}
	}
	err := t.each(func() error {
		for _, n := range sizes {
			p := fleet.Plan{ID: "plan", Agents: n, Batch: n}
			if err := d.Fresh(ctx); err != nil {
				return err
			}
			if err := startDurable(ctx, d, p); err != nil {
				return err
			}
			before, peak := meter.Live(), meter.WatchLive()
			if err := t.takeStarted(ctx, d, sideEngine, p, n); err != nil {
				return err
			}
			t.Samples[len(t.Samples)-1].Extra = map[string]float64{"peak": float64(peak() - before)}
		}
		return nil
	})
	if err != nil {
		return err
	}
	small, large := side{sideEngine, sizes[0]}, side{sideEngine, sizes[1]}
	t.figure(fmt.Sprintf("most on the heap at %d agents in one batch", large.x), "MB", scaled(t.of(large, extra("peak")), 1e-6), 0, 0)
	t.figure(fmt.Sprintf("most on the heap at %d agents, against %d", large.x, small.x), "x", t.ratio(large, small, extra("peak")), 1.5, 0)
	return nil
}
