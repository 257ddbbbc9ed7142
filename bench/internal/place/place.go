// Package place is where things are kept while they are measured: a SQLite file, a PostgreSQL server or a Redis server, of
// this process alone, in a temporary folder, and durable: every commit is flushed. Raw is the floor of the two
// databases: a row for each agent, and a log, written and read by hand.
package place

import (
	"context"

	"github.com/seed-19b57ce3/ota/bench/internal/meter"
	"github.com/seed-19b57ce3/ota/sqlstore"
)

// Database is a SQLite file or a PostgreSQL server.
type Database interface {
	// Name is "SQLite" or "PostgreSQL", Version what of it.
	Name() string
	Version() string
	// Fresh makes a new, empty place: a file, or a schema. Open and Raw are about the newest one.
	Fresh(ctx context.Context) error
	// Open opens a store; any number may be open at once.
	Open(ctx context.Context) (*sqlstore.Store, error)
	// Address is what another process opens the same place with.
	Address() Address
	// Raw opens a connection to what Open keeps, on which it is written by hand. Nothing else may be in use.
	Raw(ctx context.Context) (Raw, error)
	// Meter counts the server's processor time, if there is one, and flushes.
	Meter() meter.Meter
	// Settle waits until what was closed is gone and counted.
	Settle(ctx context.Context) error
	Close()
}

// Address is a Database's, for another process.
type Address struct{ DSN, Schema string }

// Open opens the store that is there.
func (a Address) Open(ctx context.Context) (*sqlstore.Store, error) {
	return sqlstore.Open(ctx, a.DSN, sqlstore.Options{Schema: a.Schema})
}

// Raw writes and reads by hand.
type Raw interface {
	// Plan finds a plan that was made by a store.
	Plan(ctx context.Context, id string) error
	// Copy makes a table with a row for each agent of the plan, to be written.
	Copy(ctx context.Context) error
	// Commit makes the agents of these ordinals have the state, and adds a log record, in one durable transaction.
	Commit(ctx context.Context, ordinals []int32, state, log []byte) error
	// Read reads all that the store has of the plan's agents, in order, and returns how many there are.
	Read(ctx context.Context) (rows int, err error)
	// Insert makes a table with a row for each of so many agents, with the IDs that name returns, as many in a transaction as
	// the store does.
	Insert(ctx context.Context, agents int, name func(i int) string) error
	Close()
}

// The raw records belong to a plan that no store makes.
const nobodysLog = 1_000_001
