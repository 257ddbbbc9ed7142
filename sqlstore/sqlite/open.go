package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"runtime"
	"strconv"

	_ "modernc.org/sqlite" // the driver that Open uses

	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
)

// Migrations holds the SQL of every version of the tables, as migrations/0001_tables.up.sql and so
// on, for tools that apply migrations themselves. Names begin with ota_. Such a tool also inserts
// the number and the name of each migration into ota_migrations (version, name, applied_at), which
// Store.Validate reads. migrations/0000_migrations.up.sql makes that table.
//
//go:embed migrations
var Migrations embed.FS

// Open opens the SQLite file of a DSN:
//
//	fleet.db, /var/lib/fleet.db      the file of that name
//	sqlite:fleet.db?mode=ro          the same, with parameters; the name is taken as it stands
//	file:fleet.db, file:///var/x.db  a file: URI; %20 in its name is a blank
//
// Open makes a missing file, readable and writable for its owner only. The parameters are mode=ro,
// rw or rwc, cache=private, and _pragma=name(value) for pragmas that lose no commit, such as
// cache_size, mmap_size, foreign_keys and max_page_count. Open refuses each other parameter, scheme
// and name by name, among them nolock, cache=shared, mode=memory and :memory:.
//
// Open brings the tables up to date, as opts.Migrate says. It deletes the rest of creations and
// deletions that died more than an hour ago. Close the Store when it is no longer needed.
//
// If the file is deleted, truncated or replaced while the Store is open, the next write finds that,
// and every call returns [ErrFileLost] from then on. Renewing a lease is a write, so an engine with
// a running plan notices within a third of Options.Lease.
func Open(ctx context.Context, dsn string, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	if err := opts.check(); err != nil {
		return nil, err
	}
	src, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	if err := src.create(); err != nil {
		return nil, fmt.Errorf("sqlstore: open %q: %w", src.path, err)
	}
	// Writes wait in patiently; the steps of the driver's own wait are too long for it.
	write, err := sql.Open("sqlite", src.uri("_pragma=busy_timeout(1)", "_txlock=immediate"))
	if err != nil {
		return nil, fmt.Errorf("sqlstore: open %q: %w", src.path, err)
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", src.uri("_pragma=busy_timeout(100)", "_pragma=query_only(1)"))
	if err != nil {
		write.Close()
		return nil, fmt.Errorf("sqlstore: open %q: %w", src.path, err)
	}
	readers := max(4, runtime.GOMAXPROCS(0))
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	d := newDatabase(write, read, true, opts)
	d.file.path = src.path
	return sqlcore.Start(ctx, d, strconv.Quote(src.path), opts.Migrate)
}

// New returns a Store on a pool of the caller's, with any driver of SQLite 3.37 or newer. The
// caller closes the pool, after the Store. Its connections should have journal_mode=WAL and a
// busy_timeout. New refuses settings that lose commits: a database in memory, synchronous below
// FULL, and a journal_mode of off or memory. A lost file is noticed as Open describes it.
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

// connect returns a connection of the writing pool. Setting journal_mode=WAL can find the file
// busy.
func (d *database) connect(ctx context.Context) (conn *sql.Conn, err error) {
	err = d.patiently(ctx, func() error {
		conn, err = d.write.Conn(ctx)
		return err
	})
	return conn, err
}

// Ready waits until the file can be read, remembers it, and refuses settings that lose commits.
func (d *database) Ready(ctx context.Context) error {
	conn, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var synchronous int
	var journal, path string
	for query, dest := range map[string]any{
		`PRAGMA synchronous`:  &synchronous,
		`PRAGMA journal_mode`: &journal,
		`SELECT file FROM pragma_database_list WHERE name = 'main'`: &path,
	} {
		if err := conn.QueryRowContext(ctx, query).Scan(dest); err != nil {
			return err
		}
	}
	switch {
	case path == "":
		return errors.New("the database is in memory: a restart would lose it; memstore.New keeps plans in memory")
	case synchronous < 2:
		return errors.New("PRAGMA synchronous is below FULL: a power cut would lose commits")
	case journal == "off" || journal == "memory":
		return fmt.Errorf("PRAGMA journal_mode is %s: a crash would damage the database; want WAL", journal)
	}
	if d.file.path != "" { // not through its links: they may be changed, too
		path = d.file.path
	}
	return d.file.open(path, journal == "wal")
}
