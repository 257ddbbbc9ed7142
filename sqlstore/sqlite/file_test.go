package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqltest"
)

// damages are what can happen to the file of an open Store, and the words that say so.
var damages = []struct {
	name, says string
	do         func(path string) error
}{
	{"delete", "deleted, or moved away", os.Remove},
	{"move away", "deleted, or moved away", func(p string) error { return os.Rename(p, p+".away") }},
	{"replace by a copy", "another file took its place", func(p string) error { return os.Rename(p+".copy", p) }},
	{"replace by garbage", "another file took its place", func(p string) error {
		return errors.Join(os.WriteFile(p+".new", []byte("garbage"), 0o600), os.Rename(p+".new", p))
	}},
	{"delete and make anew", "another file took its place", func(p string) error {
		other, err := os.Create(p + ".x") // takes the inode that the next file would get
		return errors.Join(err, other.Close(), os.Rename(p, p+".y"), os.Rename(p+".x", p))
	}},
	{"truncate to nothing", "truncated", func(p string) error { return os.Truncate(p, 0) }},
	{"truncate to a page", "truncated", func(p string) error { return os.Truncate(p, 4096) }},
	{"truncate to half", "truncated", func(p string) error {
		info, err := os.Stat(p)
		return errors.Join(err, os.Truncate(p, info.Size()/2))
	}},
	{"delete the write-ahead log", "write-ahead log was deleted", func(p string) error { return os.Remove(p + "-wal") }},
}

// damaged opens a Store with a plan, most of which is in the file and the rest in the log, and a
// copy beside it.
func damaged(t *testing.T) (p place, s *Store) {
	t.Helper()
	if os.PathSeparator == '\\' {
		t.Skip("Windows does not delete or rename a file that SQLite has open")
	}
	p = sqlitePlace(t)
	s = p.open(t)
	sqltest.Create(t, s, "p", 400)
	other(t, p, `PRAGMA wal_checkpoint(TRUNCATE)`, `VACUUM INTO '`+p.dsn+`.copy'`)
	if err := s.Renew(t.Context(), "e", time.Hour); err != nil { // remembers the size
		t.Fatal(err)
	}
	return p, s
}

// other runs statements as another process would.
func other(t *testing.T, p place, queries ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+p.dsn+"?_pragma=busy_timeout(60000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range queries {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(q, err)
		}
	}
}

// calls are all calls of a Store that read or write the file. Those that write notice first.
func calls(t *testing.T, s *Store) (writes, reads map[string]func(context.Context) error) {
	commit := sqltest.OwnerCommit(t, s, "p", 0, 1)
	writes = map[string]func(context.Context) error{
		"Renew":  func(ctx context.Context) error { return s.Renew(ctx, "e", time.Hour) },
		"Commit": func(ctx context.Context) error { _, err := s.Commit(ctx, commit); return err },
		"Create": func(ctx context.Context) error {
			return sqltest.Make(ctx, s, "q", 1)
		},
		"Claim":   func(ctx context.Context) error { _, _, err := s.Claim(ctx, "p", ""); return err },
		"Keep":    func(ctx context.Context) error { return s.Keep(ctx, "p", "e", nil) },
		"Release": func(ctx context.Context) error { return s.Release(ctx, "p", nil) },
		"Post":    func(ctx context.Context) error { return s.Post(ctx, "p", []ota.Message{{ID: "m"}}) },
		"Migrate": func(ctx context.Context) error { return s.Migrate(ctx, Latest()) },
	}
	reads = map[string]func(context.Context) error{
		"Plan":  func(ctx context.Context) error { _, err := s.Plan(ctx, "p"); return err },
		"Plans": func(ctx context.Context) error { _, err := s.Plans(ctx, ota.PlanQuery{}); return err },
		"Rows": func(ctx context.Context) error {
			_, err := s.Rows(ctx, "p", ota.RowQuery{Kind: ota.KindAgent})
			return err
		},
		"Holders":  func(ctx context.Context) error { _, err := s.Holders(ctx, []string{"a"}); return err },
		"Log":      func(ctx context.Context) error { _, err := s.Log(ctx, "p", ota.LogQuery{}); return err },
		"Read":     func(ctx context.Context) error { _, err := s.Read(ctx, "p", 0, 0); return err },
		"Kept":     func(ctx context.Context) error { _, err := s.Kept(ctx, "p"); return err },
		"Owners":   func(ctx context.Context) error { _, err := s.Owners(ctx); return err },
		"Prune":    func(ctx context.Context) error { _, err := s.Prune(ctx, time.Now()); return err },
		"Version":  func(ctx context.Context) error { _, err := s.Version(ctx); return err },
		"Validate": s.Validate,
	}
	return writes, reads
}

// Whatever happens to the file, the first call that writes returns an error that says so, and every
// call after it does, also when the file is back.
func TestALostFileIsNoticed(t *testing.T) {
	for _, d := range damages {
		for _, first := range []string{"Renew", "Commit", "Create", "Claim", "Keep", "Release", "Post", "Migrate"} {
			t.Run(d.name+"/"+first, func(t *testing.T) {
				t.Parallel()
				p, s := damaged(t)
				writes, reads := calls(t, s)
				if err := d.do(p.dsn); err != nil {
					t.Fatal(err)
				}
				lost := func(name string, err error) {
					t.Helper()
					if !errors.Is(err, ErrFileLost) || errors.Is(err, ota.ErrRefused) || !strings.Contains(err.Error(), d.says) ||
						!strings.Contains(err.Error(), p.dsn) {
						t.Errorf("%s: %v, want ErrFileLost with %q and the file", name, err, d.says)
					}
				}
				lost(first, writes[first](t.Context()))
				_ = os.Rename(p.dsn+".away", p.dsn) // only "move away" has it
				for _, calls := range []map[string]func(context.Context) error{writes, reads} {
					for name, call := range calls {
						lost(name, call(t.Context()))
					}
				}
			})
		}
	}
}

// A file that became smaller because another process ran VACUUM is not lost, whatever is in the
// log.
func TestVacuumLosesNothing(t *testing.T) {
	p, s := damaged(t)
	second := p.open(t)
	size := func() int64 {
		info, err := os.Stat(p.dsn)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	shrank := 0
	for i := range 6 {
		other(t, p, `CREATE TABLE ballast AS SELECT randomblob(400000) AS b`, `PRAGMA wal_checkpoint(TRUNCATE)`)
		if err := s.Renew(t.Context(), "e", time.Hour); err != nil {
			t.Fatal(err)
		}
		before := size()
		other(t, p, `DROP TABLE ballast`, `VACUUM`, `PRAGMA wal_checkpoint(TRUNCATE)`)
		if size() < before {
			shrank++
		}
		if i%2 == 1 { // and it grows, in the log only
			sqltest.Create(t, second, "q"+string(rune('0'+i)), 500)
		}
		if err := s.Renew(t.Context(), "e", time.Hour); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		if _, err := s.Commit(t.Context(), sqltest.OwnerCommit(t, s, "p", 0, 1)); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
	}
	if shrank != 6 {
		t.Errorf("the file became smaller %d times, want 6", shrank)
	}
}

// A pool of the caller's, without a write-ahead log, is looked at too.
func TestALostFileOfAPool(t *testing.T) {
	path := sqlitePlace(t).dsn
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	s, err := New(t.Context(), db, Options{})
	if err != nil {
		t.Fatal(err)
	}
	sqltest.Create(t, s, "p", 10)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Skip(err)
	}
	if err := s.Renew(t.Context(), "e", time.Hour); !errors.Is(err, ErrFileLost) {
		t.Errorf("%v, want ErrFileLost", err)
	}
}

// Settings of a pool that lose plans are refused.
func TestPoolsThatLosePlansAreRefused(t *testing.T) {
	for dsn, says := range map[string]string{
		":memory:":                        "in memory",
		"file:x?mode=memory&cache=shared": "in memory",
		"file:" + t.TempDir() + "/a.db?_pragma=synchronous(normal)":            "synchronous",
		"file:" + t.TempDir() + "/b.db?_pragma=journal_mode(off)&_defensive=0": "journal_mode is off",
		"file:" + t.TempDir() + "/c.db?_pragma=journal_mode(memory)":           "journal_mode is memory",
	} {
		db, err := sql.Open("sqlite", dsn)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = New(t.Context(), db, Options{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want an error with %q", dsn, err, says)
		}
		db.Close()
	}
}

// lines is a log that a test reads while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

// The engine of a running plan notices when it renews its lease, logs why, and starts nothing more.
func TestEngineStopsWhenTheFileIsLost(t *testing.T) {
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			p, s := damaged(t)
			var log lines
			var starts atomic.Int32
			release := make(chan struct{})
			e, err := ota.New(s, ota.ExecutorFunc(func(ctx context.Context, a ota.Attempt) (ota.Result, error) {
				starts.Add(1)
				<-release
				return ota.Result{Version: a.ToVersion}, nil
			}), ota.Options{Lease: 300 * time.Millisecond, DrainTimeout: -1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			plan, err := e.Create(t.Context(), ota.Spec{
				Name: "fleet", ToVersion: "2", Agents: ota.AgentIDs("a", "b", "c", "d", "e"), Policy: ota.Policy{Concurrency: 2},
			})
			if err == nil {
				_, err = e.Start(t.Context(), plan.ID, ota.Request{})
			}
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- e.Run(ctx) }()
			eventually(t, "two calls are out", func() bool { return starts.Load() == 2 })
			if err := d.do(p.dsn); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the renewal says why it failed", func() bool {
				return log.has("lease was not renewed") && log.has(d.says)
			})
			close(release)
			eventually(t, "the outcomes cannot be committed", func() bool { return log.has("store does not answer") })
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run ended with %v", err)
			}
			if n := starts.Load(); n != 2 {
				t.Errorf("%d calls were made, want 2: those before the file was lost", n)
			}
		})
	}
}
