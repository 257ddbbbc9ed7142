package sqlcore

import (
	"errors"
	"fmt"
	"regexp"
)

// MigrateMode says what opening a Store does about its tables.
type MigrateMode uint8

// The migrate modes.
const (
	MigrateApply MigrateMode = iota // apply the missing migrations
	MigrateCheck                    // change nothing; refuse tables that are not of version Latest
	MigrateOff                      // do not look at the tables, for a tool that calls Store.Migrate
)

const defaultPrefix = "ota_"

var legalPrefix = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,23}$`)

// PrefixOr returns the prefix of the tables: the given one, or the default for an empty one.
func PrefixOr(prefix string) string {
	if prefix == "" {
		return defaultPrefix
	}
	return prefix
}

// CheckOptions returns the mistakes in the options that both databases have.
func CheckOptions(prefix string, mode MigrateMode) error {
	var errs []error
	if !legalPrefix.MatchString(prefix) {
		errs = append(errs, fmt.Errorf("sqlstore: Options.TablePrefix %q: want 1 to 24 of a-z, 0-9 and _, no digit first", prefix))
	}
	if mode > MigrateOff {
		errs = append(errs, fmt.Errorf("sqlstore: Options.Migrate is %d, want %d to %d", mode, MigrateApply, MigrateOff))
	}
	return errors.Join(errs...)
}
