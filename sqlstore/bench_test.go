package sqlstore

import (
	"context"
	"database/sql"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqltest"
	"github.com/seed-19b57ce3/ota/storetest"
)

func BenchmarkSQLite(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) ota.Store { return sqlitePlace(b).open(b) })
}

func BenchmarkPostgres(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) ota.Store { return postgresPlace(b).open(b) })
}

// The floor benchmarks commit the same 64 agents and one log record as a store does, by hand, into
// a table with a row for each agent, in turns with the store on the same file or server. The metric
// ratio is the store's rate divided by the floor's.
const (
	floorAgents = 100_000
	floorRows   = 64
)

func BenchmarkFloorSQLite(b *testing.B)   { benchFloor(b, sqlitePlace(b), rawSQLite) }
func BenchmarkFloorPostgres(b *testing.B) { benchFloor(b, postgresPlace(b), rawPostgres) }

func benchFloor(b *testing.B, p place, raw func(testing.TB, place) func(*ota.Commit, int) error) {
	s := p.open(b)
	sqltest.Create(b, s, "p", floorAgents)
	inTurns(b, s, raw(b, p))
}

// rawSQLite returns what updates agents, and writes a record, by hand.
func rawSQLite(tb testing.TB, p place) func(c *ota.Commit, n int) error {
	const settings = "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(4000)" +
		"&_pragma=cache_size(-16000)&_pragma=busy_timeout(10000)&_txlock=immediate"
	db, err := sql.Open("sqlite", "file:"+p.dsn+settings)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	for _, query := range []string{
		`CREATE TABLE floor (ordinal INTEGER PRIMARY KEY, id TEXT NOT NULL, status INTEGER NOT NULL, state BLOB NOT NULL) STRICT`,
		`INSERT INTO floor SELECT ordinal, id, 0, x'00000000000000' FROM ota_agents`,
	} {
		if _, err := db.Exec(query); err != nil {
			tb.Fatal(err)
		}
	}
	prepare := func(query string) *sql.Stmt {
		st, err := db.Prepare(query)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { st.Close() })
		return st
	}
	agent := prepare(`UPDATE floor SET status = ?, state = ? WHERE ordinal = ?`)
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

func rawPostgres(tb testing.TB, p place) func(c *ota.Commit, n int) error {
	config, err := pgxpool.ParseConfig(p.dsn)
	if err != nil {
		tb.Fatal(err)
	}
	config.ConnConfig.RuntimeParams["search_path"] = pgx.Identifier{p.opts.Schema}.Sanitize()
	pool, err := pgxpool.NewWithConfig(tb.Context(), config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	for _, query := range []string{
		`CREATE TABLE ota_floor (ordinal integer PRIMARY KEY, id text NOT NULL, status smallint NOT NULL, state bytea NOT NULL) WITH (fillfactor = 50)`,
		`INSERT INTO ota_floor SELECT ordinal, id, 0, '\x00000000000000' FROM ota_agents`,
		`ANALYZE ota_floor`,
	} {
		if _, err := pool.Exec(tb.Context(), query); err != nil {
			tb.Fatal(err)
		}
	}
	update := `UPDATE ota_floor r SET status = v.status, state = v.state
		FROM unnest($1::int[], $2::smallint[], $3::bytea[]) AS v (ordinal, status, state) WHERE r.ordinal = v.ordinal`
	insert := `INSERT INTO ota_log (plan, revision, request, data) VALUES (99, $1, '', $2)`
	return func(c *ota.Commit, n int) error {
		ordinals, statuses, states := make([]int32, len(c.Agents)), make([]int16, len(c.Agents)), make([][]byte, len(c.Agents))
		for i := range c.Agents {
			a := &c.Agents[i]
			ordinals[i], statuses[i] = int32(a.Ordinal), int16(a.State.Status)
			states[i], _ = a.State.AppendBinary(nil)
		}
		batch := &pgx.Batch{}
		batch.Queue(update, ordinals, statuses, states)
		batch.Queue(insert, n, c.Log)
		return pool.SendBatch(context.Background(), batch).Close()
	}
}

// inTurns commits 64 rows through the store, then by hand, and so on, ten of each at a time.
func inTurns(b *testing.B, s *Store, raw func(c *ota.Commit, n int) error) {
	c := sqltest.OwnerCommit(b, s, "p", 0, floorRows)
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
	var store, floor sqltest.Stopwatch
	b.ResetTimer()
	for b.Loop() {
		for range 10 {
			next()
			store.Time(func() {
				if _, err := s.Commit(context.Background(), c); err != nil {
					b.Fatal(err)
				}
			})
			c.Progress++
		}
		for range 10 {
			next()
			floor.Time(func() {
				if err := raw(&c, n); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
	b.ReportMetric(floorRows*store.Rate(), "rows/s")
	b.ReportMetric(floorRows*floor.Rate(), "floor-rows/s")
	b.ReportMetric(store.Rate()/floor.Rate(), "ratio")
}
