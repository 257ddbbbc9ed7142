package main

import (
	"context"

	"github.com/seed-19b57ce3/ota/bench/internal/fleet"
	"github.com/seed-19b57ce3/ota/bench/internal/peer/swarmpeer"
	"github.com/seed-19b57ce3/ota/bench/internal/place"
)

const (
	sideSwarm  = "SwarmKit's updater, in memory"
	sideMemory = "engine, in memory"
)

// againstSwarm drives a plan, compared with SwarmKit's updater, 64 at a time. The updater's store
// is memory; the engine's are memstore and SQLite.
func againstSwarm(ctx context.Context, t *trial) error {
	d, err := place.NewSQLite(ctx, t.folder)
	if err != nil {
		return err
	}
	t.uses(d.Name(), d.Version())
	n := t.size(10_000, 500)
	err = t.each(func() error {
		s, err := swarmpeer.New(n, 64)
		if err != nil {
			return err
		}
		_, err = t.take(work{
			side: sideSwarm, tasks: n,
			do:    func() (uint64, error) { return 0, s.Run(ctx) },
			after: s.Close,
		})
		if err != nil {
			return err
		}
		if err := t.takeFresh(ctx, d, sideEngine, fleet.Plan{ID: "plan", Agents: n}, 0); err != nil {
			return err
		}
		return t.takeMemory(ctx, sideMemory, fleet.Noop, fleet.Plan{ID: "plan", Agents: n}, 0)
	})
	if err != nil {
		return err
	}
	swarm := side{sideSwarm, 0}
	t.figure("tasks per second on SQLite, against SwarmKit in memory", "x", t.ratio(side{sideEngine, 0}, swarm, rate), 0, 20)
	t.figure("tasks per second in memory, against SwarmKit", "x", t.ratio(side{sideMemory, 0}, swarm, rate), 0, 0)
	t.figure("allocations per task of SwarmKit", "", t.of(swarm, allocs), 0, 0)
	return nil
}
