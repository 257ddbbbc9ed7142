package sqlstore

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqltest"
)

// With -golden=N the rows that the tables have at version N are written anew: once per released
// version, never again.
var writeGolden = flag.Int("golden", 0, "write testdata/vN.rows.json and testdata/vN.want.json")

// Rows of every released version still load. testdata/vN.rows.json has the rows, by table, as that
// version wrote them, and testdata/vN.want.json what a Store read from them then.
func TestGoldenRows(t *testing.T) {
	if n := *writeGolden; n != 0 {
		makeGolden(t, n)
	}
	for version := 1; ; version++ {
		rows, err := os.ReadFile(fmt.Sprintf("testdata/v%d.rows.json", version))
		if os.IsNotExist(err) {
			if version == 1 {
				t.Fatal(err)
			}
			return
		}
		want, err := os.ReadFile(fmt.Sprintf("testdata/v%d.want.json", version))
		if err != nil {
			t.Fatal(err)
		}
		both(t, func(t *testing.T, p place) {
			p.opts.Migrate = MigrateOff
			s := p.open(t)
			if err := s.Migrate(t.Context(), version); err != nil {
				t.Fatal(err)
			}
			loadRows(t, s, rows, p.opts.Schema != "")
			p.opts.Migrate = MigrateApply
			if have := everything(t, p.open(t)); !bytes.Equal(have, want) {
				t.Errorf("rows of version %d are read as\n%s\nwant\n%s", version, have, want)
			}
		})
	}
}

var goldenTables = strings.Fields(
	"drafts plans plan_specs plan_controls plan_labels rows agents agent_labels agent_shows states log claims kept released leases inbox")

// loadRows inserts rows: of each table its columns, and its rows. Bytes are an array with one text
// in it.
func loadRows(t *testing.T, s *Store, rows []byte, arrays bool) {
	t.Helper()
	var tables map[string]struct {
		Columns []string
		Rows    [][]any
	}
	d := json.NewDecoder(bytes.NewReader(rows))
	d.UseNumber()
	if err := d.Decode(&tables); err != nil {
		t.Fatal(err)
	}
	for name, table := range tables {
		if name == "states" && arrays {
			table.Columns = slices.DeleteFunc(table.Columns, func(c string) bool { return c == "sizes" })
		}
		marks := make([]string, len(table.Columns))
		for i := range marks {
			marks[i] = fmt.Sprintf("$%d", i+1)
		}
		query := fmt.Sprintf(`INSERT INTO ota_%s (%s) VALUES (%s)`, name, strings.Join(table.Columns, ", "), strings.Join(marks, ", "))
		for _, row := range table.Rows {
			for i, v := range row {
				switch v := v.(type) {
				case json.Number:
					row[i], _ = v.Int64()
				case []any:
					b, _ := json.Marshal(v[0])
					raw := []byte{}
					if err := json.Unmarshal(b, &raw); err != nil {
						t.Fatal(err)
					}
					row[i] = append([]byte{}, raw...)
				}
			}
			if name == "states" && arrays {
				row = append(row[:4:4], split(t, row[4].(string), row[5].([]byte)))
			}
			sqltest.Exec(t, s, query, row...)
		}
	}
}

// split cuts the states of a block as SQLite has them.
func split(t *testing.T, sizes string, all []byte) (states [][]byte) {
	t.Helper()
	var each []int
	if err := json.Unmarshal([]byte(sizes), &each); err != nil {
		t.Fatal(err)
	}
	for _, n := range each {
		states, all = append(states, all[:n:n]), all[n:]
	}
	return states
}

// everything is all that a Store tells, as JSON.
func everything(t *testing.T, s *Store) []byte {
	t.Helper()
	ctx := t.Context()
	all := map[string]any{}
	plans, err := s.Plans(ctx, ota.PlanQuery{})
	all["plans"] = plans
	for _, p := range plans.Items {
		batches, err1 := s.Rows(ctx, p.ID, ota.RowQuery{Kind: ota.KindBatch})
		agents, err2 := s.Rows(ctx, p.ID, ota.RowQuery{Kind: ota.KindAgent})
		log, err3 := s.Log(ctx, p.ID, ota.LogQuery{})
		inbox, err4 := s.Read(ctx, p.ID, 0, 0)
		for _, e := range []error{err1, err2, err3, err4} {
			if e != nil {
				t.Fatal(e)
			}
		}
		all[p.ID] = []any{batches, agents, log, inbox}
	}
	owners, err2 := s.Owners(ctx)
	conflicts, total, err3 := s.Claim(ctx, "second", "")
	for _, e := range []error{err, err2, err3} {
		if e != nil {
			t.Fatal(e)
		}
	}
	all["owners"], all["conflicts"], all["total"] = owners, conflicts, total
	out, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
}

func makeGolden(t *testing.T, version int) {
	t.Helper()
	p := sqlitePlace(t)
	s := p.open(t)
	fillGolden(t, s)
	tables := map[string]any{}
	db, err := sql.Open("sqlite", "file:"+p.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, name := range goldenTables {
		rows, err := db.Query(`SELECT * FROM ota_` + name)
		if err != nil {
			t.Fatal(err)
		}
		columns, _ := rows.Columns()
		all := [][]any{}
		for rows.Next() {
			row, dest := make([]any, len(columns)), make([]any, len(columns))
			for i := range row {
				dest[i] = &row[i]
			}
			if err := rows.Scan(dest...); err != nil {
				t.Fatal(err)
			}
			for i, v := range row {
				if b, ok := v.([]byte); ok {
					row[i] = []any{b}
				}
			}
			all = append(all, row)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		tables[name] = map[string]any{"Columns": columns, "Rows": all}
	}
	out, err := json.MarshalIndent(tables, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) {
		if err := os.WriteFile(fmt.Sprintf("testdata/v%d.%s.json", version, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("rows", append(out, '\n'))
	write("want", everything(t, s))
}

// fillGolden has something in every table and, as far as that goes, in every column.
func fillGolden(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	plan, first := sqltest.NewPlan("first", 3)
	plan.Source, plan.Key, plan.Index = "zeroth", "key", []string{"rack"}
	plan.Names.Labels = map[string]string{"zone": "z\"1", "ünï": "ço\\dé 🚀"}
	err := s.Create(ctx, plan, func(yield func(ota.Row, error) bool) {
		for a, err := range sqltest.AgentRows(3) {
			a.Fixed, a.Labels = []byte{1, 0, 255}, map[string]string{"rack": "7", "slot": "1"}
			if !yield(a, err) {
				return
			}
		}
		yield(ota.Row{Kind: 9, ID: "nine", Batch: 1, Labels: map[string]string{"l": "v"}, Fixed: []byte("fixed"), Status: 3, Reason: 4}, nil)
	}, first)
	if err != nil {
		t.Fatal(err)
	}
	sqltest.Create(t, s, "second", 2)
	at := sqltest.Created.Add(time.Hour)
	c := sqltest.OwnerCommit(t, s, "first", 0, 2)
	c.Then.Epoch, c.Then.Control = 2, 2
	c.Parts = ota.Parts{Spec: []byte{0, 1}, Control: []byte{2, 3}, Progress: []byte{4, 255}}
	c.Head = &ota.Head{
		Status: ota.StatusCompleted, Hold: ota.ReasonGate, Since: at, Person: true, Ended: at.Add(1), Owner: "engine",
		Coverage: ota.CoveragePartial, Show: []byte(`{"breach":"ü"}`),
	}
	c.Rows[1].Reason, c.Rows[1].Status = 200, 15
	c.Rows = append(c.Rows, ota.Row{Kind: ota.KindBatch, Status: 2, Reason: 7, State: []byte{0}, Show: []byte(`{"size":3}`)})
	c.Log.Notable = true
	if _, err := s.Commit(ctx, c); err != nil {
		t.Fatal(err)
	}
	if err := s.Post(ctx, "first", []ota.Message{{ID: "m1", Body: []byte{0, 1, 255}}, {ID: "m2", Body: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Renew(ctx, "engine", 100*365*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, total, err := s.Claim(ctx, "first", ""); total != 0 || err != nil {
		t.Fatal(total, err)
	}
	if err := s.Keep(ctx, "first", "engine", []string{"agent-0000001"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Release(ctx, "first", []string{"agent-0000002"}); err != nil {
		t.Fatal(err)
	}
}
