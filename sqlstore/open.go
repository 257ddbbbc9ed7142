package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "modernc.org/sqlite" // the driver that Open uses
)

// Open opens a database by its name:
//
//	fleet.db, sqlite:fleet.db      the SQLite file of that name, made when it is missing
//	sqlite:fleet.db?mode=ro        with parameters of SQLite's URIs or of modernc.org/sqlite
//	postgres://…, postgresql://…   PostgreSQL, with the parameters of pgxpool.ParseConfig
//
// It brings the tables up to date, as opts.Migrate says, and deletes what is left of creations and deletions that died
// more than an hour ago. Close the Store when it is no longer needed.
func Open(ctx context.Context, dsn string, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	isPostgres := strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://")
	if err := opts.validate(!isPostgres); err != nil {
		return nil, err
	}
	if isPostgres {
		pool, err := pgxpool.New(ctx, dsn)
		if err != nil {
			return nil, fmt.Errorf("sqlstore: open: %w", err)
		}
		return start(ctx, newPostgres(pool, true, opts), opts)
	}
	file, err := fileDSN(dsn)
	if err != nil {
		return nil, err
	}
	// Who writes waits in patiently; the driver's own wait has steps that are too long for it.
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
	return start(ctx, newSQLite(write, read, true, opts), opts)
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

// NewSQLite is a Store on a pool of the caller's, with whatever driver of SQLite 3.37 or newer, which stays the caller's
// to close, after the Store. The pool's connections should have journal_mode=WAL and a busy_timeout; with synchronous
// below FULL a power cut would lose commits, and it is refused.
func NewSQLite(ctx context.Context, db *sql.DB, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	if db == nil {
		return nil, errors.New("sqlstore: the *sql.DB is nil")
	}
	if err := opts.validate(true); err != nil {
		return nil, err
	}
	return start(ctx, newSQLite(db, db, false, opts), opts)
}

// NewPostgres is a Store on a pool of the caller's, which stays the caller's to close, after the Store. One connection
// is enough. Changes makes a connection of its own from the pool's configuration.
func NewPostgres(ctx context.Context, pool *pgxpool.Pool, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	if pool == nil {
		return nil, errors.New("sqlstore: the *pgxpool.Pool is nil")
	}
	if err := opts.validate(false); err != nil {
		return nil, err
	}
	return start(ctx, newPostgres(pool, false, opts), opts)
}

// start makes a database ready for use, and lets go of it when that fails.
func start(ctx context.Context, db database, opts Options) (*Store, error) {
	s := &Store{db: db}
	if err := s.start(ctx, opts.Migrate); err != nil {
		db.close()
		return nil, wrap(ctx, "open", "", err)
	}
	return s, nil
}

func (s *Store) start(ctx context.Context, mode MigrateMode) error {
	if err := s.db.ready(ctx); err != nil {
		return err
	}
	switch mode {
	case MigrateApply:
		have, err := s.Version(ctx)
		if err != nil {
			return err
		}
		if have != Latest() {
			if err := s.Migrate(ctx, Latest()); err != nil {
				return err
			}
		}
		return s.sweepDead(ctx, hour)
	case MigrateCheck:
		return s.Validate(ctx)
	default:
		return nil
	}
}

// ready waits until the file can be read, and refuses settings that lose commits.
func (d *sqlite) ready(ctx context.Context) error {
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

// ready finds the schema, whose name is part of the channel, and refuses settings that lose commits or names.
func (d *postgres) ready(ctx context.Context) error {
	var schema *string
	var encoding, synchronous string
	_, err := one(ctx, d, `SELECT current_schema(), current_setting('server_encoding'), current_setting('synchronous_commit')`,
		nil, &schema, &encoding, &synchronous)
	switch {
	case err != nil:
		return err
	case encoding != "UTF8":
		return fmt.Errorf("the database's encoding is %s, want UTF8", encoding)
	case synchronous == "off":
		return errors.New("synchronous_commit is off: a crash of the server would lose commits")
	case d.schema == "" && schema == nil:
		return errors.New("search_path names no schema that exists; set Options.Schema")
	}
	name := d.schema
	if name == "" {
		name = *schema
	}
	d.channel = channelName(name, d.prefix)
	return nil
}
