package scenarios

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/harness"
)

// everyField is a policy in which no field is zero.
func everyField() ota.Policy {
	return ota.Policy{
		Concurrency: 2, FailureThreshold: ptr(0.5), Scope: ota.ScopePlan, OnBreach: ota.ActionContinue, Halve: true, Reserve: true,
		Budgets: []ota.Budget{{Label: "rack", Max: 3}}, Hold: ota.Hold{All: true, Batches: []int{1}},
		Windows: []ota.Window{{Start: time.Hour, Length: time.Hour}},
		Soak:    ota.Soak{Duration: time.Hour, Stable: time.Hour, Grace: time.Second, Interval: time.Second, ToEnd: true, Misses: 2, Sample: 5, Compare: 6},
		Retry:   ota.RetryPolicy{Max: 1, Backoff: time.Second, MaxBackoff: time.Minute}, AttemptTimeout: time.Minute,
		UnreachableTimeout: time.Minute, OnUnreachable: ota.UnreachableSkipped, BatchTimeout: time.Hour, PlanTimeout: time.Hour,
		MaxConsecutive: 3, Rate: ota.Rate{Starts: 1, Per: time.Hour}, Gate: ota.Gate{Interval: time.Hour, MaxInconclusive: 1, MaxErrors: 1}, Complete: ota.Complete{Min: 1, Within: time.Hour},
		Stragglers: ota.Stragglers{Share: 0.5, After: time.Hour}, Stages: []ota.Stage{{Batch: 1, Concurrency: 1}},
		MaxAbandoned: 4, Expect: &ota.Expect{Normal: 0.01, Alpha: 0.01},
	}
}

// Every field of a policy is either kept for a rollback or off. A new field has to choose.
func TestPolicyOfARollback(t *testing.T) {
	kept := []string{
		"Concurrency", "FailureThreshold", "Scope", "OnBreach", "Budgets", "Retry", "AttemptTimeout", "UnreachableTimeout",
		"OnUnreachable", "MaxAbandoned", "Soak.Grace", "Soak.Interval", "Soak.Misses",
	}
	off := []string{
		"Halve", "Reserve", "Hold", "Windows", "BatchTimeout", "PlanTimeout", "MaxConsecutive", "Rate", "Gate", "Complete", "Stragglers", "Stages", "Expect",
		"Soak.Duration", "Soak.Stable", "Soak.ToEnd", "Soak.Sample",
	}
	p := everyField()
	back := p.ForRollback()
	var compare func(prefix string, had, has reflect.Value)
	compare = func(prefix string, had, has reflect.Value) {
		for f := range had.Type().Fields() {
			a, b, name := had.FieldByIndex(f.Index), has.FieldByIndex(f.Index), prefix+f.Name
			switch {
			case a.IsZero():
				t.Errorf("everyField has no %s", name)
			case name == "Soak":
				compare("Soak.", a, b)
			case name == "Soak.Compare":
				require.Equal(t, ota.Off, back.Soak.Compare)
			case slices.Contains(kept, name):
				require.Equal(t, a.Interface(), b.Interface(), name)
			case slices.Contains(off, name):
				require.True(t, b.IsZero(), name)
			default:
				t.Errorf("is %s kept in a rollback?", name)
			}
		}
	}
	compare("", reflect.ValueOf(p), reflect.ValueOf(back))
	require.NotSame(t, p.FailureThreshold, back.FailureThreshold)
}

// counted is a fleet with a Prober and a Gater. The gate passes in upgrades and fails in rollbacks.
type counted struct {
	*scripted
	asked map[string]int // by agent, in rollbacks
	gates map[string]int // by source
}

func (c counted) Health(_ context.Context, a ota.Attempt) (ota.Health, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.IsRollback {
		c.asked[a.Agent]++
	}
	return ota.Health{Healthy: true}, nil
}

func (c counted) Gate(_ context.Context, p ota.Plan, _ ota.Batch) (ota.GateVerdict, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.Source == "" {
		return ota.GatePass, nil
	}
	c.gates[p.Source]++
	return ota.GateFail, nil
}

// A rollback waits for its calls and for one answer of each agent, whatever its source waits for,
// and whatever asks for it.
func TestARollbackWaitsForNothingElse(t *testing.T) {
	for name, slow := range map[string]ota.Policy{
		"window":  {Windows: []ota.Window{{Length: 10 * time.Minute}}}, // the breach closes it
		"soak":    {Soak: ota.Soak{Duration: 3 * time.Hour, Stable: time.Hour, ToEnd: true}},
		"hold":    {Hold: ota.Hold{All: true}},
		"gate":    {Gate: ota.Gate{Interval: time.Hour}},
		"rate":    {Rate: ota.Rate{Starts: 1, Per: 30 * time.Second}},
		"reserve": {Reserve: true},
		"halve":   {Halve: true},
		"row":     {MaxConsecutive: 1},
	} {
		for _, how := range []string{"breach", "rollback", "start"} {
			t.Run(name+"/"+how, func(t *testing.T) {
				inScene(t, func(s *scene) {
					slow := slow
					fleet := counted{s.fleet, map[string]int{}, map[string]int{}}
					s.use(fleet)
					slow.Concurrency, slow.FailureThreshold = 2, ptr(0.0)
					if how == "breach" {
						slow.OnBreach = ota.ActionRollback
					}
					id := s.start(slow, ota.Shape{Size: 4}, append(names("ok", 8), "late-8", "ok-009")...)
					s.fleet.do = func(ctx context.Context, a ota.Attempt) (ota.Result, bool, error) {
						if a.IsRollback || a.Agent != "late-8" {
							return ota.Result{}, false, nil
						}
						_ = nap(ctx, 15*time.Minute)
						return ota.Result{}, true, ota.Permanent(errors.New("no"))
					}
					s.run(s.e)
					for range 24 * 60 {
						if p := s.plan(id); p.Status == ota.StatusPaused || p.RollbackPlan != "" {
							break
						}
						_, _ = s.e.Promote(s.ctx, id, s.plan(id).Batch+1, ota.Request{}) // refused if it is not the next one
						s.after(time.Second)
						s.after(59 * time.Second)
					}
					switch how {
					case "rollback":
						s.said(s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{}))
					case "start":
						s.said(s.e.Start(s.ctx, s.said(s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{})).ID, ota.Request{}))
					}
					back := s.plan(s.plan(id).RollbackPlan)
					began := s.plan(id).Breaches[0].At
					if how != "breach" {
						began = time.Now()
					}
					s.after(time.Minute)
					s.status(id, ota.StatusRolledBack)
					back = s.plan(back.ID)
					require.Equal(s, 1, back.Batches)
					require.Equal(s, back.Agents, back.Counts.Succeeded)
					calls := time.Duration((back.Agents+1)/2) * time.Second
					require.LessOrEqual(s, back.EndedAt.Sub(began), calls+time.Second, "its calls, and the turns of the engine")
					require.Empty(s, fleet.gates)
					require.Len(s, fleet.asked, back.Agents)
					s.stays(id, ota.StatusRolledBack)
				})
			})
		}
	}
}

// A Gater is asked about a rollback plan if everything is inherited, or the given policy has a
// Gate.
func TestGateOfARollback(t *testing.T) {
	own, gate := ota.Policy{}, ota.Policy{Gate: ota.Gate{Interval: time.Minute}}
	for name, c := range map[string]struct {
		spec  ota.RollbackSpec
		asked bool
	}{
		"default":            {ota.RollbackSpec{}, false},
		"batches":            {ota.RollbackSpec{Inherit: ota.InheritBatches}, false},
		"all":                {ota.RollbackSpec{Inherit: ota.InheritAll}, true},
		"policy":             {ota.RollbackSpec{Policy: &own}, false},
		"policy with a gate": {ota.RollbackSpec{Policy: &gate, Inherit: ota.InheritBatches}, true},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				fleet := counted{s.fleet, map[string]int{}, map[string]int{}}
				s.use(fleet)
				id := s.start(ota.Policy{}, ota.Shape{Size: 1}, names("ok", 3)...)
				s.drive(id)
				back := s.said(s.e.Rollback(s.ctx, id, c.spec, ota.Request{}))
				require.Equal(s, c.asked, strings.Contains(strings.Join(back.Warnings, "\n"), "slowed down by the gate"))
				s.run(s.e)
				s.after(time.Minute)
				require.Equal(s, c.asked, fleet.gates[id] > 0)
				batches := 1
				if c.spec.Inherit != ota.InheritLimits {
					batches = 3
				}
				require.Equal(s, batches, s.plan(back.ID).Batches)
				if !c.asked {
					s.status(id, ota.StatusRolledBack)
				}
			})
		})
	}
}

func TestAPolicyIsNotInherited(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{}, "ok-1")
		s.drive(id)
		_, err := s.e.Rollback(s.ctx, id, ota.RollbackSpec{Policy: &ota.Policy{}, Inherit: ota.InheritAll}, ota.Request{})
		require.EqualError(s, err, "ota: rollback plan "+id+": invalid: rollback.inherit (all) does not go with a policy, which is the whole policy; allowed: limits or batches, or no policy")
		_, err = s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{Inherit: 3}, ota.Request{})
		require.ErrorIs(s, err, ota.ErrInvalid)
		_, err = s.e.Create(s.ctx, ota.Spec{
			Name: "x", ToVersion: "2", Agents: ota.AgentIDs("a"), Rollback: &ota.RollbackSpec{Policy: &ota.Policy{}, Inherit: ota.InheritAll},
		})
		require.ErrorContains(s, err, "rollback.inherit")
	})
}

// rolledBack are the agents of a rollback, in the order of their first calls.
func (s *scene) rolledBack() (order []string) {
	for _, c := range s.fleet.made("") {
		if c.IsRollback && !slices.Contains(order, c.Agent) {
			order = append(order, c.Agent)
		}
	}
	return order
}

// First come the agents that do not work, then those in flight, then the others, the last changed
// first.
func TestOrderOfARollback(t *testing.T) {
	inScene(t, func(s *scene) {
		s.use(probed{s.fleet})
		s.fleet.health = func(a ota.Attempt) (ota.Health, error) {
			return ota.Health{Healthy: a.IsRollback || !strings.HasPrefix(a.Agent, "sick")}, nil
		}
		policy := ota.Policy{Concurrency: 1, FailureThreshold: ptr(1.0), AttemptTimeout: time.Hour, Soak: ota.Soak{Grace: 24 * time.Hour}, Retry: ota.RetryPolicy{Max: 1, Backoff: 2 * time.Hour}}
		id := s.start(policy, ota.Shape{Size: 3}, "perm-0", "ok-1", "ok-2", "ok-3", "perm-4", "ok-5", "ok-6", "sick-7", "ok-8", "ok-9")
		s.run(s.e)
		s.after(10 * time.Minute)
		require.True(s, s.agent(id, "sick-7").Unhealthy)
		s.said(s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{}))
		s.after(time.Minute)
		s.status(id, ota.StatusRolledBack)
		require.Equal(s, []string{"sick-7", "perm-4", "perm-0", "ok-8", "ok-6", "ok-5", "ok-3", "ok-2", "ok-1"}, s.rolledBack())
	})
	inScene(t, func(s *scene) { // one is in flight, and one waits for its next attempt
		policy := ota.Policy{Concurrency: 2, Retry: ota.RetryPolicy{Max: 1, Backoff: time.Hour}}
		id := s.start(policy, ota.Shape{Size: 6}, "ok-0", "fail-1", "ok-2", "slow-3", "ok-4")
		s.run(s.e)
		s.after(2500 * time.Millisecond)
		s.said(s.e.Rollback(s.ctx, id, ota.RollbackSpec{Policy: &ota.Policy{Concurrency: 1}}, ota.Request{}))
		s.after(time.Minute)
		s.status(id, ota.StatusRolledBack)
		require.Equal(s, []string{"fail-1", "ok-2", "ok-0"}, slices.DeleteFunc(s.rolledBack(), func(a string) bool { return a == "slow-3" }))
	})
}

// brokenBack makes rollbacks of these agents fail.
func (s *scene) brokenBack(agents ...string) {
	s.fleet.do = func(_ context.Context, a ota.Attempt) (ota.Result, bool, error) {
		if a.IsRollback && slices.Contains(agents, a.Agent) {
			return ota.Result{}, true, ota.Permanent(errors.New("still broken"))
		}
		return ota.Result{}, false, nil
	}
}

// accepted is how many failures of a plan's only batch do not count.
func (s *scene) accepted(id string) int {
	for b, err := range s.e.Batches(s.ctx, id, 0) {
		require.NoError(s, err)
		return b.Accepted
	}
	return -1
}

// An agent that did not work before may fail again: nothing got worse. It ends failed, and the
// rollback goes on. One that worked counts.
func TestAgentsThatWereBadDoNotCount(t *testing.T) {
	for name, c := range map[string]struct {
		fail   []string
		policy *ota.Policy
		paused bool
		failed int
	}{
		"none":                        {},
		"those that failed":           {fail: []string{"perm-0", "perm-1"}, failed: 2},
		"one that failed in flight":   {fail: []string{"perm-6"}, failed: 1},
		"one that worked":             {fail: []string{"ok-2"}, paused: true, failed: 1},
		"both":                        {fail: []string{"perm-0", "ok-2"}, paused: true, failed: 2},
		"in a row":                    {fail: []string{"perm-0", "perm-1"}, policy: &ota.Policy{FailureThreshold: ptr(0.0), MaxConsecutive: 1}, failed: 2},
		"one that worked, with room":  {fail: []string{"perm-0", "ok-2"}, policy: &ota.Policy{FailureThreshold: ptr(0.2)}, failed: 2},
		"those that failed, reserved": {fail: []string{"perm-0", "perm-1"}, policy: &ota.Policy{FailureThreshold: ptr(0.0), Reserve: true}, failed: 2},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				s.brokenBack(c.fail...)
				policy := ota.Policy{Concurrency: 7, FailureThreshold: ptr(0.0), OnBreach: ota.ActionRollback}
				spec := ota.Spec{
					Name: "x", FromVersion: "1", ToVersion: "2", Policy: policy, Rollback: &ota.RollbackSpec{Policy: c.policy},
					Agents: ota.AgentIDs("perm-0", "perm-1", "ok-2", "ok-3", "ok-4", "ok-5", "perm-6"),
				}
				do := s.fleet.do
				s.fleet.do = func(ctx context.Context, a ota.Attempt) (ota.Result, bool, error) {
					if a.Agent == "perm-6" && !a.IsRollback { // it is in flight when the others have failed
						_ = nap(ctx, 5*time.Second)
					}
					return do(ctx, a)
				}
				p, err := s.e.Create(s.ctx, spec)
				require.NoError(s, err)
				s.said(s.e.Start(s.ctx, p.ID, ota.Request{}))
				s.run(s.e)
				s.after(time.Minute)
				back := s.plan(s.plan(p.ID).RollbackPlan)
				require.Equal(s, c.failed, back.Counts.Failed)
				uncounted := slices.DeleteFunc(slices.Clone(c.fail), func(a string) bool { return strings.HasPrefix(a, "ok") })
				require.Equal(s, len(uncounted), s.accepted(back.ID))
				if !c.paused {
					s.status(p.ID, ota.StatusRolledBack)
					s.stays(p.ID, ota.StatusRolledBack)
					return
				}
				s.status(back.ID, ota.StatusPaused)
				s.said(s.e.Resume(s.ctx, back.ID, ota.RetryFailed(), ota.Request{})) // it fails again
				s.after(time.Minute)
				s.status(back.ID, ota.StatusPaused)
				s.brokenBack()
				s.said(s.e.Resume(s.ctx, back.ID, ota.RetryFailed(), ota.Request{}))
				s.after(time.Minute)
				s.status(p.ID, ota.StatusRolledBack)
				require.Zero(s, s.accepted(back.ID))
			})
		})
	}
}

// The default, and what was asked for, survive a crash between any two commits.
func TestARollbackInheritsAcrossACrash(t *testing.T) {
	for _, inherit := range []ota.Inherit{ota.InheritLimits, ota.InheritBatches, ota.InheritAll} {
		for kill := range 10 {
			inScene(t, func(s *scene) {
				var mu sync.Mutex
				n, dead := 0, false
				s.store.BeforeCommit.Set(func(_ context.Context, k ota.Commit) error {
					mu.Lock()
					defer mu.Unlock()
					if s.struck(k.Plan) {
						n++
					}
					if dead = dead || n > kill; dead {
						return harness.ErrDown
					}
					return nil
				})
				p, err := s.e.Create(s.ctx, ota.Spec{
					Name: "x", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("ok-1", "ok-2", "ok-3", "perm-4", "ok-5"), Shape: ota.Shape{Size: 2},
					Policy:   ota.Policy{OnBreach: ota.ActionRollback, Concurrency: 1, FailureThreshold: ptr(0.0), Soak: ota.Soak{Duration: time.Second}},
					Rollback: &ota.RollbackSpec{Inherit: inherit},
				})
				require.NoError(s, err)
				s.said(s.e.Start(s.ctx, p.ID, ota.Request{}))
				first := s.engineOf(s.store, s.fleet, ota.Options{Name: "killed", DrainTimeout: -1})
				stop := s.run(first)
				s.after(20 * time.Second)
				_ = stop()
				s.brokenBack("perm-4")
				s.store.BeforeCommit.Set(nil)
				s.run(s.engine(s.store, s.fleet, "two"))
				s.after(2 * time.Minute)
				s.status(p.ID, ota.StatusRolledBack)
				back := s.plan(s.plan(p.ID).RollbackPlan)
				batches, soak := 2, time.Duration(0)
				switch inherit {
				case ota.InheritLimits:
					batches = 1
				case ota.InheritAll:
					soak = time.Second
				}
				require.Equal(s, batches, back.Batches)
				require.Equal(s, soak, back.Policy.Soak.Duration)
			})
		}
	}
}

// Explain of a source shows what its rollback plan waits for, since when, and which verb of that
// plan helps.
func TestExplainShowsBothPlans(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{}, "ok-1", "ok-2", "ok-3", "ok-4")
		s.run(s.e)
		s.after(3500 * time.Millisecond)
		s.fleet.latency = time.Minute
		made := time.Now().UTC()
		back := s.said(s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{Actor: "ann"}))
		s.after(10 * time.Second)
		of := func(reason ota.Reason) ota.Blocker {
			x := s.explain(id)
			i := slices.IndexFunc(x.Blockers, func(b ota.Blocker) bool { return b.Reason == reason && b.Plan == back.ID })
			require.GreaterOrEqual(s, i, 0, "%v: %+v", reason, x.Blockers)
			require.Contains(s, x.Sentence(), "rollback plan "+back.ID+" is ")
			require.Contains(s, x.Sentence(), ". Rollback plan "+back.ID+": ")
			return x.Blockers[i]
		}
		pending := of(ota.ReasonPending)
		require.Equal(s, ota.VerbStart, pending.Verb)
		require.Equal(s, made, pending.Since)
		frozen := s.explain(id).Blockers[0]
		require.Equal(s, "A rollback plan exists; nothing more is touched: rollback plan "+back.ID+" is pending; cleared by rollback or by cancel of the rollback plan", frozen.String())
		s.said(s.e.Start(s.ctx, back.ID, ota.Request{}))
		s.after(10 * time.Second)
		require.Equal(s, "1 agent", of(ota.ReasonInFlight).Text)
		s.said(s.e.Pause(s.ctx, back.ID, ota.Request{Actor: "bob"}))
		s.after(2 * time.Minute)
		paused := of(ota.ReasonPaused)
		require.Equal(s, ota.VerbResume, paused.Verb)
		require.False(s, paused.Since.IsZero())
		require.Equal(s, 1, strings.Count(paused.String(), "since"), paused)
		require.Contains(s, s.explain(id).Blockers[0].String(), "The plan is being rolled back: rollback plan "+back.ID+" is paused")
		s.said(s.e.Cancel(s.ctx, back.ID, false, ota.Request{}))
		s.after(time.Minute)
		for _, b := range s.explain(id).Blockers {
			require.Empty(s, b.Plan)
		}
	})
}

// slowReads is a Store that takes three seconds to read agents.
type slowReads struct {
	ota.Store
	slow *atomic.Bool
}

func (s slowReads) Unwrap() ota.Store { return s.Store }

func (s slowReads) Rows(ctx context.Context, plan string, q ota.RowQuery) (ota.Page[ota.Row], error) {
	page, err := s.Store.Rows(ctx, plan, q)
	if s.slow.Load() && q.Kind == ota.KindAgent && err == nil {
		err = nap(ctx, 3*time.Second)
	}
	return page, err
}

// The builder of a rollback plan reads the batches twice: for the bad agents, and for the others.
// An agent may fail in between.
func TestNoAgentIsLostBetweenTwoReads(t *testing.T) {
	inScene(t, func(s *scene) {
		slow := new(atomic.Bool)
		s.e = s.engine(slowReads{s.store, slow}, s.fleet, "one")
		id := s.start(ota.Policy{Concurrency: 3, FailureThreshold: ptr(1.0)}, ota.Shape{Size: 5}, "perm-0", "ok-1", "late-2", "ok-3", "later-4")
		s.fleet.do = func(ctx context.Context, a ota.Attempt) (ota.Result, bool, error) {
			if !a.IsRollback && strings.HasPrefix(a.Agent, "late") {
				_ = nap(ctx, 8*time.Second)
				return ota.Result{}, true, ota.Permanent(errors.New("no"))
			}
			return ota.Result{}, false, nil
		}
		s.run(s.e)
		s.after(6500 * time.Millisecond)
		slow.Store(true)
		back := s.said(s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{}))
		slow.Store(false)
		require.Equal(s, 5, back.Agents)
		s.after(time.Minute)
		s.status(id, ota.StatusRolledBack)
		require.Equal(s, []string{"perm-0", "late-2", "later-4", "ok-3", "ok-1"}, func() []string { o := s.rolledBack(); slices.SortStableFunc(o[1:3], strings.Compare); return o }())
	})
}
