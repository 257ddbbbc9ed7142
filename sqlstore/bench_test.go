package sqlstore

import (
	"context"
	"database/sql"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/storetest"
)

func BenchmarkSQLite(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) ota.Store { return sqlitePlace(b).open(b) })
}

func BenchmarkPostgres(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) ota.Store { return postgresPlace(b).open(b) })
}

// The floor benchmarks commit the same 64 agent rows and one log record as a store does, by hand, in turns with the
// store on the same file or server. The metric ratio is the store's rate divided by the floor's.
const (
	floorAgents = 100_000
	floorRows   = 64
)

func BenchmarkFloorSQLite(b *testing.B)   { benchFloor(b, sqlitePlace(b), rawSQLite) }
func BenchmarkFloorPostgres(b *testing.B) { benchFloor(b, postgresPlace(b), rawPostgres) }

func benchFloor(b *testing.B, p place, raw func(testing.TB, *Store) func(*ota.Commit, int) error) {
	s := p.open(b)
	create(b, s, "p", floorAgents)
	inTurns(b, s, raw(b, s))
}

// rawSQLite returns what updates the agents of the plan with number 1, and writes a record, by hand.
func rawSQLite(tb testing.TB, s *Store) func(c *ota.Commit, n int) error {
	db := s.db.(*sqlite).write
	prepare := func(query string) *sql.Stmt {
		st, err := db.Prepare(query)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { st.Close() })
		return st
	}
	agent := prepare(`UPDATE ota_agents SET status = ?, state = ? WHERE plan = 1 AND ordinal = ?`)
	record := prepare(`INSERT INTO ota_log (plan, revision, request, data) VALUES (99, ?, '', ?)`)
	return func(c *ota.Commit, n int) error {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		defer tx.Rollback()
		st, state := tx.Stmt(agent), make([]byte, 0, 64)
		for i := range c.Agents {
			a := &c.Agents[i]
			state, _ = a.State.AppendBinary(state[:0])
			if _, err := st.Exec(int(a.State.Status), state, a.Ordinal); err != nil {
				return err
			}
		}
		if _, err := tx.Stmt(record).Exec(n, c.Log); err != nil {
			return err
		}
		return tx.Commit()
	}
}

func rawPostgres(_ testing.TB, s *Store) func(c *ota.Commit, n int) error {
	d := s.db.(*postgres)
	return func(c *ota.Commit, n int) error {
		ordinals, statuses, states, err := agentColumns(c.Agents)
		if err != nil {
			return err
		}
		batch := &pgx.Batch{}
		batch.Queue(d.text(`UPDATE ota_agents r SET status = v.status, state = v.state
			FROM unnest($1::int[], $2::smallint[], $3::bytea[]) AS v (ordinal, status, state)
			WHERE r.plan = 1 AND r.ordinal = v.ordinal`), ordinals, statuses, states)
		batch.Queue(d.text(`INSERT INTO ota_log (plan, revision, request, data) VALUES (99, $1, '', $2)`), n, c.Log)
		return d.pool.SendBatch(context.Background(), batch).Close()
	}
}

// inTurns commits 64 rows through the store, then by hand, and so on, ten of each at a time.
func inTurns(b *testing.B, s *Store, raw func(c *ota.Commit, n int) error) {
	c := ownerCommit(b, s, "p", 0, floorRows)
	c.NewProgress.Breaches = []ota.Breach{{Number: 1, Text: "as large as a real one is"}}
	c.Batches = make([]ota.BatchRow, 1)
	c.Log = make([]byte, 100*floorRows)
	at, n := 0, 0
	next := func() {
		for i := range c.Agents {
			c.Agents[i].Ordinal = (at + i) % floorAgents
			c.Agents[i].State.Task.Number++
		}
		at, n = at+floorRows, n+1
	}
	var store, floor stopwatch
	b.ResetTimer()
	for b.Loop() {
		for range 10 {
			next()
			store.time(func() {
				if _, err := s.Commit(context.Background(), c); err != nil {
					b.Fatal(err)
				}
			})
			c.Progress++
		}
		for range 10 {
			next()
			floor.time(func() {
				if err := raw(&c, n); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
	b.ReportMetric(floorRows*store.rate(), "rows/s")
	b.ReportMetric(floorRows*floor.rate(), "floor-rows/s")
	b.ReportMetric(store.rate()/floor.rate(), "ratio")
}
