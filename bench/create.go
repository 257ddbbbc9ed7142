package main

import (
	"context"
	"fmt"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/bench/internal/fleet"
	"github.com/seed-19b57ce3/ota/bench/internal/place"
)

const (
	sideCreate = "Create"
	sideInsert = "bulk insert"
	sideStart  = "Start"
)

// create makes a plan, compared with an insert of as many rows by hand, with the agent's state
// beside its ID. Each runs on a fresh database. It also measures Start, which claims every agent.
// The rounds have 200,000 agents; a plan of a million is then made once.
func create(ctx context.Context, t *trial, d place.Database) error {
	few, many := t.size(200_000, 5_000), t.size(1_000_000, 20_000)
	both := func(n int) error {
		if err := t.takeInsert(ctx, d, n); err != nil {
			return err
		}
		return t.takeCreate(ctx, d, n)
	}
	if err := t.each(func() error { return both(few) }); err != nil {
		return err
	}
	t.round = 1
	if err := both(many); err != nil {
		return err
	}
	for _, n := range []int{few, many} {
		made, floor := side{sideCreate, n}, side{sideInsert, n}
		t.figure(fmt.Sprintf("%d agents, per second of Create, against a bulk insert by hand", n), "x", t.ratio(made, floor, rate), 0, 0.7)
		t.figure(fmt.Sprintf("Create of %d", n), "us/agent", micros(t.of(made, perTask)), 0, 0)
		t.figure(fmt.Sprintf("Start of %d, which claims them", n), "us/agent", micros(t.of(side{sideStart, n}, perTask)), 0, 0)
	}
	return nil
}

func (t *trial) takeInsert(ctx context.Context, d place.Database, n int) error {
	if err := d.Fresh(ctx); err != nil {
		return err
	}
	if err := through(ctx, d, func(ota.Store) error { return nil }); err != nil { // this makes the tables
		return err
	}
	raw, err := d.Raw(ctx)
	if err != nil {
		return err
	}
	defer raw.Close()
	_, err = t.take(work{
		side: sideInsert, x: n, tasks: n, meter: d.Meter(),
		do: func() (uint64, error) {
			return 0, raw.Insert(ctx, n, func(i int) string { return fmt.Sprintf("plan-%08d", i) })
		},
		after: func() error { raw.Close(); return d.Settle(ctx) },
	})
	return err
}

func (t *trial) takeCreate(ctx context.Context, d place.Database, n int) error {
	if err := d.Fresh(ctx); err != nil {
		return err
	}
	s, err := d.Open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	e, err := ota.New(s, nil, ota.Options{})
	if err != nil {
		return err
	}
	p := fleet.Plan{ID: "plan", Agents: n}
	_, err = t.take(work{side: sideCreate, x: n, tasks: n, meter: d.Meter(), do: func() (uint64, error) {
		_, err := e.Create(ctx, p.Spec())
		return 0, err
	}})
	if err != nil {
		return err
	}
	_, err = t.take(work{
		side: sideStart, x: n, tasks: n, meter: d.Meter(),
		do: func() (uint64, error) {
			_, err := e.Start(ctx, p.ID, ota.Request{})
			return 1, err
		},
		after: closeAndSettle(ctx, d, s),
	})
	return err
}
