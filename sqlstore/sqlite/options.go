package sqlite

import (
	"time"

	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
)

// Options are the choices of a Store. The zero value is right for most programs.
type Options struct {
	// TablePrefix begins the name of every table, view and index: 1 to 24 of a-z, 0-9 and _, and no
	// digit first. Empty means "ota_".
	TablePrefix string
	// Migrate is what opening does about the tables. The zero value applies the missing migrations.
	Migrate MigrateMode
	// BusyTimeout is how long a write waits while another process writes to the same file. 0 means
	// 10 seconds; a negative time means no wait. The context of the call ends the wait too.
	BusyTimeout time.Duration
}

// Store keeps plans in a SQLite file. It implements [ota.Store], [ota.Leaser], [ota.Notifier],
// [ota.Claimer], [ota.Inbox] and [ota.Pruner]. Beyond these it has Close, and Version, Validate and
// Migrate for its tables. It is safe for concurrent use.
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

const defaultBusy = 10 * time.Second

func (o Options) withDefaults() Options {
	o.TablePrefix = sqlcore.PrefixOr(o.TablePrefix)
	if o.BusyTimeout == 0 {
		o.BusyTimeout = defaultBusy
	}
	return o
}

func (o Options) check() error { return sqlcore.CheckOptions(o.TablePrefix, o.Migrate) }
