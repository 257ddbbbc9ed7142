package ota

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// postman begins attempts by remembering them; agents whose IDs begin with away are not reached.
type postman struct {
	mu    sync.Mutex
	begun []Attempt
	then  func(Attempt) // called by begin
}

func (p *postman) begin(_ context.Context, a Attempt) error {
	p.mu.Lock()
	p.begun = append(p.begun, a)
	p.mu.Unlock()
	if p.then != nil {
		p.then(a)
	}
	if strings.HasPrefix(a.Agent, "away") {
		return Unreachable(errors.New("no route"))
	}
	return nil
}

func (p *postman) of(agent string) (out []Attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.begun {
		if a.Agent == agent {
			out = append(out, a)
		}
	}
	return out
}

func inPost(t *testing.T, f func(s *scene, p *postman)) {
	t.Helper()
	inScene(t, func(s *scene) {
		p := &postman{}
		s.use(Async(p.begin))
		f(s, p)
	})
}

func (s *scene) report(e *Engine, id string, r ...OutcomeReport) {
	s.Helper()
	require.NoError(s, e.ReportOutcomes(s.ctx, id, r))
}

func upgraded(agent string, number int) OutcomeReport {
	return OutcomeReport{Agent: agent, Number: number, Reason: ReasonSucceeded, Version: "2"}
}

func TestAWaitingCallEndsByItsReport(t *testing.T) {
	inPost(t, func(s *scene, p *postman) {
		id := s.start(Policy{Concurrency: 2}, Shape{Size: 2}, "a-1", "a-2", "a-3")
		s.run(s.e)
		s.after(time.Second)
		require.Len(s, p.begun, 2)
		s.report(s.e, id, upgraded("a-1", 1))
		require.Equal(s, TaskSucceeded, s.agent(id, "a-1").Status, "a report is acknowledged once it is committed")
		s.after(time.Second)
		require.Equal(s, 1, s.e.drivers[id].pool.inFlight(), "the call of a-1 has returned")
		s.report(s.e, id, upgraded("a-2", 1))
		s.after(time.Second)
		s.report(s.e, id, upgraded("a-3", 1))
		s.after(time.Second)
		s.status(id, StatusCompleted)
		require.Empty(s, s.events(id, EventLate))
	})
}

func TestAReportFromWithinBegin(t *testing.T) {
	inPost(t, func(s *scene, p *postman) {
		p.then = func(a Attempt) { s.report(s.e, a.Plan, upgraded(a.Agent, a.Number)) }
		id := s.start(Policy{}, Shape{}, names("a", 20)...)
		require.Equal(s, StatusCompleted, s.drive(id).Status)
	})
}

func TestTheFirstOutcomeCounts(t *testing.T) {
	inPost(t, func(s *scene, _ *postman) {
		id := s.start(Policy{AttemptTimeout: time.Hour}, Shape{}, "a-1", "a-2")
		s.run(s.e)
		s.after(time.Second)
		s.report(s.e, id, upgraded("a-1", 1))
		before := s.plan(id).Revision
		s.report(s.e, id, upgraded("a-1", 1))
		require.Equal(s, before, s.plan(id).Revision, "the same again is nothing")
		s.report(s.e, id,
			OutcomeReport{Agent: "a-1", Number: 1, Reason: ReasonPermanent, Message: "on second thought"},
			upgraded("a-1", 2), upgraded("b-9", 1), OutcomeReport{Agent: "a-2", Task: 3, Number: 1, Reason: ReasonError})
		require.Len(s, s.events(id, EventLate), 4)
		require.Equal(s, TaskSucceeded, s.agent(id, "a-1").Status)
		require.Equal(s, TaskRunning, s.agent(id, "a-2").Status)
		s.after(2 * time.Hour)
		require.Equal(s, "timeout", s.agent(id, "a-2").Tasks[0].Reason.String())
		s.report(s.e, id, upgraded("a-2", 1))
		require.Len(s, s.events(id, EventLate), 5)
		require.Equal(s, TaskFailed, s.agent(id, "a-2").Status)
	})
}

func TestAReportedFailureIsTriedAgain(t *testing.T) {
	inPost(t, func(s *scene, p *postman) {
		id := s.start(Policy{Retry: RetryPolicy{Max: 1}}, Shape{}, "a-1", "away-2")
		s.run(s.e)
		s.after(time.Second)
		s.report(s.e, id, OutcomeReport{Agent: "a-1", Number: 1, Reason: ReasonError, Message: "disk full"})
		s.after(time.Second)
		require.Len(s, p.of("a-1"), 2)
		require.Equal(s, 2, p.of("a-1")[1].Number)
		require.Equal(s, 1, s.e.drivers[id].pool.inFlight(), "neither the first call nor an agent that is away holds a goroutine")
		s.report(s.e, id, OutcomeReport{Agent: "a-1", Number: 2, Reason: ReasonSucceeded, Version: "7"})
		require.Equal(s, "wrong_version", s.agent(id, "a-1").Tasks[0].Reason.String())
	})
}

func TestAReportThroughAnotherEngine(t *testing.T) {
	inPost(t, func(s *scene, _ *postman) {
		id := s.start(Policy{Concurrency: 9}, Shape{Size: 9}, names("a", 9)...)
		s.run(s.e)
		s.after(time.Second)
		two := s.engine(s.store, nil, "two")
		for i, name := range names("a", 9) {
			s.report(two, id, upgraded(name, 1))
			require.Equal(s, i+1, s.plan(id).Counts.Succeeded)
		}
		s.report(two, id, upgraded("a-000", 1))
		s.after(time.Second)
		s.status(id, StatusCompleted)
		require.Empty(s, s.events(id, EventLate))
		require.Len(s, s.events(id, EventOwned), 1)
	})
}

func TestAReportAfterACrash(t *testing.T) {
	inPost(t, func(s *scene, p *postman) {
		id := s.start(Policy{Concurrency: 2}, Shape{}, "a-1", "a-2", "a-3")
		stop := s.run(s.e)
		s.after(time.Second)
		require.NoError(s, stop())
		two := s.engine(s.store, Async(p.begin), "two") // it drives nothing yet
		s.report(two, id, upgraded("a-1", 1))
		require.Equal(s, TaskSucceeded, s.agent(id, "a-1").Status)
		s.run(two)
		s.after(time.Second)
		require.Len(s, p.of("a-1"), 1, "what was reported is not called again")
		require.Len(s, p.of("a-2"), 2)
		require.True(s, p.of("a-2")[1].Repeat)
		s.report(two, id, upgraded("a-2", 1), upgraded("a-3", 1))
		s.after(time.Second)
		s.status(id, StatusCompleted)
	})
}

// A paused plan repeats nothing, so its lost attempts queue. One that is reported leaves the queue.
func TestAReportTakesALostAttemptOutOfTheQueue(t *testing.T) {
	inPost(t, func(s *scene, _ *postman) {
		id := s.start(Policy{Concurrency: 2}, Shape{}, names("a", 6)...)
		stop := s.run(s.e)
		s.after(time.Second)
		require.NoError(s, stop())
		s.said(s.e.Pause(s.ctx, id, Request{}))
		x := newSession(s.store, id, "one", 0)
		turn := func(in input) {
			_, _, err := x.turn(s.ctx, time.Now(), turnInput{input: in})
			require.NoError(s, err)
		}
		turn(input{})
		later := OutcomeReport{Agent: "a-000", Number: 1, Reason: ReasonError, Message: "disk full"}
		s.said(s.e.Edit(s.ctx, id, func(p *Policy) { p.Retry = RetryPolicy{Max: 1, Backoff: time.Hour} }, Request{}))
		require.NoError(s, x.refresh(s.ctx))
		turn(input{reports: []reported{later.input(time.Now())}})
		s.said(s.e.Resume(s.ctx, id, Decision{}, Request{}))
		require.NoError(s, x.refresh(s.ctx))
		turn(input{})
		require.Len(s, x.starts, 1, "the other lost attempt is repeated, this one is due in an hour")
		require.Equal(s, "a-001", x.starts[0].agent)
	})
}

func TestReportsAreChecked(t *testing.T) {
	inPost(t, func(s *scene, _ *postman) {
		id := s.start(Policy{}, Shape{}, "a-1")
		err := s.e.ReportOutcomes(s.ctx, id, []OutcomeReport{{Task: -1, After: -1}, {Agent: "x", Number: 1, Reason: ReasonRepeat}})
		require.ErrorIs(s, err, ErrInvalid)
		require.Len(s, FieldErrors(err), 6)
		require.ErrorIs(s, s.e.ReportOutcomes(s.ctx, "none", []OutcomeReport{upgraded("a", 1)}), ErrNotFound)
		require.NoError(s, s.e.ReportOutcomes(s.ctx, "none", nil))
	})
}

func TestKeysComeApart(t *testing.T) {
	t.Parallel()
	a := Attempt{Plan: "p-1", Agent: "rack/7/a", Task: 2, Number: 13}
	plan, agent, task, number, err := ParseKey(a.Key())
	require.NoError(t, err)
	require.Equal(t, Attempt{Plan: plan, Agent: agent, Task: task, Number: number}, a)
	for _, bad := range []string{"", "p", "p/a", "p/a/1", "p//0/1", "/a/0/1", "p/a/x/1", "p/a/0/0", "p/a/-1/1", "p/a/0/99999999999"} {
		_, _, _, _, err := ParseKey(bad)
		require.ErrorIs(t, err, ErrInvalid, bad)
	}
}

func TestReportsSayWhatCallsSay(t *testing.T) {
	t.Parallel()
	a := Attempt{Agent: "a", Task: 1, Number: 2}
	for _, c := range []struct {
		res  Result
		err  error
		want OutcomeReport
	}{
		{Result{Version: "2", Message: "ok"}, nil, OutcomeReport{Reason: ReasonSucceeded, Version: "2", Message: "ok"}},
		{Result{Version: "2"}, errors.New("x"), OutcomeReport{Reason: ReasonError, Message: "x"}},
		{Result{}, Unchanged(Rejected(errors.New("x"))), OutcomeReport{Reason: ReasonRejected, Unchanged: true, Message: "x"}},
		{Result{}, Throttled(errors.New("x"), time.Hour), OutcomeReport{Reason: ReasonThrottled, Unchanged: true, After: time.Hour, Message: "x"}},
		{Result{}, &PanicError{Value: 1}, OutcomeReport{Reason: ReasonPermanent, Message: "panic: 1"}},
	} {
		c.want.Agent, c.want.Task, c.want.Number = "a", 1, 2
		require.Equal(t, c.want, ReportOf(a, c.res, c.err))
	}
}

// BenchmarkWaiting shows what a waiting call costs in memory, and what a report costs in time.
func BenchmarkWaiting(b *testing.B) {
	const n = 100_000
	for range b.N {
		begun := make(chan struct{}, n)
		e, err := New(NewMemStore(), Async(func(context.Context, Attempt) error { begun <- struct{}{}; return nil }), Options{})
		require.NoError(b, err)
		all := names("agent", n)
		p, err := e.Create(b.Context(), Spec{
			Name: "x", ToVersion: "2", Agents: AgentIDs(all...), Shape: Shape{Size: n}, Policy: Policy{Concurrency: n},
		})
		require.NoError(b, err)
		_, err = e.Start(b.Context(), p.ID, Request{})
		require.NoError(b, err)
		before := memory()
		done := make(chan error, 1)
		go func() { _, err := e.RunPlan(b.Context(), p.ID); done <- err }()
		for range n {
			<-begun
		}
		time.Sleep(200 * time.Millisecond)
		b.ReportMetric(float64(memory()-before)/n, "B/waiting")
		start := time.Now()
		for from := 0; from < n; from += 100 {
			reports := make([]OutcomeReport, 100)
			for i := range reports {
				reports[i] = upgraded(all[from+i], 1)
			}
			require.NoError(b, e.ReportOutcomes(b.Context(), p.ID, reports))
		}
		b.ReportMetric(float64(time.Since(start).Nanoseconds())/n, "ns/report")
		require.NoError(b, <-done)
	}
}

func memory() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
