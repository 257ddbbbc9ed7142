package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-19b57ce3/ota/bench/internal/fleet"
	"github.com/seed-19b57ce3/ota/bench/internal/peer/asynqpeer"
	"github.com/seed-19b57ce3/ota/bench/internal/peer/riverpeer"
	"github.com/seed-19b57ce3/ota/bench/internal/place"
)

const (
	sideRiver        = "River, tuned"
	sideRiverDefault = "River, defaults"
	sideAsynq        = "asynq, fsync always"
)

// againstRiver drives a plan on PostgreSQL, compared with River's jobs on the same server, 64 at a
// time. River runs twice: with fetching tuned as far as possible, and with its defaults.
func againstRiver(ctx context.Context, t *trial) error {
	d, err := place.NewPostgres(ctx)
	if err != nil {
		return err
	}
	defer d.Close()
	t.uses(d.Name(), d.Version())
	n := t.size(20_000, 2_000)
	err = t.each(func() error {
		if err := t.takeRiver(ctx, d, sideRiver, n, true); err != nil {
			return err
		}
		if err := t.takeRiver(ctx, d, sideRiverDefault, n/16, false); err != nil {
			return err
		}
		return t.takeFresh(ctx, d, sideEngine, fleet.Plan{ID: "plan", Agents: n}, 0)
	})
	if err != nil {
		return err
	}
	engine := side{sideEngine, 0}
	t.figure("tasks per second, against River tuned", "x", t.ratio(engine, side{sideRiver, 0}, rate), 0, 2.5)
	t.figure("tasks per second, against River's defaults", "x", t.ratio(engine, side{sideRiverDefault, 0}, rate), 0, 50)
	t.figure("processor time per task, server included, against River tuned", "x", t.ratio(engine, side{sideRiver, 0}, cpuPerTask), 0, 0)
	return nil
}

func (t *trial) takeRiver(ctx context.Context, d *place.Postgres, name string, jobs int, tuned bool) error {
	if err := d.Fresh(ctx); err != nil {
		return err
	}
	q, err := riverpeer.New(ctx, d.URL(), 64, jobs, tuned)
	if err != nil {
		return err
	}
	_, err = t.take(work{
		side: name, tasks: jobs, meter: d.Meter(),
		do:    func() (uint64, error) { return 0, q.Run(ctx) },
		after: func() error { return errors.Join(q.Close(), d.Settle(ctx)) },
	})
	return err
}

// againstAsynq drives a plan on SQLite, compared with asynq's tasks on a Redis that flushes every
// write, 64 at a time.
func againstAsynq(ctx context.Context, t *trial) error {
	d, err := place.NewSQLite(ctx, t.folder)
	if err != nil {
		return err
	}
	t.uses(d.Name(), d.Version())
	redis, err := place.NewRedis(ctx, t.folder)
	if err != nil {
		return err
	}
	defer redis.Close()
	t.uses("Redis", redis.Version())
	n := t.size(4_000, 400)
	err = t.each(func() error {
		q, err := asynqpeer.New(ctx, redis.Socket(), 64, n)
		if err != nil {
			return fmt.Errorf("enqueue: %w", err)
		}
		_, err = t.take(work{
			side: sideAsynq, tasks: n, meter: redis.Meter(),
			do:    func() (uint64, error) { return 0, q.Run(ctx) },
			after: q.Close,
		})
		if err != nil {
			return err
		}
		return t.takeFresh(ctx, d, sideEngine, fleet.Plan{ID: "plan", Agents: 10 * n}, 0)
	})
	if err != nil {
		return err
	}
	engine := side{sideEngine, 0}
	t.figure("tasks per second on SQLite, against asynq", "x", t.ratio(engine, side{sideAsynq, 0}, rate), 0, 15)
	t.figure("flushes per task of asynq", "", t.of(side{sideAsynq, 0}, flushes), 0, 0)
	return nil
}
