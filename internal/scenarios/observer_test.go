package scenarios

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// seen is an Observer that keeps copies of what it gets, and then does what then does.
type seen struct {
	mu      sync.Mutex
	commits []ota.Committed
	records []ota.Record
	calls   []ota.Called
	then    func()
}

func (o *seen) Committed(c *ota.Committed) {
	rec, err := c.Record()
	if err != nil {
		panic(err)
	}
	o.mu.Lock()
	o.commits, o.records = append(o.commits, *c), append(o.records, rec)
	o.mu.Unlock()
	o.then()
}

func (o *seen) Called(c *ota.Called) {
	o.mu.Lock()
	o.calls = append(o.calls, *c)
	o.mu.Unlock()
	o.then()
}

// of returns the calls of a kind for an agent.
func (o *seen) of(kind ota.CallKind, agent string) []ota.Called {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(o.calls), func(c ota.Called) bool { return c.Kind != kind || c.Attempt.Agent != agent })
}

// inquired is an Executor with every optional interface. Each answers as answer does.
type inquired struct {
	*scripted
	answer func(about string) error
}

func (x inquired) Precheck(_ context.Context, a ota.Attempt) (ota.Precheck, error) {
	return ota.Precheck{}, x.answer("precheck " + a.Agent)
}

func (x inquired) Health(_ context.Context, a ota.Attempt) (ota.Health, error) {
	return ota.Health{Healthy: true}, x.answer("health " + a.Agent)
}

func (x inquired) Inspect(_ context.Context, a ota.Attempt) (ota.Inspection, error) {
	return ota.Inspection{}, x.answer("inspect " + a.Agent)
}

func (x inquired) Gate(_ context.Context, _ ota.Plan, b ota.Batch) (ota.GateVerdict, error) {
	return ota.GatePass, x.answer("gate")
}

// An Observer gets each way in which a call of Execute can end.
func TestObserverSeesEachCall(t *testing.T) {
	for agent, want := range map[string][]ota.Called{
		"ok-1":    {{Reason: ota.ReasonSucceeded, Took: time.Second}},
		"fail-1":  {{Reason: ota.ReasonError, Err: errors.New("no"), Took: time.Second}},
		"away-1":  {{Reason: ota.ReasonUnreachable, Err: errors.New("no route"), Took: time.Second}},
		"hang-1":  {{Reason: ota.ReasonTimeout, Err: context.DeadlineExceeded, Took: time.Minute}},
		"panic-1": {{Reason: ota.ReasonPanic, Err: errors.New("broken script")}},
		"exit-1":  {{Reason: ota.ReasonPanic, Err: errors.New("ended its goroutine")}},
		"stuck-1": {
			{Reason: ota.ReasonAbandoned, Err: errors.New("did not return"), Took: time.Minute + 5*time.Second, Abandoned: true},
			{Reason: ota.ReasonError, Err: errors.New("late"), Took: 2 * time.Minute},
		},
	} {
		t.Run(agent, func(t *testing.T) {
			inScene(t, func(s *scene) {
				o := &seen{then: func() {}}
				s.e = s.engineOf(s.store, s.fleet, ota.Options{Name: "one", Observer: o})
				began := time.Now()
				id := s.start(ota.Policy{FailureThreshold: ptr(1.0), AttemptTimeout: time.Minute}, ota.Shape{}, agent)
				s.run(s.e)
				s.after(2 * time.Minute)
				s.fleet.free()
				s.after(time.Second)
				got := o.of(ota.CallExecute, agent)
				require.GreaterOrEqual(s, len(got), len(want), "%+v", got)
				for i, w := range want {
					require.Equal(s, w.Reason, got[i].Reason)
					require.Equal(s, w.Abandoned, got[i].Abandoned)
					require.Equal(s, id, got[i].Attempt.Plan)
					require.Equal(s, 1, got[i].Attempt.Number)
					require.WithinDuration(s, began, got[i].Began, time.Second)
					require.InDelta(s, w.Took.Seconds(), got[i].Took.Seconds(), 1)
					if w.Err == nil {
						require.NoError(s, got[i].Err)
					} else {
						require.ErrorContains(s, got[i].Err, w.Err.Error())
					}
				}
				if agent != "away-1" { // which is tried again
					require.Len(s, got, len(want))
				}
			})
		})
	}
}

// Each question that the engine asks is observed, with its answer, in whichever way it ends.
func TestObserverSeesEachQuestion(t *testing.T) {
	for name, end := range map[string]func() error{
		"answered": func() error { return nil },
		"an error": func() error { return errors.New("nobody knows") },
		"a panic":  func() error { panic("nobody knows") },
		"goexit":   func() error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				o := &seen{then: func() {}}
				var mu sync.Mutex
				asked := map[string]int{}
				x := inquired{s.fleet, func(about string) error {
					mu.Lock()
					asked[about]++
					first := asked[about] == 1
					mu.Unlock()
					if first {
						return end()
					}
					return nil
				}}
				stop := s.run(s.engineOf(s.store, s.fleet, ota.Options{Name: "gone", DrainTimeout: -1}))
				id := s.start(ota.Policy{FailureThreshold: ptr(1.0), Soak: ota.Soak{Duration: 30 * time.Second, Interval: time.Second}, Gate: ota.Gate{Interval: time.Second, MaxErrors: 3}}, ota.Shape{Size: 1}, "slow-1", "ok-2")
				s.after(5 * time.Second)
				require.NoError(s, stop()) // slow-1 was in flight, so the next engine inspects it
				s.e = s.engineOf(s.store, x, ota.Options{Name: "gone", Observer: o})
				s.run(s.e)
				s.after(10 * time.Minute)
				s.status(id, ota.StatusCompleted)
				for kind, agent := range map[ota.CallKind]string{
					ota.CallPrecheck: "ok-2", ota.CallHealth: "slow-1", ota.CallInspect: "slow-1", ota.CallGate: "",
				} {
					got := o.of(kind, agent)
					require.Len(s, got, asked[strings.TrimSpace(kind.String()+" "+agent)], kind)
					require.NotEmpty(s, got, kind)
					require.Equal(s, id, got[0].Attempt.Plan, kind)
					require.Equal(s, name == "answered", got[0].Err == nil, "%s: %v", kind, got[0].Err)
					require.Zero(s, got[0].Reason, kind)
				}
			})
		})
	}
}

// An Observer gets each commit of its engine once: creations, verbs, and those of owners, of a plan and of its rollback plan.
func TestObserverSeesEachCommit(t *testing.T) {
	inScene(t, func(s *scene) {
		o := &seen{then: func() {}}
		s.e = s.engineOf(s.store, s.fleet, ota.Options{Name: "one", Observer: o})
		id := s.start(ota.Policy{FailureThreshold: ptr(1.0)}, ota.Shape{Size: 2}, "ok-1", "ok-2", "slow-3", "fail-4")
		s.said(s.e.Pause(s.ctx, id, ota.Request{Actor: "ann"}))
		s.run(s.e)
		s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{Actor: "ann"}))
		s.after(time.Minute)
		s.said(s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{Actor: "ann"}))
		s.after(time.Hour)
		s.status(id, ota.StatusRolledBack)
		for _, plan := range []string{id, s.plan(id).RollbackPlan} {
			log, was, last := s.log(plan), ota.Status(0), uint64(0)
			owner := 0
			require.NotEmpty(s, log)
			for _, rec := range log {
				i := slices.IndexFunc(o.commits, func(c ota.Committed) bool { return c.Plan == plan && c.Revision == rec.Revision })
				require.GreaterOrEqual(s, i, 0, "revision %d of %s was not observed", rec.Revision, plan)
				c := o.commits[i]
				require.Equal(s, rec, o.records[i])
				require.Equal(s, []any{was, rec.Status}, []any{c.Was, c.Status}, "revision %d", rec.Revision)
				require.Equal(s, s.plan(plan).Name, c.Name)
				if c.Owner {
					owner++
					require.Greater(s, c.Revision, last)
					last = c.Revision
				}
				was = rec.Status
			}
			require.Positive(s, owner)
			require.Less(s, owner, len(log))
			i := slices.IndexFunc(o.commits, func(c ota.Committed) bool { return c.Plan == plan && c.Revision == s.plan(plan).Revision })
			require.Equal(s, s.plan(plan).Counts, o.commits[i].Counts)
		}
		require.Len(s, o.commits, len(s.log(id))+len(s.log(s.plan(id).RollbackPlan)), "none twice")
	})
}

// A panic of an Observer changes nothing, and is logged once.
func TestObserverThatPanics(t *testing.T) {
	inScene(t, func(s *scene) {
		var out bytes.Buffer
		o := &seen{then: func() { panic("broken observer") }}
		x := inquired{s.fleet, func(string) error { return nil }}
		s.e = s.engineOf(s.store, x, ota.Options{Name: "one", Observer: o, Logger: slog.New(slog.NewTextHandler(&out, nil))})
		id := s.start(ota.Policy{FailureThreshold: ptr(1.0), AttemptTimeout: time.Minute}, ota.Shape{Size: 1}, "ok-1", "exit-2", "stuck-3")
		s.run(s.e)
		s.after(time.Hour)
		s.status(id, ota.StatusCompleted)
		s.fleet.free()
		s.after(time.Minute)
		require.Len(s, o.commits, len(s.log(id)))
		require.Equal(s, 1, strings.Count(out.String(), "observer panicked"), out.String())
		require.Contains(s, out.String(), "broken observer")
		require.NotContains(s, out.String(), "user code panicked")
	})
}

// An Observer that is a nil pointer is refused.
func TestObserverThatIsNil(t *testing.T) {
	var o *seen
	_, err := ota.New(memstore.New(), nil, ota.Options{Observer: o})
	require.ErrorContains(t, err, "observer")
}

// counter is an Observer that counts.
type counter struct{ commits, calls atomic.Int64 }

func (c *counter) Committed(*ota.Committed) { c.commits.Add(1) }
func (c *counter) Called(*ota.Called)       { c.calls.Add(1) }

// To observe a call or a commit allocates nothing.
func TestAllocationsOfAnObserver(t *testing.T) {
	const n = 20_000
	o := &counter{}
	none := allocsPerTask(t, n)
	counted := allocsOf(t, n, ota.Options{Observer: o})
	require.EqualValues(t, n, o.calls.Load())
	require.Positive(t, o.commits.Load())
	if !raceEnabled { // the race detector allocates
		require.InDelta(t, none, counted, 0.05)
	}
}
