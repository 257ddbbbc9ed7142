package postgres

import (
	"testing"

	"github.com/seed-19b57ce3/ota/sqlstore/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// place is the schema of a test's Store.
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

func postgresPlace(t testing.TB) place {
	t.Helper()
	dsn, schema := pgtest.Schema(t)
	return place{dsn: dsn, opts: Options{Schema: schema}}
}
