package main

import (
	"context"
	"fmt"
)

// measurement is one entry of -list. It makes one or more rows of the tables in bench/results.
type measurement struct {
	name string
	what string
	run  func(ctx context.Context, t *trial) error
}

// measurements are all measurements, in the order in which they are taken.
var measurements = []measurement{
	{"memory", "in memory, against bare errgroup", inMemory},
	{"growth-agents", "cost per agent in memory as the fleet grows", growthAgents},
	{"growth-batches", "cost per agent in memory as batches get more", growthBatches},
	{"held", "memory held per agent", held},
	{"durable-sqlite", "durable on SQLite, against a group commit by hand", onDatabase(sqlite, durable)},
	{"durable-postgres", "durable on PostgreSQL, against a group commit by hand", onDatabase(postgres, durable)},
	{"river", "on PostgreSQL, against River", againstRiver},
	{"asynq", "on SQLite, against asynq on Redis", againstAsynq},
	{"swarm", "in memory and on SQLite, against SwarmKit's updater", againstSwarm},
	{"growth-sqlite", "cost per agent on SQLite as fleet and batches grow", onDatabase(sqlite, growthDurable)},
	{"growth-postgres", "cost per agent on PostgreSQL as fleet and batches grow", onDatabase(postgres, growthDurable)},
	{"held-sqlite", "what the engine holds of a plan on SQLite", onDatabase(sqlite, heldDurable)},
	{"plans-memory", "a hundred plans at once on memstore", plansMemory},
	{"plans-sqlite", "a hundred plans at once on SQLite", onDatabase(sqlite, plansDurable)},
	{"plans-postgres", "a hundred plans at once on PostgreSQL", onDatabase(postgres, plansDurable)},
	{"resume-sqlite", "a killed plan of a million goes on, on SQLite", onDatabase(sqlite, resume)},
	{"resume-postgres", "a killed plan of a million goes on, on PostgreSQL", onDatabase(postgres, resume)},
	{"create-sqlite", "a plan of a million is made on SQLite", onDatabase(sqlite, create)},
	{"create-postgres", "a plan of a million is made on PostgreSQL", onDatabase(postgres, create)},
	{"explain-sqlite", "Explain and summary, small plan and large, on SQLite", onDatabase(sqlite, explain)},
	{"explain-postgres", "Explain and summary, small plan and large, on PostgreSQL", onDatabase(postgres, explain)},
	{"breach", "starts after a breach with 1,000 in flight", breach},
	{"pause-memory", "Pause under full load on memstore", pauseMemory},
	{"pause-sqlite", "Pause under full load on SQLite", onDatabase(sqlite, pauseDurable)},
	{"pause-postgres", "Pause under full load on PostgreSQL", onDatabase(postgres, pauseDurable)},
	{"http", "a plan of a million over HTTP, against encoding/json", overHTTP},
}

func find(name string) (m measurement, order int, err error) {
	for i, m := range measurements {
		if m.name == name {
			return m, i, nil
		}
	}
	return m, 0, fmt.Errorf("there is no measurement %q", name)
}
