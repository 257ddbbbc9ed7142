package ota

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota/internal/lazyctx"
)

// asked is a fleet whose first question of a kind is not answered as it should be.
type asked struct {
	*scripted
	first func(ctx context.Context, hung <-chan struct{}) error
	hung  chan struct{}

	mu    sync.Mutex
	count int // questions so far
	out   map[string]int
	twice bool // two questions about one agent were out at once
}

func (q *asked) question(ctx context.Context, about string) error {
	q.mu.Lock()
	q.count++
	first := q.count == 1
	q.out[about]++
	q.twice = q.twice || q.out[about] > 1
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		q.out[about]--
		q.mu.Unlock()
	}()
	if first {
		return q.first(ctx, q.hung)
	}
	return nap(ctx, 2*time.Second)
}

type (
	askedProber     struct{ *asked }
	askedInspector  struct{ *asked }
	askedGater      struct{ *asked }
	askedPrechecker struct{ *asked }
)

func (q askedProber) Health(ctx context.Context, a Attempt) (Health, error) {
	return Health{Healthy: true}, q.question(ctx, a.Agent)
}

func (q askedInspector) Inspect(ctx context.Context, a Attempt) (Inspection, error) {
	return Inspection{State: InspectUnknown}, q.question(ctx, a.Agent)
}

func (q askedGater) Gate(ctx context.Context, _ Plan, _ Batch) (GateVerdict, error) {
	return GatePass, q.question(ctx, "batch")
}

func (q askedPrechecker) Precheck(ctx context.Context, a Attempt) (Precheck, error) {
	return Precheck{}, q.question(ctx, a.Agent)
}

var questions = map[string]func(*asked) Executor{
	"probe":    func(q *asked) Executor { return askedProber{q} },
	"inspect":  func(q *asked) Executor { return askedInspector{q} },
	"gate":     func(q *asked) Executor { return askedGater{q} },
	"precheck": func(q *asked) Executor { return askedPrechecker{q} },
}

var answers = map[string]func(ctx context.Context, hung <-chan struct{}) error{
	"an error":                 func(context.Context, <-chan struct{}) error { return errors.New("who knows") },
	"a panic":                  func(context.Context, <-chan struct{}) error { panic("who knows") },
	"the end of its goroutine": func(context.Context, <-chan struct{}) error { runtime.Goexit(); return nil },
	"the end of its context":   func(ctx context.Context, _ <-chan struct{}) error { <-ctx.Done(); return ctx.Err() },
	hanging:                    func(_ context.Context, hung <-chan struct{}) error { <-hung; return nil },
}

const hanging = "none, although its time is up"

// Every question has exactly one answer, whatever the Executor does. So a plan goes on, an engine ends, and a question that is
// out is not asked a second time, also when the plan is loaded again meanwhile.
func TestEveryQuestionIsAnswered(t *testing.T) {
	for kind, executor := range questions {
		for name, first := range answers {
			t.Run(kind+"/"+name, func(t *testing.T) {
				inScene(t, func(s *scene) { playQuestion(s, kind, executor, first, name == hanging) })
			})
		}
	}
}

func playQuestion(s *scene, kind string, executor func(*asked) Executor, first func(context.Context, <-chan struct{}) error, hangs bool) {
	q := &asked{scripted: s.fleet, first: first, hung: make(chan struct{}), out: map[string]int{}}
	s.Cleanup(func() { close(q.hung) })
	p := Policy{Gate: Gate{Interval: time.Second, MaxErrors: 3}, UnreachableTimeout: time.Hour}
	if kind == "probe" {
		p.Soak = Soak{Duration: 10 * time.Second, Interval: time.Second}
	}
	agents := names("ok", 3)
	if kind == "inspect" {
		agents[0] = "stall-000"
		calls := 0
		s.fleet.do = func(ctx context.Context, a Attempt) (Result, bool, error) {
			if a.Agent == agents[0] && calls == 0 {
				calls++
				<-ctx.Done()
				return Result{}, true, ctx.Err()
			}
			return Result{Version: a.ToVersion}, true, nil
		}
	}
	s.use(executor(q))
	id := s.start(p, Shape{}, agents...)
	if kind == "inspect" { // its call has to be lost first
		stop := s.run(s.e)
		s.after(time.Second)
		require.NoError(s, stop())
		s.use(executor(q))
	}
	stop := s.run(s.e)
	for range 40 { // whoever loads the plan again asks again
		s.after(time.Second)
		_, err := s.engine(s.store, nil, "two").Annotate(s.ctx, id, map[string]string{"at": time.Now().String()}, nil, Request{})
		require.NoError(s, err)
		if d := s.e.driver(id); d != nil {
			d.post(func(m *mail) { m.inspections = append(m.inspections, func(x *session) { x.drop() }) })
		}
	}
	s.after(5 * time.Minute)
	s.status(id, StatusCompleted)
	require.Positive(s, q.count)
	require.False(s, q.twice && !hangs, "asked twice at once, and the first was not given up")
	begun := time.Now()
	require.NoError(s, stop())
	require.Less(s, time.Since(begun), 2*time.Minute)
}

// poolOf returns a pool without an owner, whose calls go on until release is closed, and how many are out.
func poolOf(t *testing.T) (p *pool, out *atomic.Int32, release chan struct{}) {
	t.Helper()
	out, release = new(atomic.Int32), make(chan struct{})
	exec := ExecutorFunc(func(context.Context, Attempt) (Result, error) {
		out.Add(1)
		defer out.Add(-1)
		<-release // it ignores its context
		return Result{}, nil
	})
	p = newPool(exec, &callClock{clock.New()}, t.Context(), func() {}, func(time.Time) bool { return true })
	p.onAbandoned, p.onReturned = func(job) {}, func(outcome) {}
	return p, out, release
}

func jobs(from, n int) (js []job) {
	for i := range n {
		js = append(js, job{template: &Attempt{}, agent: strconv.Itoa(from + i), ordinal: from + i, number: 1})
	}
	return js
}

// Every call that was handed over is made at once, also when all others take their time: a worker that takes a job sees to the
// next one first.
func TestCallsAreMadeAtOnce(t *testing.T) {
	for _, crowded := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p, out, release := poolOf(t)
			handed := 0
			for _, n := range []int{1, 10, 53} {
				p.push(jobs(handed, n), 64, crowded)
				handed += n
				synctest.Wait()
				require.EqualValues(t, handed, out.Load())
			}
			close(release)
			synctest.Wait()
			done, _ := p.fetch(nil)
			require.Len(t, done, 64)
			p.push(jobs(64, 64), 64, crowded) // by workers that wait
			synctest.Wait()
			done, _ = p.fetch(nil)
			require.Len(t, done, 64)
			require.Zero(t, p.close())
		})
	}
}

// Not more calls are out than there may be workers; one that was left behind gives its place to the next call at once.
func TestAnAbandonedCallGivesItsPlaceToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, out, release := poolOf(t)
		js := jobs(0, 3)
		js[0].deadline = time.Now().Add(time.Minute).UnixNano()
		p.push(js, 2, false)
		synctest.Wait()
		require.EqualValues(t, 2, out.Load())
		time.Sleep(2 * time.Minute)
		p.abandon(time.Now(), time.Time{}, time.Second, ReasonNone)
		synctest.Wait()
		require.EqualValues(t, 3, out.Load(), "the first, which is left behind, and two that count")
		require.Equal(t, 3, p.inFlight(), "an outcome that was not fetched, and two calls")
		close(release)
		synctest.Wait()
		require.Zero(t, p.close())
	})
}

// slowProber upgrades all but those whose IDs begin with fail, and takes half a minute to say that an agent is well.
type slowProber struct{}

func (slowProber) Execute(_ context.Context, a Attempt) (Result, error) {
	if strings.HasPrefix(a.Agent, "fail") {
		return Result{}, Permanent(errors.New("no"))
	}
	return Result{}, nil
}

func (slowProber) Health(context.Context, Attempt) (Health, error) {
	time.Sleep(30 * time.Second)
	return Health{Healthy: true}, nil
}

// A paused plan comes to rest although a batch of it was closed while its agents were being asked.
func TestARoundEndsWithItsBatch(t *testing.T) {
	inScene(t, func(s *scene) {
		s.use(slowProber{})
		p := Policy{Concurrency: 1, FailureThreshold: ptr(0.1), Soak: Soak{Duration: 100 * time.Second, Interval: 10 * time.Second}}
		id := s.start(p, Shape{Size: 3}, "ok-1", "ok-2", "ok-3", "fail-1", "ok-4", "ok-5")
		stop := s.run(s.e)
		s.after(5 * time.Minute)
		s.status(id, StatusPaused)
		require.Equal(s, BatchCompleted, s.batch(id, 0).Status)
		require.Equal(s, BatchRunning, s.batch(id, 1).Status)
		require.Nil(s, s.e.driver(id), "the plan is paused and nothing is out, but it is driven on")
		require.NoError(s, stop())
		s.stays(id, StatusPaused)
		s.said(s.e.Resume(s.ctx, id, Accept(1), Request{}))
		s.drive(id)
		s.status(id, StatusCompleted)
	})
}

// A call whose Executor only asks its context for values makes no context with a deadline, and the
// cause of one that has ended stays its own.
func TestValuesOfACallContextCostNothing(t *testing.T) {
	type key struct{}
	parent, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "x"))
	defer cancel(nil)
	var c lazyctx.Context
	c.Init(&lazyctx.Parent{Context: parent, Clock: &callClock{clock.New()}}, 1)
	require.Equal(t, any("x"), c.Value(key{}))
	require.Nil(t, c.Value(0))
	fresh, n, root := make([]lazyctx.Context, 11), 0, &lazyctx.Parent{Context: parent, Clock: &callClock{clock.New()}}
	require.Zero(t, testing.AllocsPerRun(10, func() {
		fresh[n].Init(root, 1)
		fresh[n].Value(0)
		n++
	}))
	require.ErrorIs(t, c.Err(), context.DeadlineExceeded)
	cancel(errors.New("too late to matter"))
	require.Equal(t, context.DeadlineExceeded, context.Cause(&c))
}
