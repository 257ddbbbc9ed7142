package sqlstore

import (
	"context"

	"github.com/seed-19b57ce3/ota"
)

// querier runs SQL, in a transaction or out of one.
type querier interface {
	// exec returns how many rows were affected.
	exec(ctx context.Context, query string, args ...any) (int64, error)
	// execMany runs one statement many times, in one round trip where that matters.
	execMany(ctx context.Context, query string, args [][]any) error
	// query calls row for each row; scan is valid inside of it only.
	query(ctx context.Context, query string, args []any, row func(scan scanFunc) error) error
}

type scanFunc func(dest ...any) error

// database is what SQLite and PostgreSQL do differently. As a querier it runs single statements.
type database interface {
	querier
	// update runs f in one transaction, and again when the database says that nothing of it was applied. It commits when
	// f returns nil.
	update(ctx context.Context, f func(tx querier) error) error
	// lock makes transactions that lock the same name and number wait for each other.
	lock(ctx context.Context, tx querier, name string, number int64) error
	// commit is Store.Commit.
	commit(ctx context.Context, c *ota.Commit) (uint64, error)
	// insertAgents adds agents to a draft, and insertStates their states.
	insertAgents(ctx context.Context, tx querier, number int64, rows []agentRecord) error
	insertStates(ctx context.Context, tx querier, number int64, blocks []blockRecord) error
	// stateColumns are what scanStates reads of ota_states: a block, and what its agents' states are.
	stateColumns() string
	scanStates(scan scanFunc) (block int, states [][]byte, err error)
	// grown is told that a plan was made with so many agents. What it does is no part of making it, and may fail.
	grown(ctx context.Context, agents int)
	// migrate runs the text of a migration, which may be many statements.
	migrate(ctx context.Context, tx querier, text string) error
	// ready prepares for migrations, before their first transaction.
	ready(ctx context.Context) error
	// tell announces a change in the transaction that makes it, where that is possible; told announces one that was made,
	// by an owner or by somebody else.
	tell(ctx context.Context, tx querier, plan string) error
	told(plan string, owner bool)
	changes(ctx context.Context) (<-chan string, error)
	// duplicate reports whether err says that a unique value was there already.
	duplicate(err error) bool
	// never reports whether err says that a write breaks a rule of the database, so that it will never be made.
	never(err error) bool
	// missing reports whether err says that a table does not exist.
	missing(err error) bool
	// list turns strings into the parameter that {texts $1} stands around, without those that no row can have; numbers numbers into that of {among $1}.
	list(values []string) any
	numbers(values []int) any
	// chunk is how many rows one transaction of a long work inserts or deletes: some whole blocks of agents.
	chunk() int
	name() string
	close()
}

// one runs a query of at most one row, and reports whether there was one.
func one(ctx context.Context, q querier, query string, args []any, dest ...any) (found bool, err error) {
	err = q.query(ctx, query, args, func(scan scanFunc) error {
		found = true
		return scan(dest...)
	})
	return found, err
}

// agentRecord is an agent as it is inserted.
type agentRecord struct {
	ordinal, batch      int
	id, version, target string
	labels, tasks       *string // JSON; nil for none
	state               []byte
}
