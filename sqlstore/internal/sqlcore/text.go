package sqlcore

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/seed-19b57ce3/ota"
)

// Both databases store the same texts: UTF-8 without NUL. PostgreSQL can store no others, and
// SQLite would change them on their way through JSON. A write with another text is refused, and a
// read with one finds nothing.

// keeps returns an error that names the first text that the databases cannot store.
func keeps(texts ...string) error {
	for _, t := range texts {
		if !keepable(t) {
			return fmt.Errorf("%w: the text %q is not UTF-8 without NUL", ota.ErrRefused, t[:min(len(t), 64)])
		}
	}
	return nil
}

func keepable(text string) bool {
	return utf8.ValidString(text) && strings.IndexByte(text, 0) < 0
}

// KeepableOf returns the texts that the database can have.
func KeepableOf(texts []string) []string {
	kept := make([]string, 0, len(texts))
	for _, t := range texts {
		if keepable(t) {
			kept = append(kept, t)
		}
	}
	return kept
}

// Findable reports whether a read with these parameters can find a row.
func Findable(args []any) bool {
	for _, a := range args {
		if t, ok := a.(string); ok && !keepable(t) {
			return false
		}
	}
	return true
}
