package scenarios

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// stuckWorld is a fleet whose agent "b" is stuck in the first call that is made for it: the call
// ignores its context until release is closed. It counts what one engine has under way for one
// agent.
type stuckWorld struct {
	*require.Assertions
	t       *testing.T
	store   *memstore.Store
	release chan struct{}

	abandonAfter time.Duration // of every engine

	mu    sync.Mutex
	stuck bool
	fails int            // how many of the next calls for "b" fail
	out   bool           // the stuck call is
	rival string         // a plan that tries to get "b" after every commit while the stuck call is out; none when it is empty
	busy  map[string]int // calls out, by engine and agent
	wrong []string       // for example calls that were made while another was out, but for repeats by their Key
	runs  map[string]string
	keys  map[string]string // of the newest call
	ends  []func()
}

func newStuckWorld(t *testing.T) *stuckWorld {
	return &stuckWorld{
		Assertions: require.New(t), t: t, store: memstore.New(), release: make(chan struct{}),
		busy: map[string]int{}, runs: map[string]string{"a": "1", "b": "1", "c": "1"}, keys: map[string]string{},
	}
}

// mortal is the Store as one engine sees it, until that engine is killed.
type mortal struct {
	*memstore.Store
	dead atomic.Bool
	w    *stuckWorld
}

var errKilled = errors.New("killed")

func (m *mortal) Renew(ctx context.Context, engine string, ttl time.Duration) error {
	if m.dead.Load() {
		return errKilled
	}
	return m.Store.Renew(ctx, engine, ttl)
}

func (m *mortal) Keep(ctx context.Context, plan, engine string, agents []string) error {
	if m.dead.Load() {
		return errKilled
	}
	return m.Store.Keep(ctx, plan, engine, agents)
}

func (m *mortal) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	if m.dead.Load() {
		return 0, errKilled
	}
	rev, err := m.Store.Commit(ctx, c)
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	if m.w.out && m.w.rival != "" {
		if _, total, err := m.Claim(ctx, m.w.rival, ""); err != nil || total != 1 {
			m.w.wrong = append(m.w.wrong, fmt.Sprintf("after a commit that made the plan %s the agent was free: %d, %v", c.Head.Status, total, err))
		}
	}
	return rev, err
}

// engine begins to run an engine, and returns what stops and what kills it; said again, the latter
// lets its goroutines end.
func (w *stuckWorld) engine(name string) (e *ota.Engine, stop, kill func()) {
	store := &mortal{Store: w.store, w: w}
	id := new(int)
	e, err := ota.New(store, ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) { return w.call(fmt.Sprintf("%p", id), a) }),
		ota.Options{Name: name, AbandonAfter: w.abandonAfter})
	w.NoError(err)
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = e.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	w.ends = append(w.ends, stop)
	return e, stop, func() { store.dead.Store(!store.dead.Load()) }
}

func (w *stuckWorld) call(engine string, a ota.Attempt) (ota.Result, error) {
	w.mu.Lock()
	at := engine + a.Agent
	if w.busy[at]++; w.busy[at] > 1 && w.keys[at] != a.Key() {
		w.wrong = append(w.wrong, "called while another call was out: "+a.Key())
	}
	w.keys[at] = a.Key()
	stuck := a.Agent == "b" && !w.stuck
	w.stuck, w.out = w.stuck || stuck, w.out || stuck
	w.mu.Unlock()
	if stuck {
		<-w.release
	}
	time.Sleep(time.Second)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy[at]--
	w.out = w.out && !stuck
	if a.Agent == "b" && !stuck && w.fails > 0 {
		w.fails--
		return ota.Result{}, ota.Permanent(errors.New("no"))
	}
	w.runs[a.Agent] = a.ToVersion
	return ota.Result{Version: a.ToVersion}, nil
}

func (w *stuckWorld) end() {
	for _, stop := range w.ends {
		stop()
	}
	w.Empty(w.wrong)
}

// version is what an agent runs.
func (w *stuckWorld) version(agent string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.runs[agent]
}

// sticky makes the next call for "b" the one that gets stuck, or none.
func (w *stuckWorld) sticky(next bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stuck = !next
}

// watch makes a plan the rival, or, without one, no plan any more.
func (w *stuckWorld) watch(rival string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rival = rival
}

func (w *stuckWorld) create(e *ota.Engine, to string) string {
	all := 1.0
	p, err := e.Create(w.t.Context(), ota.Spec{
		Name: "to " + to, FromVersion: "1", ToVersion: to, Agents: ota.AgentIDs("a", "b", "c"),
		Policy: ota.Policy{FailureThreshold: &all, AttemptTimeout: 10 * time.Minute, Concurrency: 1},
	})
	w.NoError(err)
	return p.ID
}

// started is a plan to version 2 whose call for "b" is out.
func (w *stuckWorld) started(e *ota.Engine) string {
	id := w.create(e, "2")
	rival, err := e.Create(w.t.Context(), ota.Spec{Name: "rival", FromVersion: "1", ToVersion: "4", Agents: ota.AgentIDs("b")})
	w.NoError(err)
	w.watch(rival.ID)
	_, err = e.Start(w.t.Context(), id, ota.Request{})
	w.NoError(err)
	time.Sleep(time.Minute)
	w.Equal("1", w.version("b"))
	return id
}

func (w *stuckWorld) status(e *ota.Engine, id string) ota.Status {
	p, err := e.Plan(w.t.Context(), id)
	w.NoError(err)
	return p.Status
}

// waysOut are the ways in which a call can be out when nothing waits for it any more. Each leads to
// the end of the plan.
var waysOut = []struct {
	name string
	late bool // another plan may get the agent for as long as the call has to return, Options.AbandonAfter
	lead func(*stuckWorld, *ota.Engine, string, func()) (driven *ota.Engine)
}{
	{"abandoned by its time limit", false, func(_ *stuckWorld, e *ota.Engine, _ string, _ func()) *ota.Engine {
		time.Sleep(20 * time.Minute)
		return e
	}},
	{"interrupted by cancel", false, func(w *stuckWorld, e *ota.Engine, id string, _ func()) *ota.Engine {
		_, err := e.Cancel(w.t.Context(), id, true, ota.Request{})
		w.NoError(err)
		time.Sleep(time.Minute)
		return e
	}},
	{"given up at shutdown", false, func(w *stuckWorld, _ *ota.Engine, _ string, stop func()) *ota.Engine {
		stop()
		next, _, _ := w.engine("two") // repeats the call, which is not stuck this time
		time.Sleep(time.Minute)
		return next
	}},
	{"given up at a fence", true, func(w *stuckWorld, _ *ota.Engine, _ string, _ func()) *ota.Engine {
		next, _, _ := w.engine("one") // takes the plan over under the same name
		time.Sleep(time.Minute)
		return next
	}},
	{"reported meanwhile", true, func(w *stuckWorld, e *ota.Engine, id string, _ func()) *ota.Engine {
		w.NoError(e.ReportOutcomes(w.t.Context(), id, []ota.OutcomeReport{{Agent: "b", Number: 1, Reason: ota.ReasonSucceeded, Version: "2"}}))
		time.Sleep(time.Minute)
		return e
	}},
}

// whatsNext is what may come for an agent whose call is out although its plan has ended.
var whatsNext = []struct {
	name string
	then func(w *stuckWorld, e *ota.Engine, id string, kill func())
}{
	{"another plan", func(w *stuckWorld, e *ota.Engine, id string, _ func()) {
		w.refusedUntilReturn(e, id)
	}},
	{"another plan by another engine", func(w *stuckWorld, _ *ota.Engine, id string, _ func()) {
		other, _, _ := w.engine("three")
		w.refusedUntilReturn(other, id)
	}},
	{"prune", func(w *stuckWorld, e *ota.Engine, id string, _ func()) {
		n, err := w.store.Prune(w.t.Context(), time.Now())
		w.NoError(err)
		w.Equal(1, n)
		time.Sleep(20 * time.Minute)
		w.refusedUntilReturn(e, id)
	}},
	{"rollback", func(w *stuckWorld, e *ota.Engine, id string, _ func()) { w.takenBackLast(e, e, id) }},
	{"rollback by another engine", func(w *stuckWorld, e *ota.Engine, id string, _ func()) {
		for _, stop := range w.ends {
			stop()
		}
		other, _, _ := w.engine("three")
		w.takenBackLast(other, other, id)
	}},
	{"the engine is killed", func(w *stuckWorld, e *ota.Engine, id string, kill func()) {
		other, _, _ := w.engine("three")
		next := w.create(other, "3")
		_, err := other.Start(w.t.Context(), next, ota.Request{})
		w.ErrorIs(err, ota.ErrClaimed)
		kill()
		w.watch("")
		time.Sleep(time.Minute)
		_, err = other.Start(w.t.Context(), next, ota.Request{})
		w.NoError(err, "the lease of who made the call has ended")
		time.Sleep(time.Minute)
		w.Equal(ota.StatusCompleted, w.status(other, next))
		kill()
		close(w.release)
		time.Sleep(time.Minute)
	}},
}

// refusedUntilReturn starts another plan of the same agents.
func (w *stuckWorld) refusedUntilReturn(e *ota.Engine, first string) {
	next := w.create(e, "3")
	for range 3 {
		_, err := e.Start(w.t.Context(), next, ota.Request{})
		var claimed *ota.ClaimError
		w.ErrorAs(err, &claimed)
		w.Equal(1, claimed.Total, "%v", err)
		c := claimed.Conflicts[0]
		w.Equal("b", c.Agent)
		w.Equal(first, c.Plan)
		w.True(strings.HasPrefix(c.Engine, "one#"), c.Engine)
		w.Contains(err.Error(), "has not returned")
		p, err := e.Precheck(w.t.Context(), next, ota.Request{})
		w.NoError(err)
		w.Equal(claimed.Conflicts, p.Readiness.Conflicts)
		time.Sleep(20 * time.Minute)
	}
	close(w.release)
	time.Sleep(10 * time.Second)
	owners, err := w.store.Owners(w.t.Context())
	w.NoError(err)
	w.NotContains(strings.Join(owners, " "), "#", "the lease of the instance has ended with its last call")
	_, err = e.Start(w.t.Context(), next, ota.Request{})
	w.NoError(err)
	time.Sleep(time.Minute)
	w.Equal(ota.StatusCompleted, w.status(e, next))
	w.Equal("333", w.version("a")+w.version("b")+w.version("c"))
}

// takenBackLast rolls a plan back.
func (w *stuckWorld) takenBackLast(e, driver *ota.Engine, id string) {
	w.takenBackLastBy(e, driver, id, ota.RollbackSpec{})
}

func (w *stuckWorld) takenBackLastBy(e, driver *ota.Engine, id string, spec ota.RollbackSpec) {
	r, err := e.Rollback(w.t.Context(), id, spec, ota.Request{})
	w.NoError(err)
	time.Sleep(20 * time.Minute)
	p, err := driver.Plan(w.t.Context(), r.ID)
	w.NoError(err)
	w.Equal(1, p.Counts.Pending, "only the stuck agent is left")
	w.Equal(p.Agents-1, p.Counts.Succeeded)
	w.Zero(p.Counts.Running+p.Counts.Waiting, "it waits without a slot")
	x, err := driver.Explain(w.t.Context(), r.ID)
	w.NoError(err)
	w.Contains(x.Sentence(), "b")
	w.Equal(ota.ReasonAbandonedCall, x.Blockers[0].Reason)
	close(w.release)
	time.Sleep(time.Minute)
	w.Equal(ota.StatusRolledBack, w.status(e, id))
	w.Equal("1", w.version("b"), "the rollback has the last word")
}

// TestACallThatIsOutProtectsItsAgent takes every way in which a call can be out at the end of its
// plan, and what may come next.
func TestACallThatIsOutProtectsItsAgent(t *testing.T) {
	for _, way := range waysOut {
		for _, next := range whatsNext {
			t.Run(way.name+"/"+next.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newStuckWorld(t)
					e, stop, kill := w.engine("one")
					id := w.started(e)
					if way.late {
						w.watch("")
					}
					driven := way.lead(w, e, id, stop)
					w.True(w.status(driven, id).Ended(), "%v", w.status(driven, id))
					next.then(w, driven, id, kill)
					w.end()
				})
			})
		}
	}
}
