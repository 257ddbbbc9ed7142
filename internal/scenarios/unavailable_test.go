package scenarios

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/simulate"
)

// labeled are agents of the form "ok-1 cluster", by their label.
func labeled(label string, agents ...string) []ota.Agent {
	var all []ota.Agent
	for _, a := range agents {
		var id, value string
		_, _ = fmt.Sscan(a, &id, &value)
		all = append(all, ota.Agent{ID: id, Labels: map[string]string{label: value}})
	}
	return all
}

// clusters is a scene with a plan whose agents have the label cluster, one of each may be unavailable.
func (s *scene) clusters(p ota.Policy, shape ota.Shape, agents ...string) string {
	s.T.Helper()
	if p.Budgets == nil {
		p.Budgets = []ota.Budget{{Label: "cluster", Max: 1}}
	}
	if p.FailureThreshold == nil {
		p.FailureThreshold = ptr(1.0)
	}
	plan, err := s.e.Create(s.ctx, ota.Spec{
		Name: "clusters", FromVersion: "1", ToVersion: "2", Agents: listed(labeled("cluster", agents...)), Shape: shape, Policy: p,
	})
	require.NoError(s, err)
	s.said(s.e.Start(s.ctx, plan.ID, ota.Request{}))
	return plan.ID
}

// quorums is how many of 100 clusters of three lose two members in a plan over them, in a fleet in which this share of the agents
// dies of its upgrade.
func quorums(t *testing.T, seed uint64, dying float64, shape ota.Shape, of ota.BudgetOf) (lost int, paused bool) {
	t.Helper()
	draw := rand.New(rand.NewPCG(seed, 1))
	dies := map[string]bool{}
	var agents []ota.Agent
	for n := range 3 {
		for c := range 100 {
			id := fmt.Sprintf("c%03d-%d", c, n)
			dies[id] = draw.Float64() < dying
			agents = append(agents, ota.Agent{ID: id, Labels: map[string]string{"cluster": fmt.Sprint(c)}})
		}
	}
	down := map[string]int{} // also those that are being upgraded
	broken := map[string]bool{}
	fleet := simulate.FleetFunc(func(a ota.Attempt, _ time.Time) simulate.Call {
		cluster := a.Labels["cluster"]
		if dies[a.Agent] {
			if down[cluster]++; down[cluster] > 1 {
				broken[cluster] = true
			}
			return simulate.Call{Latency: time.Minute, Err: ota.Permanent(errors.New("does not come back"))}
		}
		if down[cluster] > 0 {
			broken[cluster] = true // one is dead, and this one is being upgraded
		}
		return simulate.Call{Latency: time.Minute, Result: ota.Result{Version: a.ToVersion}}
	})
	sim, err := simulate.Run(t.Context(), ota.Spec{
		Name: "etcd", FromVersion: "1", ToVersion: "2", Shape: shape, Agents: listed(agents),
		Policy: ota.Policy{Concurrency: 30, Budgets: []ota.Budget{{Label: "cluster", Max: 1, Of: of}}},
	}, fleet, simulate.Options{})
	require.NoError(t, err)
	return len(broken), sim.Stop == simulate.StopPaused
}

// No cluster of three loses its quorum, however many agents die of their upgrade. A budget of open agents loses some.
func TestNoClusterLosesItsQuorum(t *testing.T) {
	open := 0
	for _, dying := range []float64{0.02, 0.05, 0.08, 0.3} {
		for seed := range uint64(20) {
			for _, shape := range []ota.Shape{{Canary: 3, Size: 297}, {Size: 50}} {
				lost, paused := quorums(t, seed, dying, shape, ota.UnavailableAgents)
				require.Zero(t, lost, "%g of the agents die, seed %d, %+v", dying, seed, shape)
				require.True(t, paused || dying < 0.05, "a dead agent blocks its cluster, and the plan says so")
			}
			lost, _ := quorums(t, seed, dying, ota.Shape{Canary: 3, Size: 297}, ota.OpenAgents)
			open += lost
		}
	}
	require.Positive(t, open, "the fleet is one in which a budget of open agents fails")
}

// A starved plan pauses once all other clusters are done, whatever its action is, and names the value. It stays paused.
func TestStarvedPausesAndStaysPaused(t *testing.T) {
	for _, action := range []ota.Action{ota.ActionPause, ota.ActionContinue, ota.ActionRollback} {
		t.Run(action.String(), func(t *testing.T) {
			inScene(t, func(s *scene) {
				id := s.clusters(ota.Policy{OnBreach: action}, ota.Shape{Size: 6}, "fail-1 a", "ok-2 a", "ok-3 a", "ok-4 b", "ok-5 b", "ok-6 b")
				s.run(s.e)
				s.after(time.Minute)
				p := s.plan(id)
				require.Equal(s, ota.StatusPaused, p.Status)
				require.Equal(s, 3, p.Counts.Succeeded, "cluster b is done")
				require.Len(s, p.Breaches, 1)
				require.Equal(s, ota.ReasonStarved, p.Breaches[0].Reason)
				require.Equal(s, ota.ActionPause, p.Breaches[0].Action)
				require.Equal(s, `Agents that are down use up the budget of those that wait: 2 agents cannot start: cluster "a" has 1 agent down`, p.Breaches[0].String())
				x := s.explain(id)
				require.Equal(s, ota.VerbResume, x.Blockers[0].Verb)
				require.Equal(s, "with retry, or after a skip, a retry or an edit of the budgets, or by rollback", x.Blockers[0].With)
				s.after(24 * time.Hour)
				require.Equal(s, ota.StatusPaused, s.plan(id).Status)
				require.Equal(s, p.Counts, s.plan(id).Counts)
			})
		})
	}
}

// What does not help is refused while a value is starved, and changes nothing. What helps, lets the plan go on, with and without a
// new owner.
func TestWhatAnswersStarved(t *testing.T) {
	none := ota.Decision{}
	for name, c := range map[string]struct {
		do   func(*scene, string) error
		with ota.Decision
		ends ota.Status // ends "" where Resume is refused
	}{
		"nothing":             {nil, none, 0},
		"accept":              {nil, ota.Accept(1), 0},
		"raise":               {nil, ota.Raise(1), 0},
		"edit of concurrency": {func(s *scene, id string) error { return edit(s, id, func(p *ota.Policy) { p.Concurrency = 9 }) }, none, 0},
		"pause":               {func(s *scene, id string) error { _, err := s.e.Pause(s.ctx, id, ota.Request{}); return err }, none, 0},
		"annotate": {func(s *scene, id string) error {
			_, err := s.e.Annotate(s.ctx, id, map[string]string{"a": "b"}, nil, ota.Request{})
			return err
		}, none, 0},
		"edit of another value": {func(s *scene, id string) error {
			return edit(s, id, func(p *ota.Policy) { p.Budgets[0].Each = map[string]int{"b": 3} })
		}, none, 0},
		"retry": {nil, ota.RetryFailed(), ota.StatusCompleted},
		"retry, then resume": {func(s *scene, id string) error {
			_, err := s.e.Retry(s.ctx, id, nil, ota.Request{})
			return err
		}, none, ota.StatusCompleted},
		"skip": {func(s *scene, id string) error {
			_, err := s.e.Skip(s.ctx, id, []string{"ok-2", "ok-3"}, ota.Request{})
			return err
		}, none, ota.StatusCompleted},
		"skip of one of two": {func(s *scene, id string) error {
			_, err := s.e.Skip(s.ctx, id, []string{"ok-2"}, ota.Request{})
			return err
		}, none, ota.StatusPaused},
		"edit of the limit": {func(s *scene, id string) error { return edit(s, id, func(p *ota.Policy) { p.Budgets[0].Max = 2 }) }, none, ota.StatusCompleted},
		"edit of the value": {func(s *scene, id string) error {
			return edit(s, id, func(p *ota.Policy) { p.Budgets[0].Each = map[string]int{"a": 2} })
		}, none, ota.StatusCompleted},
		"edit to open": {func(s *scene, id string) error {
			return edit(s, id, func(p *ota.Policy) { p.Budgets[0].Of = ota.OpenAgents })
		}, none, ota.StatusCompleted},
		"edit to no budgets": {func(s *scene, id string) error { return edit(s, id, func(p *ota.Policy) { p.Budgets = nil }) }, none, ota.StatusCompleted},
	} {
		for _, owner := range []string{"same", "new", "none"} {
			t.Run(name+", "+owner+" owner", func(t *testing.T) {
				inScene(t, func(s *scene) {
					works := false
					s.fleet.do = func(_ context.Context, a ota.Attempt) (ota.Result, bool, error) {
						if a.Agent == "bad-1" && !works {
							return ota.Result{}, true, errors.New("no")
						}
						return ota.Result{Version: "2"}, true, nil
					}
					id := s.clusters(ota.Policy{}, ota.Shape{Size: 4}, "bad-1 a", "ok-2 a", "ok-3 a", "ok-4 b")
					stop := s.run(s.e)
					s.after(time.Minute)
					require.Equal(s, ota.ReasonStarved, s.plan(id).Breaches[0].Reason)
					works = true
					if owner != "same" {
						require.NoError(s, stop())
					}
					if owner == "new" {
						s.run(s.engine(s.store, s.fleet, "two"))
						s.after(time.Minute)
					}
					if c.do != nil {
						require.NoError(s, c.do(s, id))
					}
					s.after(time.Minute)
					_, err := s.e.Resume(s.ctx, id, c.with, ota.Request{})
					if c.ends == 0 {
						var breach *ota.BreachError
						require.ErrorAs(s, err, &breach)
						require.Equal(s, ota.ReasonStarved, breach.Breach.Reason)
					} else {
						require.NoError(s, err)
					}
					if owner == "none" {
						s.run(s.engine(s.store, s.fleet, "three"))
					}
					s.after(time.Hour)
					want := c.ends
					if c.ends == 0 {
						want = ota.StatusPaused
					}
					s.status(id, want)
					if want == ota.StatusPaused {
						require.Empty(s, s.fleet.made("ok-3"), "nothing of the starved cluster has started")
					}
				})
			})
		}
	}
}

func edit(s *scene, id string, change func(*ota.Policy)) error {
	_, err := s.e.Edit(s.ctx, id, change, ota.Request{})
	return err
}

// Each way to go down takes a place in the budget: the next agent of the cluster does not start before the first one serves again.
// So it is in the same batch and in a later one, and after a new owner took the plan over.
func TestEachWayToGoDownTakesAPlace(t *testing.T) {
	soak := ota.Soak{Duration: time.Minute, Interval: 10 * time.Second}
	grace := soak
	grace.Grace = 20 * time.Minute
	for name, c := range map[string]struct {
		first  string
		policy ota.Policy
		size   int
		starts time.Duration // when the next agent of the cluster may start; 0: never
	}{
		"failed":                        {"fail-1", ota.Policy{}, 3, 0},
		"failed in a batch before":      {"fail-1", ota.Policy{}, 1, 0},
		"timed out":                     {"hang-1", ota.Policy{AttemptTimeout: time.Second}, 3, 0},
		"wrong version":                 {"wrong-1", ota.Policy{}, 3, 0},
		"unhealthy":                     {"sick-1", ota.Policy{Soak: soak}, 1, 0},
		"silent":                        {"mute-1", ota.Policy{Soak: soak}, 1, 0},
		"unhealthy, with grace":         {"sick-1", ota.Policy{Soak: grace}, 1, 0},
		"at its target, then unhealthy": {"same-1", ota.Policy{Soak: soak}, 1, 0},
		"unhealthy for ten minutes":     {"ill-1", ota.Policy{Soak: grace}, 1, 10 * time.Minute},
		"failed, and changed nothing":   {"clean-1", ota.Policy{}, 3, time.Second},
		"rejected":                      {"reject-1", ota.Policy{}, 3, 0},
		"flaky":                         {"flaky-1", ota.Policy{Retry: ota.RetryPolicy{Max: 1, Backoff: time.Second}}, 3, time.Second},
	} {
		for _, taken := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, new owner: %t", name, taken), func(t *testing.T) {
				inScene(t, func(s *scene) {
					begin := time.Now()
					s.fleet.health = func(a ota.Attempt) (ota.Health, error) {
						switch {
						case a.Agent == "sick-1", a.Agent == "same-1", a.Agent == "ill-1" && time.Since(begin) < 10*time.Minute:
							return ota.Health{Reason: "no pulse"}, nil
						case a.Agent == "mute-1":
							return ota.Health{}, errors.New("no answer")
						}
						return ota.Health{Healthy: true}, nil
					}
					x := ota.Executor(s.fleet)
					if c.policy.Soak.Interval > 0 {
						x = probed{s.fleet}
					}
					s.use(x)
					id := s.clusters(c.policy, ota.Shape{Size: c.size}, c.first+" a", "ok-2 a", "ok-3 b")
					stop := s.run(s.e)
					s.after(5 * time.Minute)
					if taken {
						require.NoError(s, stop())
						s.run(s.engine(s.store, x, "two"))
					}
					s.after(2 * time.Hour)
					calls := s.fleet.made("ok-2")
					if c.starts > 0 {
						require.Len(s, calls, 1)
						require.GreaterOrEqual(s, calls[0].at.Sub(begin), c.starts)
						return
					}
					require.Empty(s, calls)
					require.Equal(s, ota.ReasonStarved, s.plan(id).Breaches[0].Reason)
				})
			})
		}
	}
}

// A value is counted over all batches: its agents in a later batch wait for one that is down in an earlier batch, whose failure was
// accepted. One that is down needs no room, and a retry starts it before all others.
func TestAValueThatSpansBatches(t *testing.T) {
	inScene(t, func(s *scene) {
		works := false
		s.fleet.do = func(_ context.Context, a ota.Attempt) (ota.Result, bool, error) {
			if a.Agent == "bad-2" && !works {
				return ota.Result{}, true, errors.New("no")
			}
			return ota.Result{Version: "2"}, true, nil
		}
		id := s.clusters(ota.Policy{FailureThreshold: ptr(0.0), Concurrency: 1}, ota.Shape{Size: 3}, "ok-0 b", "ok-1 b", "bad-2 a", "ok-3 a", "ok-4 b", "ok-5 a")
		s.run(s.e)
		s.after(time.Minute)
		require.Equal(s, ota.ReasonThreshold, s.plan(id).Breaches[0].Reason)
		s.said(s.e.Resume(s.ctx, id, ota.Accept(1), ota.Request{}))
		s.after(time.Minute)
		p := s.plan(id)
		require.Equal(s, ota.ReasonStarved, p.Breaches[0].Reason, "an accepted failure stays unavailable")
		require.Equal(s, []int{3, 1}, []int{p.Counts.Succeeded, p.Batch})
		require.Empty(s, append(s.fleet.made("ok-3"), s.fleet.made("ok-5")...))
		works = true
		s.said(s.e.Resume(s.ctx, id, ota.RetryFailed(), ota.Request{}))
		s.after(time.Minute)
		s.status(id, ota.StatusCompleted)
	})
}

// After a takeover, a retry starts the agent that is down before those that wait for its place.
func TestARetryStartsWhatIsDownFirst(t *testing.T) {
	inScene(t, func(s *scene) {
		works := false
		s.fleet.do = func(_ context.Context, a ota.Attempt) (ota.Result, bool, error) {
			if a.Agent == "bad-5" && !works {
				return ota.Result{}, true, errors.New("no")
			}
			return ota.Result{Version: "2"}, true, nil
		}
		agents := []string{"bad-5 a"}
		for i := range 6 {
			agents = append(agents, fmt.Sprintf("ok-%d a", 10+i))
		}
		id := s.clusters(ota.Policy{Concurrency: 1}, ota.Shape{Size: 7}, agents...)
		stop := s.run(s.e)
		s.after(time.Minute)
		require.Equal(s, ota.ReasonStarved, s.plan(id).Breaches[0].Reason)
		require.NoError(s, stop())
		s.run(s.engine(s.store, s.fleet, "two"))
		works = true
		before := len(s.fleet.made(""))
		s.said(s.e.Resume(s.ctx, id, ota.RetryFailed(), ota.Request{}))
		s.after(time.Hour)
		s.status(id, ota.StatusCompleted)
		calls := s.fleet.made("")[before:]
		require.Len(s, calls, 7)
		require.Equal(s, "bad-5", calls[0].Agent)
	})
}

// zones is a scene with a plan of n agents in each of three zones, in turn; one zone may be in use.
func (s *scene) zones(p ota.Policy, size, n int) string {
	s.T.Helper()
	p.Budgets = []ota.Budget{{Label: "cluster", Values: 1}}
	var agents []string
	for i := range 3 * n {
		agents = append(agents, fmt.Sprintf("ok-%03d z%d", i, i%3))
	}
	return s.clusters(p, ota.Shape{Size: size}, agents...)
}

// order is the labels of the calls, without repetitions.
func (s *scene) order() (zones []string) {
	for _, c := range s.fleet.made("") {
		if z := c.Labels["cluster"]; len(zones) == 0 || zones[len(zones)-1] != z {
			zones = append(zones, z)
		}
	}
	return zones
}

// Many agents of one zone are upgraded at once, and none of two zones: in each batch the zones take turns, and a zone goes on where
// it was after a takeover at any moment.
func TestZonesTakeTurns(t *testing.T) {
	for name, c := range map[string]struct {
		size int
		want []string
	}{
		"one batch":          {30, []string{"z0", "z1", "z2"}},
		"batches span zones": {15, []string{"z0", "z1", "z2", "z0", "z1", "z2"}},
	} {
		for taken := range 9 {
			t.Run(fmt.Sprintf("%s, a new owner after %d s", name, taken), func(t *testing.T) {
				inScene(t, func(s *scene) {
					s.fleet.latency = time.Second
					id := s.zones(ota.Policy{Concurrency: 4}, c.size, 10)
					stop := s.run(s.e)
					s.after(time.Second/2 + time.Duration(taken)*time.Second)
					require.Equal(s, min(4, c.size/3), s.fleet.most, "a zone is upgraded side by side")
					require.NoError(s, stop())
					s.run(s.engine(s.store, s.fleet, "two"))
					s.after(time.Minute)
					s.status(id, ota.StatusCompleted)
					require.Equal(s, c.want, s.order())
					require.Len(s, s.fleet.made(""), 30)
				})
			})
		}
	}
}

// A zone with an agent that is down stays in use: no other zone begins, and the plan pauses and says so. So it is after a takeover.
func TestAZoneThatIsDownHoldsTheOthers(t *testing.T) {
	inScene(t, func(s *scene) {
		works := false
		s.fleet.do = func(_ context.Context, a ota.Attempt) (ota.Result, bool, error) {
			if a.Agent == "ok-003" && !works {
				return ota.Result{}, true, errors.New("no")
			}
			return ota.Result{Version: "2"}, true, nil
		}
		id := s.zones(ota.Policy{Concurrency: 4}, 9, 3)
		stop := s.run(s.e)
		s.after(time.Minute)
		p := s.plan(id)
		require.Equal(s, ota.ReasonStarved, p.Breaches[0].Reason)
		require.Equal(s, `Agents that are down use up the budget of those that wait: 6 agents cannot start: cluster "z0" has 1 agent down`, p.Breaches[0].String())
		require.Equal(s, 2, p.Counts.Succeeded)
		require.NoError(s, stop())
		s.run(s.engine(s.store, s.fleet, "two"))
		s.after(time.Hour)
		require.Equal(s, []string{"z0"}, s.order())
		_, err := s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{})
		var breach *ota.BreachError
		require.ErrorAs(s, err, &breach)
		require.NoError(s, edit(s, id, func(p *ota.Policy) { p.Budgets[0].Values = 2 }))
		s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
		s.after(time.Minute)
		s.status(id, ota.StatusCompleted)
		require.Equal(s, []string{"z0", "z1", "z2"}, s.order())
	})
}

// A million agents of two zones would not fit into the lines: the search passes those without a turn, and comes back.
func TestTurnsInABatchLongerThanTheLines(t *testing.T) {
	inScene(t, func(s *scene) {
		s.store.Blind = true
		n := 5 * pageSize
		spec := ota.Spec{
			Name: "x", FromVersion: "1", ToVersion: "2", Agents: racks(n, 1, 2), Shape: ota.Shape{Size: n},
			Policy: ota.Policy{Concurrency: 1000, Budgets: []ota.Budget{{Label: "rack", Values: 1}}},
		}
		s.fleet.latency = time.Second
		p, err := s.e.Create(s.ctx, spec)
		require.NoError(s, err)
		require.Contains(s, p.Warnings, "batch 0 has more than 1 value of rack: they take turns in each batch; to observe each before the next, cut the batches by rack")
		s.said(s.e.Start(s.ctx, p.ID, ota.Request{}))
		s.run(s.e)
		s.after(10 * time.Minute)
		s.status(p.ID, ota.StatusCompleted)
		last := "0"
		for _, c := range s.fleet.made("") {
			require.GreaterOrEqual(s, c.Labels["rack"], last)
			last = c.Labels["rack"]
		}
		require.Len(s, s.fleet.made(""), n)
	})
}

// downFleet answers prechecks: an agent whose ID has "dead" does not serve before its upgrade.
type downFleet struct {
	*scripted
	blocked bool // the dead ones may not be upgraded
}

func (f *downFleet) Precheck(ctx context.Context, a ota.Attempt) (ota.Precheck, error) {
	if !strings.HasPrefix(a.Agent, "slow") {
		if err := nap(ctx, time.Second); err != nil {
			return ota.Precheck{}, err
		}
	}
	p := ota.Precheck{Down: strings.Contains(a.Agent, "dead")}
	if p.Down && f.blocked {
		p.State, p.Reason = ota.PrecheckBlocked, "out of reach of its technician"
	}
	return p, nil
}

// An agent that is down by its precheck starts first, and counts in its budget when it may not be upgraded.
func TestDownByPrecheck(t *testing.T) {
	agents := []string{"ok-1 b", "ok-dead-2 a", "ok-3 a", "ok-4 b"}
	t.Run("starts first", func(t *testing.T) {
		inScene(t, func(s *scene) {
			s.use(&downFleet{scripted: s.fleet})
			s.fleet.latency = time.Second
			id := s.clusters(ota.Policy{Concurrency: 3}, ota.Shape{Size: 5}, append([]string{"slow-0 c"}, agents...)...)
			s.run(s.e)
			s.after(500 * time.Millisecond)
			require.NoError(s, edit(s, id, func(p *ota.Policy) { p.Concurrency = 1 }))
			s.after(5 * time.Second) // the other two have answered, and wait for the slot
			require.Len(s, s.fleet.made(""), 1)
			s.after(time.Hour)
			s.status(id, ota.StatusCompleted)
			require.Equal(s, "ok-dead-2", s.fleet.made("")[1].Agent)
		})
	})
	for _, taken := range []bool{false, true} {
		t.Run(fmt.Sprintf("blocked, new owner: %t", taken), func(t *testing.T) {
			inScene(t, func(s *scene) {
				x := &downFleet{scripted: s.fleet, blocked: true}
				s.use(x)
				id := s.clusters(ota.Policy{Concurrency: 2}, ota.Shape{Size: 2}, agents...)
				stop := s.run(s.e)
				s.after(1500 * time.Millisecond)
				if taken {
					require.NoError(s, stop())
					s.run(s.engine(s.store, x, "two"))
				}
				s.after(time.Hour)
				p := s.plan(id)
				require.Equal(s, ota.ReasonStarved, p.Breaches[0].Reason)
				require.Equal(s, []int{2, 1}, []int{p.Counts.Succeeded, p.Counts.Skipped})
				require.Empty(s, s.fleet.made("ok-3"), "the other one of its cluster waits")
				s.retriesNothing(id)
			})
		})
	}
}

// retriesNothing asserts that a retry is no answer where no agent has failed, that Explain does not
// name it, and that what it names is one.
func (s *scene) retriesNothing(id string) {
	s.Helper()
	_, err := s.e.Resume(s.ctx, id, ota.RetryFailed(), ota.Request{})
	require.ErrorContains(s, err, "0 agents failed so far: resume after a skip or an edit of the budgets")
	require.Equal(s, "after a skip or an edit of the budgets, or by rollback", s.explain(id).Blockers[0].With)
	_, err = s.e.Skip(s.ctx, id, []string{"ok-3"}, ota.Request{})
	require.NoError(s, err)
	_, err = s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{})
	require.NoError(s, err)
	s.after(time.Hour)
	s.status(id, ota.StatusCompleted)
}

// A new owner counts the agents that went down before: after the failure was accepted, no breach protects the next agent of the
// cluster.
func TestTheDownAreCountedAtATakeover(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.latency = time.Second
		id := s.clusters(ota.Policy{Concurrency: 1}, ota.Shape{Size: 8}, "fail-1 a", "ok-2 b", "ok-3 b", "ok-4 a", "ok-5 b", "ok-6 b", "ok-7 a", "ok-8 b")
		stop := s.run(s.e)
		s.after(2500 * time.Millisecond)
		require.NoError(s, stop())
		s.run(s.engine(s.store, s.fleet, "two"))
		s.after(time.Hour)
		require.Empty(s, append(s.fleet.made("ok-4"), s.fleet.made("ok-7")...))
		require.Equal(s, 5, s.plan(id).Counts.Succeeded)
		require.Equal(s, ota.ReasonStarved, s.plan(id).Breaches[0].Reason)
	})
}

// An agent that waits for its next attempt gives its slot back when another one of its cluster goes down, since it serves itself.
func TestAnOpenAgentGivesItsSlotBack(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.do = func(_ context.Context, a ota.Attempt) (ota.Result, bool, error) {
			if a.Agent == "ok-2" && a.Number == 1 {
				return ota.Result{}, true, ota.Unchanged(errors.New("busy"))
			}
			return ota.Result{Version: "2"}, true, nil
		}
		id := s.clusters(ota.Policy{
			Retry: ota.RetryPolicy{Max: 1, Backoff: 4 * time.Minute}, Soak: ota.Soak{Duration: time.Second, ToEnd: true},
		}, ota.Shape{Size: 1}, "ok-1 a", "ok-2 a")
		s.run(s.e)
		s.after(65 * time.Second)
		require.Len(s, s.fleet.made("ok-2"), 1)
		require.NoError(s, s.e.ReportHealth(s.ctx, id, []ota.HealthReport{{Agent: "ok-1", Reason: "no pulse"}}))
		s.after(time.Hour)
		require.Len(s, s.fleet.made("ok-2"), 1, "its cluster has one down")
		require.Equal(s, ota.ReasonStarved, s.plan(id).Breaches[0].Reason)
		s.said(s.e.Resume(s.ctx, id, ota.RetryFailed(), ota.Request{}))
		s.after(time.Hour)
		s.status(id, ota.StatusCompleted)
		require.Len(s, s.fleet.made("ok-2"), 2)
	})
}
