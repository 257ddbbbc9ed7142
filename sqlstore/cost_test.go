package sqlstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
	"github.com/seed-19b57ce3/ota/sqlstore/pgtest"
)

// What docs/performance.md promises of both databases and no clock is needed for: with 64 agents at
// once, starts and outcomes share commits, whatever the size of the plan, and a commit is one
// flush.
const mostPerTask = 0.07

func TestCommitsPerTask(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		s := p.open(t)
		var per []float64
		for _, n := range []int{1_000, 10_000} {
			id := fmt.Sprint("plan-", n)
			done := runPlan(t, startPlan(t, s, id, n, 10_000), id)
			per = append(per, float64(done.Revision)/float64(n))
		}
		t.Logf("%.4f per task of 1,000, %.4f of 10,000", per[0], per[1])
		if per[1] > mostPerTask {
			t.Errorf("%.4f commits per task, want at most %g", per[1], mostPerTask)
		}
		if per[1] > 1.5*per[0] {
			t.Errorf("%.4f commits per task of 10,000, %.4f of 1,000: they grow with the fleet", per[1], per[0])
		}
	})
}

// PostgreSQL's own count of the flushes of its log, and of the rows that it updates, on a server of
// this test alone.
func TestFlushesPerTask(t *testing.T) {
	cluster, err := pgtest.New()
	if err != nil {
		t.Skipf("no PostgreSQL to test with: %v", err)
	}
	t.Cleanup(cluster.Stop)
	const agents = 10_000
	p := place{dsn: cluster.URL()}
	made := p.open(t)
	startPlan(t, made, "plan", agents, agents)
	made.Close() // a session tells its counts when it ends
	before := flushesOf(t, cluster)
	s := p.open(t)
	e := engineOf(t, s)
	runPlan(t, e, "plan")
	s.Close()
	per := float64(flushesOf(t, cluster)-before) / agents
	t.Logf("%.4f flushes per task", per)
	if per > mostPerTask || per < 1.0/128 {
		t.Errorf("%.4f flushes per task, want at most %g, and at least one for each commit", per, mostPerTask)
	}
	rows := float64(updatesOf(t, cluster)) / agents
	t.Logf("%.4f rows updated per task", rows)
	if rows > mostRows || rows < 2.0/sqlcore.BlockSize {
		t.Errorf("%.4f rows updated per task, want at most %g, and each block at least twice", rows, mostRows)
	}
}

// mostRows bounds how many rows are updated for one task: of 64 starts and outcomes some six
// blocks, the plan and its batch.
const mostRows = 0.12

// updatesOf returns how many rows the server has updated, of all tables.
func updatesOf(t *testing.T, c *pgtest.Cluster) (n int64) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), `SELECT sum(n_tup_upd)::bigint FROM pg_stat_user_tables`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// flushesOf waits until the server's other sessions have ended.
func flushesOf(t *testing.T, c *pgtest.Cluster) (n int64) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for range 6000 { // a minute
		var others int
		err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`).Scan(&others)
		if err != nil {
			t.Fatal(err)
		}
		if others == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	var version int
	if err := conn.QueryRow(t.Context(), `SELECT current_setting('server_version_num')::int`).Scan(&version); err != nil {
		t.Fatal(err)
	}
	query := `SELECT wal_sync FROM pg_stat_wal`
	if version >= 18_00_00 {
		query = `SELECT sum(fsyncs)::bigint FROM pg_stat_io WHERE object = 'wal'`
	}
	if err := conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
