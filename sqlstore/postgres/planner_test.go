package postgres

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqltest"
)

// PostgreSQL reads the rows of a commit by the range of their primary key, and compares none with
// the others, whatever it knows of the tables: nothing after a plan was made a moment ago, and of a
// plan's size little when others differ.
func TestCommitNeedsNoStatistics(t *testing.T) {
	t.Parallel()
	many := 300
	if testing.Short() {
		many = 50
	}
	for _, small := range []int{0, many} {
		for _, analyzed := range []bool{false, true} {
			t.Run(fmt.Sprintf("beside %d, analyzed=%t", small, analyzed), func(t *testing.T) {
				t.Parallel()
				s := postgresPlace(t).open(t)
				keepStatistics(t, s)
				for i := range small {
					sqltest.Create(t, s, fmt.Sprint("small-", i), 20)
				}
				sqltest.Create(t, s, "p", 20_000)
				if analyzed {
					sqltest.Exec(t, s, `ANALYZE ota_states`) // the few batches are rightly read all at once when it knows them
				}
				for _, c := range []ota.Commit{sqltest.OwnerCommit(t, s, "p", 0, 128), sqltest.OwnerCommit(t, s, "p", 7_000, 64), apart(sqltest.OwnerCommit(t, s, "p", 0, 64))} {
					for i := range fewRows + 5 {
						c.Rows = append(c.Rows, ota.Row{Kind: ota.KindBatch, Number: 100 + i})
					}
					for _, mode := range []string{"force_generic_plan", "force_custom_plan"} {
						for _, n := range planOf(t, s, mode, c) {
							n.judge(t, mode)
						}
					}
				}
			})
		}
	}
}

// A session that knows the table as tiny keeps reading all of it, until it is told that a large
// plan came.
func TestLargePlanMakesNewQueryPlans(t *testing.T) {
	t.Parallel()
	s := postgresPlace(t).open(t)
	keepStatistics(t, s)
	known := func() (rows int) {
		t.Helper()
		_, err := sqlcore.One(t.Context(), sqlcore.DatabaseOf(s), `SELECT reltuples::bigint FROM pg_class WHERE oid = CAST($1 AS regclass)`, []any{sqlcore.DatabaseOf(s).(*database).Text(`ota_agents`)}, &rows)
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	sqltest.Create(t, s, "small", 100)
	sqltest.Exec(t, s, `ANALYZE ota_agents`)
	sqltest.Create(t, s, "middle", 200)
	if n := known(); n != 100 {
		t.Fatalf("a small plan had the table analyzed: %d rows are known, want 100", n)
	}
	sqltest.Create(t, s, "large", analyzeFrom)
	if n := known(); n < analyzeFrom/2 {
		t.Fatalf("%d rows are known of %d: the large plan was not noticed", n, analyzeFrom+300)
	}
}

// apart puts 30 rows between two of the commit.
func apart(c ota.Commit) ota.Commit {
	for i := range c.Rows {
		c.Rows[i].Number *= 31
	}
	return c
}

// planNode is what EXPLAIN says of one step of a statement.
type planNode struct {
	Type       string     `json:"Node Type"`
	Relation   string     `json:"Relation Name"`
	Index      string     `json:"Index Name"`
	IndexCond  string     `json:"Index Cond"`
	JoinFilter string     `json:"Join Filter"`
	HashCond   string     `json:"Hash Cond"`
	MergeCond  string     `json:"Merge Cond"`
	Plans      []planNode `json:"Plans"`
}

func (n *planNode) judge(t *testing.T, mode string) {
	if compares := n.JoinFilter + n.HashCond + n.MergeCond; compares != "" {
		t.Errorf("%s: a %s compares rows: %s", mode, n.Type, compares)
	}
	column := map[string]string{"ota_states": "block", "ota_rows": "number"}[n.Relation]
	if column != "" && n.Type != "ModifyTable" {
		by := n
		if n.Type == "Bitmap Heap Scan" {
			by = &n.Plans[0]
		}
		if by.Index != n.Relation+"_pkey" || !strings.Contains(by.IndexCond, column) {
			t.Errorf("%s: a %s reads %s by %q where %s", mode, n.Type, n.Relation, by.Index, by.IndexCond)
		}
	}
	for i := range n.Plans {
		n.Plans[i].judge(t, mode)
	}
}

// planOf returns how the server would run a commit.
func planOf(t *testing.T, s *sqlcore.Store, mode string, c ota.Commit) []planNode {
	t.Helper()
	d := sqlcore.DatabaseOf(s).(*database)
	query, args := d.commitQuery(&c)
	conn, err := d.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	explain := func(query string, args ...any) (plans []struct{ Plan planNode }) {
		var text []byte
		if err := conn.QueryRow(t.Context(), query, args...).Scan(&text); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &plans); err != nil {
			t.Fatal(err)
		}
		return plans
	}
	var plans []struct{ Plan planNode }
	if mode == "force_custom_plan" {
		plans = explain(`EXPLAIN (FORMAT JSON) `+d.Text(query), args...)
	} else {
		for _, q := range []string{`SET plan_cache_mode = ` + mode, `PREPARE planned AS ` + d.Text(query)} {
			if _, err := conn.Exec(t.Context(), q, pgx.QueryExecModeSimpleProtocol); err != nil {
				t.Fatal(err)
			}
		}
		plans = explain(`EXPLAIN (FORMAT JSON) EXECUTE planned (NULL` + strings.Repeat(`, NULL`, len(args)-1) + `)`)
		for _, q := range []string{`DEALLOCATE planned`, `RESET plan_cache_mode`} {
			if _, err := conn.Exec(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
	}
	nodes := make([]planNode, len(plans))
	for i := range plans {
		nodes[i] = plans[i].Plan
	}
	return nodes
}
