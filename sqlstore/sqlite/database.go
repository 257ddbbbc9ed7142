package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/seed-19b57ce3/ota/internal/feed"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
)

// database is a SQLite file. One goroutine of the process writes at a time; the lock of the file
// keeps processes apart. It reads only standard SQL errors, so any driver of SQLite 3.37 or newer
// will do.
type database struct {
	*sqlcore.Dialect
	write, read *sql.DB
	own         bool
	busy        time.Duration
	gate        chan struct{} // has one place: the goroutine that fills it may write
	line        line          // the commits that wait for the gate
	feed        feed.Feed
	file        file

	mu         sync.Mutex
	statements map[string]*sql.Stmt // of write; nil until prepared, then never written to
}

func newDatabase(write, read *sql.DB, own bool, o Options) *database {
	return &database{
		Dialect: sqliteDialect(o), write: write, read: read, own: own, busy: o.BusyTimeout,
		gate: make(chan struct{}, 1),
	}
}

func (d *database) Migrations() embed.FS { return Migrations }
func (d *database) Chunk() int           { return 64 * sqlcore.BlockSize }

func (d *database) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.statements {
		s.Close()
	}
	if d.own {
		d.read.Close()
		d.write.Close()
	}
}

// Exec is a write of its own.
func (d *database) Exec(ctx context.Context, query string, args ...any) (n int64, err error) {
	err = d.Update(ctx, func(tx sqlcore.Querier) error {
		n, err = tx.Exec(ctx, query, args...)
		return err
	})
	return n, err
}

func (d *database) ExecMany(ctx context.Context, query string, args [][]any) error {
	return d.Update(ctx, func(tx sqlcore.Querier) error { return tx.ExecMany(ctx, query, args) })
}

func (d *database) Query(ctx context.Context, query string, args []any, row func(sqlcore.ScanFunc) error) error {
	if !sqlcore.Findable(args) {
		return nil
	}
	if err := d.file.gone(); err != nil {
		return err
	}
	rows, err := d.read.QueryContext(ctx, d.Text(query), args...)
	if err = each(rows, err, row); err == nil || ctx.Err() != nil {
		return err
	}
	conn, failed := d.read.Conn(ctx)
	if failed != nil {
		return err
	}
	defer conn.Close()
	return d.verify(ctx, conn, err)
}

func each(rows *sql.Rows, err error, row func(sqlcore.ScanFunc) error) error {
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

func (d *database) Update(ctx context.Context, f func(tx sqlcore.Querier) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case d.gate <- struct{}{}:
		defer func() { <-d.gate }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return d.transact(ctx, ctx, func(tx *sqliteTx) error {
		if err := f(tx); err != nil {
			return err
		}
		return ctx.Err()
	})
}

// transact runs f in a transaction that may write; the caller has the gate. The wait for the file
// ends with ctx. The statements run under inside, which has no end for short transactions: to be
// able to interrupt a statement costs more than to run it. A commit counts only if the file is
// still the one that was opened.
func (d *database) transact(ctx, inside context.Context, f func(tx *sqliteTx) error) error {
	if err := d.file.gone(); err != nil {
		return err
	}
	conn, err := d.write.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return d.verify(ctx, conn, d.transaction(ctx, inside, conn, f))
}

func (d *database) transaction(ctx, inside context.Context, conn *sql.Conn, f func(tx *sqliteTx) error) error {
	tx, err := d.begin(ctx, inside, conn)
	if err != nil {
		return err
	}
	if err := f(&sqliteTx{db: d, tx: tx}); err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	if err := tx.Commit(); err != nil {
		// SQLite may have left the transaction open: it must not stay on the connection. The result
		// is unknown.
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return &endError{err}
	}
	return nil
}

// endError is an error of the end of a transaction. It blames none of the commits that shared it.
type endError struct{ error }

func (e *endError) Unwrap() error { return e.error }

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// begin takes SQLite's write lock, or waits for the process that has it.
func (d *database) begin(ctx, inside context.Context, conn *sql.Conn) (tx *sql.Tx, err error) {
	err = d.patiently(ctx, func() error {
		if tx, err = conn.BeginTx(inside, nil); err != nil || d.own {
			return err
		}
		// A pool of the caller's may begin without the lock. A write that changes nothing takes it.
		// Before there are tables, the first migration takes it.
		_, err = tx.ExecContext(inside, d.Text(`DELETE FROM ota_leases WHERE false`))
		if err == nil || d.Missing(err) {
			return nil
		}
		return errors.Join(err, ignoreDone(tx.Rollback()))
	})
	return tx, err
}

// patiently repeats f while the file is busy, as long as Options allow. The process that drives a
// plan leaves only short gaps between its commits, and SQLite wakes no process: a long sleep misses
// the gaps. So a step is a fiftieth of the wait so far, at least 50 µs and at most 10 ms. It is
// random, so that steps do not coincide with commits.
func (d *database) patiently(ctx context.Context, f func() error) error {
	for began := time.Now(); ; {
		err := f()
		waited := time.Since(began)
		if err == nil || !isBusy(err) || waited >= d.busy {
			return err
		}
		step := min(max(waited/50, 50*time.Microsecond), 10*time.Millisecond)
		select {
		case <-time.After(step/2 + rand.N(step)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// prepare prepares the statements of commits once. It does so before a transaction has the pool's
// perhaps only connection.
func (d *database) prepare(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.statements != nil {
		return nil
	}
	statements := map[string]*sql.Stmt{}
	for _, query := range []string{sqlcore.PlanUpdate, sqlcore.InsertLog, sqliteSpec, sqliteControl, sqliteRow, sqliteShow, sqliteRead, sqliteWrite} {
		var s *sql.Stmt
		err := d.patiently(ctx, func() (err error) {
			s, err = d.write.PrepareContext(ctx, d.Text(query))
			return err
		})
		if err != nil {
			for _, s := range statements {
				s.Close()
			}
			return err
		}
		statements[query] = s
	}
	d.statements = statements
	return nil
}

// Lock does nothing: SQLite has one write lock, and a transaction of this package has it.
func (d *database) Lock(context.Context, sqlcore.Querier, string, int64) error { return nil }

func (d *database) Migrate(ctx context.Context, tx sqlcore.Querier, text string) error {
	_, err := tx.(*sqliteTx).tx.ExecContext(ctx, d.Migration(text))
	return err
}

func (d *database) Grown(context.Context, int)                              {}
func (d *database) Announce(context.Context, sqlcore.Querier, string) error { return nil }
func (d *database) Announced(plan string, _ bool)                           { d.feed.Tell(plan) }

func (d *database) Changes(ctx context.Context) (<-chan string, error) {
	return d.feed.Subscribe(ctx), nil
}

func (d *database) TextSet(values []string) any {
	text, _ := json.Marshal(sqlcore.KeepableOf(values)) // strings cannot fail
	return string(text)
}

func (d *database) NumberSet(values []int) any {
	text, _ := json.Marshal(values) // numbers cannot fail
	return string(text)
}

func (d *database) Duplicate(err error) bool {
	return err != nil && strings.Contains(err.Error(), "UNIQUE constraint failed")
}

// Never reads the text that SQLite itself gives to SQLITE_CONSTRAINT, SQLITE_MISMATCH and
// SQLITE_TOOBIG.
func (d *database) Never(err error) bool {
	var end *endError
	if err == nil || d.Duplicate(err) || errors.As(err, &end) {
		return false
	}
	text := err.Error()
	return strings.Contains(text, "constraint failed") || strings.Contains(text, "datatype mismatch") ||
		strings.Contains(text, "string or blob too big")
}

func (d *database) Missing(err error) bool {
	return err != nil && strings.Contains(err.Error(), "no such table")
}

func isBusy(err error) bool {
	return strings.Contains(err.Error(), "SQLITE_BUSY") || strings.Contains(err.Error(), "database is locked")
}

func sqliteDialect(o Options) *sqlcore.Dialect {
	return &sqlcore.Dialect{
		Table: o.TablePrefix, Prefix: o.TablePrefix, Marks: "?",
		Now:     `(CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000000)`,
		Texts:   `(SELECT value FROM json_each(%s))`,
		List:    `json_each(%s) AS want`,
		Numbers: `json_each(%s) AS want`,
		Find:    `instr(lower(%[1]s), %[2]s) > 0`,
		One:     `CROSS JOIN %[1]s AS %[2]s ON %[3]s`, // a CROSS JOIN fixes the order of the tables
	}
}
