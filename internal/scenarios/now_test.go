package scenarios

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// at is when an agent was first called, counted from the start of the test.
func (s *scene) at(agent string) time.Duration {
	s.Helper()
	made := s.fleet.made(agent)
	require.NotEmpty(s, made, "%s was not called", agent)
	return made[0].at.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
}

// shut is a policy whose next window opens in 12 hours: the clock of a bubble begins at midnight.
var shut = []ota.Window{{Start: 12 * time.Hour, Length: time.Hour}}

// What Now passes: one agent of a later batch starts at once, and only that one.
func TestNowPasses(t *testing.T) {
	for name, p := range map[string]ota.Policy{
		"a window":                 {Windows: shut},
		"a hold":                   {Hold: ota.Hold{Batches: []int{1, 2}}},
		"the order":                {Concurrency: 2, AttemptTimeout: ota.NoTimeout, FailureThreshold: ptr(1.0)},
		"a soak":                   {Soak: ota.Soak{Duration: 24 * time.Hour}},
		"a window, hold and order": {Windows: shut, Hold: ota.Hold{All: true}},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				first := "ok-1"
				if name == "the order" {
					first = "hang-1"
				}
				id := s.start(p, ota.Shape{Size: 1}, first, "ok-2", "ok-3")
				s.run(s.e)
				s.after(time.Minute)
				require.Empty(s, s.fleet.made("ok-3"))
				s.said(s.e.Now(s.ctx, id, []string{"ok-3"}, ota.Request{Actor: "ann", Reason: "its disk fails"}))
				s.after(2 * time.Second)
				require.InDelta(s, time.Minute, s.at("ok-3"), float64(time.Second))
				require.Equal(s, ota.TaskSucceeded, s.agent(id, "ok-3").Status)
				require.Empty(s, s.fleet.made("ok-2"))
				s.after(time.Hour)
				require.Empty(s, s.fleet.made("ok-2"), "the others wait as before")
				var who []string
				for _, e := range s.events(id, ota.EventTaskWaiting) {
					who = append(who, e.Agent+" "+e.Actor+" "+e.Text)
				}
				require.Contains(s, who, "ok-3 ann its disk fails")
			})
		})
	}
}

// What Now does not pass: the agent waits, and starts when that is over.
func TestNowDoesNotPass(t *testing.T) {
	type blocked struct {
		policy ota.Policy
		agents []string
		clear  func(*scene, string)
	}
	for name, b := range map[string]blocked{
		"concurrency": {
			policy: ota.Policy{Concurrency: 1, AttemptTimeout: time.Hour, FailureThreshold: ptr(1.0)},
			agents: []string{"hang-1", "ok-2", "ok-3"},
			clear:  func(s *scene, _ string) { s.after(time.Hour) },
		},
		"a budget": {
			policy: ota.Policy{Concurrency: 3, Budgets: []ota.Budget{{Label: "rack", Max: 1, Of: ota.OpenAgents}}, AttemptTimeout: time.Hour, FailureThreshold: ptr(1.0)},
			agents: []string{"hang-1", "ok-2", "ok-3"},
			clear:  func(s *scene, _ string) { s.after(time.Hour) },
		},
		"a breach": {
			policy: ota.Policy{},
			agents: []string{"fail-1", "ok-2", "ok-3"},
			clear: func(s *scene, id string) {
				s.said(s.e.Resume(s.ctx, id, ota.Accept(1), ota.Request{}))
				s.after(2 * time.Second)
			},
		},
		"a pause": {
			policy: ota.Policy{Concurrency: 1, AttemptTimeout: ota.NoTimeout, Windows: shut},
			agents: []string{"ok-1", "ok-2", "ok-3"},
			clear: func(s *scene, id string) {
				s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
				s.after(2 * time.Second)
			},
		},
		"a rate": {
			policy: ota.Policy{Rate: ota.Rate{Starts: 1, Per: time.Hour}, Hold: ota.Hold{All: true}},
			agents: []string{"ok-1", "ok-2", "ok-3"},
			clear:  func(s *scene, _ string) { s.after(time.Hour) },
		},
		"reserve": {
			policy: ota.Policy{Reserve: true, FailureThreshold: ptr(0.0), AttemptTimeout: time.Hour, OnBreach: ota.ActionPause},
			agents: []string{"slow-1", "ok-2", "ok-3"},
			clear:  func(s *scene, _ string) { s.after(time.Minute) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				if name == "reserve" {
					s.fleet.latency = 10 * time.Second
				}
				id := s.start(b.policy, ota.Shape{Size: 1}, b.agents...)
				s.run(s.e)
				s.after(5 * time.Second)
				if name == "a pause" {
					s.said(s.e.Pause(s.ctx, id, ota.Request{}))
				}
				s.said(s.e.Now(s.ctx, id, []string{"ok-3"}, ota.Request{}))
				s.after(30 * time.Second)
				require.Empty(s, s.fleet.made("ok-3"))
				b.clear(s, id)
				s.after(40 * time.Second)
				require.NotEmpty(s, s.fleet.made("ok-3"), "it starts in time")
			})
		})
	}
}

// A Prechecker is asked before an urgent agent starts, and what it answers counts.
func TestNowIsPrechecked(t *testing.T) {
	inScene(t, func(s *scene) {
		var mu sync.Mutex
		asked := map[string]int{}
		s.use(&prechecked{scripted: s.fleet, check: func(a ota.Attempt) (ota.Precheck, error) {
			mu.Lock()
			defer mu.Unlock()
			asked[a.Agent]++
			if a.Agent == "bad-3" {
				return ota.Precheck{State: ota.PrecheckBlocked, Reason: "in use"}, nil
			}
			return ota.Precheck{}, nil
		}})
		id := s.start(ota.Policy{Windows: shut}, ota.Shape{Size: 1}, "ok-1", "ok-2", "bad-3")
		s.run(s.e)
		s.after(time.Minute)
		s.said(s.e.Now(s.ctx, id, []string{"ok-2", "bad-3"}, ota.Request{}))
		s.after(10 * time.Second)
		require.Equal(s, map[string]int{"ok-2": 1, "bad-3": 1}, asked)
		require.Equal(s, ota.TaskSucceeded, s.agent(id, "ok-2").Status)
		require.Equal(s, ota.TaskSkipped, s.agent(id, "bad-3").Status)
		require.Empty(s, s.fleet.made("bad-3"))
	})
}

// A retry of an urgent agent passes the window too, and after a crash the next owner goes on.
func TestNowLastsUntilTheAgentEnds(t *testing.T) {
	inScene(t, func(s *scene) {
		p := ota.Policy{Windows: shut, Retry: ota.RetryPolicy{Max: 1, Backoff: 10 * time.Minute}, FailureThreshold: ptr(1.0)}
		id := s.start(p, ota.Shape{Size: 1}, append(names("ok", 200), "flaky-2", "hang-3")...)
		stop := s.run(s.engineOf(s.store, s.fleet, ota.Options{Name: "one", DrainTimeout: -1}))
		s.after(time.Minute)
		s.said(s.e.Now(s.ctx, id, []string{"flaky-2", "hang-3"}, ota.Request{}))
		s.after(10 * time.Second)
		require.NoError(s, stop())
		require.Equal(s, ota.TaskWaiting, s.agent(id, "flaky-2").Status)
		require.Equal(s, ota.TaskRunning, s.agent(id, "hang-3").Status)
		s.run(s.e)
		s.after(15 * time.Minute)
		require.Equal(s, ota.TaskSucceeded, s.agent(id, "flaky-2").Status)
		require.Len(s, s.fleet.made("hang-3"), 2, "the lost call is repeated at once")
		require.Len(s, s.fleet.made(""), 4)
	})
}

// The plan goes on as before afterwards, and ends: the urgent agent is done when its batch begins.
func TestNowLeavesThePlanAsItWas(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Hold: ota.Hold{All: true}}, ota.Shape{Size: 1}, "ok-1", "ok-2", "ok-3")
		s.run(s.e)
		s.after(time.Minute)
		s.said(s.e.Now(s.ctx, id, []string{"ok-2"}, ota.Request{}))
		s.after(time.Minute)
		require.Equal(s, []string{"held"}, s.reasons(id))
		for _, batch := range []int{1, 2} {
			s.said(s.e.Promote(s.ctx, id, batch, ota.Request{}))
			s.after(time.Minute)
		}
		s.status(id, ota.StatusCompleted)
		require.Len(s, s.fleet.made(""), 3)
	})
}

// A rollback takes an urgent agent back although its batch has not begun, and Skip and Cancel leave out one that has not started.
func TestNowAndTheEndOfThePlan(t *testing.T) {
	for name, end := range map[string]func(*scene, string){
		"rollback": func(s *scene, id string) {
			s.said(s.e.Rollback(s.ctx, id, ota.RollbackSpec{Policy: &ota.Policy{}}, ota.Request{}))
			s.after(time.Minute)
			s.status(id, ota.StatusRolledBack)
			require.Equal(s, "1", s.fleet.versions["ok-3"])
		},
		"cancel": func(s *scene, id string) {
			s.said(s.e.Pause(s.ctx, id, ota.Request{}))
			s.said(s.e.Now(s.ctx, id, []string{"ok-4"}, ota.Request{}))
			s.after(time.Second)
			s.said(s.e.Cancel(s.ctx, id, false, ota.Request{}))
			s.after(time.Second)
			s.status(id, ota.StatusCanceled)
			require.Equal(s, ota.TaskCanceled, s.agent(id, "ok-4").Status)
		},
		"skip": func(s *scene, id string) {
			s.said(s.e.Pause(s.ctx, id, ota.Request{}))
			s.said(s.e.Now(s.ctx, id, []string{"ok-4"}, ota.Request{}))
			s.after(time.Second)
			s.said(s.e.Skip(s.ctx, id, []string{"ok-4"}, ota.Request{}))
			s.after(time.Second)
			require.Equal(s, ota.TaskSkipped, s.agent(id, "ok-4").Status)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				id := s.start(ota.Policy{Windows: shut}, ota.Shape{Size: 1}, "ok-1", "ok-2", "ok-3", "ok-4")
				s.run(s.e)
				s.after(time.Minute)
				s.said(s.e.Now(s.ctx, id, []string{"ok-3"}, ota.Request{}))
				s.after(10 * time.Second)
				require.Equal(s, "2", s.fleet.versions["ok-3"])
				end(s, id)
			})
		})
	}
}

// Now names at most a hundred agents that have not ended; repeating it changes nothing.
func TestNowRefuses(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{FailureThreshold: ptr(1.0), Hold: ota.Hold{All: true}}, ota.Shape{Size: 2}, "ok-1", "perm-2", "ok-3")
		s.run(s.e)
		s.after(5 * time.Second)
		for _, agents := range [][]string{nil, {"ok-1"}, {"perm-2"}, names("x", 101)} {
			_, err := s.e.Now(s.ctx, id, agents, ota.Request{})
			require.ErrorIs(s, err, ota.ErrInvalid, agents)
			require.ErrorContains(s, err, "agents that are pending or waiting")
		}
		s.said(s.e.Pause(s.ctx, id, ota.Request{}))
		s.said(s.e.Now(s.ctx, id, []string{"ok-3"}, ota.Request{}))
		s.after(time.Second)
		before := s.plan(id).Revision
		s.said(s.e.Now(s.ctx, id, []string{"ok-3"}, ota.Request{}))
		s.after(time.Second)
		require.Equal(s, before, s.plan(id).Revision)
	})
}

// prechecked is scripted with a Prechecker.
type prechecked struct {
	*scripted
	check func(ota.Attempt) (ota.Precheck, error)
}

func (p *prechecked) Precheck(_ context.Context, a ota.Attempt) (ota.Precheck, error) {
	return p.check(a)
}

// Now may name an agent of a rollback while its source still calls it. If that call changes nothing,
// the rollback does not call the agent.
func TestNowOfAnAgentThatTheSourceDidNotChange(t *testing.T) {
	inScene(t, func(s *scene) {
		var back atomic.Int64
		s.use(ota.ExecutorFunc(func(ctx context.Context, a ota.Attempt) (ota.Result, error) {
			if a.IsRollback {
				back.Add(1)
				return ota.Result{}, nil
			}
			if err := nap(ctx, time.Minute); err != nil {
				return ota.Result{}, err
			}
			return ota.Result{}, ota.Unreachable(errors.New("no route"))
		}))
		id := s.start(ota.Policy{}, ota.Shape{}, "ok-1")
		s.run(s.e)
		s.after(10 * time.Second)
		r := s.said(s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{}))
		s.said(s.e.Now(s.ctx, r.ID, []string{"ok-1"}, ota.Request{}))
		s.after(10 * time.Minute)
		s.status(id, ota.StatusRolledBack)
		require.Zero(s, back.Load())
		a := s.agent(r.ID, "ok-1")
		require.Equal(s, ota.TaskSkipped, a.Status)
		require.Equal(s, ota.ReasonUnchanged, a.Tasks[0].Reason)
	})
}
