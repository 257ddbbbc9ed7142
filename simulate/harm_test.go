package simulate

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// broken is a fleet that a release breaks, every agent in the same way.
type broken struct {
	harm ota.Harm
	// takes is how long a call takes; nil: calls that fail end one after the other, in the order of
	// their starts, and others end at once.
	takes   func() time.Duration
	last    time.Time // when the newest call ends
	healthy map[string]time.Time
}

func breaks(h ota.Harm) *broken { return &broken{harm: h, healthy: map[string]time.Time{}} }

func (f *broken) SimulateCall(a ota.Attempt, at time.Time) Call {
	c := Call{Result: ota.Result{Version: a.ToVersion}}
	if f.takes != nil {
		c.Latency = f.takes()
	}
	switch {
	case a.IsRollback:
	case f.harm.Kind == ota.HarmFails:
		if f.takes == nil {
			f.last = later(at.Add(time.Second), f.last.Add(time.Millisecond))
			c.Latency = f.last.Sub(at)
		}
		c.Err = errors.New("broken")
	case f.harm.Kind == ota.HarmHangs:
		c.Latency = ota.NoTimeout
	default:
		f.healthy[a.Agent] = at.Add(c.Latency + f.harm.After)
	}
	return c
}

func (f *broken) SimulateHealth(a ota.Attempt, at time.Time) Health {
	sick, bad := f.healthy[a.Agent]
	return Health{Health: ota.Health{Healthy: a.IsRollback || !bad || at.Before(sick)}}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// one returns one of these, drawn.
func one[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// drawnPlan is a small plan whose harm the arithmetic knows exactly.
func drawnPlan(r *rand.Rand) ota.Spec {
	n := 1 + r.IntN(60)
	s := simSpec(ota.Policy{
		Concurrency: 1 + r.IntN(12), Scope: one(r, ota.ScopeBatch, ota.ScopePlan, ota.ScopeFirst), Halve: one(r, true, false),
		OnBreach: one(r, ota.ActionPause, ota.ActionPause, ota.ActionRollback, ota.ActionContinue), MaxConsecutive: one(r, 0, 0, 1+r.IntN(20)),
		Soak: ota.Soak{
			Duration: one(r, 0, time.Minute, 5*time.Minute, 20*time.Minute, 2*time.Hour, time.Duration(r.IntN(900)+1)*time.Second),
			Stable:   one(r, 0, 0, 4*time.Minute), Grace: one(r, 0, 0, 90*time.Second), Interval: one(r, time.Minute, 7*time.Minute),
			ToEnd: one(r, true, false), Sample: 1_000_000,
		},
		Retry: ota.RetryPolicy{Max: one(r, 0, 0, 2), Backoff: one(r, 0, time.Minute)},
	}, names("a", n)...)
	switch p := &s.Policy; r.IntN(4) {
	case 0: // the default
	case 1:
		p.Expect = &ota.Expect{Normal: one(r, 0.001, 0.05, 0.3)}
	case 2:
		p.Expect = &ota.Expect{Normal: one(r, 0.01, 0.3)}
		p.FailureThreshold = ptr(r.Float64())
	default:
		p.FailureThreshold = ptr(one(r, 0, 0.1, 0.3, 0.9, 1, r.Float64()))
	}
	s.Policy.Reserve = s.Policy.OnBreach != ota.ActionContinue && r.IntN(3) == 0
	s.Shape = one(r, ota.Shape{Size: 1 + r.IntN(20)}, ota.Shape{Percent: 1 + 99*r.Float64()}, ota.Shape{Growth: ota.Growth{First: 1 + r.IntN(5), Factor: 1 + 3*r.Float64()}})
	s.Shape.Canary = one(r, 0, 1, 1+r.IntN(9))
	return s
}

func preview(t *testing.T, s ota.Spec) ota.Preview {
	t.Helper()
	e, err := ota.New(newStore(), nil, ota.Options{})
	require.NoError(t, err)
	p, err := e.Preview(t.Context(), s, ota.PreviewOptions{})
	require.NoError(t, err)
	return p
}

// harmed simulates the plan on a broken fleet.
func harmed(t *testing.T, s ota.Spec, f *broken) ota.Harm {
	t.Helper()
	r, err := Run(t.Context(), s, f, Options{Promote: true, MaxTime: 20 * 24 * time.Hour})
	require.NoError(t, err)
	return ota.Harm{Kind: f.harm.Kind, After: f.harm.After, Agents: r.Plan.Changed, Stops: len(r.Breaches) > 0 && s.Policy.OnBreach != ota.ActionContinue}
}

// The harm that Preview shows is the harm that a simulation of the plan does.
func TestHarmIsThatOfASimulation(t *testing.T) {
	t.Parallel()
	for seed := range uint64(150) {
		s := drawnPlan(rand.New(rand.NewPCG(seed, 13)))
		for _, want := range preview(t, s).Harm {
			s := s
			if want.Kind == ota.HarmHangs { // so that calls time out one after the other
				s.Policy.Rate = ota.Rate{Starts: 1, Per: time.Second}
				s.Policy.AttemptTimeout = time.Hour
			}
			require.Equal(t, want, harmed(t, s, breaks(want)), "seed %d, %v after %v\n%s\n%+v", seed, want.Kind, want.After, s.Policy, s.Shape)
		}
	}
}

// What Preview does not compute exactly only lowers the harm.
func TestHarmIsABound(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 14))
		s := drawnPlan(r)
		p := &s.Policy
		p.Soak.Sample = one(r, 0, 1, 2, 5)
		p.Hold.All = one(r, true, false)
		p.Rate = one(r, ota.Rate{}, ota.Rate{Starts: 3})
		if p.OnBreach != ota.ActionContinue {
			p.BatchTimeout = one(r, 0, 0, time.Hour)
			p.PlanTimeout = one(r, 0, 0, 10*time.Hour)
		}
		if r.IntN(3) == 0 {
			p.Windows = []ota.Window{{Start: time.Hour, Length: 3 * time.Hour}}
		}
		if r.IntN(3) == 0 {
			p.Budgets = []ota.Budget{{Label: "none", Max: 1 + r.IntN(3)}}
		}
		calls := one(r, 0, time.Second, 10*time.Minute)
		for _, most := range preview(t, s).Harm {
			f := breaks(most)
			f.takes = func() time.Duration { return time.Duration(r.Float64() * float64(calls)) }
			got := harmed(t, s, f)
			require.LessOrEqual(t, got.Agents, most.Agents, "seed %d, %v after %v\n%s\n%+v", seed, most.Kind, most.After, s.Policy, s.Shape)
			if most.Stops {
				require.True(t, got.Stops, "seed %d, %v after %v\n%s\n%+v", seed, most.Kind, most.After, s.Policy, s.Shape)
			}
		}
	}
}
