package main

import (
	"context"
	"fmt"
)

// measurement is one row of the table in docs/performance.md, or a few that are measured together.
type measurement struct {
	name string
	what string
	run  func(ctx context.Context, t *trial) error
}

// measurements are all there are, in the order in which they are taken.
var measurements = []measurement{
	{"memory", "in memory, against bare errgroup", inMemory},
	{"growth-agents", "cost per agent in memory as the fleet grows", growthAgents},
	{"growth-batches", "cost per agent in memory as batches get more", growthBatches},
	{"held", "memory held per agent", held},
	{"durable-sqlite", "durable on SQLite, against a group commit by hand", onDatabase(sqlite, durable)},
	{"durable-postgres", "durable on PostgreSQL, against a group commit by hand", onDatabase(postgres, durable)},
}

func find(name string) (measurement, error) {
	for _, m := range measurements {
		if m.name == name {
			return m, nil
		}
	}
	return measurement{}, fmt.Errorf("there is no measurement %q", name)
}
