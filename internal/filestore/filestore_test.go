package filestore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/storetest"
)

var (
	noon   = time.Date(2026, 1, 1, 12, 0, 0, 123456789, time.UTC)
	binary = []byte{0, 1, '\n', 0xff, '"'}
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func agents(n int) iter.Seq2[ota.Row, error] {
	return func(yield func(ota.Row, error) bool) {
		for i := range n {
			if !yield(ota.Row{Kind: ota.KindAgent, Number: i, ID: fmt.Sprint("agent-", i), Fixed: binary}, nil) {
				return
			}
		}
	}
}

func first() (ota.Commit, error) {
	return ota.Commit{
		Head: &ota.Head{Status: ota.StatusPending}, Parts: ota.Parts{Spec: binary, Control: binary, Progress: binary},
		Rows: []ota.Row{{Kind: ota.KindBatch, State: binary}}, Log: ota.LogRow{At: noon, Notable: true, Data: binary},
	}, nil
}

func create(s *Store, id, key string) error {
	p := ota.PlanRow{ID: id, Key: key, Created: noon, Names: ota.Names{Name: "Name ü", Labels: map[string]string{"a": "b"}}}
	return s.Create(context.Background(), p, agents(3), first)
}

func commit(id string, n int) ota.Commit {
	return ota.Commit{
		Plan: id, If: ota.Numbers{Progress: uint64(n)}, Then: ota.Numbers{Progress: uint64(n + 1)},
		Head: &ota.Head{Status: ota.StatusRunning, Owner: "engine", Since: noon}, Parts: ota.Parts{Progress: append([]byte{byte(n)}, binary...)},
		Rows: []ota.Row{{Kind: ota.KindAgent, Number: n % 3, Status: uint8(n), State: binary}},
		Log:  ota.LogRow{At: noon.Add(time.Duration(n)), Data: []byte{byte(n)}},
	}
}

// contents is all that a Store has.
func contents(t *testing.T, s *Store) (all []any) {
	t.Helper()
	ctx := t.Context()
	plans, err := s.Plans(ctx, ota.PlanQuery{Total: true})
	require.NoError(t, err)
	all = append(all, plans)
	for _, p := range plans.Items {
		one, err1 := s.Plan(ctx, p.ID)
		rows, err2 := s.Rows(ctx, p.ID, ota.RowQuery{Kind: ota.KindAgent})
		batches, err3 := s.Rows(ctx, p.ID, ota.RowQuery{Kind: ota.KindBatch})
		log, err4 := s.Log(ctx, p.ID, ota.LogQuery{})
		require.NoError(t, errors.Join(err1, err2, err3, err4))
		require.Equal(t, p, one)
		all = append(all, rows, batches, log)
	}
	notable, err := s.Log(ctx, "", ota.LogQuery{})
	require.NoError(t, err)
	require.Len(t, notable.Items, len(plans.Items))
	return append(all, notable)
}

func TestOpenAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	require.NoError(t, create(s, "a", "key"))
	require.NoError(t, create(s, strings.Repeat("x", 128), ""))
	for n := 1; n <= 5; n++ {
		revision, err := s.Commit(t.Context(), commit("a", n))
		require.NoError(t, err)
		require.EqualValues(t, n+1, revision)
	}
	want := contents(t, s)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "new-123"), []byte("of a Create that was killed"), 0o600))
	again := open(t, dir)
	require.Equal(t, want, contents(t, again))
	require.NoFileExists(t, filepath.Join(dir, "new-123"))
	_, err := again.Commit(t.Context(), commit("a", 6))
	require.NoError(t, err)
}

// Wherever the last line ends, the plan is as before the commit, or, when the line is whole, as
// after it. It then takes further commits.
func TestTornLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	require.NoError(t, create(s, "a", ""))
	files, err := filepath.Glob(filepath.Join(dir, "*.plan"))
	require.NoError(t, err)
	before := contents(t, s)
	short, err := os.ReadFile(files[0])
	require.NoError(t, err)
	_, err = s.Commit(t.Context(), commit("a", 1))
	require.NoError(t, err)
	after := contents(t, s)
	long, err := os.ReadFile(files[0])
	require.NoError(t, err)
	for n := len(short); n <= len(long); n++ {
		require.NoError(t, os.WriteFile(files[0], long[:n], 0o600))
		torn := open(t, dir)
		if n < len(long) {
			require.Equal(t, before, contents(t, torn))
			_, err := torn.Commit(t.Context(), commit("a", 1))
			require.NoError(t, err)
		}
		require.Equal(t, after, contents(t, torn))
		require.NoError(t, torn.Close())
		require.Equal(t, after, contents(t, open(t, dir)), "what was torn is cut off")
	}
	require.NoError(t, os.WriteFile(files[0], append(append([]byte{}, short...), "damage\n"+string(long[len(short):])...), 0o600))
	_, err = Open(dir)
	require.ErrorContains(t, err, files[0]+", at byte ")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	require.NoError(t, create(s, "a", "key"))
	want := contents(t, s)
	require.ErrorIs(t, create(s, "a", ""), ota.ErrExists)
	require.ErrorIs(t, create(s, "b", "key"), ota.ErrExists)
	oops := errors.New("oops")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Create(t.Context(), ota.PlanRow{ID: "b"}, agents(1), func() (ota.Commit, error) { return ota.Commit{}, oops }), oops)
	require.ErrorIs(t, s.Create(ctx, ota.PlanRow{ID: "b"}, agents(0), first), context.Canceled)
	stale, none := commit("a", 7), commit("none", 1)
	for want, c := range map[error]ota.Commit{ota.ErrConflict: stale, ota.ErrNotFound: none, ota.ErrRefused: {Plan: "a"}} {
		_, err := s.Commit(t.Context(), c)
		require.ErrorIs(t, err, want)
	}
	_, err1 := s.Plan(t.Context(), "none")
	_, err2 := s.Rows(t.Context(), "none", ota.RowQuery{})
	_, err3 := s.Log(t.Context(), "none", ota.LogQuery{})
	for _, err := range []error{err1, err2, err3} {
		require.ErrorIs(t, err, ota.ErrNotFound)
	}
	_, err1 = s.Plan(ctx, "a")
	_, err2 = s.Plans(ctx, ota.PlanQuery{})
	_, err3 = s.Commit(ctx, commit("a", 1))
	for _, err := range []error{err1, err2, err3} {
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Equal(t, want, contents(t, s))
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, files, 1, "a Create that failed leaves no file")
	require.Equal(t, want, contents(t, open(t, dir)))
}

// A text is kept as it is, or refused.
func TestTexts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	require.NoError(t, create(s, "a", ""))
	c := commit("a", 1)
	for _, text := range []string{"\xff", "\\\xff", "ok\xc3"} {
		c.Head.Owner = text
		_, err := s.Commit(t.Context(), c)
		require.ErrorIs(t, err, ota.ErrRefused, "%q", text)
		c.Head.Owner = "engine"
	}
	for n, text := range []string{"\uFFFD", `\ufffd`, `\\ufffd`, "\x00\n\u2028<&>\"\\"} {
		c := commit("a", n+1)
		c.Head.Owner = text
		_, err := s.Commit(t.Context(), c)
		require.NoError(t, err, "%q", text)
		p, err := open(t, dir).Plan(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, text, p.Head.Owner)
	}
}

// Of those who race for a plan or a commit exactly one wins.
func TestRaces(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	race := func(f func(i int) error) (wins int, others []error) {
		var group sync.WaitGroup
		var mu sync.Mutex
		for i := range 32 {
			group.Go(func() {
				err := f(i)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					wins++
				} else {
					others = append(others, err)
				}
			})
		}
		group.Wait()
		return wins, others
	}
	wins, others := race(func(i int) error { return create(s, fmt.Sprint("p", i%2), "key") })
	require.Equal(t, 1, wins)
	for _, err := range others {
		require.ErrorIs(t, err, ota.ErrExists)
	}
	require.NoError(t, create(s, "a", ""))
	wins, others = race(func(int) error { _, err := s.Commit(context.Background(), commit("a", 1)); return err })
	require.Equal(t, 1, wins)
	for _, err := range others {
		require.ErrorIs(t, err, ota.ErrConflict)
	}
}

// A write that fails is an error, changes nothing that is read, and ends commits until the folder
// is opened again.
func TestFailedWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	require.NoError(t, create(s, "a", ""))
	want := contents(t, s)
	require.NoError(t, s.plans["a"].file.Close())
	for range 2 {
		_, err := s.Commit(t.Context(), commit("a", 1))
		require.Error(t, err)
		require.Equal(t, want, contents(t, s))
	}
	again := open(t, dir)
	_, err := again.Commit(t.Context(), commit("a", 1))
	require.NoError(t, err)
}

// The Store keeps every rule of the contract, also after it was opened again.
func TestFilesKeepTheContract(t *testing.T) {
	t.Parallel()
	var dirs sync.Map
	storetest.Run(t, func(t *testing.T) ota.Store {
		dir := t.TempDir()
		s := open(t, dir)
		dirs.Store(s, dir)
		return s
	}, storetest.Options{Reopen: func(t *testing.T, s ota.Store) ota.Store {
		dir, _ := dirs.Load(s)
		return open(t, dir.(string))
	}})
}

// An engine drives a plan on it.
func TestEngine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, err := ota.New(open(t, dir), ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		return ota.Result{Version: a.ToVersion}, nil
	}), ota.Options{})
	require.NoError(t, err)
	p, err := e.Create(t.Context(), ota.Spec{ID: "p", Name: "n", ToVersion: "2", Agents: ota.AgentIDs("a", "b", "c")})
	require.NoError(t, err)
	_, err = e.Start(t.Context(), p.ID, ota.Request{})
	require.NoError(t, err)
	_, err = e.RunPlan(t.Context(), p.ID)
	require.NoError(t, err)
	row, err := open(t, dir).Plan(t.Context(), "p")
	require.NoError(t, err)
	require.Equal(t, ota.StatusCompleted, row.Head.Status)
	require.Equal(t, ota.CoverageAll, row.Head.Coverage)
}
