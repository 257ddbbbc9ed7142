package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strings"

	_ "modernc.org/sqlite" // the driver that Open uses

	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
)

// Migrations holds the SQL of every version of the tables, as migrations/0001_tables.up.sql and so
// on, for tools that apply migrations themselves. Names begin with ota_. Such a tool also inserts the
// number and the name of each migration into ota_migrations (version, name, applied_at), which
// Store.Validate reads. migrations/0000_migrations.up.sql makes that table.
//
//go:embed migrations
var Migrations embed.FS

// Open opens the SQLite file of a DSN:
//
//	fleet.db, sqlite:fleet.db      the file of that name, made when it is missing
//	sqlite:fleet.db?mode=ro        with parameters of SQLite's URIs or of modernc.org/sqlite
//
// It brings the tables up to date, as opts.Migrate says. It deletes the rest of creations and
// deletions that died more than an hour ago. Close the Store when it is no longer needed.
func Open(ctx context.Context, dsn string, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	if err := opts.check(); err != nil {
		return nil, err
	}
	file, err := fileDSN(dsn)
	if err != nil {
		return nil, err
	}
	// Writes wait in patiently; the steps of the driver's own wait are too long for it.
	write, err := sql.Open("sqlite", file+"&_pragma=busy_timeout(1)&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("sqlstore: open: %w", err)
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", file+"&_pragma=busy_timeout(100)&_pragma=query_only(1)")
	if err != nil {
		write.Close()
		return nil, fmt.Errorf("sqlstore: open: %w", err)
	}
	readers := max(4, runtime.GOMAXPROCS(0))
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return sqlcore.Start(ctx, newDatabase(write, read, true, opts), dsn, opts.Migrate)
}

// New returns a Store on a pool of the caller's, with any driver of SQLite 3.37 or newer. The caller
// closes the pool, after the Store. Its connections should have journal_mode=WAL and a busy_timeout.
// New refuses synchronous below FULL: a power cut would lose commits.
func New(ctx context.Context, db *sql.DB, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	if db == nil {
		return nil, errors.New("sqlstore: the *sql.DB is nil")
	}
	if err := opts.check(); err != nil {
		return nil, err
	}
	return sqlcore.Start(ctx, newDatabase(db, db, false, opts), "the pool", opts.Migrate)
}

// fileDSN returns the URI of a SQLite file with the settings that this package relies on.
func fileDSN(dsn string) (string, error) {
	name, isURI := strings.CutPrefix(dsn, "sqlite:")
	query := ""
	if isURI {
		name, query, _ = strings.Cut(name, "?")
	}
	if name == "" || name == ":memory:" {
		return "", fmt.Errorf("sqlstore: open %q: a file name is needed; for plans in memory there is ota.NewMemStore", dsn)
	}
	uri := "file:" + (&url.URL{Path: name}).EscapedPath() + "?"
	if query != "" {
		uri += query + "&"
	}
	return uri + "_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
		"&_pragma=wal_autocheckpoint(4000)&_pragma=cache_size(-16000)", nil
}

// connect returns a connection of the writing pool. Making the file a write-ahead one can find it busy.
func (d *database) connect(ctx context.Context) (conn *sql.Conn, err error) {
	err = d.patiently(ctx, func() error {
		conn, err = d.write.Conn(ctx)
		return err
	})
	return conn, err
}

// Ready waits until the file can be read, and refuses settings that lose commits.
func (d *database) Ready(ctx context.Context) error {
	conn, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var synchronous int
	if err := conn.QueryRowContext(ctx, `PRAGMA synchronous`).Scan(&synchronous); err != nil {
		return err
	}
	if synchronous < 2 {
		return errors.New("PRAGMA synchronous is below FULL: a power cut would lose commits")
	}
	return nil
}
