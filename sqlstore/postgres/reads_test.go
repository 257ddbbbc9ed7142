package postgres

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqltest"
)

// Every read finds the rows of a plan by an index on what it asks for, whether or not PostgreSQL
// knows how large the tables are.
func TestReadsUseAnIndex(t *testing.T) {
	t.Parallel()
	sqltest.EveryReadIsListed(t)
	for _, analyzed := range []bool{false, true} {
		t.Run(fmt.Sprintf("analyzed=%t", analyzed), func(t *testing.T) {
			t.Parallel()
			s := postgresPlace(t).open(t)
			keepStatistics(t, s)
			sqltest.FillForReads(t, s)
			if analyzed {
				analyzeAll(t, s)
			}
			for _, r := range sqltest.Reads() {
				for _, st := range sqltest.Recorded(t, s, r) {
					for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
						n := explained(t, s, mode, st)
						n.reads(t, r.Name+", "+mode, r.By)
					}
				}
			}
		})
	}
}

// reads fails if a table that by names is not read by an index on its column.
func (n *planNode) reads(t *testing.T, name string, by map[string]string) {
	t.Helper()
	column, large := by[strings.TrimPrefix(n.Relation, "ota_")]
	if large && n.Type != "ModifyTable" {
		index := n
		if n.Type == "Bitmap Heap Scan" {
			index = &n.Plans[0]
		}
		if index.Index == "" || !strings.Contains(index.IndexCond, column) {
			t.Errorf("%s: a %s reads %s by %q where %q, want %s", name, n.Type, n.Relation, index.Index, index.IndexCond, column)
		}
	}
	for i := range n.Plans {
		n.Plans[i].reads(t, name, by)
	}
}

// explained returns how the server would run a statement.
func explained(t *testing.T, s *sqlcore.Store, mode string, st sqltest.Statement) planNode {
	t.Helper()
	d := sqlcore.DatabaseOf(s).(*database)
	var out planNode
	err := d.pool.AcquireFunc(t.Context(), func(conn *pgxpool.Conn) error {
		var text []byte
		err := func() error {
			if mode == "force_custom_plan" {
				return conn.QueryRow(t.Context(), `EXPLAIN (FORMAT JSON) `+d.Text(st.Query), st.Args...).Scan(&text)
			}
			for _, q := range []string{`SET plan_cache_mode = ` + mode, `PREPARE planned AS ` + d.Text(st.Query)} {
				if _, err := conn.Exec(t.Context(), q, pgx.QueryExecModeSimpleProtocol); err != nil {
					return err
				}
			}
			nulls := strings.TrimSuffix(strings.Repeat(`NULL, `, len(st.Args)), `, `)
			execute := `EXPLAIN (FORMAT JSON) EXECUTE planned`
			if nulls != "" {
				execute += `(` + nulls + `)`
			}
			err := conn.QueryRow(t.Context(), execute).Scan(&text)
			for _, q := range []string{`DEALLOCATE planned`, `RESET plan_cache_mode`} {
				if _, failed := conn.Exec(t.Context(), q); err == nil {
					err = failed
				}
			}
			return err
		}()
		if err != nil {
			return err
		}
		var plans []struct{ Plan planNode }
		err = json.Unmarshal(text, &plans)
		if err == nil {
			out = plans[0].Plan
		}
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", st.Query, err)
	}
	return out
}

// Looking up agents by their IDs costs nearly the same in a plan of any size: what PostgreSQL counts
// are pages. Trees of large plans are one or two levels higher.
func TestLookupsCostTheSame(t *testing.T) {
	t.Parallel()
	large := 300_000
	if testing.Short() {
		large = 30_000
	}
	s := postgresPlace(t).open(t)
	keepStatistics(t, s)
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			analyzeAll(t, s)
		}
		for _, ids := range []int{1, 500} {
			var pages []float64
			for _, n := range []int{1_000, large} {
				plan := fmt.Sprint("p-", n)
				if !analyzed && ids == 1 {
					sqltest.Create(t, s, plan, n)
				}
				q := ota.RowQuery{Kind: ota.KindAgent}
				for i := range ids {
					q.IDs = append(q.IDs, fmt.Sprintf("agent-%07d", i*n/ids))
				}
				rec := &sqltest.Recorder{Database: sqlcore.DatabaseOf(s)}
				if page, err := sqlcore.StoreOn(rec).Rows(t.Context(), plan, q); err != nil || len(page.Items) != ids {
					t.Fatal(len(page.Items), err)
				}
				touched := 0
				for _, st := range rec.Statements {
					touched += pagesOf(t, s, st)
				}
				pages = append(pages, float64(touched))
			}
			t.Logf("%d IDs, analyzed=%t: %.0f pages of 1,000 agents, %.0f of %d", ids, analyzed, pages[0], pages[1], large)
			if pages[1] > 1.5*pages[0] {
				t.Errorf("%d IDs, analyzed=%t: %.0f pages of 1,000 agents, %.0f of %d: want at most 1.5 times as many", ids, analyzed, pages[0], pages[1], large)
			}
		}
	}
}

// pagesOf runs a statement, and returns how many pages it has read.
func pagesOf(t *testing.T, s *sqlcore.Store, st sqltest.Statement) int {
	t.Helper()
	var text []byte
	d := sqlcore.DatabaseOf(s).(*database)
	if err := d.pool.QueryRow(t.Context(), `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) `+d.Text(st.Query), st.Args...).Scan(&text); err != nil {
		t.Fatal(err)
	}
	var plans []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		}
	}
	if err := json.Unmarshal(text, &plans); err != nil {
		t.Fatal(err)
	}
	return plans[0].Plan.Hit + plans[0].Plan.Read
}
