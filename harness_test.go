package ota

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// scripted is a fleet in memory. What an agent does is told by its ID up to the first hyphen, unless do says otherwise.
type scripted struct {
	latency time.Duration
	do      func(ctx context.Context, a Attempt) (res Result, handled bool, err error)

	mu       sync.Mutex
	calls    []madeCall
	versions map[string]string
	out      int
	most     int // calls out at once, at most
	stuck    chan struct{}
	freed    sync.Once
}

// free lets the calls return that ignore their contexts.
func (s *scripted) free() { s.freed.Do(func() { close(s.stuck) }) }

type madeCall struct {
	Attempt
	at time.Time
}

func newScripted() *scripted {
	return &scripted{latency: time.Second, versions: map[string]string{}, stuck: make(chan struct{})}
}

func (s *scripted) Execute(ctx context.Context, a Attempt) (Result, error) {
	s.mu.Lock()
	s.calls = append(s.calls, madeCall{a, time.Now()})
	s.out++
	s.most = max(s.most, s.out)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.out--
		s.mu.Unlock()
	}()
	if s.do != nil {
		if res, handled, err := s.do(ctx, a); handled {
			return res, err
		}
	}
	kind, _, _ := strings.Cut(a.Agent, "-")
	if a.IsRollback {
		kind = "ok"
	}
	switch kind {
	case "hang":
		<-ctx.Done()
		return Result{}, ctx.Err()
	case "stuck":
		<-s.stuck
		return Result{}, errors.New("late")
	case "slow":
		return s.upgrade(ctx, a, 10*s.latency)
	case "panic":
		panic("broken script")
	case "exit":
		runtime.Goexit()
	}
	if err := nap(ctx, s.latency); err != nil {
		return Result{}, err
	}
	switch kind {
	case "fail":
		return Result{}, errors.New("no")
	case "flaky":
		if a.Number == 1 {
			return Result{}, errors.New("not yet")
		}
	case "perm":
		return Result{}, Permanent(errors.New("useless"))
	case "reject":
		return Result{}, Rejected(errors.New("I will not"))
	case "clean":
		return Result{}, Unchanged(Permanent(errors.New("refused before anything changed")))
	case "away":
		return Result{}, Unreachable(errors.New("no route"))
	case "busy":
		return Result{}, Throttled(errors.New("later"), time.Minute)
	case "wrong":
		return Result{Version: "9"}, nil
	case "same":
		return Result{Version: a.ToVersion, Unchanged: true}, nil
	}
	return s.upgrade(ctx, a, 0)
}

func (s *scripted) upgrade(ctx context.Context, a Attempt, after time.Duration) (Result, error) {
	if err := nap(ctx, after); err != nil {
		return Result{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions[a.Agent] = a.ToVersion
	return Result{Version: a.ToVersion}, nil
}

func nap(ctx context.Context, d time.Duration) error {
	if d <= 0 { // a timer that is due at once, in a bubble and under the race detector, crashes Go 1.26's runtime now and then
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// forgetful is a Store that loses so many acknowledgements of owners' commits.
type forgetful struct {
	*testStore
	ack atomic.Int64
}

func (f *forgetful) Commit(ctx context.Context, c Commit) (uint64, error) {
	revision, err := f.testStore.Commit(ctx, c)
	if err == nil && c.If.Epoch != 0 && f.ack.Load() > 0 && f.ack.Add(-1) >= 0 {
		return 0, errors.New("the acknowledgement got lost")
	}
	return revision, err
}

// bare hides a store's companions on purpose.
type bare struct{ Store }

func (bare) Unwrap() Store { return nil }

// scene is one test in a bubble of its own: a store, a fleet, and an engine. The scenarios have a scene whose store checks every
// commit; this one is for tests that need what is unexported.
type scene struct {
	*testing.T
	ctx   context.Context
	store *forgetful
	fleet *scripted
	e     *Engine
}

func inScene(t *testing.T, f func(s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{T: t, ctx: t.Context(), store: &forgetful{testStore: newTestStore()}, fleet: newScripted()}
		s.e = s.engine(s.store, s.fleet, "one")
		t.Cleanup(s.fleet.free)
		f(s)
	})
}

func (s *scene) engine(store Store, x Executor, name string) *Engine {
	s.Helper()
	return s.engineOf(store, x, Options{Name: name})
}

func (s *scene) engineOf(store Store, x Executor, o Options) *Engine {
	s.Helper()
	e, err := New(store, x, o)
	require.NoError(s, err)
	return e
}

// use makes the scene's engine one with another executor.
func (s *scene) use(x Executor) { s.e = s.engine(s.store, x, "one") }

// create makes a plan of the given agents.
func (s *scene) create(p Policy, shape Shape, agents ...string) Plan {
	s.Helper()
	plan, err := s.e.Create(s.ctx, Spec{
		Name: "test", FromVersion: "1", ToVersion: "2", Agents: AgentIDs(agents...), Shape: shape, Policy: p,
	})
	require.NoError(s, err)
	return plan
}

// start makes a plan of the given agents and starts it.
func (s *scene) start(p Policy, shape Shape, agents ...string) string {
	s.Helper()
	id := s.create(p, shape, agents...).ID
	_, err := s.e.Start(s.ctx, id, Request{Actor: "ann"})
	require.NoError(s, err)
	return id
}

// drive runs a plan until it is paused or has ended.
func (s *scene) drive(id string) Plan {
	s.Helper()
	p, err := s.e.RunPlan(s.ctx, id)
	require.NoError(s, err)
	return p
}

// run calls Run of an engine, and returns what ends it. The end of the test ends it too.
func (s *scene) run(e *Engine) (stop func() error) {
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() { cancel(); err = <-done })
		return err
	}
	s.Cleanup(func() { _ = stop() })
	return stop
}

// after sleeps, and lets everything settle.
func (s *scene) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (s *scene) plan(id string) Plan {
	s.Helper()
	p, err := s.e.Plan(s.ctx, id)
	require.NoError(s, err)
	return p
}

func (s *scene) status(id string, want Status) {
	s.Helper()
	require.Equal(s, want.String(), s.plan(id).Status.String())
}

// stays asserts that a plan keeps its status and its records for ten minutes, while an engine runs.
func (s *scene) stays(id string, want Status) {
	s.Helper()
	s.status(id, want)
	stop := s.run(s.e)
	s.after(time.Second)
	before := s.plan(id).Revision
	s.after(10 * time.Minute)
	require.NoError(s, stop())
	s.status(id, want)
	require.Equal(s, before, s.plan(id).Revision, "something was written although nothing happened")
}

func (s *scene) agents(id string) map[string]AgentInfo {
	s.Helper()
	out := map[string]AgentInfo{}
	for q := (AgentQuery{}); ; {
		page, err := s.e.Agents(s.ctx, id, q)
		require.NoError(s, err)
		for _, a := range page.Items {
			out[a.ID] = a
			q.From = a.Ordinal + 1
		}
		if !page.More {
			return out
		}
	}
}

func (s *scene) agent(id, agent string) AgentInfo {
	s.Helper()
	a, ok := s.agents(id)[agent]
	require.True(s, ok, "no agent %s", agent)
	return a
}

func (s *scene) log(id string) []Record {
	s.Helper()
	rows, err := s.store.rows().Log(s.ctx, id, 0, 1<<20)
	require.NoError(s, err)
	out := make([]Record, len(rows))
	for i, r := range rows {
		out[i], err = decodeRecord(id, r)
		require.NoError(s, err)
	}
	return out
}

// events returns the events of a plan of one kind.
func (s *scene) events(id string, kind EventKind) (out []Event) {
	s.Helper()
	for _, r := range s.log(id) {
		for _, e := range r.Events {
			if e.Kind == kind {
				out = append(out, e)
			}
		}
	}
	return out
}

// names returns n IDs with a prefix.
func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s-%03d", prefix, i)
	}
	return out
}

func ptr[T any](v T) *T { return &v }

func (s *scene) batch(id string, index int) Batch {
	s.Helper()
	for b, err := range s.e.Batches(s.ctx, id, index) {
		require.NoError(s, err)
		return b
	}
	s.Fatalf("no batch %d", index)
	return Batch{}
}

func (s *scene) said(p Plan, err error) Plan {
	s.Helper()
	require.NoError(s, err)
	return p
}

func listed(agents []Agent) iter.Seq2[Agent, error] {
	return func(yield func(Agent, error) bool) {
		for _, a := range agents {
			if !yield(a, nil) {
				return
			}
		}
	}
}

func ids(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s-%03d", prefix, i)
	}
	return out
}
