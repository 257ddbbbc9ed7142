package ota

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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

func (p *prechecking) Precheck(ctx context.Context, a Attempt) (Precheck, error) {
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
		return Precheck{}, err
	}
	kind, _, _ := strings.Cut(a.Agent, "-")
	switch kind {
	case "there":
		return Precheck{State: PrecheckAtTarget, Version: a.ToVersion}, nil
	case "silently":
		return Precheck{Version: a.ToVersion}, nil
	case "blocked":
		return Precheck{State: PrecheckBlocked, Reason: "battery below 20 %"}, nil
	case "gone":
		return Precheck{State: PrecheckUnreachable, Reason: "no answer"}, nil
	case "down":
		if times <= p.down {
			return Precheck{}, errors.New("no route")
		}
	case "later":
		if times == 1 {
			return Precheck{}, Throttled(errors.New("at work"), 5*time.Minute)
		}
	case "panics":
		panic("broken precheck")
	case "odd":
		return Precheck{State: 77}, nil
	case "old":
		return Precheck{Version: "0.9"}, nil
	}
	return Precheck{Version: "1"}, nil
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

func TestPrecheckSaid(t *testing.T) {
	a := Attempt{Agent: "a", ToVersion: "2"}
	for _, c := range []struct {
		name string
		said Precheck
		err  error
		want PrecheckState
		then Reason // ReasonNone: it starts
	}{
		{"nothing", Precheck{}, nil, PrecheckReady, ReasonNone},
		{"another version", Precheck{Version: "1"}, nil, PrecheckReady, ReasonNone},
		{"the target's version", Precheck{Version: "2"}, nil, PrecheckAtTarget, ReasonSucceeded},
		{"at target", Precheck{State: PrecheckAtTarget}, nil, PrecheckAtTarget, ReasonSucceeded},
		{"blocked at the target's version", Precheck{State: PrecheckBlocked, Version: "2"}, nil, PrecheckBlocked, ReasonBlocked},
		{"away", Precheck{State: PrecheckUnreachable}, nil, PrecheckUnreachable, ReasonUnreachable},
		{"an error", Precheck{State: PrecheckAtTarget}, errors.New("x"), PrecheckUnreachable, ReasonUnreachable},
		{"throttled", Precheck{}, Throttled(errors.New("x"), time.Minute), PrecheckUnreachable, ReasonThrottled},
		{"a permanent error says as little", Precheck{}, Permanent(errors.New("x")), PrecheckUnreachable, ReasonUnreachable},
		{"a state that does not exist", Precheck{State: 9}, nil, PrecheckUnreachable, ReasonUnreachable},
	} {
		p, after := readPrecheck(nil, a, c.said, c.err)
		require.Equal(t, c.want, p.State, c.name)
		got := p.answer(ask{attempt: a}, after, time.Unix(7, 0))
		if c.then == ReasonNone {
			require.Nil(t, got.outcome, c.name)
			continue
		}
		require.Equal(t, c.then, got.outcome.reason, c.name)
		require.True(t, got.outcome.unchanged, "%s: a question changes nothing", c.name)
	}
}

func TestPrechecksDecideWhoStarts(t *testing.T) {
	inCheck(t, func(s *scene, p *prechecking) {
		p.down = 2
		id := s.start(Policy{Concurrency: 2, FailureThreshold: ptr(0.0)}, Shape{}, "ok-1", "there-2", "silently-3", "blocked-4", "down-5", "later-6", "old-7", "ok-8")
		s.run(s.e)
		s.after(time.Hour)
		s.status(id, StatusCompleted)
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
		require.Equal(s, "battery below 20 %", s.events(id, EventTaskSkipped)[0].Text)
		require.Equal(s, "0.9", agents["old-7"].Version)
		require.Equal(s, "0.9", s.fleet.made("old-7")[0].FromVersion)
		require.Equal(s, 2, s.plan(id).Counts.AtTarget)
		require.LessOrEqual(s, p.most, 2)
		back := s.said(s.e.Rollback(s.ctx, id, RollbackSpec{}, Request{}))
		s.after(time.Minute)
		s.status(back.ID, StatusCompleted)
		require.Equal(s, "0.9", s.agent(back.ID, "old-7").Tasks[0].Target, "each goes back to what it ran")
		require.NotContains(s, s.agents(back.ID), "there-2")
	})
}

// Questions and calls together are bounded by Concurrency, and so is a label's budget by the two.
func TestPrechecksShareTheSlots(t *testing.T) {
	inCheck(t, func(s *scene, p *prechecking) {
		id := s.start(Policy{Concurrency: 3}, Shape{Size: 20}, names("ok", 20)...)
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
		require.Equal(s, StatusCompleted, s.plan(id).Status)
		require.Len(s, p.asked, 20)
	})
}

func TestPrechecksAreExplained(t *testing.T) {
	inCheck(t, func(s *scene, p *prechecking) {
		id := s.start(Policy{Concurrency: 2}, Shape{}, "ok-1", "ok-2", "ok-3")
		s.run(s.e)
		s.after(500 * time.Millisecond)
		require.Equal(s, "A question has not been answered yet: prechecking 2 agents of batch 0", s.explain(id).Sentence())
		require.Zero(s, s.plan(id).InFlight())
	})
}

// Nobody is asked while nothing may start, and an answer that has grown old is asked for again.
func TestPrechecksGrowOld(t *testing.T) {
	inCheck(t, func(s *scene, p *prechecking) {
		id := s.start(Policy{Concurrency: 2}, Shape{}, "ok-1", "there-2", "ok-3")
		s.run(s.e)
		s.after(500 * time.Millisecond)
		s.said(s.e.Pause(s.ctx, id, Request{}))
		s.after(time.Hour)
		s.status(id, StatusPaused)
		require.Empty(s, s.fleet.made(""))
		require.Len(s, p.asked, 2)
		require.Equal(s, TaskPending, s.agent(id, "there-2").Status, "what becomes of it is decided when the plan goes on")
		s.said(s.e.Resume(s.ctx, id, Decision{}, Request{}))
		s.after(time.Minute)
		s.status(id, StatusCompleted)
		require.Equal(s, 2, p.times("ok-1"))
		require.Equal(s, 2, p.times("there-2"))
		require.Equal(s, 1, p.times("ok-3"))
	})
}

// An agent that never answers its precheck ends as one that never answers a call: by UnreachableTimeout and OnUnreachable.
func TestPrechecksOfTheAway(t *testing.T) {
	for _, action := range []UnreachableAction{UnreachableFails, UnreachableSkipped} {
		inCheck(t, func(s *scene, p *prechecking) {
			id := s.start(Policy{Concurrency: 1, FailureThreshold: ptr(1.0), UnreachableTimeout: 10 * time.Minute, OnUnreachable: action}, Shape{}, "gone-1", "panics-2", "odd-3", "ok-4")
			s.run(s.e)
			s.after(20 * time.Second)
			require.NotEqual(s, TaskFailed, s.agent(id, "gone-1").Status)
			require.Equal(s, TaskSucceeded, s.agent(id, "ok-4").Status, "whoever is away holds up nobody")
			s.after(time.Hour)
			s.status(id, StatusCompleted)
			want := map[UnreachableAction]TaskStatus{UnreachableFails: TaskFailed, UnreachableSkipped: TaskSkipped}[action]
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
		id := s.start(Policy{Concurrency: 4}, Shape{}, names("ok", 10)...)
		for i := range 12 {
			ctx, cancel := context.WithTimeout(s.ctx, time.Duration(300+i*400)*time.Millisecond)
			e, err := New(s.store, p, Options{Name: "one", DrainTimeout: -1})
			require.NoError(s, err)
			_ = e.Run(ctx)
			cancel()
		}
		s.run(s.e)
		s.after(time.Minute)
		s.status(id, StatusCompleted)
		require.Equal(s, 10, s.plan(id).Counts.Succeeded)
	})
}

func TestPrechecksSkippedMeanwhile(t *testing.T) {
	inCheck(t, func(s *scene, p *prechecking) {
		id := s.start(Policy{Concurrency: 2, Budget: Budget{Label: "rack", Max: 2}}, Shape{}, "ok-1", "ok-2", "ok-3", "ok-4")
		s.run(s.e)
		s.after(500 * time.Millisecond)
		s.said(s.e.Skip(s.ctx, id, []string{"ok-1", "ok-3"}, Request{}))
		s.after(time.Minute)
		s.status(id, StatusCompleted)
		require.Empty(s, s.fleet.made("ok-1"))
		require.Empty(s, s.fleet.made("ok-3"))
		require.Len(s, s.fleet.made("ok-2"), 1)
	})
}

func TestPrecheckOnDemand(t *testing.T) {
	inCheck(t, func(s *scene, p *prechecking) {
		s.e = s.engineOf(s.store, p, Options{Name: "one", Poll: time.Hour})
		busy := s.start(Policy{}, Shape{}, "ok-1", "z")
		id := s.create(Policy{Concurrency: 2, Windows: []Window{{Start: 3 * time.Hour, Length: time.Hour}}}, Shape{}, "ok-1", "there-2", "blocked-3", "gone-4", "ok-5").ID
		plan := s.said(s.e.Precheck(s.ctx, id, Request{Actor: "ann"}))
		r := plan.Readiness
		require.Equal(s, "5 asked: 2 ready, 1 at the target, 1 blocked, 1 away; 1 conflicts", r.String())
		require.ElementsMatch(s, []Finding{{"blocked-3", PrecheckBlocked, "battery below 20 %"}, {"gone-4", PrecheckUnreachable, "no answer"}}, r.Findings)
		require.Equal(s, []Conflict{{Agent: "ok-1", Plan: busy}}, r.Conflicts)
		require.Equal(s, "ann", r.Actor)
		require.Equal(s, 3*time.Hour, r.NextOpen.Sub(r.NextOpen.Truncate(24*time.Hour)))
		require.False(s, r.Clear())
		require.Equal(s, StatusPending, plan.Status)
		require.Equal(s, 2, p.most)
		require.Equal(s, r, s.plan(id).Readiness, "it is kept")
		require.Equal(s, 2, s.events(id, EventPrechecked)[0].Number)
		require.Empty(s, s.fleet.made(""), "a question changes nothing")
		require.Equal(s, TaskPending, s.agent(id, "there-2").Status)

		ctx, cancel := context.WithTimeout(s.ctx, 100*time.Millisecond)
		defer cancel()
		_, err := s.e.Precheck(ctx, id, Request{})
		require.ErrorIs(s, err, context.DeadlineExceeded)
		require.Equal(s, r, s.plan(id).Readiness, "half a result is none")

		s.use(s.fleet) // no Prechecker
		r = s.said(s.e.Precheck(s.ctx, id, Request{})).Readiness
		require.Zero(s, r.Asked)
		require.Equal(s, 1, r.ConflictCount)
		_, err = s.e.Precheck(s.ctx, "nobody", Request{})
		require.ErrorIs(s, err, ErrNotFound)
	})
}

// In a running plan only those that were not started are asked about.
func TestPrecheckOfARunningPlan(t *testing.T) {
	inCheck(t, func(s *scene, p *prechecking) {
		id := s.start(Policy{Concurrency: 1}, Shape{Size: 1}, "ok-1", "ok-2", "blocked-3")
		s.run(s.e)
		s.after(1500 * time.Millisecond)
		r := s.said(s.e.Precheck(s.ctx, id, Request{})).Readiness
		require.Equal(s, "2 asked: 1 ready, 0 at the target, 1 blocked, 0 away; 0 conflicts", r.String())
		s.after(time.Minute)
		s.status(id, StatusCompleted)
		r = s.said(s.e.Precheck(s.ctx, id, Request{})).Readiness
		require.Zero(s, r.Asked)
		require.True(s, r.Clear())
	})
}

func TestAPreviewAsks(t *testing.T) {
	inCheck(t, func(s *scene, p *prechecking) {
		spec := Spec{Name: "x", FromVersion: "1", ToVersion: "2", Agents: AgentIDs("ok-1", "blocked-2", "there-3"), Policy: Policy{
			PlanTimeout: time.Hour, Windows: []Window{{Start: 3 * time.Hour, Length: time.Hour}},
		}}
		v, err := s.e.Preview(s.ctx, spec, PreviewOptions{})
		require.NoError(s, err)
		require.Zero(s, v.Readiness.Asked, "nobody asked for it")
		v, err = s.e.Preview(s.ctx, spec, PreviewOptions{Precheck: true})
		require.NoError(s, err)
		require.Equal(s, "3 asked: 1 ready, 1 at the target, 1 blocked, 0 away; 0 conflicts", v.Readiness.String())
		require.Contains(s, strings.Join(v.Warnings, "\n"), "no window opens before planLimit has passed")
		require.Equal(s, 0, p.asked[0].Number)
	})
}
