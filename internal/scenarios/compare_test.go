package scenarios

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// weather is a fleet whose network is down at times.
type weather struct {
	mu     sync.Mutex
	down   bool                    // for every agent
	calls  bool                    // calls fail too
	silent bool                    // agents do not answer; else they say that they are sick
	broken func(agent string) bool // the release breaks these agents
	always func(agent string) bool // these are sick, whatever their version is
	asked  map[string]int
}

func (w *weather) set(down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down
}

func (w *weather) use(s *scene) {
	w.asked = map[string]int{}
	s.fleet.health = func(a ota.Attempt) (ota.Health, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked[a.Agent]++
		s.fleet.mu.Lock()
		upgraded := s.fleet.versions[a.Agent] == "2"
		s.fleet.mu.Unlock()
		switch {
		case w.down && w.silent:
			return ota.Health{}, errors.New("no route")
		case w.down, w.always != nil && w.always(a.Agent), upgraded && w.broken != nil && w.broken(a.Agent):
			return ota.Health{Reason: "sick"}, nil
		}
		return ota.Health{Healthy: true}, nil
	}
	s.fleet.do = func(ctx context.Context, a ota.Attempt) (ota.Result, bool, error) {
		w.mu.Lock()
		fails := w.down && w.calls
		w.mu.Unlock()
		if !fails {
			return ota.Result{}, false, nil
		}
		return ota.Result{}, true, errors.Join(errors.New("no route"), nap(ctx, time.Second))
	}
	s.use(probed{s.fleet})
}

func allOf(string) bool { return true }

// takenBack returns how many calls took an agent back.
func (s *scene) takenBack() (n int) {
	for _, c := range s.fleet.made("") {
		if c.IsRollback {
			n++
		}
	}
	return n
}

// A network outage of all agents for two minutes takes no agent back, whatever the action is and
// however it shows. After Resume every agent is upgraded, and none has failed.
func TestAnOutageIsNotTheRelease(t *testing.T) {
	for _, action := range []ota.Action{ota.ActionRollback, ota.ActionPause, ota.ActionContinue} {
		for name, w := range map[string]*weather{
			"sick": {}, "silent": {silent: true}, "calls fail": {silent: true, calls: true},
		} {
			for _, judged := range []ota.Policy{{FailureThreshold: ptr(0.0)}, {Expect: &ota.Expect{Normal: 0.01}}, {FailureThreshold: ptr(1.0), MaxConsecutive: 2}} {
				if judged.MaxConsecutive > 0 && !w.calls {
					continue // it counts attempts
				}
				t.Run(fmt.Sprint(action, " ", name, judged.Expect != nil, judged.MaxConsecutive), func(t *testing.T) {
					inScene(t, func(s *scene) { outage(s, w, judged, action) })
				})
			}
		}
	}
}

func outage(s *scene, w *weather, p ota.Policy, action ota.Action) {
	w.set(false)
	w.use(s)
	p.OnBreach, p.Concurrency, p.Soak = action, 10, ota.Soak{Duration: time.Minute, ToEnd: true, Sample: 100}
	id := s.start(p, ota.Shape{Canary: 10, Growth: ota.Growth{First: 30, Factor: 2}}, names("ok", 150)...)
	stop := s.run(s.e)
	s.after(63 * time.Second) // the canary has passed, and the next batch is at work
	w.set(true)
	s.after(2 * time.Minute)
	plan := s.plan(id)
	require.Equal(s, ota.StatusPaused.String(), plan.Status.String(), s.explain(id).Sentence())
	require.Len(s, plan.Breaches, 1)
	require.Equal(s, ota.ReasonAmbient, plan.Breaches[0].Reason)
	require.Equal(s, ota.ActionPause, plan.Breaches[0].Action)
	require.Contains(s, plan.Breaches[0].Text, "20 of 20 agents that this plan has not begun are sick too")
	require.Contains(s, s.explain(id).Legal, ota.VerbResume)
	w.set(false)
	s.after(time.Minute)
	require.Equal(s, ota.StatusPaused, s.plan(id).Status, "a quiet round clears the suspects, not the breach")
	require.Zero(s, s.plan(id).Counts.Failed)
	_, err := s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{})
	require.NoError(s, err)
	s.after(time.Hour)
	require.NoError(s, stop())
	plan = s.plan(id)
	require.Equal(s, ota.StatusCompleted.String(), plan.Status.String(), s.explain(id).Sentence())
	require.Equal(s, 150, plan.Counts.Succeeded)
	require.Zero(s, s.takenBack())
	require.Empty(s, plan.RollbackPlan)
}

// A release that breaks every agent is rolled back while the group is healthy, and the group was
// asked first. One agent of twenty that is always sick changes nothing.
func TestABadReleaseIsNeverAnOutage(t *testing.T) {
	for _, always := range []func(string) bool{nil, func(agent string) bool { return strings.HasSuffix(agent, "7") }} {
		for _, calls := range []bool{false, true} {
			inScene(t, func(s *scene) {
				w := &weather{broken: allOf, always: always}
				w.use(s)
				kind := "ok"
				if calls {
					kind = "fail"
				}
				id := s.start(ota.Policy{OnBreach: ota.ActionRollback, Soak: ota.Soak{Duration: time.Minute}}, ota.Shape{Size: 10}, names(kind, 200)...)
				stop := s.run(s.e)
				s.after(time.Hour)
				require.NoError(s, stop())
				plan := s.plan(id)
				require.Equal(s, ota.StatusRolledBack.String(), plan.Status.String(), s.explain(id).Sentence())
				require.NotEqual(s, ota.ReasonAmbient, plan.Breaches[0].Reason)
				require.LessOrEqual(s, plan.Changed, 10)
				var waited bool
				for _, e := range s.events(id, ota.EventHealth) {
					waited = waited || e.Agent == "" && strings.Contains(e.Text, "agents that this plan has not begun")
				}
				require.True(s, waited, "the group is asked before the rollback is made")
			})
		}
	}
}

// An outage and a bad release at once: while the outage lasts, the plan is paused and nothing is
// taken back. The round after the first quiet one finds the release.
func TestABadReleaseInAnOutage(t *testing.T) {
	for _, grace := range []time.Duration{0, 15 * time.Second} {
		inScene(t, func(s *scene) {
			w := &weather{broken: allOf, silent: true}
			w.use(s)
			id := s.start(ota.Policy{OnBreach: ota.ActionRollback, Soak: ota.Soak{Duration: 10 * time.Minute, Grace: grace}}, ota.Shape{Size: 10}, names("ok", 100)...)
			stop := s.run(s.e)
			s.after(time.Second + time.Millisecond)
			w.set(true)
			s.after(5 * time.Minute)
			require.Equal(s, ota.ReasonAmbient, s.plan(id).Breaches[0].Reason)
			require.Zero(s, s.takenBack())
			w.set(false)
			s.after(11*time.Second + grace)
			found := s.plan(id)
			require.NotEqual(s, ota.ReasonAmbient, found.Breaches[len(found.Breaches)-1].Reason)
			require.Contains(s, []ota.Status{ota.StatusRollingBack, ota.StatusRolledBack}, found.Status)
			s.after(time.Hour)
			require.NoError(s, stop())
			require.Equal(s, ota.StatusRolledBack, s.plan(id).Status)
		})
	}
}

// Monitoring that is gone for all is ambient. The agents are healthy, and none of them has failed.
func TestMonitoringThatIsGoneIsAmbient(t *testing.T) {
	inScene(t, func(s *scene) {
		w := &weather{silent: true}
		w.use(s)
		id := s.start(ota.Policy{OnBreach: ota.ActionRollback, Soak: ota.Soak{Duration: 10 * time.Minute}}, ota.Shape{Size: 10}, names("ok", 100)...)
		stop := s.run(s.e)
		s.after(time.Minute)
		w.set(true)
		s.after(24 * time.Hour)
		plan := s.plan(id)
		require.Equal(s, ota.StatusPaused, plan.Status)
		require.Equal(s, ota.ReasonAmbient, plan.Breaches[0].Reason)
		require.Len(s, plan.Breaches, 1)
		require.Less(s, len(s.log(id)), 200, "an outage of a day writes little")
		w.set(false)
		s.after(time.Minute)
		require.Zero(s, s.plan(id).Counts.Failed)
		require.NoError(s, stop())
	})
}

// RunPlan asks the group before it returns, so a plan that it drives is rolled back too.
func TestRunPlanAsksTheGroup(t *testing.T) {
	inScene(t, func(s *scene) {
		w := &weather{broken: allOf}
		w.use(s)
		id := s.start(ota.Policy{OnBreach: ota.ActionRollback}, ota.Shape{Size: 10}, names("ok", 100)...)
		require.Equal(s, ota.StatusRolledBack, s.drive(id).Status)
	})
}

// The group is in the plan: an engine that takes the plan over in an outage compares with the agents
// that were healthy before, and an engine that dies between the breach and the answer asks again.
func TestATakeoverInAnOutage(t *testing.T) {
	inScene(t, func(s *scene) {
		w := &weather{silent: true}
		w.use(s)
		id := s.start(ota.Policy{OnBreach: ota.ActionRollback, Soak: ota.Soak{Duration: time.Hour}}, ota.Shape{Size: 10}, names("ok", 100)...)
		stop := s.run(s.e)
		s.after(time.Minute)
		require.NoError(s, stop())
		w.set(true)
		stop = s.run(s.engine(s.store, probed{s.fleet}, "two"))
		s.after(10 * time.Minute)
		require.Equal(s, ota.ReasonAmbient, s.plan(id).Breaches[0].Reason)
		require.NoError(s, stop())
		stop = s.run(s.engine(s.store, probed{s.fleet}, "three"))
		s.after(time.Minute)
		w.set(false)
		s.after(time.Minute)
		require.Zero(s, s.plan(id).Counts.Failed)
		_, err := s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{})
		require.NoError(s, err)
		s.after(24 * time.Hour)
		require.NoError(s, stop())
		require.Equal(s, ota.StatusCompleted, s.plan(id).Status)
		require.Zero(s, s.takenBack())
	})
}

// Fewer than four healthy agents that have not begun are no group: the plain verdict counts, and
// Explain says so. So does Off.
func TestNoGroup(t *testing.T) {
	for _, c := range []struct {
		agents, compare int
		said            bool
	}{{13, 0, true}, {14, 0, false}, {100, ota.Off, false}} {
		inScene(t, func(s *scene) {
			w := &weather{silent: true}
			w.use(s)
			id := s.start(ota.Policy{Soak: ota.Soak{Duration: time.Hour, Compare: c.compare}}, ota.Shape{Size: 10}, names("ok", c.agents)...)
			stop := s.run(s.e)
			s.after(time.Minute)
			w.set(true)
			s.after(10 * time.Minute)
			want := ota.ReasonAmbient
			if c.said || c.compare == ota.Off {
				want = ota.ReasonThreshold
			}
			require.Equal(s, want, s.plan(id).Breaches[0].Reason)
			require.Equal(s, c.said, strings.Contains(s.explain(id).Sentence(), "no group to compare with: 3 healthy agents that the plan has not begun"), s.explain(id).Sentence())
			require.NoError(s, stop())
		})
	}
}

// An Executor that is no Prober loses nothing: the breach is as before, in one commit.
func TestWithoutAProberNothingIsCompared(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{OnBreach: ota.ActionRollback}, ota.Shape{Size: 10}, names("fail", 100)...)
		require.Equal(s, ota.StatusRolledBack, s.drive(id).Status)
		require.Empty(s, s.events(id, ota.EventHealth))
	})
}

// Settings that contradict themselves are refused by name, at Create and at Edit.
func TestCompareIsChecked(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.create(ota.Policy{}, ota.Shape{}, "ok").ID
		for _, n := range []int{-2, 1, 3, 1001} {
			_, err := s.e.Create(s.ctx, ota.Spec{Name: "test", ToVersion: "2", Agents: ota.AgentIDs("a"), Policy: ota.Policy{Soak: ota.Soak{Compare: n}}})
			require.ErrorContains(s, err, "observe.compare")
			_, err = s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.Soak.Compare = n }, ota.Request{})
			require.ErrorContains(s, err, "observe.compare")
		}
	})
}

// A failure from before the last quiet round is the release's. It stays when an outage follows.
func TestAFailureFromBeforeAnOutage(t *testing.T) {
	inScene(t, func(s *scene) {
		w := &weather{silent: true}
		w.use(s)
		soak := ota.Soak{Duration: 10 * time.Minute}
		id := s.start(ota.Policy{FailureThreshold: ptr(0.2), Soak: soak}, ota.Shape{Size: 10}, append([]string{"fail-1"}, names("ok", 99)...)...)
		stop := s.run(s.e)
		s.after(time.Minute)
		w.set(true)
		s.after(2 * time.Minute)
		require.Equal(s, ota.ReasonAmbient, s.plan(id).Breaches[0].Reason)
		require.Equal(s, 1, s.plan(id).Counts.Failed)
		w.set(false)
		s.after(time.Minute)
		require.NoError(s, stop())
		require.Equal(s, 1, s.plan(id).Counts.Failed)
		require.Equal(s, 9, s.plan(id).Counts.Succeeded)
	})
}

// Five of twenty are an outage, four are not.
func TestAQuarterOfTheGroupIsAnOutage(t *testing.T) {
	for sick, want := range map[int]ota.Reason{4: ota.ReasonThreshold, 5: ota.ReasonAmbient} {
		inScene(t, func(s *scene) {
			w := &weather{broken: allOf}
			w.use(s)
			id := s.start(ota.Policy{FailureThreshold: ptr(0.0)}, ota.Shape{Size: 10}, names("ok", 100)...)
			stop := s.run(s.e)
			s.after(500 * time.Millisecond)
			w.mu.Lock()
			require.Len(s, w.asked, 20)
			falls := map[string]bool{}
			for _, agent := range slices.Sorted(maps.Keys(w.asked))[:sick] {
				falls[agent] = true
			}
			w.always = func(agent string) bool { return falls[agent] }
			w.mu.Unlock()
			s.after(time.Minute)
			require.Equal(s, want, s.plan(id).Breaches[0].Reason, "%d are sick", sick)
			require.NoError(s, stop())
		})
	}
}

// Only questions that were asked after the breach decide: what the group answered before may be older
// than what failed.
func TestTheGroupIsAskedAfterTheBreach(t *testing.T) {
	inScene(t, func(s *scene) {
		var mu sync.Mutex
		asked := map[string]int{}
		s.fleet.health = func(a ota.Attempt) (ota.Health, error) {
			mu.Lock()
			asked[a.Agent]++
			n := asked[a.Agent]
			mu.Unlock()
			if a.Number > 0 {
				return ota.Health{Reason: "broken"}, nil
			}
			if n == 2 {
				time.Sleep(2 * time.Second)
			}
			return ota.Health{Healthy: n != 2}, nil
		}
		s.use(probed{s.fleet})
		id := s.start(ota.Policy{FailureThreshold: ptr(0.0)}, ota.Shape{Size: 10}, names("ok", 100)...)
		stop := s.run(s.e)
		s.after(time.Minute)
		require.NoError(s, stop())
		require.Equal(s, ota.ReasonThreshold, s.plan(id).Breaches[0].Reason)
		require.Len(s, s.plan(id).Breaches, 1)
	})
}

// Agents fail in the commit in which the group turns out to be sick. They are judged again too. Which
// commit that is depends on the order of answers, so many plans are tried.
func TestFailuresOfOneCommitAreJudgedAgain(t *testing.T) {
	plans := 400
	if raceEnabled {
		plans = 20
	}
	for range plans {
		inScene(t, func(s *scene) {
			w := &weather{silent: true}
			w.use(s)
			id := s.start(ota.Policy{FailureThreshold: ptr(0.2), Soak: ota.Soak{Duration: 10 * time.Minute}}, ota.Shape{Size: 10}, names("ok", 100)...)
			stop := s.run(s.e)
			s.after(time.Minute)
			w.set(true)
			s.after(2 * time.Minute)
			require.Zero(s, s.plan(id).Counts.Failed)
			require.NoError(s, stop())
		})
	}
}
