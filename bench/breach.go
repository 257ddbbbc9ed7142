package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/bench/internal/fleet"
	"github.com/seed-19b57ce3/ota/bench/internal/place"
	"github.com/seed-19b57ce3/ota/memstore"
)

const (
	sideMemstore = "memstore"
	sideSQLite   = "SQLite"
	sidePostgres = "PostgreSQL"
)

// breach lets a plan with 1,000 agents in flight exceed its threshold, on each kind of store. It
// counts the starts in the plan's log after the record of the breach. Each call takes 20 to 100
// milliseconds; every fifth fails.
func breach(ctx context.Context, t *trial) error {
	stores, err := everyStore(ctx, t)
	defer stores.close()
	if err != nil {
		return err
	}
	err = t.each(func() error {
		return stores.each(ctx, func(name string, s ota.Store) error { return t.takeBreach(ctx, name, s) })
	})
	if err != nil {
		return err
	}
	for _, name := range []string{sideMemstore, sideSQLite, sidePostgres} {
		t.none("starts after the breach's record, on "+name, "", t.of(side{name, 0}, extra("starts after")))
		t.figure("in flight when it was recorded, on "+name, "", t.of(side{name, 0}, extra("in flight")), 0, 0)
	}
	return nil
}

func (t *trial) takeBreach(ctx context.Context, name string, s ota.Store) error {
	fails := ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		time.Sleep(time.Duration(20+rand.IntN(80)) * time.Millisecond)
		if a.Agent[len(a.Agent)-1]%5 == 0 {
			return ota.Result{}, ota.Permanent(errors.New("it does not start"))
		}
		return ota.Result{}, nil
	})
	p := fleet.Plan{ID: t.id("breach"), Agents: 10_000, Concurrency: 1_000}
	e, err := fleet.Start(ctx, s, fails, p)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	var counted breachCount
	sample, err := t.take(work{side: name, tasks: p.Agents, do: func() (uint64, error) {
		go func() {
			_, err := e.RunPlan(ctx, p.ID)
			ended <- err
		}()
		for record, err := range e.Watch(ctx, p.ID, 0) {
			if err != nil {
				return 0, err
			}
			if counted.see(record); record.Status == ota.StatusPaused {
				return record.Revision, nil
			}
		}
		return 0, errors.New("the log ended before the plan was paused")
	}})
	if err != nil {
		return err
	}
	sample.Extra = map[string]float64{"starts after": float64(counted.after), "in flight": float64(counted.atBreach)}
	cancel()
	return unlessCanceled(<-ended)
}

// breachCount reads a log and counts.
type breachCount struct {
	breached                bool
	flying, atBreach, after int
}

func (c *breachCount) see(r ota.Record) {
	for _, e := range r.Events {
		switch e.Kind {
		case ota.EventBreach:
			if !c.breached {
				c.breached, c.atBreach = true, c.flying
			}
		case ota.EventTaskStarted, ota.EventTaskRepeated:
			c.flying++
			if c.breached {
				c.after++
			}
		case ota.EventTaskSucceeded, ota.EventTaskFailed:
			c.flying--
		}
	}
}

// stores has one store of each kind.
type stores struct {
	databases []place.Database
}

func everyStore(ctx context.Context, t *trial) (s stores, err error) {
	for _, open := range []func(context.Context, *trial) (place.Database, error){sqlite, postgres} {
		d, err := open(ctx, t)
		if err != nil {
			return s, err
		}
		t.uses(d.Name(), d.Version())
		s.databases = append(s.databases, d)
	}
	return s, nil
}

// each calls f with a store of each kind.
func (s stores) each(ctx context.Context, f func(name string, s ota.Store) error) error {
	if err := f(sideMemstore, memstore.New()); err != nil {
		return fmt.Errorf("%s: %w", sideMemstore, err)
	}
	for _, d := range s.databases {
		if err := through(ctx, d, func(s ota.Store) error { return f(d.Name(), s) }); err != nil {
			return fmt.Errorf("%s: %w", d.Name(), err)
		}
	}
	return nil
}

func (s stores) close() {
	for _, d := range s.databases {
		d.Close()
	}
}
