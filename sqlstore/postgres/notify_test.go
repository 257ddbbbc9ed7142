package postgres

import (
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqltest"
)

// Changes are told again after the listening connection was cut.
func TestListeningGoesOn(t *testing.T) {
	t.Parallel()
	s := postgresPlace(t).open(t)
	sqltest.Create(t, s, "p", 1)
	changes, err := s.Changes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sqltest.Exec(t, s, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN ' || quote_ident($1)
		OR query = 'LISTEN "' || $1 || '"'`, sqlcore.DatabaseOf(s).(*database).channel)
	for _, want := range []string{"told because anything may have changed", "told because it was posted to"} {
		select {
		case id := <-changes:
			if id != "p" {
				t.Fatal(id)
			}
		case <-time.After(time.Minute):
			t.Fatalf("plan p was not %s", want)
		}
		if err := s.Post(t.Context(), "p", []ota.Message{{ID: want}}); err != nil {
			t.Fatal(err)
		}
	}
}
