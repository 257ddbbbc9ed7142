package main

import (
	"context"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/bench/internal/fleet"
	"github.com/seed-19b57ce3/ota/bench/internal/peer/errgroups"
	"github.com/seed-19b57ce3/ota/memstore"
)

// The sides of the measurement in memory.
const (
	sideEngine   = "engine"
	sideDeadline = "engine, context used"
	sideErrgroup = "errgroup"
)

// inMemory drives a million agents on memstore, in batches of 10,000, 64 at a time. The other side
// is an errgroup of 64 that runs a million no-ops. The engine keeps a deadline and both times of
// each attempt. The second engine's Executor calls Done of its context, as an Executor that calls
// something does.
func inMemory(ctx context.Context, t *trial) error {
	n := t.size(1_000_000, 20_000)
	asks := ota.ExecutorFunc(func(ctx context.Context, _ ota.Attempt) (ota.Result, error) {
		_ = ctx.Done()
		return ota.Result{}, nil
	})
	err := t.each(func() error {
		if err := t.takeErrgroups(n, n, 64, 0); err != nil {
			return err
		}
		if err := t.takeMemory(ctx, sideEngine, fleet.Noop, fleet.Plan{ID: "plan", Agents: n}, 0); err != nil {
			return err
		}
		return t.takeMemory(ctx, sideDeadline, asks, fleet.Plan{ID: "plan", Agents: n}, 0)
	})
	if err != nil {
		return err
	}
	engine, floor := side{sideEngine, 0}, side{sideErrgroup, 0}
	t.figure("time, against errgroup", "x", t.ratio(engine, floor, perTask), 1.0, 0)
	t.figure("processor time, against errgroup", "x", t.ratio(engine, floor, cpuPerTask), 0, 0)
	t.figure("time, against errgroup, when the Executor uses its context", "x", t.ratio(side{sideDeadline, 0}, floor, perTask), 0, 0)
	t.figure("allocations per task", "", t.of(engine, allocs), 2, 0)
	t.figure("commits per task", "", t.of(engine, commits), 0, 0)
	return nil
}

func (t *trial) takeErrgroups(n, group, limit, x int) error {
	_, err := t.take(work{side: sideErrgroup, x: x, tasks: n, do: func() (uint64, error) {
		return 0, errgroups.Run(n, group, limit)
	}})
	return err
}

// takeMemory drives a plan on a memstore of its own.
func (t *trial) takeMemory(ctx context.Context, name string, x ota.Executor, p fleet.Plan, vary int) error {
	e, err := fleet.Start(ctx, memstore.New(), x, p)
	if err != nil {
		return err
	}
	_, err = t.take(work{side: name, x: vary, tasks: p.Agents, do: func() (uint64, error) { return fleet.Run(ctx, e, p) }})
	return err
}
