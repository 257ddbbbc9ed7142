package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
)

// Migrations holds the SQL of every version of the tables, as migrations/0001_tables.up.sql and so
// on, for tools that apply migrations themselves. Names begin with ota_, and are in no schema. Such
// a tool also inserts the number and the name of each migration into ota_migrations (version, name,
// applied_at), which Store.Validate reads. migrations/0000_migrations.up.sql makes that table.
//
//go:embed migrations
var Migrations embed.FS

// Open opens the database of a DSN: a postgres:// or postgresql:// URL, or PostgreSQL's keywords,
// such as "host=db dbname=fleet", with the parameters of pgxpool.ParseConfig. Errors show no
// password.
//
// It brings the tables up to date, as opts.Migrate says. It deletes the rest of creations and
// deletions that died more than an hour ago. Close the Store when it is no longer needed.
func Open(ctx context.Context, dsn string, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	if err := opts.check(); err != nil {
		return nil, err
	}
	if scheme, rest, is := strings.Cut(dsn, "://"); is { // the driver knows small letters only
		dsn = strings.ToLower(scheme) + "://" + rest
	}
	pool, err := pgxpool.New(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: open PostgreSQL: %w", err)
	}
	return sqlcore.Start(ctx, newDatabase(pool, true, opts), describe(pool), opts.Migrate)
}

// New returns a Store on a pool of the caller's. The caller closes the pool, after the Store. One
// connection is enough. Changes makes a connection of its own from the pool's configuration.
func New(ctx context.Context, pool *pgxpool.Pool, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	if pool == nil {
		return nil, errors.New("sqlstore: the *pgxpool.Pool is nil")
	}
	if err := opts.check(); err != nil {
		return nil, err
	}
	return sqlcore.Start(ctx, newDatabase(pool, false, opts), describe(pool), opts.Migrate)
}

// describe names the database of a pool in errors, without a password.
func describe(pool *pgxpool.Pool) string {
	c := pool.Config().ConnConfig
	return fmt.Sprintf("PostgreSQL database %q at %q", c.Database, c.Host)
}

// Ready finds the schema, whose name is part of the channel, and refuses settings that lose commits
// or names.
func (d *database) Ready(ctx context.Context) error {
	var schema *string
	var encoding, synchronous string
	_, err := sqlcore.One(ctx, d, `SELECT current_schema(), current_setting('server_encoding'), current_setting('synchronous_commit')`,
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
	d.channel = channelName(name, d.Prefix)
	return nil
}

// Migrate runs a migration's statements where the tables belong.
func (d *database) Migrate(ctx context.Context, tx sqlcore.Querier, text string) error {
	if d.schema != "" {
		var there bool
		if _, err := sqlcore.One(ctx, tx, `SELECT count(*) > 0 FROM pg_namespace WHERE nspname = $1`, []any{d.schema}, &there); err != nil {
			return err
		}
		if !there {
			if err := tx.(pgRun).script(ctx, `CREATE SCHEMA `+quote(d.schema)); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `SELECT set_config('search_path', $1, true)`, quote(d.schema)); err != nil {
			return err
		}
	}
	return tx.(pgRun).script(ctx, d.Migration(text))
}

// script runs statements that have no parameters, in one message.
func (r pgRun) script(ctx context.Context, text string) error {
	_, err := r.q.Exec(ctx, text, pgx.QueryExecModeSimpleProtocol)
	return err
}

// channelName is the channel of one set of tables. Channels belong to the whole database, and have
// at most 63 bytes.
func channelName(schema, prefix string) string {
	name := prefix + "changes_" + schema
	if len(name) <= 63 {
		return name
	}
	h := fnv.New64a()
	h.Write([]byte(schema))
	return prefix + "changes_" + strconv.FormatUint(h.Sum64(), 16)
}
