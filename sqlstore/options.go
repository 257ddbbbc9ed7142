package sqlstore

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Options are the choices of a Store. The zero value is right for most.
type Options struct {
	// TablePrefix begins the name of every table, view and index: 1 to 24 of a-z, 0-9 and _, and no digit first. Empty
	// means "ota_".
	TablePrefix string
	// Schema is the PostgreSQL schema that the tables are in, 1 to 63 bytes. It is made when it is missing and migrations
	// are applied. Empty means what search_path says. SQLite has none, and refuses one.
	Schema string
	// Migrate says what opening does about the tables. The zero value applies the migrations that are missing.
	Migrate MigrateMode
	// BusyTimeout is how long a write waits while another process writes to the same SQLite file. 0 means 10 seconds,
	// negative means not at all. The context of the call ends the wait, too. PostgreSQL does not look at it.
	BusyTimeout time.Duration
}

// MigrateMode says what opening a Store does about its tables.
type MigrateMode uint8

// The migrate modes.
const (
	MigrateApply MigrateMode = iota // apply the migrations that are missing
	MigrateCheck                    // change nothing; refuse a schema that is not exactly the newest
	MigrateOff                      // look at nothing, for a tool that calls Store.Migrate itself
)

const (
	defaultPrefix = "ota_"
	defaultBusy   = 10 * time.Second
)

var legalPrefix = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,23}$`)

func (o Options) withDefaults() Options {
	if o.TablePrefix == "" {
		o.TablePrefix = defaultPrefix
	}
	if o.BusyTimeout == 0 {
		o.BusyTimeout = defaultBusy
	}
	return o
}

func (o Options) validate(sqlite bool) error {
	var errs []error
	if !legalPrefix.MatchString(o.TablePrefix) {
		errs = append(errs, fmt.Errorf("sqlstore: Options.TablePrefix %q: want 1 to 24 of a-z, 0-9 and _, no digit first",
			o.TablePrefix))
	}
	switch {
	case sqlite && o.Schema != "":
		errs = append(errs, errors.New("sqlstore: Options.Schema: SQLite has no schemas"))
	case len(o.Schema) > 63 || strings.ContainsRune(o.Schema, 0):
		errs = append(errs, fmt.Errorf("sqlstore: Options.Schema %q: want at most 63 bytes, none of them zero", o.Schema))
	}
	if o.Migrate > MigrateOff {
		errs = append(errs, fmt.Errorf("sqlstore: Options.Migrate %d is unknown", o.Migrate))
	}
	return errors.Join(errs...)
}
