package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/bench/internal/fleet"
	"github.com/seed-19b57ce3/ota/bench/internal/place"
)

const (
	sideResume = "first start"
	sideRead   = "reading the rows"
)

// resume leaves a plan half done, like a killed process, and measures the time from an engine's
// start to its first call. The other side reads the plan's rows by hand. It runs once in batches of
// 10,000, and once in one batch.
func resume(ctx context.Context, t *trial, d place.Database) error {
	n := t.size(1_000_000, 10_000)
	for _, batch := range []int{min(n, 10_000), n} {
		if err := d.Fresh(ctx); err != nil {
			return err
		}
		p := fleet.Plan{ID: "plan", Agents: n, Batch: batch, Concurrency: 500}
		if err := halfWay(ctx, d, p); err != nil {
			return err
		}
		x := (n + batch - 1) / batch
		err := t.each(func() error {
			if err := t.takeRead(ctx, d, p, x); err != nil {
				return err
			}
			return t.takeResume(ctx, d, p, x)
		})
		if err != nil {
			return err
		}
		t.figure(fmt.Sprintf("first start in %d batches, against reading all rows", x), "x",
			t.ratio(side{sideResume, x}, side{sideRead, x}, seconds), 2, 0)
		t.figure(fmt.Sprintf("first start in %d batches", x), "ms", scaled(t.of(side{sideResume, x}, seconds), 1000), 0, 0)
		if x == 1 {
			break // a smoke run's fleet is one batch
		}
	}
	return nil
}

// halfWay drives half of the plan, and stops its engine as if it were killed: calls in flight stay
// in flight.
func halfWay(ctx context.Context, d place.Database, p fleet.Plan) error {
	s, err := d.Open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var calls atomic.Int64
	e, err := cutOff(s, func(ctx context.Context) {
		if calls.Add(1) > int64(p.Agents/2) {
			cancel()
			<-ctx.Done()
		}
	})
	if err != nil {
		return err
	}
	if err := fleet.Add(ctx, e, p); err != nil {
		return err
	}
	_, err = e.RunPlan(ctx, p.ID)
	return unlessCanceled(err)
}

// cutOff returns an engine whose calls are calls of f. It gives them no time to end: calls in
// flight stay running in the store.
func cutOff(s ota.Store, f func(ctx context.Context)) (*ota.Engine, error) {
	call := ota.ExecutorFunc(func(ctx context.Context, _ ota.Attempt) (ota.Result, error) {
		f(ctx)
		return ota.Result{}, ctx.Err()
	})
	return ota.New(s, call, ota.Options{Name: "bench", DrainTimeout: -1})
}

func unlessCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (t *trial) takeRead(ctx context.Context, d place.Database, p fleet.Plan, x int) error {
	raw, err := d.Raw(ctx)
	if err != nil {
		return err
	}
	defer raw.Close()
	if err := raw.Plan(ctx, p.ID); err != nil {
		return err
	}
	_, err = t.take(work{side: sideRead, x: x, tasks: p.Agents, meter: d.Meter(), do: func() (uint64, error) {
		n, err := raw.Read(ctx)
		if err == nil && n != p.Agents {
			err = fmt.Errorf("read %d rows, want %d", n, p.Agents)
		}
		return 0, err
	}})
	return err
}

func (t *trial) takeResume(ctx context.Context, d place.Database, p fleet.Plan, x int) error {
	s, err := d.Open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first := make(chan struct{}, 1)
	e, err := cutOff(s, func(ctx context.Context) {
		select {
		case first <- struct{}{}:
		default:
		}
		<-ctx.Done()
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	_, err = t.take(work{
		side: sideResume, x: x, tasks: p.Agents, meter: d.Meter(),
		do: func() (uint64, error) {
			go func() {
				_, err := e.RunPlan(ctx, p.ID)
				ended <- err
			}()
			select {
			case <-first:
				return 0, nil
			case err := <-ended:
				return 0, fmt.Errorf("it ended before its first call: %w", err)
			}
		},
		after: func() error {
			cancel()
			return unlessCanceled(<-ended)
		},
	})
	return err
}
