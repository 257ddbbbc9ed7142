package sqlcore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// ErrSchema matches the error of tables that are of another version than this package.
var ErrSchema = errors.New("sqlstore: the tables are of another version")

// Migration is the step from one version of the tables to the next, and back.
type Migration struct {
	version  int
	name     string
	up, down string
}

// MigrationsOf returns the migrations in the folder "migrations", the oldest first: number n is at
// n-1. first makes the table that records them.
func MigrationsOf(folder embed.FS) (list []Migration, first string, err error) {
	const dir = "migrations"
	files, err := fs.Glob(folder, dir+"/*.up.sql")
	if err != nil {
		return nil, "", err
	}
	for i, file := range files { // in order of their names
		base := strings.TrimSuffix(strings.TrimPrefix(file, dir+"/"), ".up.sql")
		up, err := folder.ReadFile(file)
		if err != nil {
			return nil, "", err
		}
		if i == 0 {
			first = string(up)
			continue
		}
		down, err := folder.ReadFile(dir + "/" + base + ".down.sql")
		if err != nil {
			return nil, "", err
		}
		digits, title, _ := strings.Cut(base, "_")
		version, err := strconv.Atoi(digits)
		if err != nil || version != i {
			return nil, "", fmt.Errorf("migration %s is not number %d", file, i)
		}
		list = append(list, Migration{version: version, name: title, up: string(up), down: string(down)})
	}
	return list, first, nil
}

// latest is the newest version of the tables.
const latest = 2

// Latest returns the version of the tables that this package works with.
func Latest() int { return latest }

// Version returns the version of the tables, 0 when there are none.
func (s *Store) Version(ctx context.Context) (int, error) {
	v, err := version(ctx, s.db)
	if s.db.Missing(err) {
		return 0, nil
	}
	return v, wrap(ctx, "read the version", "", err)
}

func version(ctx context.Context, q Querier) (v int, err error) {
	_, err = One(ctx, q, `SELECT coalesce(max(version), 0) FROM ota_migrations`, nil, &v)
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

// Migrate brings the tables to a version between 0 and [Latest], up or down, in one transaction. A
// step down drops tables with their contents. Other processes that migrate at the same time wait.
func (s *Store) Migrate(ctx context.Context, to int) error {
	list, first, err := MigrationsOf(s.db.Migrations())
	if err != nil {
		return wrap(ctx, "migrate", "", err)
	}
	if to < 0 || to > len(list) {
		return fmt.Errorf("sqlstore: migrate to version %d: there are 0 to %d", to, len(list))
	}
	err = s.db.Update(ctx, func(tx Querier) error {
		if err := s.db.Lock(ctx, tx, "migrate", 0); err != nil {
			return err
		}
		if err := s.db.Migrate(ctx, tx, first); err != nil {
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

func (s *Store) step(ctx context.Context, tx Querier, list []Migration, have, to int) error {
	for ; have < to; have++ {
		m := list[have]
		if err := s.db.Migrate(ctx, tx, m.up); err != nil {
			return fmt.Errorf("version %d, %s: %w", m.version, m.name, err)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO ota_migrations (version, name, applied_at) VALUES ($1, $2, {now})`,
			m.version, m.name); err != nil {
			return err
		}
	}
	for ; have > to; have-- {
		m := list[have-1]
		if err := s.db.Migrate(ctx, tx, m.down); err != nil {
			return fmt.Errorf("back from version %d, %s: %w", m.version, m.name, err)
		}
		if _, err := tx.Exec(ctx, `DELETE FROM ota_migrations WHERE version = $1`, m.version); err != nil {
			return err
		}
	}
	return nil
}
