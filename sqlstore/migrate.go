package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Migrations holds the SQL of every version of the tables, as migrations/sqlite/0001_tables.up.sql and so on: for
// tools that apply migrations themselves. Names begin with ota_, and are in no schema. Such a tool also inserts the
// number and the name of each migration into ota_migrations (version, name, applied_at), which [Store.Validate] reads;
// migrations/…/0000_migrations.up.sql makes that table.
//
//go:embed migrations
var Migrations embed.FS

// ErrSchema says that the tables are not of the version that this package works with.
var ErrSchema = errors.New("sqlstore: the tables are of another version")

type migration struct {
	version  int
	name     string
	up, down string
}

// migrationsOf returns the migrations of one database, the oldest first: number n is at n-1.
func migrationsOf(name string) (list []migration, first string, err error) {
	dir := "migrations/" + name
	files, err := fs.Glob(Migrations, dir+"/*.up.sql")
	if err != nil {
		return nil, "", err
	}
	for i, file := range files { // in order of their names
		base := strings.TrimSuffix(strings.TrimPrefix(file, dir+"/"), ".up.sql")
		up, err := Migrations.ReadFile(file)
		if err != nil {
			return nil, "", err
		}
		if i == 0 {
			first = string(up)
			continue
		}
		down, err := Migrations.ReadFile(dir + "/" + base + ".down.sql")
		if err != nil {
			return nil, "", err
		}
		digits, title, _ := strings.Cut(base, "_")
		version, err := strconv.Atoi(digits)
		if err != nil || version != i {
			return nil, "", fmt.Errorf("migration %s is not number %d", file, i)
		}
		list = append(list, migration{version: version, name: title, up: string(up), down: string(down)})
	}
	return list, first, nil
}

// latest is the newest version of the tables.
const latest = 5

// Latest returns the version of the tables that this package works with.
func Latest() int { return latest }

// Version returns the version of the tables, 0 when there are none.
func (s *Store) Version(ctx context.Context) (int, error) {
	v, err := version(ctx, s.db)
	if s.db.missing(err) {
		return 0, nil
	}
	return v, wrap(ctx, "read the version", "", err)
}

func version(ctx context.Context, q querier) (v int, err error) {
	_, err = one(ctx, q, `SELECT coalesce(max(version), 0) FROM ota_migrations`, nil, &v)
	return v, err
}

// Validate returns an error that matches [ErrSchema] unless the tables are of the version [Latest].
func (s *Store) Validate(ctx context.Context) error {
	have, err := s.Version(ctx)
	switch {
	case err != nil:
		return err
	case have > latest:
		return tooNew(have)
	case have < latest:
		return fmt.Errorf("%w: version %d, want %d: apply the migrations", ErrSchema, have, latest)
	}
	return nil
}

func tooNew(have int) error {
	return fmt.Errorf("%w: version %d is newer than %d, the newest that this program knows: use a newer program",
		ErrSchema, have, latest)
}

// Migrate brings the tables to a version between 0 and [Latest], up or down, in one transaction: all or nothing. Down
// means that tables are dropped with what is in them. Other processes that migrate at the same time wait.
func (s *Store) Migrate(ctx context.Context, to int) error {
	list, first, err := migrationsOf(s.db.name())
	if err != nil {
		return wrap(ctx, "migrate", "", err)
	}
	if to < 0 || to > len(list) {
		return fmt.Errorf("sqlstore: migrate to version %d: there are 0 to %d", to, len(list))
	}
	err = s.db.update(ctx, func(tx querier) error {
		if err := s.db.lock(ctx, tx, "migrate", 0); err != nil {
			return err
		}
		if err := s.db.migrate(ctx, tx, first); err != nil {
			return err
		}
		have, err := version(ctx, tx)
		if err != nil {
			return err
		}
		if have > len(list) {
			return tooNew(have)
		}
		return s.step(ctx, tx, list, have, to)
	})
	return wrap(ctx, "migrate", "", err)
}

func (s *Store) step(ctx context.Context, tx querier, list []migration, have, to int) error {
	for ; have < to; have++ {
		m := list[have]
		if err := s.db.migrate(ctx, tx, m.up); err != nil {
			return fmt.Errorf("version %d, %s: %w", m.version, m.name, err)
		}
		if _, err := tx.exec(ctx, `INSERT INTO ota_migrations (version, name, applied_at) VALUES ($1, $2, {now})`,
			m.version, m.name); err != nil {
			return err
		}
	}
	for ; have > to; have-- {
		m := list[have-1]
		if err := s.db.migrate(ctx, tx, m.down); err != nil {
			return fmt.Errorf("back from version %d, %s: %w", m.version, m.name, err)
		}
		if _, err := tx.exec(ctx, `DELETE FROM ota_migrations WHERE version = $1`, m.version); err != nil {
			return err
		}
	}
	return nil
}

// migrate runs a migration's statements where the tables belong.
func (d *postgres) migrate(ctx context.Context, tx querier, text string) error {
	if d.schema != "" {
		var there bool
		if _, err := one(ctx, tx, `SELECT count(*) > 0 FROM pg_namespace WHERE nspname = $1`, []any{d.schema}, &there); err != nil {
			return err
		}
		if !there {
			if err := tx.(pgRun).script(ctx, `CREATE SCHEMA `+quote(d.schema)); err != nil {
				return err
			}
		}
		if _, err := tx.exec(ctx, `SELECT set_config('search_path', $1, true)`, quote(d.schema)); err != nil {
			return err
		}
	}
	return tx.(pgRun).script(ctx, d.migration(text))
}

// script runs statements that have no parameters, in one message.
func (r pgRun) script(ctx context.Context, text string) error {
	_, err := r.q.Exec(ctx, text, pgx.QueryExecModeSimpleProtocol)
	return err
}

// connect returns a connection of the writing pool. Making the file a write-ahead one can find it busy.
func (d *sqlite) connect(ctx context.Context) (conn *sql.Conn, err error) {
	err = d.patiently(ctx, func() error {
		conn, err = d.write.Conn(ctx)
		return err
	})
	return conn, err
}

// channelName is the channel of one set of tables; channels belong to the whole database, and have 63 bytes at most.
func channelName(schema, prefix string) string {
	name := prefix + "changes_" + schema
	if len(name) <= 63 {
		return name
	}
	h := fnv.New64a()
	h.Write([]byte(schema))
	return prefix + "changes_" + strconv.FormatUint(h.Sum64(), 16)
}
