package postgres

import (
	"context"
	"embed"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
)

// database is a PostgreSQL database.
type database struct {
	*sqlcore.Dialect
	pool    *pgxpool.Pool
	own     bool
	schema  string // as in Options
	channel string // what is notified; set by ready
	teller  teller
}

var _ sqlcore.Database = (*database)(nil)

func newDatabase(pool *pgxpool.Pool, own bool, o Options) *database {
	d := &database{Dialect: postgresDialect(o), pool: pool, own: own, schema: o.Schema}
	d.teller.send = d.announce
	return d
}

func (d *database) Migrations() embed.FS { return Migrations }
func (d *database) Chunk() int           { return 320 * sqlcore.BlockSize }

func (d *database) Close() {
	d.teller.close()
	if d.own {
		d.pool.Close()
	}
}

// pgQuerier is a transaction or the pool.
type pgQuerier interface {
	Exec(ctx context.Context, query string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// pgRun is a querier on a transaction or on the pool.
type pgRun struct {
	db *database
	q  pgQuerier
}

func (r pgRun) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	tag, err := r.q.Exec(ctx, r.db.Text(query), args...)
	return tag.RowsAffected(), err
}

func (r pgRun) ExecMany(ctx context.Context, query string, args [][]any) error {
	if len(args) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	for _, a := range args {
		b.Queue(r.db.Text(query), a...)
	}
	return r.q.SendBatch(ctx, b).Close()
}

func (r pgRun) Query(ctx context.Context, query string, args []any, row func(sqlcore.ScanFunc) error) error {
	rows, err := r.q.Query(ctx, r.db.Text(query), args...)
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

func (d *database) Exec(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = d.again(ctx, func() error {
		n, err = pgRun{d, d.pool}.Exec(ctx, query, args...)
		return err
	})
	return n, err
}

func (d *database) ExecMany(ctx context.Context, query string, args [][]any) error {
	return d.again(ctx, func() error { return pgRun{d, d.pool}.ExecMany(ctx, query, args) })
}

func (d *database) Query(ctx context.Context, query string, args []any, row func(sqlcore.ScanFunc) error) error {
	if !sqlcore.Findable(args) {
		return nil
	}
	return pgRun{d, d.pool}.Query(ctx, query, args, row)
}

func (d *database) Update(ctx context.Context, f func(tx sqlcore.Querier) error) error {
	return d.again(ctx, func() error {
		return pgx.BeginTxFunc(ctx, d.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
			return f(pgRun{d, tx})
		})
	})
}

// again repeats f until it succeeds, or fails in a way that may have changed something, at most
// maxTries times.
func (d *database) again(ctx context.Context, f func() error) error {
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

// undone reports whether err guarantees that nothing was applied, and a repetition may help. The
// server refused because of concurrency and rolled back, or no byte was sent.
func undone(err error) bool {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return answer.Severity == "ERROR" && (answer.Code == "40001" || answer.Code == "40P01")
	}
	return pgconn.SafeToRetry(err)
}

func (d *database) Lock(ctx context.Context, tx sqlcore.Querier, name string, number int64) error {
	h := fnv.New32a()
	h.Write([]byte(d.channel + "\x00" + d.Table + "\x00" + name))
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1::int, $2::int)`, int32(h.Sum32()), int32(number))
	return err
}

func (d *database) InsertAgents(ctx context.Context, tx sqlcore.Querier, number int64, rows []sqlcore.AgentRecord) error {
	columns := append([]string{"plan"}, strings.Split(sqlcore.AgentColumns, ", ")...)
	return d.copy(ctx, tx, "agents", columns, len(rows), func(i int) []any {
		r := &rows[i]
		return []any{number, r.Ordinal, r.Batch, r.ID, r.Labels, r.Fixed}
	})
}

func (d *database) InsertStates(ctx context.Context, tx sqlcore.Querier, number int64, blocks []sqlcore.BlockRecord) error {
	return d.copy(ctx, tx, "states", []string{"plan", "block", "statuses", "reasons", "states"}, len(blocks), func(i int) []any {
		return []any{number, blocks[i].Block, blocks[i].Statuses, blocks[i].Reasons, blocks[i].States}
	})
}

// copy adds many rows to a table.
func (d *database) copy(ctx context.Context, tx sqlcore.Querier, name string, columns []string, rows int, row func(i int) []any) error {
	table := pgx.Identifier{d.Prefix + name}
	if d.schema != "" {
		table = pgx.Identifier{d.schema, d.Prefix + name}
	}
	_, err := tx.(pgRun).q.(pgx.Tx).CopyFrom(ctx, table, columns, pgx.CopyFromSlice(rows, func(i int) ([]any, error) { return row(i), nil }))
	return err
}

func (d *database) StateOf() string {
	const place = `a.ordinal % 32`
	return `substr(s.statuses, ` + place + ` + 1, 1), substr(s.reasons, ` + place + ` * 2 + 1, 2), s.states[` + place + ` + 1]`
}

func (d *database) StateInto() (dest []any, state func(*ota.Row) error) {
	var status, reason string
	var b []byte
	return []any{&status, &reason, &b}, func(a *ota.Row) error { return sqlcore.SetState(a, status, reason, b) }
}

func (d *database) StateColumns() string { return "block, statuses, reasons, states" }

func (d *database) ScanStates(scan sqlcore.ScanFunc) (b sqlcore.BlockRow, err error) {
	err = scan(&b.Block, &b.Statuses, &b.Reasons, &b.States)
	return b, err
}

// From this many agents on, reading the whole table instead of a range costs a commit more than its
// flush.
const analyzeFrom = 50_000

// Grown has the tables analyzed after they became much larger. Commits need no statistics. But a
// session keeps the query plans it made for a tiny table, which read all of it, until the table is
// analyzed: the server does that within a minute or so. Grown waits for no analysis that is under
// way.
func (d *database) Grown(ctx context.Context, agents int) {
	if agents < analyzeFrom {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, _ = d.Exec(ctx, `ANALYZE (SKIP_LOCKED) ota_agents (plan, ordinal), ota_states (plan, block)`)
}

func (d *database) TextSet(values []string) any {
	return sqlcore.KeepableOf(values)
}

func (d *database) NumberSet(values []int) any {
	all := make([]int32, len(values))
	for i, v := range values {
		all[i] = int32(v)
	}
	return all
}

func (d *database) Duplicate(err error) bool { return hasCode(err, "23505") }

// Never matches the classes of errors about data (22), constraints (23) and limits of the server
// (54).
func (d *database) Never(err error) bool {
	var answer *pgconn.PgError
	if d.Duplicate(err) || !errors.As(err, &answer) || len(answer.Code) != 5 {
		return false
	}
	return slices.Contains([]string{"22", "23", "54"}, answer.Code[:2])
}

func (d *database) Missing(err error) bool { return hasCode(err, "42P01") || hasCode(err, "3F000") }

func hasCode(err error, code string) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.Code == code
}

func postgresDialect(o Options) *sqlcore.Dialect {
	table := o.TablePrefix
	if o.Schema != "" {
		table = quote(o.Schema) + "." + table
	}
	return &sqlcore.Dialect{
		Table: table, Prefix: o.TablePrefix, Marks: "$",
		Now:     `(CAST(extract(epoch FROM clock_timestamp()) * 1000000000 AS bigint))`,
		Texts:   `(SELECT unnest(CAST(%s AS text[])))`,
		List:    `unnest(CAST(%s AS text[])) AS want (value)`,
		Numbers: `unnest(CAST(%s AS int[])) AS want (value)`,
		Find:    `strpos(translate(%[1]s, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz'), %[2]s) > 0`,
		// Without statistics the planner takes reading all rows of a plan for cheaper than looking
		// up each. The limit leaves it only the lookup.
		One:  `CROSS JOIN LATERAL (SELECT * FROM %[1]s AS %[2]s WHERE %[3]s LIMIT 1) AS %[2]s`,
		Keep: `FOR KEY SHARE`,
	}
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
