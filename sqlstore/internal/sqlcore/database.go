package sqlcore

import (
	"context"
	"embed"

	"github.com/seed-19b57ce3/ota"
)

// Querier runs SQL, inside a transaction or outside.
type Querier interface {
	// Exec returns the number of rows that changed.
	Exec(ctx context.Context, query string, args ...any) (int64, error)
	// ExecMany runs one statement many times. On PostgreSQL that is one round trip.
	ExecMany(ctx context.Context, query string, args [][]any) error
	// Query calls row for each row. scan is valid only inside row.
	Query(ctx context.Context, query string, args []any, row func(scan ScanFunc) error) error
}

// ScanFunc copies the columns of the current row.
type ScanFunc func(dest ...any) error

// Database is the part that SQLite and PostgreSQL do differently. As a Querier it runs single
// statements.
type Database interface {
	Querier
	// Update runs f in one transaction and commits if f returns nil. It repeats f if the database
	// guarantees that it applied nothing.
	Update(ctx context.Context, f func(tx Querier) error) error
	// Lock makes transactions wait for each other that lock the same name and number.
	Lock(ctx context.Context, tx Querier, name string, number int64) error
	// Commit is Store.Commit.
	Commit(ctx context.Context, c *ota.Commit) (uint64, error)
	// InsertAgents adds agents to a draft; InsertStates adds their states.
	InsertAgents(ctx context.Context, tx Querier, number int64, rows []AgentRecord) error
	InsertStates(ctx context.Context, tx Querier, number int64, blocks []BlockRecord) error
	// StateColumns are the columns of ota_states that ScanStates reads: a block, and the states of
	// its agents.
	StateColumns() string
	ScanStates(scan ScanFunc) (BlockRow, error)
	// StateOf are the columns from which the state of agent a in the block s is read: into dest.
	// Then state sets what it says of the row of the agent.
	StateOf() string
	StateInto() (dest []any, state func(a *ota.Row) error)
	// Grown is called after a plan of so many agents was made. Its failure does not matter.
	Grown(ctx context.Context, agents int)
	// Migrations has the text of each version of the tables.
	Migrations() embed.FS
	// Migrate runs the text of a migration, which may have many statements.
	Migrate(ctx context.Context, tx Querier, text string) error
	// Ready checks the database before the first transaction.
	Ready(ctx context.Context) error
	// Announce notifies of a change in the transaction that makes it, if the database can.
	// Announced notifies of a change that was committed, by an owner or by another caller.
	Announce(ctx context.Context, tx Querier, plan string) error
	Announced(plan string, owner bool)
	Changes(ctx context.Context) (<-chan string, error)
	// Duplicate reports whether err means that a unique value exists already.
	Duplicate(err error) bool
	// Never reports whether err means that the write breaks a rule of the database, and can never
	// succeed.
	Never(err error) bool
	// Missing reports whether err means that a table does not exist.
	Missing(err error) bool
	// TextSet turns strings into the parameter of {texts $1} and {list $1}, without those that no
	// row can have. NumberSet turns numbers into the parameter of {numbers $1}.
	TextSet(values []string) any
	NumberSet(values []int) any
	// Chunk is how many rows one transaction of a long work inserts or deletes. It is a multiple of
	// BlockSize.
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

// AgentRecord is an agent to insert.
type AgentRecord struct {
	Ordinal, Batch int
	ID             string
	Labels         *string // JSON; nil for none
	Fixed          []byte
	Status, Reason uint8
	State          []byte
}
