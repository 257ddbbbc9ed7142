package sqlcore

import (
	"context"
	"embed"

	"github.com/seed-19b57ce3/ota"
)

// Querier runs SQL, in a transaction or out of one.
type Querier interface {
	// Exec returns how many rows were affected.
	Exec(ctx context.Context, query string, args ...any) (int64, error)
	// ExecMany runs one statement many times, in one round trip where that matters.
	ExecMany(ctx context.Context, query string, args [][]any) error
	// Query calls row for each row; scan is valid inside of it only.
	Query(ctx context.Context, query string, args []any, row func(scan ScanFunc) error) error
}

type ScanFunc func(dest ...any) error

// Database is what SQLite and PostgreSQL do differently. As a querier it runs single statements.
type Database interface {
	Querier
	// Update runs f in one transaction, and again when the database says that nothing of it was applied. It commits when
	// f returns nil.
	Update(ctx context.Context, f func(tx Querier) error) error
	// Lock makes transactions that lock the same name and number wait for each other.
	Lock(ctx context.Context, tx Querier, name string, number int64) error
	// Commit is Store.Commit.
	Commit(ctx context.Context, c *ota.Commit) (uint64, error)
	// InsertAgents adds agents to a draft, and insertStates their states.
	InsertAgents(ctx context.Context, tx Querier, number int64, rows []AgentRecord) error
	InsertStates(ctx context.Context, tx Querier, number int64, blocks []BlockRecord) error
	// StateColumns are what scanStates reads of ota_states: a block, and what its agents' states are.
	StateColumns() string
	ScanStates(scan ScanFunc) (block int, states [][]byte, err error)
	// Grown is told that a plan was made with so many agents. What it does is no part of making it, and may fail.
	Grown(ctx context.Context, agents int)
	// Migrations has the text of each version of the tables.
	Migrations() embed.FS
	// Migrate runs the text of a migration, which may be many statements.
	Migrate(ctx context.Context, tx Querier, text string) error
	// Ready prepares for migrations, before their first transaction.
	Ready(ctx context.Context) error
	// Announce announces a change in the transaction that makes it, where that is possible; told announces one that was made,
	// by an owner or by somebody else.
	Announce(ctx context.Context, tx Querier, plan string) error
	Announced(plan string, owner bool)
	Changes(ctx context.Context) (<-chan string, error)
	// Duplicate reports whether err says that a unique value was there already.
	Duplicate(err error) bool
	// Never reports whether err says that a write breaks a rule of the database, so that it will never be made.
	Never(err error) bool
	// Missing reports whether err says that a table does not exist.
	Missing(err error) bool
	// TextSet turns strings into the parameter that {texts $1} stands around, without those that no row can have; numbers numbers into that of {among $1}.
	TextSet(values []string) any
	NumberSet(values []int) any
	// Chunk is how many rows one transaction of a long work inserts or deletes: some whole blocks of agents.
	Chunk() int
	Close()
}

// One runs a query of at most one row, and reports whether there was one.
func One(ctx context.Context, q Querier, query string, args []any, dest ...any) (found bool, err error) {
	err = q.Query(ctx, query, args, func(scan ScanFunc) error {
		found = true
		return scan(dest...)
	})
	return found, err
}

// AgentRecord is an agent as it is inserted.
type AgentRecord struct {
	Ordinal, Batch      int
	ID, Version, Target string
	Labels, Tasks       *string // JSON; nil for none
	State               []byte
}
