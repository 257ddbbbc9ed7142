package sqlstore

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-19b57ce3/ota/sqlstore/pgtest"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(driveEnv); file != "" {
		if err := drive(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	pgtest.Main(m)
}

// place is where a test's store is: opened again, it has the same plans.
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

func postgresPlace(t testing.TB) place {
	t.Helper()
	dsn, schema := pgtest.Schema(t)
	return place{dsn: dsn, opts: Options{Schema: schema}}
}

// both runs a test on both databases.
func both(t *testing.T, f func(t *testing.T, p place)) {
	t.Run("SQLite", func(t *testing.T) { t.Parallel(); f(t, sqlitePlace(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { t.Parallel(); f(t, postgresPlace(t)) })
}
