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
	record := prepare(`INSERT INTO ota_log (plan, revision, at, notable, data) VALUES (99, ?, 0, 0, ?)`)
	return func(c *ota.Commit, n int) error {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		defer tx.Rollback()
		st := tx.Stmt(agent)
		for i := range c.Rows {
			a := &c.Rows[i]
			if _, err := st.Exec(int(a.Status), a.State, a.Number); err != nil {
				return err
			}
		}
		if _, err := tx.Stmt(record).Exec(n, c.Log.Data); err != nil {
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
	insert := `INSERT INTO ota_log (plan, revision, at, notable, data) VALUES (99, $1, 0, 0, $2)`
	return func(c *ota.Commit, n int) error {
		ordinals, statuses, states := make([]int32, len(c.Rows)), make([]int16, len(c.Rows)), make([][]byte, len(c.Rows))
		for i := range c.Rows {
			a := &c.Rows[i]
			ordinals[i], statuses[i], states[i] = int32(a.Number), int16(a.Status), a.State
		}
		batch := &pgx.Batch{}
		batch.Queue(update, ordinals, statuses, states)
		batch.Queue(insert, n, c.Log.Data)
		return pool.SendBatch(context.Background(), batch).Close()
	}
}

// inTurns commits 64 rows through the store, then by hand, and so on, ten of each at a time.
func inTurns(b *testing.B, s *Store, raw func(c *ota.Commit, n int) error) {
	c := sqltest.OwnerCommit(b, s, "p", 0, floorRows)
	c.Parts.Progress, c.Log.Data = make([]byte, 150), make([]byte, 100*floorRows)
	at, n := 0, 0
	next := func() {
		for i := range c.Rows {
			c.Rows[i] = sqltest.Agent((at+i)%floorAgents, n)
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
			c.If.Progress, c.Then.Progress = c.Then.Progress, c.Then.Progress+1
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
