package place

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/seed-19b57ce3/ota/bench/internal/meter"
	"github.com/seed-19b57ce3/ota/sqlstore"
	_ "modernc.org/sqlite" // sqlstore uses the same driver
)

// SQLite is a Database of files in a folder.
type SQLite struct {
	folder  string
	version string
	files   int
}

// NewSQLite returns a Database in a folder, with a fresh file.
func NewSQLite(ctx context.Context, folder string) (*SQLite, error) {
	d := &SQLite{folder: folder}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(folder, "version"))
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if err := db.QueryRowContext(ctx, `SELECT sqlite_version()`).Scan(&d.version); err != nil {
		return nil, err
	}
	return d, d.Fresh(ctx)
}

// Name implements Database.
func (d *SQLite) Name() string { return "SQLite" }

// Version implements Database.
func (d *SQLite) Version() string { return d.version }

// Fresh implements Database.
func (d *SQLite) Fresh(context.Context) error {
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(d.file() + end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	d.files++
	return nil
}

func (d *SQLite) file() string { return filepath.Join(d.folder, fmt.Sprintf("%d.db", d.files)) }

// Open implements Database.
func (d *SQLite) Open(ctx context.Context) (*sqlstore.Store, error) { return d.Address().Open(ctx) }

// Address implements Database.
func (d *SQLite) Address() Address { return Address{DSN: d.file()} }

// Meter implements Database. The flushes are those of the disk: SQLite has no count of its own.
func (d *SQLite) Meter() meter.Meter { return meter.Meter{Flushes: meter.Device(d.folder)} }

// Settle implements Database: there is nothing to wait for.
func (d *SQLite) Settle(context.Context) error { return nil }

// Close implements Database; the files go with their folder.
func (d *SQLite) Close() {}

// Raw implements Database, with the same settings as sqlstore.
func (d *SQLite) Raw(ctx context.Context) (Raw, error) {
	db, err := sql.Open("sqlite", "file:"+d.file()+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"+
		"&_pragma=wal_autocheckpoint(4000)&_pragma=cache_size(-16000)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return &rawSQLite{db: db}, db.PingContext(ctx)
}

type rawSQLite struct {
	db            *sql.DB
	plan          int64
	agent, record *sql.Stmt
	records       int
}

func (r *rawSQLite) Plan(ctx context.Context, id string) (err error) {
	if err = r.db.QueryRowContext(ctx, `SELECT number FROM ota_plans WHERE id = ?`, id).Scan(&r.plan); err != nil {
		return err
	}
	if err = r.db.QueryRowContext(ctx, `SELECT coalesce(max(revision), 0) FROM ota_log WHERE plan = ?`, nobodysLog).Scan(&r.records); err != nil {
		return err
	}
	return nil
}

// A table as one makes it by hand: changing columns beside constant ones, and no index on what
// changes.
const floorSQLite = `CREATE TABLE floor (
	plan INTEGER NOT NULL, ordinal INTEGER NOT NULL, batch INTEGER NOT NULL, status INTEGER NOT NULL,
	id TEXT NOT NULL, version TEXT NOT NULL, target TEXT NOT NULL, labels TEXT, tasks TEXT, state BLOB NOT NULL,
	PRIMARY KEY (plan, ordinal), UNIQUE (plan, id)
) STRICT, WITHOUT ROWID`

func (r *rawSQLite) Copy(ctx context.Context) (err error) {
	for _, query := range []string{
		`DROP TABLE IF EXISTS floor`, floorSQLite,
		`INSERT INTO floor SELECT plan, ordinal, batch, 0, id, version, target, labels, tasks, x'01000000000000' FROM ota_agents WHERE plan = ` + strconv.FormatInt(r.plan, 10),
		`PRAGMA wal_checkpoint(TRUNCATE)`,
	} {
		if _, err := r.db.ExecContext(ctx, query); err != nil {
			return err
		}
	}
	if r.agent, err = r.db.PrepareContext(ctx, `UPDATE floor SET status = 3, state = ? WHERE plan = ? AND ordinal = ?`); err != nil {
		return err
	}
	r.record, err = r.db.PrepareContext(ctx, `INSERT INTO ota_log (plan, revision, request, data) VALUES (?, ?, '', ?)`)
	return err
}

func (r *rawSQLite) Commit(ctx context.Context, ordinals []int32, state, log []byte) error {
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	update := tx.StmtContext(ctx, r.agent)
	defer update.Close()
	for _, n := range ordinals {
		if _, err := update.ExecContext(ctx, state, r.plan, n); err != nil {
			return err
		}
	}
	r.records++
	insert := tx.StmtContext(ctx, r.record)
	defer insert.Close()
	if _, err := insert.ExecContext(ctx, nobodysLog, r.records, log); err != nil {
		return err
	}
	return tx.Commit()
}

func (r *rawSQLite) Read(ctx context.Context) (n int, err error) {
	rows, err := r.db.QueryContext(ctx, `SELECT ordinal, batch, id, version, target, labels, tasks FROM ota_agents WHERE plan = ? ORDER BY ordinal`, r.plan)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for ; rows.Next(); n++ {
		var a agent
		if err := rows.Scan(a.dest()...); err != nil {
			return n, err
		}
	}
	if err := rows.Err(); err != nil {
		return n, err
	}
	blocks, err := r.db.QueryContext(ctx, `SELECT block, sizes, states FROM ota_states WHERE plan = ? ORDER BY block`, r.plan)
	if err != nil {
		return n, err
	}
	defer blocks.Close()
	for blocks.Next() {
		var block int
		var sizes, states []byte
		if err := blocks.Scan(&block, &sizes, &states); err != nil {
			return n, err
		}
	}
	return n, blocks.Err()
}

// agent is a row as it is read.
type agent struct {
	ordinal, batch      int
	id, version, target string
	labels, tasks       []byte
}

func (a *agent) dest() []any {
	return []any{&a.ordinal, &a.batch, &a.id, &a.version, &a.target, &a.labels, &a.tasks}
}

func (r *rawSQLite) Insert(ctx context.Context, agents int, name func(i int) string) error {
	const chunk = 2048
	if _, err := r.db.ExecContext(ctx, floorSQLite); err != nil {
		return err
	}
	insert, err := r.db.PrepareContext(ctx, `INSERT INTO floor (plan, ordinal, batch, status, id, version, target, labels, tasks, state)
		VALUES (1, ?, ?, 0, ?, '', '', NULL, NULL, x'01000000000000')`)
	if err != nil {
		return err
	}
	defer insert.Close()
	for first := 0; first < agents; first += chunk {
		if err := r.insert(ctx, insert, first, min(first+chunk, agents), name); err != nil {
			return err
		}
	}
	return nil
}

// insert is one transaction.
func (r *rawSQLite) insert(ctx context.Context, statement *sql.Stmt, first, end int, name func(i int) string) error {
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	row := tx.StmtContext(ctx, statement)
	defer row.Close()
	for i := first; i < end; i++ {
		if _, err := row.ExecContext(ctx, i, i/10_000, name(i)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (r *rawSQLite) Close() { _ = r.db.Close() }
