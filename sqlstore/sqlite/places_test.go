package sqlite

import (
	"path/filepath"
	"testing"
)

// place is the file of a test's Store: opened again, it has the same plans.
type place struct {
	dsn  string
	opts Options
}

func (p place) open(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.Context(), p.dsn, p.opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func sqlitePlace(t testing.TB) place { return place{dsn: filepath.Join(t.TempDir(), "plans.db")} }
