package postgres

import (
	"errors"
	"fmt"
	"strings"

	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
)

// Options are the choices of a Store. The zero value is right for most programs.
type Options struct {
	// TablePrefix begins the name of every table, view and index: 1 to 24 of a-z, 0-9 and _, and no
	// digit first. Empty means "ota_".
	TablePrefix string
	// Schema is the schema of the tables, 1 to 63 bytes. Migrations make it if it is missing. Empty
	// means the first one of search_path.
	Schema string
	// Migrate is what opening does about the tables. The zero value applies the missing migrations.
	Migrate MigrateMode
}

// Store keeps plans in PostgreSQL. It implements [ota.Store], [ota.Leaser], [ota.Notifier],
// [ota.Claimer], [ota.Inbox] and [ota.Pruner]. Beyond these it has Close, and Version, Validate and
// Migrate for its tables. It is safe for concurrent use. Any
// number of Stores, in any number of processes, may use the same tables.
type Store = sqlcore.Store

// MigrateMode is what opening a Store does about its tables.
type MigrateMode = sqlcore.MigrateMode

// The migrate modes.
const (
	MigrateApply = sqlcore.MigrateApply // apply the missing migrations
	MigrateCheck = sqlcore.MigrateCheck // change nothing; refuse tables that are not of version Latest
	MigrateOff   = sqlcore.MigrateOff   // do not look at the tables, for a tool that calls Store.Migrate
)

// ErrSchema matches the error of tables that are of another version than this package.
var ErrSchema = sqlcore.ErrSchema

// Latest returns the version of the tables that this package works with.
func Latest() int { return sqlcore.Latest() }

func (o Options) withDefaults() Options {
	o.TablePrefix = sqlcore.PrefixOr(o.TablePrefix)
	return o
}

func (o Options) check() error {
	err := sqlcore.CheckOptions(o.TablePrefix, o.Migrate)
	if len(o.Schema) > 63 || strings.ContainsRune(o.Schema, 0) {
		err = errors.Join(err, fmt.Errorf("sqlstore: Options.Schema %q: want at most 63 bytes, none of them zero", o.Schema))
	}
	return err
}
