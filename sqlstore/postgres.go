package sqlstore

import (
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// postgres is a PostgreSQL database.
type postgres struct {
	*dialect
	pool    *pgxpool.Pool
	own     bool
	schema  string // as in Options
	channel string // what is notified; set by ready
	teller  teller
}

var _ database = (*postgres)(nil)

func newPostgres(pool *pgxpool.Pool, own bool, o Options) *postgres {
	d := &postgres{dialect: postgresDialect(o), pool: pool, own: own, schema: o.Schema}
	d.teller.send = d.announce
	return d
}

func (d *postgres) name() string { return "postgres" }
func (d *postgres) chunk() int   { return 320 * blockSize }

func (d *postgres) close() {
	d.teller.close()
	if d.own {
		d.pool.Close()
	}
}

// The statements of one transaction, or of the pool.
type pgQuerier interface {
	Exec(ctx context.Context, query string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// pgRun is a querier on a transaction or on the pool.
type pgRun struct {
	db *postgres
	q  pgQuerier
}

func (r pgRun) exec(ctx context.Context, query string, args ...any) (int64, error) {
	tag, err := r.q.Exec(ctx, r.db.text(query), args...)
	return tag.RowsAffected(), err
}

func (r pgRun) execMany(ctx context.Context, query string, args [][]any) error {
	if len(args) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	for _, a := range args {
		b.Queue(r.db.text(query), a...)
	}
	return r.q.SendBatch(ctx, b).Close()
}

func (r pgRun) query(ctx context.Context, query string, args []any, row func(scanFunc) error) error {
	rows, err := r.q.Query(ctx, r.db.text(query), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (d *postgres) exec(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = d.again(ctx, func() error {
		n, err = pgRun{d, d.pool}.exec(ctx, query, args...)
		return err
	})
	return n, err
}

func (d *postgres) execMany(ctx context.Context, query string, args [][]any) error {
	return d.again(ctx, func() error { return pgRun{d, d.pool}.execMany(ctx, query, args) })
}

func (d *postgres) query(ctx context.Context, query string, args []any, row func(scanFunc) error) error {
	if !findable(args) {
		return nil
	}
	return pgRun{d, d.pool}.query(ctx, query, args, row)
}

func (d *postgres) update(ctx context.Context, f func(tx querier) error) error {
	return d.again(ctx, func() error {
		return pgx.BeginTxFunc(ctx, d.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
			return f(pgRun{d, tx})
		})
	})
}

// again runs f until it succeeds or fails in a way that may have changed something, at most maxTries times.
func (d *postgres) again(ctx context.Context, f func() error) error {
	const maxTries = 8
	for try := 1; ; try++ {
		err := f()
		if err == nil || try == maxTries || !undone(err) {
			return err
		}
		select {
		case <-time.After(time.Duration(rand.Int64N(int64(try) * int64(5*time.Millisecond)))):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// undone reports whether err says for certain that nothing was applied, and that trying again may help: the server
// refused for reasons of concurrency and rolled back, or not one byte was sent.
func undone(err error) bool {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return answer.Severity == "ERROR" && (answer.Code == "40001" || answer.Code == "40P01")
	}
	return pgconn.SafeToRetry(err)
}

func (d *postgres) lock(ctx context.Context, tx querier, name string, number int64) error {
	h := fnv.New32a()
	h.Write([]byte(d.channel + "\x00" + d.table + "\x00" + name))
	_, err := tx.exec(ctx, `SELECT pg_advisory_xact_lock($1::int, $2::int)`, int32(h.Sum32()), int32(number))
	return err
}

func (d *postgres) insertAgents(ctx context.Context, tx querier, number int64, rows []agentRecord) error {
	columns := append([]string{"plan"}, strings.Split(agentColumns, ", ")...)
	return d.copy(ctx, tx, "agents", columns, len(rows), func(i int) []any {
		r := &rows[i]
		return []any{number, r.ordinal, r.batch, r.id, r.version, r.target, r.labels, r.tasks}
	})
}

func (d *postgres) insertStates(ctx context.Context, tx querier, number int64, blocks []blockRecord) error {
	return d.copy(ctx, tx, "states", []string{"plan", "block", "statuses", "states"}, len(blocks), func(i int) []any {
		return []any{number, blocks[i].block, blocks[i].statuses, blocks[i].states}
	})
}

// copy adds many rows to a table.
func (d *postgres) copy(ctx context.Context, tx querier, name string, columns []string, rows int, row func(i int) []any) error {
	table := pgx.Identifier{d.prefix + name}
	if d.schema != "" {
		table = pgx.Identifier{d.schema, d.prefix + name}
	}
	_, err := tx.(pgRun).q.(pgx.Tx).CopyFrom(ctx, table, columns, pgx.CopyFromSlice(rows, func(i int) ([]any, error) { return row(i), nil }))
	return err
}

func (d *postgres) stateColumns() string { return "block, states" }

func (d *postgres) scanStates(scan scanFunc) (block int, states [][]byte, err error) {
	err = scan(&block, &states)
	return block, states, err
}

// From this many agents on, reading the whole table instead of a range costs a commit more than its flush.
const analyzeFrom = 50_000

// grown has the table analyzed when it became much larger. Commits need no statistics, but a session keeps the plans that
// it made when the table was so small that reading all of it was best, until somebody analyzes it: the server itself
// does within a minute or so. When that is under way, nothing is waited for.
func (d *postgres) grown(ctx context.Context, agents int) {
	if agents < analyzeFrom {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, _ = d.exec(ctx, `ANALYZE (SKIP_LOCKED) ota_agents (plan, ordinal), ota_states (plan, block)`)
}

func (d *postgres) list(values []string) any {
	return keepableOf(values)
}

func (d *postgres) numbers(values []int) any {
	all := make([]int32, len(values))
	for i, v := range values {
		all[i] = int32(v)
	}
	return all
}

func (d *postgres) duplicate(err error) bool { return hasCode(err, "23505") }

// never knows the classes of errors about data (22), constraints (23) and limits of the server (54).
func (d *postgres) never(err error) bool {
	var answer *pgconn.PgError
	if d.duplicate(err) || !errors.As(err, &answer) || len(answer.Code) != 5 {
		return false
	}
	return slices.Contains([]string{"22", "23", "54"}, answer.Code[:2])
}

func (d *postgres) missing(err error) bool { return hasCode(err, "42P01") || hasCode(err, "3F000") }

func hasCode(err error, code string) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.Code == code
}
