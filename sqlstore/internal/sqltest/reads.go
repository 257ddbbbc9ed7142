package sqltest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
)

// Statement is a statement that a Store has run, with its arguments.
type Statement struct {
	Query string
	Args  []any
}

// Recorder is a Database that remembers every statement.
type Recorder struct {
	sqlcore.Database
	Statements []Statement
}

// Query remembers the statement, and runs it.
func (r *Recorder) Query(ctx context.Context, query string, args []any, row func(sqlcore.ScanFunc) error) error {
	r.Statements = append(r.Statements, Statement{query, args})
	return r.Database.Query(ctx, query, args, row)
}

// Exec remembers the statement, and runs it.
func (r *Recorder) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	r.Statements = append(r.Statements, Statement{query, args})
	return r.Database.Exec(ctx, query, args...)
}

// Update remembers the statements of the transaction.
func (r *Recorder) Update(ctx context.Context, f func(tx sqlcore.Querier) error) error {
	return r.Database.Update(ctx, func(tx sqlcore.Querier) error { return f(recordedTx{tx, r}) })
}

// Lock is not a statement of the Store.
func (r *Recorder) Lock(ctx context.Context, tx sqlcore.Querier, name string, number int64) error {
	return r.Database.Lock(ctx, tx.(recordedTx).Querier, name, number)
}

type recordedTx struct {
	sqlcore.Querier
	r *Recorder
}

func (t recordedTx) Query(ctx context.Context, query string, args []any, row func(sqlcore.ScanFunc) error) error {
	t.r.Statements = append(t.r.Statements, Statement{query, args})
	return t.Querier.Query(ctx, query, args, row)
}

// ExecMany remembers the first run.
func (t recordedTx) ExecMany(ctx context.Context, query string, args [][]any) error {
	if len(args) > 0 {
		t.r.Statements = append(t.r.Statements, Statement{query, args[0]})
	}
	return t.Querier.ExecMany(ctx, query, args)
}

func (t recordedTx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	t.r.Statements = append(t.r.Statements, Statement{query, args})
	return t.Querier.Exec(ctx, query, args...)
}

// Read is a call of a Store that reads rows of a plan, and how each table is to be read: the column
// by which an index finds its rows, besides the number of the plan.
type Read struct {
	Name string // the method, and the kind of query
	By   map[string]string
	Do   func(ctx context.Context, s *sqlcore.Store) error
}

// agentsOf is a Read of agents.
func agentsOf(name string, q ota.RowQuery, by map[string]string) Read {
	return Read{"Rows: agents " + name, by, func(ctx context.Context, s *sqlcore.Store) error {
		q.Kind = ota.KindAgent
		page, err := s.Rows(ctx, "p", q)
		if err == nil && len(page.Items) == 0 {
			err = errors.New("no agent was found")
		}
		return err
	}}
}

// Reads are all reads of a Store of which the cost must not depend on the size of the plan "p".
func Reads() []Read {
	few, many := []string{"agent-0000300"}, []string{}
	for i := range 500 {
		many = append(many, fmt.Sprintf("agent-%07d", i*40))
	}
	ordinal, id := map[string]string{"agents": "ordinal", "states": "block"}, map[string]string{"agents": "id", "states": "block"}
	return []Read{
		agentsOf("of a range", ota.RowQuery{From: 10_000, Limit: 512}, ordinal),
		agentsOf("of a range to its end", ota.RowQuery{From: 10_000, To: 10_100, Total: true}, ordinal),
		agentsOf("in a status", ota.RowQuery{Status: []uint8{uint8(ota.TaskRunning)}, Limit: 10}, ordinal),
		agentsOf("in a status, in a range", ota.RowQuery{Status: []uint8{uint8(ota.TaskRunning)}, To: 200, Total: true}, ordinal),
		agentsOf("by one ID", ota.RowQuery{IDs: few}, id),
		agentsOf("by many IDs", ota.RowQuery{IDs: many, Total: true}, id),
		agentsOf("by many IDs, in a status, in a range", ota.RowQuery{IDs: many, From: 40, Status: []uint8{0}}, id),
		agentsOf("with an indexed label", ota.RowQuery{Label: ota.Label{Name: "zone", Value: "z7"}}, map[string]string{
			"agent_labels": "value", "agents": "ordinal", "states": "block",
		}),
		{"Rows: batches of a range", map[string]string{"rows": "number"}, func(ctx context.Context, s *sqlcore.Store) error {
			_, err := s.Rows(ctx, "p", ota.RowQuery{Kind: ota.KindBatch, From: 100, To: 164, Total: true})
			return err
		}},
		{"Log after a revision", map[string]string{"log": "revision"}, func(ctx context.Context, s *sqlcore.Store) error {
			_, err := s.Log(ctx, "p", ota.LogQuery{After: 290, Limit: 256})
			return err
		}},
		{"Log before a revision", map[string]string{"log": "revision"}, func(ctx context.Context, s *sqlcore.Store) error {
			_, err := s.Log(ctx, "p", ota.LogQuery{Before: 290, Limit: 5})
			return err
		}},
		{"Holders", map[string]string{"claims": "agent"}, func(ctx context.Context, s *sqlcore.Store) error {
			_, err := s.Holders(ctx, many)
			return err
		}},
		{"Read after a message", map[string]string{"inbox": "number"}, func(ctx context.Context, s *sqlcore.Store) error {
			_, err := s.Read(ctx, "p", 2_900, 256)
			return err
		}},
		{"Plan", nil, func(ctx context.Context, s *sqlcore.Store) error { _, err := s.Plan(ctx, "p"); return err }},
		{"Kept", map[string]string{"agents": "id"}, func(ctx context.Context, s *sqlcore.Store) error { _, err := s.Kept(ctx, "p"); return err }},
		{"Keep", map[string]string{"agents": "id"}, func(ctx context.Context, s *sqlcore.Store) error {
			return s.Keep(ctx, "p", "engine", many)
		}},
		{"Release", map[string]string{"agents": "id", "claims": "agent"}, func(ctx context.Context, s *sqlcore.Store) error {
			return s.Release(ctx, "p", many[:2])
		}},
		{"Owners", nil, func(ctx context.Context, s *sqlcore.Store) error { _, err := s.Owners(ctx); return err }},
	}
}

// notReads are the methods of a Store that Reads leaves out, with the reason.
var notReads = map[string]string{
	"Create": "writes", "Commit": "writes; its query plans have tests of their own", "Post": "writes", "Renew": "one row",
	"Prune": "reads every plan, in its smallest table", "Claim": "reads every agent of its plan", "Plans": "reads plans, not their rows",
	"Changes": "reads nothing", "Close": "reads nothing", "Version": "one row", "Validate": "one row", "Migrate": "writes",
}

// EveryReadIsListed fails for a method of a Store that Reads has forgotten.
func EveryReadIsListed(t *testing.T) {
	t.Helper()
	for m := range reflect.TypeFor[*sqlcore.Store]().Methods() {
		listed := slices.ContainsFunc(Reads(), func(r Read) bool {
			return r.Name == m.Name || strings.HasPrefix(r.Name, m.Name+" ") || strings.HasPrefix(r.Name, m.Name+": ")
		})
		if listed == (notReads[m.Name] != "") {
			t.Errorf("%s is in Reads, or has a reason in notReads, but not both", m.Name)
		}
	}
}

// FillForReads makes the plan "p" of 30,000 agents, and smaller ones beside it.
func FillForReads(t *testing.T, s *sqlcore.Store) {
	t.Helper()
	ctx := t.Context()
	for i := range 20 {
		Create(t, s, fmt.Sprint("small-", i), 20)
	}
	p, first := NewPlan("p", 30_000)
	p.Index = []string{"zone"}
	err := s.Create(ctx, p, func(yield func(ota.Row, error) bool) {
		for r, err := range AgentRows(30_000) {
			r.Labels = map[string]string{"zone": fmt.Sprint("z", r.Number%300)}
			if !yield(r, err) {
				return
			}
		}
	}, first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(ctx, OwnerCommit(t, s, "p", 0, 64)); err != nil {
		t.Fatal(err)
	}
	if _, n, err := s.Claim(ctx, "p", ""); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	var messages []ota.Message
	for range 300 {
		c := OwnerCommit(t, s, "p", 0, 0)
		c.Log.Data = make([]byte, 1_900)
		if _, err := s.Commit(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3_000 {
		messages = append(messages, ota.Message{ID: strconv.Itoa(i), Body: make([]byte, 100)})
	}
	if err := s.Post(ctx, "p", messages); err != nil {
		t.Fatal(err)
	}
	if err := s.Renew(ctx, "engine", time.Hour); err != nil {
		t.Fatal(err)
	}
}

// Recorded runs a read, and returns the statements that read a table which grows with a plan.
func Recorded(t *testing.T, s *sqlcore.Store, r Read) (list []Statement) {
	t.Helper()
	rec := &Recorder{Database: sqlcore.DatabaseOf(s)}
	if err := r.Do(t.Context(), sqlcore.StoreOn(rec)); err != nil {
		t.Fatalf("%s: %v", r.Name, err)
	}
	for _, st := range rec.Statements {
		if strings.Contains(st.Query, "SELECT") || strings.Contains(st.Query, "DELETE") {
			list = append(list, st)
		}
	}
	return list
}
