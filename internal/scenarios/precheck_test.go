package scenarios

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// prechecking is scripted with a Prechecker: what it says is told by an agent's ID up to the first hyphen.
type prechecking struct {
	*scripted
	latency time.Duration

	mu    sync.Mutex
	asked []madeCall
	out   int
	most  int // questions out at once
	down  int // how many times an agent called down- is away
}

func (p *prechecking) Precheck(ctx context.Context, a ota.Attempt) (ota.Precheck, error) {
	p.mu.Lock()
	p.asked = append(p.asked, madeCall{a, time.Now()})
	times := 0
	for _, c := range p.asked {
		if c.Agent == a.Agent {
			times++
		}
	}
	p.out++
	p.most = max(p.most, p.out)
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.out--
		p.mu.Unlock()
	}()
	if err := nap(ctx, p.latency); err != nil {
		return ota.Precheck{}, err
	}
	kind, _, _ := strings.Cut(a.Agent, "-")
	switch kind {
	case "there":
		return ota.Precheck{State: ota.PrecheckAtTarget, Version: a.ToVersion}, nil
	case "silently":
		return ota.Precheck{Version: a.ToVersion}, nil
	case "blocked":
		return ota.Precheck{State: ota.PrecheckBlocked, Reason: "battery below 20 %"}, nil
	case "gone":
		return ota.Precheck{State: ota.PrecheckUnreachable, Reason: "no answer"}, nil
	case "down":
		if times <= p.down {
			return ota.Precheck{}, errors.New("no route")
		}
	case "later":
		if times == 1 {
			return ota.Precheck{}, ota.Throttled(errors.New("at work"), 5*time.Minute)
		}
	case "panics":
		panic("broken precheck")
	case "odd":
		return ota.Precheck{State: 77}, nil
	case "old":
		return ota.Precheck{Version: "0.9"}, nil
	}
	return ota.Precheck{Version: "1"}, nil
}

func (p *prechecking) times(agent string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, c := range p.asked {
		if c.Agent == agent {
			n++
		}
	}
	return n
}

func inCheck(t *testing.T, f func(s *scene, p *prechecking)) {
	inScene(t, func(s *scene) {
		p := &prechecking{scripted: s.fleet, latency: time.Second}
		s.use(p)
		f(s, p)
	})
}

func TestPrechecksDecideWhoStarts(t *testing.T) {
	inCheck(t, func(s *scene, p *prechecking) {
		p.down = 2
		id := s.start(ota.Policy{Concurrency: 2, FailureThreshold: ptr(0.0)}, ota.Shape{}, "ok-1", "there-2", "silently-3", "blocked-4", "down-5", "later-6", "old-7", "ok-8")
		s.run(s.e)
		s.after(time.Hour)
		s.status(id, ota.StatusCompleted)
		agents := s.agents(id)
		for name, want := range map[string]string{
			"ok-1": "succeeded succeeded 1 touched 1", "there-2": "succeeded at_target 0 untouched 1", "silently-3": "succeeded at_target 0 untouched 1",
			"blocked-4": "skipped blocked 0 untouched 1", "down-5": "succeeded succeeded 1 touched 3", "later-6": "succeeded succeeded 1 touched 2",
			"old-7": "succeeded succeeded 1 touched 1",
		} {
			a := agents[name]
			touched := map[bool]string{true: "touched", false: "untouched"}[a.Changed]
			require.Equal(s, want, fmt.Sprint(a.Status, " ", a.Tasks[0].Reason, " ", a.Tasks[0].Attempts, " ", touched, " ", p.times(name)), name)
			require.Len(s, s.fleet.made(name), a.Tasks[0].Attempts)
		}
		require.Equal(s, "battery below 20 %", s.events(id, ota.EventTaskSkipped)[0].Text)
		require.Equal(s, "0.9", agents["old-7"].Version)
		require.Equal(s, "0.9", s.fleet.made("old-7")[0].FromVersion)
		require.Equal(s, 2, s.plan(id).Counts.AtTarget)
		require.LessOrEqual(s, p.most, 2)
		back := s.said(s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{}))
		s.after(time.Minute)
		s.status(back.ID, ota.StatusCompleted)
		require.Equal(s, "0.9", s.agent(back.ID, "old-7").Tasks[0].Target, "each goes back to what it ran")
		require.NotContains(s, s.agents(back.ID), "there-2")
	})
}

// Questions and calls together are bounded by Concurrency, and so is a label's budget by the two.
func TestPrechecksShareTheSlots(t *testing.T) {
	inCheck(t, func(s *scene, p *prechecking) {
		id := s.start(ota.Policy{Concurrency: 3}, ota.Shape{Size: 20}, names("ok", 20)...)
		s.run(s.e)
		for range 100 {
			s.after(171 * time.Millisecond)
			p.mu.Lock()
			out := p.out
			p.mu.Unlock()
			s.fleet.mu.Lock()
			out += s.fleet.out
			s.fleet.mu.Unlock()
			require.LessOrEqual(s, out, 3)
		}
		require.Equal(s, ota.StatusCompleted, s.plan(id).Status)
		require.Len(s, p.asked, 20)
	})
}

func TestPrechecksAreExplained(t *testing.T) {
	inCheck(t, func(s *scene, p *prechecking) {
		id := s.start(ota.Policy{Concurrency: 2}, ota.Shape{}, "ok-1", "ok-2", "ok-3")
		s.run(s.e)
		s.after(500 * time.Millisecond)
		require.Equal(s, "A question has not been answered yet: prechecking 2 agents of batch 0", s.explain(id).Sentence())
		require.Zero(s, s.plan(id).InFlight())
	})
}

// Nobody is asked while nothing may start, and an answer that has grown old is asked for again.
func TestPrechecksGrowOld(t *testing.T) {
	inCheck(t, func(s *scene, p *prechecking) {
		id := s.start(ota.Policy{Concurrency: 2}, ota.Shape{}, "ok-1", "there-2", "ok-3")
		s.run(s.e)
		s.after(500 * time.Millisecond)
		s.said(s.e.Pause(s.ctx, id, ota.Request{}))
		s.after(time.Hour)
		s.status(id, ota.StatusPaused)
		require.Empty(s, s.fleet.made(""))
		require.Len(s, p.asked, 2)
		require.Equal(s, ota.TaskPending, s.agent(id, "there-2").Status, "what becomes of it is decided when the plan goes on")
		s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
		s.after(time.Minute)
		s.status(id, ota.StatusCompleted)
		require.Equal(s, 2, p.times("ok-1"))
		require.Equal(s, 2, p.times("there-2"))
		require.Equal(s, 1, p.times("ok-3"))
	})
}

// An agent that never answers its precheck ends as one that never answers a call: by UnreachableTimeout and OnUnreachable.
func TestPrechecksOfTheAway(t *testing.T) {
	for _, action := range []ota.UnreachableAction{ota.UnreachableFails, ota.UnreachableSkipped} {
		inCheck(t, func(s *scene, p *prechecking) {
			id := s.start(ota.Policy{Concurrency: 1, FailureThreshold: ptr(1.0), UnreachableTimeout: 10 * time.Minute, OnUnreachable: action}, ota.Shape{}, "gone-1", "panics-2", "odd-3", "ok-4")
			s.run(s.e)
			s.after(20 * time.Second)
			require.NotEqual(s, ota.TaskFailed, s.agent(id, "gone-1").Status)
			require.Equal(s, ota.TaskSucceeded, s.agent(id, "ok-4").Status, "whoever is away holds up nobody")
			s.after(time.Hour)
			s.status(id, ota.StatusCompleted)
			want := map[ota.UnreachableAction]ota.TaskStatus{ota.UnreachableFails: ota.TaskFailed, ota.UnreachableSkipped: ota.TaskSkipped}[action]
			for _, name := range []string{"gone-1", "panics-2", "odd-3"} {
				require.Equal(s, want, s.agent(id, name).Status, name)
				require.Empty(s, s.fleet.made(name))
				require.False(s, s.agent(id, name).Changed)
			}
		})
	}
}

// A process that dies while it asks, and one that dies when it has asked, lose nothing.
func TestPrechecksAfterACrash(t *testing.T) {
	inCheck(t, func(s *scene, p *prechecking) {
		id := s.start(ota.Policy{Concurrency: 4}, ota.Shape{}, names("ok", 10)...)
		for i := range 12 {
			ctx, cancel := context.WithTimeout(s.ctx, time.Duration(300+i*400)*time.Millisecond)
			e, err := ota.New(s.store, p, ota.Options{Name: "one", DrainTimeout: -1})
			require.NoError(s, err)
			_ = e.Run(ctx)
			cancel()
		}
		s.run(s.e)
		s.after(time.Minute)
		s.status(id, ota.StatusCompleted)
		require.Equal(s, 10, s.plan(id).Counts.Succeeded)
	})
}

func TestPrechecksSkippedMeanwhile(t *testing.T) {
	inCheck(t, func(s *scene, p *prechecking) {
		id := s.start(ota.Policy{Concurrency: 2, Budgets: []ota.Budget{{Label: "rack", Max: 2}}}, ota.Shape{}, "ok-1", "ok-2", "ok-3", "ok-4")
		s.run(s.e)
		s.after(500 * time.Millisecond)
		s.said(s.e.Skip(s.ctx, id, []string{"ok-1", "ok-3"}, ota.Request{}))
		s.after(time.Minute)
		s.status(id, ota.StatusCompleted)
		require.Empty(s, s.fleet.made("ok-1"))
		require.Empty(s, s.fleet.made("ok-3"))
		require.Len(s, s.fleet.made("ok-2"), 1)
	})
}

func TestPrecheckOnDemand(t *testing.T) {
	inCheck(t, func(s *scene, p *prechecking) {
		s.e = s.engineOf(s.store, p, ota.Options{Name: "one", Poll: time.Hour})
		busy := s.start(ota.Policy{}, ota.Shape{}, "ok-1", "z")
		id := s.create(ota.Policy{Concurrency: 2, Windows: []ota.Window{{Start: 3 * time.Hour, Length: time.Hour}}}, ota.Shape{}, "ok-1", "there-2", "blocked-3", "gone-4", "ok-5").ID
		plan := s.said(s.e.Precheck(s.ctx, id, ota.Request{Actor: "ann"}))
		r := plan.Readiness
		require.Equal(s, "5 asked: 2 ready, 1 at the target, 1 blocked, 1 away; 1 conflicts", r.String())
		require.ElementsMatch(s, []ota.Finding{{Agent: "blocked-3", State: ota.PrecheckBlocked, Reason: "battery below 20 %"}, {Agent: "gone-4", State: ota.PrecheckUnreachable, Reason: "no answer"}}, r.Findings)
		require.Equal(s, []ota.Conflict{{Agent: "ok-1", Plan: busy}}, r.Conflicts)
		require.Equal(s, "ann", r.Actor)
		require.Equal(s, 3*time.Hour, r.NextOpen.Sub(r.NextOpen.Truncate(24*time.Hour)))
		require.False(s, r.Clear())
		require.Equal(s, ota.StatusPending, plan.Status)
		require.Equal(s, 2, p.most)
		require.Equal(s, r, s.plan(id).Readiness, "it is kept")
		require.Equal(s, 2, s.events(id, ota.EventPrechecked)[0].Number)
		require.Empty(s, s.fleet.made(""), "a question changes nothing")
		require.Equal(s, ota.TaskPending, s.agent(id, "there-2").Status)

		ctx, cancel := context.WithTimeout(s.ctx, 100*time.Millisecond)
		defer cancel()
		_, err := s.e.Precheck(ctx, id, ota.Request{})
		require.ErrorIs(s, err, context.DeadlineExceeded)
		require.Equal(s, r, s.plan(id).Readiness, "half a result is none")

		s.use(s.fleet) // no Prechecker
		r = s.said(s.e.Precheck(s.ctx, id, ota.Request{})).Readiness
		require.Zero(s, r.Asked)
		require.Equal(s, 1, r.ConflictCount)
		_, err = s.e.Precheck(s.ctx, "nobody", ota.Request{})
		require.ErrorIs(s, err, ota.ErrNotFound)
	})
}

// In a running plan only those that were not started are asked about.
func TestPrecheckOfARunningPlan(t *testing.T) {
	inCheck(t, func(s *scene, p *prechecking) {
		id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{Size: 1}, "ok-1", "ok-2", "blocked-3")
		s.run(s.e)
		s.after(1500 * time.Millisecond)
		r := s.said(s.e.Precheck(s.ctx, id, ota.Request{})).Readiness
		require.Equal(s, "2 asked: 1 ready, 0 at the target, 1 blocked, 0 away; 0 conflicts", r.String())
		s.after(time.Minute)
		s.status(id, ota.StatusCompleted)
		r = s.said(s.e.Precheck(s.ctx, id, ota.Request{})).Readiness
		require.Zero(s, r.Asked)
		require.True(s, r.Clear())
	})
}

func TestAPreviewAsks(t *testing.T) {
	inCheck(t, func(s *scene, p *prechecking) {
		spec := ota.Spec{Name: "x", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("ok-1", "blocked-2", "there-3"), Policy: ota.Policy{
			PlanTimeout: time.Hour, Windows: []ota.Window{{Start: 3 * time.Hour, Length: time.Hour}},
		}}
		v, err := s.e.Preview(s.ctx, spec, ota.PreviewOptions{})
		require.NoError(s, err)
		require.Zero(s, v.Readiness.Asked, "nobody asked for it")
		v, err = s.e.Preview(s.ctx, spec, ota.PreviewOptions{Precheck: true})
		require.NoError(s, err)
		require.Equal(s, "3 asked: 1 ready, 1 at the target, 1 blocked, 0 away; 0 conflicts", v.Readiness.String())
		require.Contains(s, strings.Join(v.Warnings, "\n"), "no window opens before planLimit has passed")
		require.Equal(s, 0, p.asked[0].Number)
	})
}
