package scenarios

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// postman begins attempts by remembering them; agents whose IDs begin with away are not reached.
type postman struct {
	mu    sync.Mutex
	begun []ota.Attempt
	then  func(ota.Attempt) // called by begin
}

func (p *postman) begin(_ context.Context, a ota.Attempt) error {
	p.mu.Lock()
	p.begun = append(p.begun, a)
	p.mu.Unlock()
	if p.then != nil {
		p.then(a)
	}
	if strings.HasPrefix(a.Agent, "away") {
		return ota.Unreachable(errors.New("no route"))
	}
	return nil
}

func (p *postman) of(agent string) (out []ota.Attempt) {
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
		s.use(ota.Async(p.begin))
		f(s, p)
	})
}

func (s *scene) report(e *ota.Engine, id string, r ...ota.OutcomeReport) {
	s.Helper()
	require.NoError(s, e.ReportOutcomes(s.ctx, id, r))
}

func upgraded(agent string, number int) ota.OutcomeReport {
	return ota.OutcomeReport{Agent: agent, Number: number, Reason: ota.ReasonSucceeded, Version: "2"}
}

func TestAReportFromWithinBegin(t *testing.T) {
	inPost(t, func(s *scene, p *postman) {
		p.then = func(a ota.Attempt) { s.report(s.e, a.Plan, upgraded(a.Agent, a.Number)) }
		id := s.start(ota.Policy{}, ota.Shape{}, names("a", 20)...)
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
	})
}

func TestTheFirstOutcomeCounts(t *testing.T) {
	inPost(t, func(s *scene, _ *postman) {
		id := s.start(ota.Policy{AttemptTimeout: time.Hour}, ota.Shape{}, "a-1", "a-2")
		s.run(s.e)
		s.after(time.Second)
		s.report(s.e, id, upgraded("a-1", 1))
		before := s.plan(id).Revision
		s.report(s.e, id, upgraded("a-1", 1))
		require.Equal(s, before, s.plan(id).Revision, "the same again is nothing")
		s.report(s.e, id,
			ota.OutcomeReport{Agent: "a-1", Number: 1, Reason: ota.ReasonPermanent, Message: "on second thought"},
			upgraded("a-1", 2), upgraded("b-9", 1), ota.OutcomeReport{Agent: "a-2", Task: 3, Number: 1, Reason: ota.ReasonError})
		require.Len(s, s.events(id, ota.EventLate), 4)
		require.Equal(s, ota.TaskSucceeded, s.agent(id, "a-1").Status)
		require.Equal(s, ota.TaskRunning, s.agent(id, "a-2").Status)
		s.after(2 * time.Hour)
		require.Equal(s, "timeout", s.agent(id, "a-2").Tasks[0].Reason.String())
		s.report(s.e, id, upgraded("a-2", 1))
		require.Len(s, s.events(id, ota.EventLate), 5)
		require.Equal(s, ota.TaskFailed, s.agent(id, "a-2").Status)
	})
}

func TestAReportThroughAnotherEngine(t *testing.T) {
	inPost(t, func(s *scene, _ *postman) {
		id := s.start(ota.Policy{Concurrency: 9}, ota.Shape{Size: 9}, names("a", 9)...)
		s.run(s.e)
		s.after(time.Second)
		two := s.engine(s.store, nil, "two")
		for i, name := range names("a", 9) {
			s.report(two, id, upgraded(name, 1))
			require.Equal(s, i+1, s.plan(id).Counts.Succeeded)
		}
		s.report(two, id, upgraded("a-000", 1))
		s.after(time.Second)
		s.status(id, ota.StatusCompleted)
		require.Empty(s, s.events(id, ota.EventLate))
		require.Len(s, s.events(id, ota.EventOwned), 1)
	})
}

func TestAReportAfterACrash(t *testing.T) {
	inPost(t, func(s *scene, p *postman) {
		id := s.start(ota.Policy{Concurrency: 2}, ota.Shape{}, "a-1", "a-2", "a-3")
		stop := s.run(s.e)
		s.after(time.Second)
		require.NoError(s, stop())
		two := s.engine(s.store, ota.Async(p.begin), "two") // it drives nothing yet
		s.report(two, id, upgraded("a-1", 1))
		require.Equal(s, ota.TaskSucceeded, s.agent(id, "a-1").Status)
		s.run(two)
		s.after(time.Second)
		require.Len(s, p.of("a-1"), 1, "what was reported is not called again")
		require.Len(s, p.of("a-2"), 2)
		require.True(s, p.of("a-2")[1].Repeat)
		s.report(two, id, upgraded("a-2", 1), upgraded("a-3", 1))
		s.after(time.Second)
		s.status(id, ota.StatusCompleted)
	})
}

func TestReportsAreChecked(t *testing.T) {
	inPost(t, func(s *scene, _ *postman) {
		id := s.start(ota.Policy{}, ota.Shape{}, "a-1")
		err := s.e.ReportOutcomes(s.ctx, id, []ota.OutcomeReport{{Task: -1, After: -1}, {Agent: "x", Number: 1, Reason: ota.ReasonRepeat}})
		require.ErrorIs(s, err, ota.ErrInvalid)
		require.Len(s, ota.FieldErrors(err), 6)
		require.ErrorIs(s, s.e.ReportOutcomes(s.ctx, "none", []ota.OutcomeReport{upgraded("a", 1)}), ota.ErrNotFound)
		require.NoError(s, s.e.ReportOutcomes(s.ctx, "none", nil))
	})
}

func TestKeysComeApart(t *testing.T) {
	t.Parallel()
	a := ota.Attempt{Plan: "p-1", Agent: "rack/7/a", Task: 2, Number: 13}
	plan, agent, task, number, err := ota.ParseKey(a.Key())
	require.NoError(t, err)
	require.Equal(t, ota.Attempt{Plan: plan, Agent: agent, Task: task, Number: number}, a)
	for _, bad := range []string{"", "p", "p/a", "p/a/1", "p//0/1", "/a/0/1", "p/a/x/1", "p/a/0/0", "p/a/-1/1", "p/a/0/99999999999"} {
		_, _, _, _, err := ota.ParseKey(bad)
		require.ErrorIs(t, err, ota.ErrInvalid, bad)
	}
}

func TestReportsSayWhatCallsSay(t *testing.T) {
	t.Parallel()
	a := ota.Attempt{Agent: "a", Task: 1, Number: 2}
	for _, c := range []struct {
		res  ota.Result
		err  error
		want ota.OutcomeReport
	}{
		{ota.Result{Version: "2", Message: "ok"}, nil, ota.OutcomeReport{Reason: ota.ReasonSucceeded, Version: "2", Message: "ok"}},
		{ota.Result{Version: "2"}, errors.New("x"), ota.OutcomeReport{Reason: ota.ReasonError, Message: "x"}},
		{ota.Result{}, ota.Unchanged(ota.Rejected(errors.New("x"))), ota.OutcomeReport{Reason: ota.ReasonRejected, Unchanged: true, Message: "x"}},
		{ota.Result{}, ota.Throttled(errors.New("x"), time.Hour), ota.OutcomeReport{Reason: ota.ReasonThrottled, Unchanged: true, After: time.Hour, Message: "x"}},
		{ota.Result{}, &ota.PanicError{Value: 1}, ota.OutcomeReport{Reason: ota.ReasonPermanent, Message: "panic: 1"}},
	} {
		c.want.Agent, c.want.Task, c.want.Number = "a", 1, 2
		require.Equal(t, c.want, ota.ReportOf(a, c.res, c.err))
	}
}

// BenchmarkWaiting shows what a waiting call costs in memory, and what a report costs in time.
func BenchmarkWaiting(b *testing.B) {
	const n = 100_000
	for range b.N {
		begun := make(chan struct{}, n)
		e, err := ota.New(memstore.New(), ota.Async(func(context.Context, ota.Attempt) error { begun <- struct{}{}; return nil }), ota.Options{})
		require.NoError(b, err)
		all := names("agent", n)
		p, err := e.Create(b.Context(), ota.Spec{
			Name: "x", ToVersion: "2", Agents: ota.AgentIDs(all...), Shape: ota.Shape{Size: n}, Policy: ota.Policy{Concurrency: n},
		})
		require.NoError(b, err)
		_, err = e.Start(b.Context(), p.ID, ota.Request{})
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
			reports := make([]ota.OutcomeReport, 100)
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
