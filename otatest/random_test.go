package otatest_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/otatest"
)

// TestSimulationAndEngineAgreeOnRandomPlans has no agents that hang. Their calls would end at the
// same time, and an Engine takes such outcomes in any order.
func TestSimulationAndEngineAgreeOnRandomPlans(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 15
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			s := random(seed)
			fleet := otatest.NewFleet(otatest.Options{Latency: 10 * time.Second, Jitter: 0.3, Seed: 7})
			sim, err := otatest.Simulate(s, fleet)
			if err != nil {
				t.Fatal(err)
			}
			simulated, err := sim.Agents("p", ota.AgentQuery{})
			if err != nil {
				t.Fatal(err)
			}
			plan, agents, _ := really(t, s)
			agree(t, sim, simulated.Items, plan, agents)
			if t.Failed() {
				t.Logf("%+v\n%s", s.Policy, sim)
			}
		})
	}
}

func random(seed uint64) ota.Spec {
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(n int) int { return r.IntN(n) }
	prefixes := []string{"ok-", "ok-", "ok-", "fail-", "flaky-", "slow-", "panic-", "wrong-", "sick-", "away-", "busy-"}
	var ids []string
	for i := range 5 + pick(40) {
		ids = append(ids, fmt.Sprint(prefixes[pick(len(prefixes))], i))
	}
	threshold := []float64{0, 0.1, 0.3, 0.6, 1}[pick(5)]
	minutes := func(n int) time.Duration { return time.Duration(pick(n)) * time.Minute }
	s := spec(ota.Policy{
		Concurrency:        1 + pick(8),
		FailureThreshold:   &threshold,
		Scope:              ota.Scope(pick(2)),
		OnBreach:           []ota.Action{ota.ActionPause, ota.ActionContinue}[pick(2)],
		Reserve:            pick(3) == 0,
		Retry:              ota.RetryPolicy{Max: pick(4), Backoff: minutes(3), MaxBackoff: minutes(3)},
		UnreachableTimeout: time.Minute + minutes(20),
		AttemptTimeout:     []time.Duration{ota.NoTimeout, time.Hour}[pick(2)],
		OnUnreachable:      ota.UnreachableAction(pick(2)),
		Soak:               ota.Soak{Duration: minutes(5), Stable: minutes(5), Grace: minutes(3), Interval: minutes(3)},
	}, ids...)
	s.Policy.Reserve = s.Policy.Reserve && s.Policy.OnBreach != ota.ActionContinue
	s.Shape = ota.Shape{Size: 1 + pick(12), Shuffle: uint64(pick(3))}
	return s
}
