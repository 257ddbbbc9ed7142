package main

import (
	"context"
	"runtime"

	"github.com/seed-19b57ce3/ota/bench/internal/fleet"
	"github.com/seed-19b57ce3/ota/bench/internal/meter"
	"github.com/seed-19b57ce3/ota/memstore"
)

// held measures the live heap four times: before a plan is made on memstore, after it was made and
// started, at its peak while it runs, and after it is done. The difference between the second and
// the last is the log, because rows do not grow. IDs have 13 bytes.
func held(ctx context.Context, t *trial) error {
	sizes := []int{10_000, 100_000, 1_000_000}
	if t.quick {
		sizes = []int{2_000, 20_000}
	}
	for _, n := range sizes {
		if err := t.each(func() error { return t.takeHeld(ctx, n) }); err != nil {
			return err
		}
	}
	last := side{sideEngine, sizes[len(sizes)-1]}
	t.figure("memstore, bytes per agent besides its ID and the log", "B", t.of(last, extra("store")), 100, 0)
	t.figure("its log, bytes per agent", "B", t.of(last, extra("log")), 64, 0)
	t.figure("most while it runs, bytes per agent, all of it", "B", t.of(last, extra("peak")), 0, 0)
	return nil
}

func (t *trial) takeHeld(ctx context.Context, n int) error {
	p := fleet.Plan{ID: "plan", Agents: n}
	const id = float64(len("plan") + 9)
	before := meter.Live()
	s := memstore.New()
	e, err := fleet.Start(ctx, s, fleet.Noop, p)
	if err != nil {
		return err
	}
	made := meter.Live()
	peak := meter.WatchLive()
	sample, err := t.take(work{side: sideEngine, x: n, tasks: n, do: func() (uint64, error) { return fleet.Run(ctx, e, p) }})
	most := peak()
	if err != nil {
		return err
	}
	done := meter.Live()
	runtime.KeepAlive(s)
	runtime.KeepAlive(e)
	per := func(bytes, less uint64) float64 { return (float64(bytes) - float64(less)) / float64(n) }
	sample.Extra = map[string]float64{"store": per(made, before) - id, "log": per(done, made), "peak": per(most, before)}
	return nil
}
