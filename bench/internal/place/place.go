// Package place has the databases and brokers to measure: a SQLite file, a PostgreSQL server or a
// Redis server. Each belongs to this process alone, is in a temporary folder, and is durable: every
// commit is flushed. Raw is the floor of the two databases: a row for each agent, and a log,
// written and read by hand.
package place

import (
	"context"

	"github.com/seed-19b57ce3/ota/bench/internal/meter"
	"github.com/seed-19b57ce3/ota/sqlstore"
)

// Database is a SQLite file or a PostgreSQL server.
type Database interface {
	// Name is "SQLite" or "PostgreSQL". Version is its version.
	Name() string
	Version() string
	// Fresh makes a new, empty place: a file, or a schema. Open and Raw use the newest one.
	Fresh(ctx context.Context) error
	// Open opens a store; any number may be open at once.
	Open(ctx context.Context) (*sqlstore.Store, error)
	// Address is the address with which another process opens the same place.
	Address() Address
	// Raw opens a connection to the data of Open, to write it by hand. Nothing else may be open.
	Raw(ctx context.Context) (Raw, error)
	// Meter counts the server's processor time, if there is one, and flushes.
	Meter() meter.Meter
	// Settle waits until closed connections are gone and counted.
	Settle(ctx context.Context) error
	Close()
}

// Address is the address of a Database, for another process.
type Address struct{ DSN, Schema string }

// Open opens the existing store.
func (a Address) Open(ctx context.Context) (*sqlstore.Store, error) {
	return sqlstore.Open(ctx, a.DSN, sqlstore.Options{Schema: a.Schema})
}

// Raw writes and reads by hand.
type Raw interface {
	// Plan finds a plan that a store made.
	Plan(ctx context.Context, id string) error
	// Copy makes a table to write to, with a row for each agent of the plan.
	Copy(ctx context.Context) error
	// Commit sets the state of the agents with these ordinals, and adds a log record, in one
	// durable transaction.
	Commit(ctx context.Context, ordinals []int32, state, log []byte) error
	// Read reads all that the store has of the plan's agents, in order, and returns their number.
	Read(ctx context.Context) (rows int, err error)
	// Insert makes a table with a row for each of the given number of agents. name returns their
	// IDs. A transaction has as many rows as one of the store has.
	Insert(ctx context.Context, agents int, name func(i int) string) error
	Close()
}

// The raw log records belong to a plan number that no store uses.
const nobodysLog = 1_000_001
