package sqlstore

import (
	"context"
	"errors"
	"strings"

	"github.com/seed-19b57ce3/ota/sqlstore/postgres"
	"github.com/seed-19b57ce3/ota/sqlstore/sqlite"
)

// Open opens the database of a DSN:
//
//	postgres://…, postgresql://…   PostgreSQL, as [postgres.Open] does
//	fleet.db, sqlite:…, file:…     the SQLite file of that name, as [sqlite.Open] does
//
// Upper and lower case of the scheme are the same. Every other scheme is refused, and so is each
// DSN that [sqlite.Open] refuses.
//
// Open brings the tables up to date, as opts.Migrate says. It deletes the rest of creations and
// deletions that died more than an hour ago. Close the Store when it is no longer needed.
func Open(ctx context.Context, dsn string, opts Options) (*Store, error) {
	if isPostgres(dsn) {
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

func isPostgres(dsn string) bool {
	scheme, _, is := strings.Cut(dsn, ":")
	return is && (strings.EqualFold(scheme, "postgres") || strings.EqualFold(scheme, "postgresql"))
}
