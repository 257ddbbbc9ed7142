package main

import (
	"context"
	"fmt"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/bench/internal/fleet"
	"github.com/seed-19b57ce3/ota/memstore"
)

// growthAgents drives fleets of growing size on memstore, in batches of 10,000. It drives a small
// fleet several times, one after the other, until that is as many agents as the largest fleet has,
// at most 20 times.
func growthAgents(ctx context.Context, t *trial) error {
	sizes := []int{1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000}
	if t.quick {
		sizes = []int{1_000, 10_000}
	}
	largest := sizes[len(sizes)-1]
	err := t.each(func() error {
		for _, n := range sizes {
			if err := t.takeFleets(ctx, n, min(20, largest/n)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, n := range sizes {
		if n == 10_000 {
			continue
		}
		most := 0.0
		if n > 10_000 {
			most = 1.2
		}
		t.figure(fmt.Sprintf("time per agent at %d, against 10,000", n), "x",
			t.ratio(side{sideEngine, n}, side{sideEngine, 10_000}, perTask), most, 0)
	}
	return nil
}

// takeFleets drives several plans of n agents, one after the other.
func (t *trial) takeFleets(ctx context.Context, n, plans int) error {
	engines := make([]*ota.Engine, plans)
	p := fleet.Plan{ID: "plan", Agents: n}
	for i := range engines {
		var err error
		if engines[i], err = fleet.Start(ctx, memstore.New(), fleet.Noop, p); err != nil {
			return err
		}
	}
	_, err := t.take(work{side: sideEngine, x: n, tasks: n * plans, do: func() (commits uint64, err error) {
		for _, e := range engines {
			c, err := fleet.Run(ctx, e, p)
			if err != nil {
				return 0, err
			}
			commits += c
		}
		return commits, nil
	}})
	return err
}

// growthBatches drives a million agents on memstore in more and more batches. Concurrency is 64,
// but never more than a batch has agents. The other side is errgroups of the same sizes.
func growthBatches(ctx context.Context, t *trial) error {
	n := t.size(1_000_000, 20_000)
	batches := []int{1, 10, 100, 1_000, 10_000, 100_000}
	if t.quick {
		batches = []int{1, 100, 2_000}
	}
	err := t.each(func() error {
		for _, b := range batches {
			size := n / b
			if err := t.takeErrgroups(n, size, min(64, size), b); err != nil {
				return err
			}
			if err := t.takeMemory(ctx, sideEngine, fleet.Noop, fleet.Plan{ID: "plan", Agents: n, Batch: size}, b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, b := range batches[1:] {
		most := 0.0
		if b <= 1000 {
			most = 1.2
		}
		t.figure(fmt.Sprintf("time per agent in %d batches, against one", b), "x", t.ratio(side{sideEngine, b}, side{sideEngine, 1}, perTask), most, 0)
	}
	last := batches[len(batches)-1]
	t.figure(fmt.Sprintf("time in %d batches, against errgroups of ten", last), "x",
		t.ratio(side{sideEngine, last}, side{sideErrgroup, last}, perTask), 2, 0)
	return nil
}
