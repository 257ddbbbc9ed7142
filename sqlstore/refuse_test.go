package sqlstore

import (
	"errors"
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqltest"
)

// What a rule of the tables forbids is refused for good, and only for the commit that breaks it.
func TestABrokenRuleIsRefusedForGood(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		s := p.open(t)
		for _, id := range []string{"good", "bad"} {
			sqltest.Create(t, s, id, 3)
		}
		rule := `CREATE TRIGGER never BEFORE UPDATE ON ota_plans WHEN new.id = 'bad' BEGIN INSERT INTO ota_leases (engine, until) VALUES (NULL, NULL); END`
		if p.opts.Schema != "" {
			rule = `ALTER TABLE ota_plans ADD CONSTRAINT never CHECK (id <> 'bad' OR revision = 1)`
		}
		sqltest.Exec(t, s, rule)
		for id, want := range map[string]bool{"good": false, "bad": true} {
			_, err := s.Commit(t.Context(), sqltest.OwnerCommit(t, s, id, 0, 1))
			if errors.Is(err, ota.ErrRefused) != want || (err != nil) != want {
				t.Errorf("commit of plan %s: %v", id, err)
			}
		}
		x, first := sqltest.NewPlan("x", 1)
		if err := s.Create(t.Context(), x, func(yield func(ota.Row, error) bool) {
			yield(ota.Row{Kind: ota.KindAgent, ID: strings.Repeat("x", 10) + "\xff"}, nil)
		}, first); !errors.Is(err, ota.ErrRefused) {
			t.Errorf("Create with such an agent: %v", err)
		}
	})
}
