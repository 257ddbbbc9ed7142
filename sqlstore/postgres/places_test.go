package postgres

import (
	"testing"

	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqltest"
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

// tables are those of a Store.
var tables = []string{
	"agents", "agent_labels", "claims", "drafts", "inbox", "kept", "leases", "log", "plan_controls", "plan_labels", "plan_specs",
	"plans", "released", "rows", "states", "words",
}

// keepStatistics leaves it to the test what PostgreSQL knows of the tables of this Store.
func keepStatistics(t *testing.T, s *sqlcore.Store) {
	t.Helper()
	for _, table := range tables {
		sqltest.Exec(t, s, `ALTER TABLE ota_`+table+` SET (autovacuum_enabled = false)`)
	}
}

// analyzeAll analyzes the tables of this Store. ANALYZE without a name takes the whole database, and
// so the tables of tests that run beside this one.
func analyzeAll(t *testing.T, s *sqlcore.Store) {
	t.Helper()
	for _, table := range tables {
		sqltest.Exec(t, s, `ANALYZE ota_`+table)
	}
}
