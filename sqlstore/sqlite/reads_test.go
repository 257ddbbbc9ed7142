package sqlite

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqltest"
)

// Every read finds the rows of a plan by an index on what it asks for, with statistics of the tables
// and without.
func TestReadsUseAnIndex(t *testing.T) {
	t.Parallel()
	sqltest.EveryReadIsListed(t)
	for _, analyzed := range []bool{false, true} {
		t.Run(fmt.Sprintf("analyzed=%t", analyzed), func(t *testing.T) {
			t.Parallel()
			s := sqlitePlace(t).open(t)
			sqltest.FillForReads(t, s)
			if analyzed {
				sqltest.Exec(t, s, `ANALYZE`)
			}
			for _, r := range sqltest.Reads() {
				for _, st := range sqltest.Recorded(t, s, r) {
					judgeRead(t, s, r, st)
				}
			}
		})
	}
}

var readsTable = regexp.MustCompile(`^(SCAN|SEARCH) (\w+)(.*)`)

// aliases are the names that the statements give to tables.
var aliases = map[string]string{"a": "agents", "s": "states", "c": "claims", "k": "kept"}

func judgeRead(t *testing.T, s *sqlcore.Store, r sqltest.Read, st sqltest.Statement) {
	t.Helper()
	err := sqlcore.DatabaseOf(s).Query(t.Context(), `EXPLAIN QUERY PLAN `+st.Query, st.Args, func(scan sqlcore.ScanFunc) error {
		var id, parent, unused int
		var detail string
		if err := scan(&id, &parent, &unused, &detail); err != nil {
			return err
		}
		m := readsTable.FindStringSubmatch(detail)
		if m == nil {
			return nil
		}
		table := strings.TrimPrefix(m[2], "ota_")
		if full := aliases[table]; full != "" {
			table = full
		}
		column, large := r.By[table]
		if large && (m[1] != "SEARCH" || !regexp.MustCompile(`\(.*\b`+column+`[=<>]`).MatchString(m[3])) {
			t.Errorf("%s: %s, want %s\n%s", r.Name, detail, column, st.Query)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", st.Query, err)
	}
}
