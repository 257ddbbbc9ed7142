// Package scenarios tests the engine by what package ota exports.
package scenarios

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/harness"
)

// scripted is a fleet in memory. What an agent does is told by its ID up to the first hyphen, unless do says otherwise.
type scripted struct {
	latency time.Duration
	do      func(ctx context.Context, a ota.Attempt) (res ota.Result, handled bool, err error)
	health  func(a ota.Attempt) (ota.Health, error)
	inspect func(a ota.Attempt) (ota.Inspection, error)

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
	ota.Attempt
	at time.Time
}

func newScripted() *scripted {
	return &scripted{latency: time.Second, versions: map[string]string{}, stuck: make(chan struct{})}
}

func (s *scripted) Execute(ctx context.Context, a ota.Attempt) (ota.Result, error) {
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
		return ota.Result{}, ctx.Err()
	case "stuck":
		<-s.stuck
		return ota.Result{}, errors.New("late")
	case "slow":
		return s.upgrade(ctx, a, 10*s.latency)
	case "panic":
		panic("broken script")
	case "exit":
		runtime.Goexit()
	}
	if err := nap(ctx, s.latency); err != nil {
		return ota.Result{}, err
	}
	switch kind {
	case "fail":
		return ota.Result{}, errors.New("no")
	case "flaky":
		if a.Number == 1 {
			return ota.Result{}, errors.New("not yet")
		}
	case "perm":
		return ota.Result{}, ota.Permanent(errors.New("useless"))
	case "reject":
		return ota.Result{}, ota.Rejected(errors.New("I will not"))
	case "clean":
		return ota.Result{}, ota.Unchanged(ota.Permanent(errors.New("refused before anything changed")))
	case "away":
		return ota.Result{}, ota.Unreachable(errors.New("no route"))
	case "busy":
		return ota.Result{}, ota.Throttled(errors.New("later"), time.Minute)
	case "wrong":
		return ota.Result{Version: "9"}, nil
	case "same":
		return ota.Result{Version: a.ToVersion, Unchanged: true}, nil
	}
	return s.upgrade(ctx, a, 0)
}

func (s *scripted) upgrade(ctx context.Context, a ota.Attempt, after time.Duration) (ota.Result, error) {
	if err := nap(ctx, after); err != nil {
		return ota.Result{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions[a.Agent] = a.ToVersion
	return ota.Result{Version: a.ToVersion}, nil
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

// made returns the calls for one agent, or all of them.
func (s *scripted) made(agent string) []madeCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	if agent == "" {
		return slices.Clone(s.calls)
	}
	return slices.DeleteFunc(slices.Clone(s.calls), func(c madeCall) bool { return c.Agent != agent })
}

// probed and inspected are scripted with a companion.
type probed struct{ *scripted }

func (p probed) Health(_ context.Context, a ota.Attempt) (ota.Health, error) { return p.health(a) }

type inspected struct{ *scripted }

func (p inspected) Inspect(_ context.Context, a ota.Attempt) (ota.Inspection, error) {
	return p.inspect(a)
}

// scene is one test in a bubble of its own: a store that checks every commit, a fleet, and an engine.
type scene struct {
	*testing.T
	ctx   context.Context
	store *harness.CheckedStore
	fleet *scripted
	e     *ota.Engine
}

func inScene(t *testing.T, f func(s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{T: t, ctx: t.Context(), store: harness.NewCheckedStore(t), fleet: newScripted()}
		s.e = s.engine(s.store, s.fleet, "one")
		t.Cleanup(s.fleet.free)
		f(s)
	})
}

func (s *scene) engine(store ota.Store, x ota.Executor, name string) *ota.Engine {
	s.Helper()
	return s.engineOf(store, x, ota.Options{Name: name})
}

// engineOf makes an engine that polls seldom, if the test does not say how often: most of many scenes
// is waiting.
func (s *scene) engineOf(store ota.Store, x ota.Executor, o ota.Options) *ota.Engine {
	s.Helper()
	if o.Poll == 0 {
		o.Poll = 10 * time.Second
	}
	e, err := ota.New(store, x, o)
	require.NoError(s, err)
	return e
}

// use makes the scene's engine one with another executor.
func (s *scene) use(x ota.Executor) { s.e = s.engine(s.store, x, "one") }

// create makes a plan of the given agents.
func (s *scene) create(p ota.Policy, shape ota.Shape, agents ...string) ota.Plan {
	s.Helper()
	plan, err := s.e.Create(s.ctx, ota.Spec{
		Name: "test", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs(agents...), Shape: shape, Policy: p,
	})
	require.NoError(s, err)
	return plan
}

// start makes a plan of the given agents and starts it.
func (s *scene) start(p ota.Policy, shape ota.Shape, agents ...string) string {
	s.Helper()
	id := s.create(p, shape, agents...).ID
	_, err := s.e.Start(s.ctx, id, ota.Request{Actor: "ann"})
	require.NoError(s, err)
	return id
}

// drive runs a plan until it is paused or has ended.
func (s *scene) drive(id string) ota.Plan {
	s.Helper()
	p, err := s.e.RunPlan(s.ctx, id)
	require.NoError(s, err)
	return p
}

// run calls Run of an engine, and returns what ends it. The end of the test ends it too.
func (s *scene) run(e *ota.Engine) (stop func() error) {
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

func (s *scene) plan(id string) ota.Plan {
	s.Helper()
	p, err := s.e.Plan(s.ctx, id)
	require.NoError(s, err)
	return p
}

func (s *scene) status(id string, want ota.Status) {
	s.Helper()
	require.Equal(s, want.String(), s.plan(id).Status.String())
}

// stays asserts that a plan keeps its status and its records for ten minutes, while an engine runs.
func (s *scene) stays(id string, want ota.Status) {
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

func (s *scene) agents(id string) map[string]ota.AgentInfo {
	s.Helper()
	out := map[string]ota.AgentInfo{}
	for q := (ota.AgentQuery{}); ; {
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

func (s *scene) agent(id, agent string) ota.AgentInfo {
	s.Helper()
	a, ok := s.agents(id)[agent]
	require.True(s, ok, "no agent %s", agent)
	return a
}

func (s *scene) log(id string) []ota.Record { s.Helper(); return s.store.Records(id) }

// events returns the events of a plan of one kind.
func (s *scene) events(id string, kind ota.EventKind) (out []ota.Event) {
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

func (s *scene) explain(id string) ota.Explanation {
	s.Helper()
	x, err := s.e.Explain(s.ctx, id)
	require.NoError(s, err)
	return x
}

func (s *scene) reasons(id string) (out []string) {
	s.Helper()
	for _, b := range s.explain(id).Blockers {
		out = append(out, b.Reason.String())
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

// faulty is an error of which every method panics.
type faulty struct{}

func (*faulty) Error() string { panic("no text") }

func (*faulty) Unwrap() error { panic("nothing inside") }

func (*faulty) Is(error) bool { panic("no idea") }

func (*faulty) As(target any) bool { panic("neither") }

// componentTasks are tasks for that many components, each with versions of its own but the first, which has the plan's.
func componentTasks(n int) []ota.TaskSpec {
	var tasks []ota.TaskSpec
	for i := range n {
		t := ota.TaskSpec{Component: ota.Component{Name: fmt.Sprint("c", i), Instance: fmt.Sprint("i", i)}}
		if i > 0 {
			t.FromVersion, t.ToVersion = componentVersions(t.Component.Name)
		}
		tasks = append(tasks, t)
	}
	return tasks
}

// componentVersions are what componentTasks brings a component from and to.
func componentVersions(name string) (from, to string) {
	switch name {
	case "", "c0":
		return "1", "2"
	default:
		return "1." + name[1:], "2." + name[1:]
	}
}
