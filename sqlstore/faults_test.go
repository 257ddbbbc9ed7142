package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqltest"
	"github.com/seed-19b57ce3/ota/sqlstore/pgtest"
	"github.com/seed-19b57ce3/ota/sqlstore/postgres"
)

// Serialization failures are retried inside: what comes out is an answer.
func TestSerializationFailuresAreRetried(t *testing.T) {
	t.Parallel()
	p := postgresPlace(t)
	sqltest.Create(t, p.open(t), "p", 10)
	p.dsn = pgtest.With(p.dsn, "default_transaction_isolation", "serializable")
	s := p.open(t)
	const rounds, racers = 20, 8
	for round := range rounds {
		var won atomic.Int32
		var wg sync.WaitGroup
		for range racers {
			wg.Go(func() {
				_, err := s.Commit(t.Context(), ota.Commit{
					Plan: "p", If: ota.Numbers{Control: uint64(round + 1)}, Then: ota.Numbers{Control: uint64(round + 2)}, Log: ota.LogRow{Data: []byte("v")},
				})
				switch {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, ota.ErrConflict):
					t.Errorf("neither success nor ErrConflict: %v", err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d of %d commits on the same number landed, want 1", won.Load(), racers)
		}
	}
}

// The commit lands, and its acknowledgement is lost: an ordinary error, and the plan is at the next
// revision.
func TestLostAcknowledgement(t *testing.T) {
	t.Parallel()
	p := postgresPlace(t)
	direct := p.open(t)
	sqltest.Create(t, direct, "p", 64)
	proxy := newProxy(t, p.dsn)
	config, err := pgxpool.ParseConfig(proxy.dsn)
	if err != nil {
		t.Fatal(err)
	}
	// On a slow machine the pool would ask a connection whether it is alive, and that answer would
	// be lost instead.
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	through, err := postgres.New(t.Context(), pool, postgres.Options{Schema: p.opts.Schema})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := through.Commit(t.Context(), sqltest.OwnerCommit(t, through, "p", 0, 64)); err != nil {
		t.Fatal(err) // the first of its shape is prepared; from now on one round trip is all there is
	}
	c := sqltest.OwnerCommit(t, through, "p", 0, 64)
	proxy.swallow()
	_, err = through.Commit(t.Context(), c)
	if err == nil || sqlcore.Definite(err) {
		t.Fatalf("the acknowledgement was lost, and the answer is %v", err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		row, err := direct.Plan(t.Context(), "p")
		if err != nil {
			t.Fatal(err)
		}
		if row.Revision == 3 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the plan is at revision %d, want 3", row.Revision)
		}
	}
	proxy.heal()
	if _, err := through.Commit(t.Context(), c); !errors.Is(err, ota.ErrConflict) {
		t.Fatalf("the same commit again: %v, want ErrConflict", err)
	}
}

// Connections are cut under load: what was acknowledged is there, the log has no gap, and the store
// goes on by itself.
func TestTerminatedConnections(t *testing.T) {
	t.Parallel()
	p := postgresPlace(t)
	p.dsn = pgtest.With(p.dsn, "application_name", p.opts.Schema)
	s := p.open(t)
	sqltest.Create(t, s, "p", 640)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var killer sync.WaitGroup
	killer.Go(func() { terminate(t, ctx, p) })
	acked, unknown := uint64(0), 0
	for ctx.Err() == nil {
		row, err := s.Plan(t.Context(), "p")
		if err != nil {
			continue
		}
		c := ownerCommit640(row, int(row.Revision%10)*64)
		rev, err := s.Commit(t.Context(), c)
		switch {
		case err == nil && rev <= acked:
			t.Fatalf("revision %d after %d", rev, acked)
		case err == nil:
			acked = rev
		case sqlcore.Definite(err):
			t.Fatalf("nobody else commits, and the answer is %v", err)
		default:
			unknown++
		}
	}
	killer.Wait()
	log := allOfLog(t, s, "p")
	if uint64(len(log)) < acked {
		t.Fatalf("%d records, and revision %d was acknowledged", len(log), acked)
	}
	for i, r := range log {
		if r.Revision != uint64(i)+1 {
			t.Fatalf("record %d has revision %d", i, r.Revision)
		}
	}
	t.Logf("%d commits, %d with an unknown result", len(log), unknown)
}

func ownerCommit640(row ota.PlanRow, from int) ota.Commit {
	c := ota.Commit{
		Plan: row.ID, If: row.Numbers, Then: ota.Numbers{Progress: row.Numbers.Progress + 1}, Parts: row.Parts,
		Head: &ota.Head{Status: ota.StatusRunning}, Log: ota.LogRow{Data: []byte("x")},
	}
	for i := range 64 {
		c.Rows = append(c.Rows, sqltest.Agent(from+i, 1))
	}
	return c
}

func terminate(t *testing.T, ctx context.Context, p place) {
	conn, err := pgx.Connect(t.Context(), pgtest.With(p.dsn, "application_name", "killer"))
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for ctx.Err() == nil {
		_, err := conn.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1`, p.opts.Schema)
		if err != nil {
			t.Error(err)
			return
		}
		time.Sleep(7 * time.Millisecond)
	}
}

func allOfLog(t *testing.T, s *Store, plan string) (log []ota.LogRow) {
	t.Helper()
	for {
		after := uint64(len(log))
		page, err := s.Log(t.Context(), plan, ota.LogQuery{After: after})
		if err != nil && after == 0 {
			page, err = s.Log(t.Context(), plan, ota.LogQuery{After: after}) // the pool's last dead connection
		}
		rows := page.Items
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			return log
		}
		log = append(log, rows...)
	}
}

// A full disk refuses commits, breaks nothing, and is forgotten when there is room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "plans.db")
	sqltest.Create(t, place{dsn: file}.open(t), "p", 100)
	full := place{dsn: "sqlite:" + file + "?_pragma=max_page_count(80)"}.open(t)
	landed, err := uint64(1), error(nil)
	for err == nil && landed < 1000 {
		c := sqltest.OwnerCommit(t, full, "p", 0, 10)
		c.Log.Data = make([]byte, 20_000)
		if _, err = full.Commit(t.Context(), c); err == nil {
			landed++
		}
	}
	if err == nil || sqlcore.Definite(err) || !strings.Contains(err.Error(), "full") {
		t.Fatalf("the disk is full, and the answer is %v", err)
	}
	if row, err := full.Plan(t.Context(), "p"); err != nil || row.Revision != landed {
		t.Fatalf("the plan is at revision %d (%v), want %d", row.Revision, err, landed)
	}
	again := place{dsn: file}.open(t)
	if rev, err := again.Commit(t.Context(), sqltest.OwnerCommit(t, again, "p", 0, 10)); err != nil || rev != landed+1 {
		t.Fatalf("with room again: revision %d, %v, want %d", rev, err, landed+1)
	}
}

// A file that cannot be written to can be read, and says so to whoever writes.
func TestReadOnlyFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "plans.db")
	sqltest.Create(t, place{dsn: file}.open(t), "p", 10)
	s := place{dsn: "sqlite:" + file + "?mode=ro"}.open(t)
	if page, err := s.Rows(t.Context(), "p", ota.RowQuery{Kind: ota.KindAgent}); err != nil || len(page.Items) != 10 {
		t.Fatal(page, err)
	}
	if _, err := s.Commit(t.Context(), sqltest.OwnerCommit(t, s, "p", 0, 1)); err == nil || !strings.Contains(err.Error(), "readonly") {
		t.Fatalf("commit to a read-only file: %v", err)
	}
}

// Two handles write to one file at once, as two processes would: both get their turns, and each
// sees the other's.
func TestTwoHandlesOnOneFile(t *testing.T) {
	t.Parallel()
	p := sqlitePlace(t)
	stores := []*Store{p.open(t), p.open(t)}
	const commits = 100
	var wg sync.WaitGroup
	for i, s := range stores {
		wg.Go(func() {
			id := fmt.Sprint("plan", i)
			if err := sqltest.Make(t.Context(), s, id, 5000); err != nil {
				t.Error(err)
				return
			}
			for n := range commits {
				if _, err := s.Commit(t.Context(), sqltest.OwnerCommit(t, s, id, n*32, 32)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i := range stores {
		row, err := stores[1-i].Plan(t.Context(), fmt.Sprint("plan", i))
		if err != nil || row.Revision != 1+commits {
			t.Errorf("the other handle sees revision %d, %v", row.Revision, err)
		}
	}
}

// Agents far apart and in any order are found, many of them and few.
func TestScatteredAgents(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		s := p.open(t)
		const agents = 30_000
		sqltest.Create(t, s, "p", agents)
		for _, step := range []int{-5, 7, 1023, 9999} {
			c := sqltest.OwnerCommit(t, s, "p", 0, 0)
			for i := max(0, agents*min(1, max(0, -step))-1); i >= 0 && i < agents; i += step {
				c.Rows = append(c.Rows, ota.Row{Kind: ota.KindAgent, Number: i, Status: uint8(ota.TaskSkipped)})
			}
			if _, err := s.Commit(t.Context(), c); err != nil {
				t.Fatalf("step %d, %d agents: %v", step, len(c.Rows), err)
			}
			for _, a := range []ota.Row{c.Rows[0], c.Rows[len(c.Rows)-1]} {
				page, err := s.Rows(t.Context(), "p", ota.RowQuery{Kind: ota.KindAgent, From: a.Number, Limit: 1})
				if err != nil || page.Items[0].Status != uint8(ota.TaskSkipped) {
					t.Fatalf("step %d: agent %d is %v, %v", step, a.Number, page.Items, err)
				}
			}
		}
	})
}
