package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqltest"
)

// result is what a commit returned.
type result struct {
	revision uint64
	err      error
}

// together makes commits that all wait for the file before the first of them gets it. held is
// called when they do.
func together(t *testing.T, s *sqlcore.Store, commits []ota.Commit, ctxs map[int]context.Context, held func()) []result {
	t.Helper()
	d := sqlcore.DatabaseOf(s).(*database)
	d.gate <- struct{}{}
	results := make([]result, len(commits))
	var wg sync.WaitGroup
	for i, c := range commits {
		ctx := t.Context()
		if own, ok := ctxs[i]; ok {
			ctx = own
		}
		wg.Go(func() { results[i].revision, results[i].err = s.Commit(ctx, c) })
		eventually(t, "the commit stands in line", func() bool { return inLine(d) == i+1 })
	}
	if held != nil {
		held()
	}
	<-d.gate
	wg.Wait()
	return results
}

func inLine(d *database) int {
	d.line.mu.Lock()
	defer d.line.mu.Unlock()
	return len(d.line.waiting)
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never was so that %s", what)
		}
	}
}

// severalPlans makes so many plans, and the next commit of each one's owner.
func severalPlans(t *testing.T, s *sqlcore.Store, n int) (commits []ota.Commit) {
	t.Helper()
	for i := range n {
		id := fmt.Sprint("plan-", i)
		sqltest.Create(t, s, id, 10)
		commits = append(commits, sqltest.OwnerCommit(t, s, id, 0, 8))
	}
	return commits
}

func revisionOf(t *testing.T, s *sqlcore.Store, plan string) uint64 {
	t.Helper()
	row, err := s.Plan(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	return row.Revision
}

// transactions counts those in the log of a SQLite file since it was last begun anew: with
// synchronous=FULL each is a flush. The format is
// https://www.sqlite.org/fileformat2.html#walformat.
func transactions(t *testing.T, p place) (n int) {
	t.Helper()
	wal, err := os.ReadFile(p.dsn + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	page, salt := int(binary.BigEndian.Uint32(wal[8:])), string(wal[16:24])
	for at := 32; at+24+page <= len(wal) && string(wal[at+8:at+16]) == salt; at += 24 + page {
		if binary.BigEndian.Uint32(wal[at+4:]) != 0 {
			n++
		}
	}
	return n
}

// What many plans on one file cost, without a clock: commits that wait at the same time share a
// flush, and one that is alone has one of its own.
func TestCommitsShareAFlush(t *testing.T) {
	p := sqlitePlace(t)
	s := p.open(t)
	commits := severalPlans(t, s, 20)
	before := transactions(t, p)
	for i, r := range together(t, s, commits, nil, nil) {
		if r.err != nil || r.revision != 2 || revisionOf(t, s, commits[i].Plan) != 2 {
			t.Errorf("%s: revision %d, %v, want 2", commits[i].Plan, r.revision, r.err)
		}
	}
	if n := transactions(t, p) - before; n != 1 {
		t.Errorf("20 commits at once took %d flushes, want 1", n)
	}
	before = transactions(t, p)
	for range 3 {
		if _, err := s.Commit(t.Context(), sqltest.OwnerCommit(t, s, "plan-0", 0, 8)); err != nil {
			t.Fatal(err)
		}
	}
	if n := transactions(t, p) - before; n != 3 {
		t.Errorf("3 commits, one after the other, took %d flushes, want 3", n)
	}
}

// Each commit of a transaction has its own answer.
func TestRefusedAmongOthers(t *testing.T) {
	s := sqlitePlace(t).open(t)
	commits := severalPlans(t, s, 9)
	commits[2].If.Epoch++
	commits[4].If.Control++
	commits[5].Plan = "nobody's"
	commits[7] = commits[6] // the same plan twice: the second comes too late
	ctx, cancel := context.WithCancel(t.Context())
	left := func() {
		cancel()
		eventually(t, "the commit whose context ended left the line", func() bool { return inLine(sqlcore.DatabaseOf(s).(*database)) == len(commits)-1 })
	}
	wrong := map[int]error{2: ota.ErrFenced, 3: context.Canceled, 4: ota.ErrConflict, 5: ota.ErrNotFound, 7: ota.ErrConflict}
	for i, r := range together(t, s, commits, map[int]context.Context{3: ctx}, left) {
		if !errors.Is(r.err, wrong[i]) {
			t.Errorf("commit %d: %v, want %v", i, r.err, wrong[i])
		}
	}
	for i := range 9 {
		want := uint64(2)
		if wrong[i] != nil {
			want = 1
		}
		if got := revisionOf(t, s, fmt.Sprint("plan-", i)); got != want {
			t.Errorf("plan %d is at revision %d, want %d", i, got, want)
		}
	}
}

// A commit that breaks its transaction fails alone.
func TestBrokenAmongOthers(t *testing.T) {
	s := sqlitePlace(t).open(t)
	commits := severalPlans(t, s, 5)
	commits[2].Rows = append(commits[2].Rows, sqltest.Agent(1000, 1))
	commits[4].If.Epoch++
	for i, r := range together(t, s, commits, nil, nil) {
		var want error
		switch i {
		case 2:
			want = sqlcore.ErrRows
		case 4:
			want = ota.ErrFenced
		}
		if !errors.Is(r.err, want) {
			t.Errorf("commit %d: %v, want %v", i, r.err, want)
		}
		revision := uint64(2)
		if want != nil {
			revision = 1
		}
		if got := revisionOf(t, s, commits[i].Plan); got != revision {
			t.Errorf("plan %d is at revision %d, want %d", i, got, revision)
		}
	}
}

// When the transaction cannot be committed nobody knows, also not of a commit that was refused
// inside of it.
func TestAllFailWithTheirTransaction(t *testing.T) {
	p := sqlitePlace(t)
	p.dsn = "sqlite:" + p.dsn + "?_pragma=foreign_keys(1)"
	s := p.open(t)
	commits := severalPlans(t, s, 4)
	commits[3] = commits[2]
	for _, query := range []string{
		`CREATE TABLE parent (id INTEGER PRIMARY KEY)`,
		`CREATE TABLE child (parent INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)`,
		`CREATE TRIGGER orphan AFTER INSERT ON ota_log WHEN new.plan = 2 BEGIN INSERT INTO child VALUES (1); END`,
	} {
		sqltest.Exec(t, s, query)
	}
	for i, r := range together(t, s, commits, nil, nil) {
		if r.err == nil || sqlcore.Definite(r.err) || !strings.Contains(r.err.Error(), "FOREIGN KEY") {
			t.Errorf("commit %d: %v, want the error of the transaction", i, r.err)
		}
	}
	sqltest.Exec(t, s, `DROP TRIGGER orphan`)
	for i, r := range together(t, s, commits[:3], nil, nil) {
		if r.err != nil || r.revision != 2 {
			t.Errorf("commit %d again: revision %d, %v, want 2", i, r.revision, r.err)
		}
	}
}

// The one that waits for the file, on behalf of those behind it, is canceled: it is nothing to
// them.
func TestLeaderIsCanceled(t *testing.T) {
	p := sqlitePlace(t)
	s, other := p.open(t), p.open(t)
	commits := severalPlans(t, s, 4)
	release, has := make(chan struct{}), make(chan struct{})
	var holder sync.WaitGroup
	holder.Go(func() {
		err := sqlcore.DatabaseOf(other).Update(t.Context(), func(sqlcore.Querier) error { close(has); <-release; return nil })
		if err != nil {
			t.Error(err)
		}
	})
	<-has
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := s.Commit(ctx, commits[0]); !errors.Is(err, context.Canceled) {
			t.Errorf("the one that was canceled: %v", err)
		}
	})
	eventually(t, "the first waits for the file", func() bool { return len(sqlcore.DatabaseOf(s).(*database).gate) == 1 })
	for _, c := range commits[1:] {
		wg.Go(func() {
			if rev, err := s.Commit(t.Context(), c); err != nil || rev != 2 {
				t.Errorf("%s: revision %d, %v, want 2", c.Plan, rev, err)
			}
		})
	}
	eventually(t, "the others wait", func() bool { return inLine(sqlcore.DatabaseOf(s).(*database)) == 4 })
	cancel()
	eventually(t, "the first has left", func() bool { return inLine(sqlcore.DatabaseOf(s).(*database)) == 3 })
	close(release)
	wg.Wait()
	holder.Wait()
	if got := revisionOf(t, s, "plan-0"); got != 1 {
		t.Errorf("the plan of the one that was canceled is at revision %d, want 1", got)
	}
}

// Nor is it anything to them once the transaction has begun.
func TestLeaderIsCanceledInside(t *testing.T) {
	d := sqlcore.DatabaseOf(sqlitePlace(t).open(t)).(*database)
	ctx, cancel := context.WithCancel(t.Context())
	d.gate <- struct{}{}
	err := d.transact(ctx, context.WithoutCancel(ctx), func(tx *sqliteTx) error {
		cancel()
		_, err := tx.Exec(context.WithoutCancel(ctx), `INSERT INTO ota_leases (engine, until) VALUES ('e', 1)`)
		return err
	})
	<-d.gate
	found, look := sqlcore.One(t.Context(), d, `SELECT until FROM ota_leases WHERE engine = 'e'`, nil, new(int64))
	if err != nil || look != nil || !found {
		t.Errorf("the transaction: %v; committed: %t, %v", err, found, look)
	}
}

// A transaction is bounded, whoever leads is in it, and nobody is overtaken but by the one who
// leads.
func TestGroupIsBounded(t *testing.T) {
	var l line
	var all []*waiting
	for range 6 {
		w := &waiting{commit: &ota.Commit{Rows: make([]ota.Row, 98)}}
		all = append(all, w)
		l.join(w)
	}
	all[1].commit.Rows = make([]ota.Row, 198)
	if got, want := l.group(all[4], 300), []*waiting{all[4], all[0]}; !slices.Equal(got, want) {
		t.Errorf("a group of %d, want the leader and the first: there is no room for the second", len(got))
	}
	if got, want := l.group(all[1], 100), all[1:2]; !slices.Equal(got, want) {
		t.Errorf("a group of %d, want one that is too large by itself alone", len(got))
	}
	if got, want := l.group(all[2], 1000), []*waiting{all[2], all[3], all[5]}; !slices.Equal(got, want) || len(l.waiting) != 0 {
		t.Errorf("a group of %d, want all that were left", len(got))
	}
}
