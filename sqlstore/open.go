package sqlstore

import (
	"context"
	"errors"
	"strings"

	"github.com/seed-19b57ce3/ota/sqlstore/postgres"
	"github.com/seed-19b57ce3/ota/sqlstore/sqlite"
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
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		return postgres.Open(ctx, dsn, postgres.Options{
			TablePrefix: opts.TablePrefix, Schema: opts.Schema, Migrate: opts.Migrate,
		})
	}
	if opts.Schema != "" {
		return nil, errors.New("sqlstore: Options.Schema: SQLite has no schemas")
	}
	return sqlite.Open(ctx, dsn, sqlite.Options{
		TablePrefix: opts.TablePrefix, Migrate: opts.Migrate, BusyTimeout: opts.BusyTimeout,
	})
}
