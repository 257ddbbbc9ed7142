package scenarios

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// racks yields n agents whose racks follow one another in runs of the given length.
func racks(n, run, racks int) iter.Seq2[ota.Agent, error] {
	return func(yield func(ota.Agent, error) bool) {
		for i := range n {
			a := ota.Agent{ID: fmt.Sprintf("ok-%05d", i), Labels: map[string]string{"rack": fmt.Sprint(i / run % racks)}}
			if !yield(a, nil) {
				return
			}
		}
	}
}

// counted is scripted, and counts how many calls are out for each rack.
func (s *scripted) countRacks() (most map[string]int, all *int) {
	out, n := map[string]int{}, 0
	most, all = map[string]int{}, new(int)
	s.do = func(ctx context.Context, a ota.Attempt) (ota.Result, bool, error) {
		count := func(by int) {
			s.mu.Lock()
			defer s.mu.Unlock()
			rack := a.Labels["rack"]
			out[rack] += by
			n += by
			most[rack], *all = max(most[rack], out[rack]), max(*all, n)
		}
		count(1)
		defer count(-1)
		return ota.Result{Version: "2"}, true, nap(ctx, time.Second)
	}
	return most, all
}

func TestAFullRackHoldsUpNoOther(t *testing.T) {
	inScene(t, func(s *scene) {
		most, all := s.fleet.countRacks()
		spec := ota.Spec{
			Name: "x", FromVersion: "1", ToVersion: "2", Agents: racks(60, 20, 3), Shape: ota.Shape{Size: 60},
			Policy: ota.Policy{Concurrency: 6, Budgets: []ota.Budget{{Label: "rack", Max: 2}}},
		}
		p, err := s.e.Create(s.ctx, spec)
		require.NoError(s, err)
		s.said(s.e.Start(s.ctx, p.ID, ota.Request{}))
		s.run(s.e)
		s.after(10*time.Second + time.Millisecond)
		s.status(p.ID, ota.StatusCompleted)
		require.Equal(s, map[string]int{"0": 2, "1": 2, "2": 2}, most)
		require.Equal(s, 6, *all, "racks are upgraded side by side, although they follow one another")
	})
}

func TestALabelBudgetExplainsItself(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.countRacks()
		spec := ota.Spec{
			Name: "x", FromVersion: "1", ToVersion: "2", Agents: racks(20, 20, 1), Shape: ota.Shape{Size: 20},
			Policy: ota.Policy{Concurrency: 10, Budgets: []ota.Budget{{Label: "rack", Max: 3}}},
		}
		p, err := s.e.Create(s.ctx, spec)
		require.NoError(s, err)
		s.said(s.e.Start(s.ctx, p.ID, ota.Request{}))
		s.run(s.e)
		s.after(500 * time.Millisecond)
		x := s.explain(p.ID)
		require.Equal(s, "As many agents with one value of a label are open or down as the policy allows: 17 agents wait for others with the same rack, of which 3 may be unavailable", x.Sentence())
		s.said(s.e.Edit(s.ctx, p.ID, func(p *ota.Policy) { p.Budgets[0].Max = 8 }, ota.Request{}))
		s.after(100 * time.Millisecond)
		require.Equal(s, 8, s.plan(p.ID).InFlight(), "an edit counts at once")
		s.said(s.e.Edit(s.ctx, p.ID, func(p *ota.Policy) { p.Budgets = []ota.Budget{{Label: "row", Max: 1}} }, ota.Request{}))
		s.after(2 * time.Second)
		require.Equal(s, 1, s.plan(p.ID).InFlight(), "nobody has that label: they share the empty value")
		s.said(s.e.Edit(s.ctx, p.ID, func(p *ota.Policy) { p.Budgets = nil }, ota.Request{}))
		s.after(3 * time.Second)
		s.status(p.ID, ota.StatusCompleted)
	})
}

// With Reserve, retries and agents that were away, a budget of one still comes to an end, also over a restart.
func TestALabelBudgetAndEverythingElse(t *testing.T) {
	inScene(t, func(s *scene) {
		one := 1.0
		var agents []ota.Agent
		for i := range 24 {
			kind := []string{"ok", "flaky", "busy", "same", "fail", "ok"}[i%6]
			agents = append(agents, ota.Agent{ID: fmt.Sprintf("%s-%02d", kind, i), Labels: map[string]string{"rack": fmt.Sprint(i % 2)}})
		}
		spec := ota.Spec{
			Name: "x", FromVersion: "1", ToVersion: "2", Agents: listed(agents), Shape: ota.Shape{Size: 12},
			Policy: ota.Policy{Concurrency: 5, Reserve: true, FailureThreshold: &one, Retry: ota.RetryPolicy{Max: 1, Backoff: time.Second}, UnreachableTimeout: 3 * time.Minute, Budgets: []ota.Budget{{Label: "rack", Max: 1, Of: ota.OpenAgents}}},
		}
		p, err := s.e.Create(s.ctx, spec)
		require.NoError(s, err)
		s.said(s.e.Start(s.ctx, p.ID, ota.Request{}))
		stop := s.run(s.e)
		s.after(4500 * time.Millisecond)
		require.NoError(s, stop())
		s.run(s.engine(s.store, s.fleet, "two"))
		s.after(time.Hour)
		s.status(p.ID, ota.StatusCompleted)
		require.LessOrEqual(s, s.fleet.most, 2)
		require.Equal(s, 24, s.plan(p.ID).Counts.Total()-s.plan(p.ID).Counts.Pending)
	})
}

// More agents than a page holds stand in line, and their rows are read again when their turn comes.
func TestALineLongerThanAPage(t *testing.T) {
	inScene(t, func(s *scene) {
		s.store.Blind = true
		n := 5 * pageSize
		spec := ota.Spec{
			Name: "x", FromVersion: "1", ToVersion: "2", Agents: racks(n, n/2, 2), Shape: ota.Shape{Size: n},
			Policy: ota.Policy{Concurrency: 300, Budgets: []ota.Budget{{Label: "rack", Max: 100}}},
		}
		s.fleet.latency = time.Second
		p, err := s.e.Create(s.ctx, spec)
		require.NoError(s, err)
		s.said(s.e.Start(s.ctx, p.ID, ota.Request{}))
		stop := s.run(s.e)
		s.after(20 * time.Second)
		require.NoError(s, stop())
		s.run(s.engine(s.store, s.fleet, "two"))
		s.after(10 * time.Minute)
		s.status(p.ID, ota.StatusCompleted)
		require.Equal(s, n, s.plan(p.ID).Counts.Succeeded)
		calls := len(s.fleet.made(""))
		require.Equal(s, n, calls, "every agent was called once")
	})
}

// An urgent agent of another value has its turn after the current batch has finished, also while that
// batch waits for Promote.
func TestAnUrgentAgentHasItsTurnBesideACanary(t *testing.T) {
	inScene(t, func(s *scene) {
		s.use(ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
			if a.Agent == "0" {
				return ota.Result{}, ota.Unchanged(ota.Rejected(errors.New("unknown package")))
			}
			return ota.Result{}, nil
		}))
		var agents []ota.Agent
		for _, zone := range []string{"0", "1", "2"} {
			agents = append(agents, ota.Agent{ID: zone, Labels: map[string]string{"zone": zone}})
		}
		p, err := s.e.Create(s.ctx, ota.Spec{
			Name: "x", ToVersion: "2", Agents: listed(agents), Shape: ota.Shape{Canary: 1, Size: 1},
			Policy: ota.Policy{OnBreach: ota.ActionContinue, Budgets: []ota.Budget{{Label: "zone", Values: 1, Of: ota.OpenAgents}}},
		})
		require.NoError(s, err)
		s.said(s.e.Start(s.ctx, p.ID, ota.Request{}))
		s.run(s.e)
		s.after(time.Minute)
		require.Contains(s, s.reasons(p.ID), "evidence")
		s.said(s.e.Now(s.ctx, p.ID, []string{"2"}, ota.Request{}))
		s.after(time.Minute)
		require.Equal(s, 1, s.plan(p.ID).Counts.Succeeded)
		require.Contains(s, s.reasons(p.ID), "evidence")
	})
}

// A canary that changed no agent waits for Promote. An urgent agent that waits for room would have
// Promote refused; if the room never comes, the plan pauses and says why.
func TestAnUrgentAgentStarvesBesideACanary(t *testing.T) {
	inScene(t, func(s *scene) {
		s.use(&prechecked{scripted: s.fleet, check: func(a ota.Attempt) (ota.Precheck, error) {
			if a.Agent == "bad-0" {
				return ota.Precheck{State: ota.PrecheckBlocked, Reason: "in use", Down: true}, nil
			}
			return ota.Precheck{}, nil
		}})
		id := s.start(ota.Policy{Budgets: []ota.Budget{{Label: "rack", Max: 1}}}, ota.Shape{Canary: 1, Size: 1}, "bad-0", "ok-1", "ok-2")
		s.run(s.e)
		s.after(time.Minute)
		require.Contains(s, s.reasons(id), "evidence")
		s.said(s.e.Now(s.ctx, id, []string{"ok-2"}, ota.Request{}))
		s.after(time.Minute)
		s.stays(id, ota.StatusPaused)
		require.Equal(s, ota.ReasonStarved, s.plan(id).Breaches[0].Reason)
		require.Contains(s, s.plan(id).Breaches[0].Text, "1 agent cannot start")
		s.said(s.e.Skip(s.ctx, id, []string{"ok-2"}, ota.Request{}))
		s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
		s.after(time.Minute)
		require.Contains(s, s.explain(id).Legal, ota.VerbPromote)
	})
}
