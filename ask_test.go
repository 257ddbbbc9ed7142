package ota

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
