package ota_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/simulate"
)

// weather is a simulated fleet. Its bad- agents fail, and away- agents do not answer. A call of a
// hang- agent returns when its context ends; a call of a stuck- agent never returns. All other
// agents take a minute.
type weather struct{}

func (weather) SimulateCall(a ota.Attempt, _ time.Time) simulate.Call {
	call := simulate.Call{Latency: time.Minute, Result: ota.Result{Version: a.ToVersion}}
	switch kind, _, _ := strings.Cut(a.Agent, "-"); kind {
	case "bad":
		call.Err = ota.Permanent(errors.New("disk full"))
	case "away":
		call.Err = ota.Unreachable(errors.New("no route to host"))
	case "hang":
		call.Latency = ota.NoTimeout
	case "stuck":
		call.Latency, call.IgnoresContext = ota.NoTimeout, true
	}
	return call
}

// SimulateHealth implements simulate.Prober: faint- agents are unhealthy for their first five
// minutes.
func (weather) SimulateHealth(a ota.Attempt, at time.Time) simulate.Health {
	minute := at.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	return simulate.Health{Health: ota.Health{Healthy: !strings.HasPrefix(a.Agent, "faint-") || minute > 6*time.Minute}}
}

func weathered(p ota.Policy, agents ...string) *simulate.Result {
	spec := ota.Spec{Name: "patience", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs(agents...), Shape: ota.Shape{Size: 4}, Policy: p}
	sim, err := simulate.Run(context.Background(), spec, weather{}, simulate.Options{})
	check(err)
	return sim
}

// With a threshold of a fifth, one failure of four is too many for a batch. One of eight is
// tolerated for the plan.
func ExampleScope() {
	fifth := 0.2
	agents := []string{"bad-1", "a", "b", "c", "d", "e", "f", "g"}
	for _, scope := range []ota.Scope{ota.ScopeBatch, ota.ScopePlan} {
		sim := weathered(ota.Policy{Scope: scope, FailureThreshold: &fifth}, agents...)
		fmt.Println(scope, sim.Plan.Status)
	}
	// Output:
	// batch paused
	// plan completed
}

// The engine asks an unreachable agent again for UnreachableTimeout, counted from the first time
// that it did not answer. Then the agent fails, or is skipped.
func ExampleUnreachableAction() {
	for _, action := range []ota.UnreachableAction{ota.UnreachableFails, ota.UnreachableSkipped} {
		sim := weathered(ota.Policy{UnreachableTimeout: 30 * time.Minute, OnUnreachable: action}, "a", "b", "c", "away-1")
		fmt.Println(action, sim.Plan.Status, sim.Plan.Counts.Failed, "failed", sim.Plan.Counts.Skipped, "skipped")
	}
	// Output:
	// fail paused 1 failed 0 skipped
	// skip completed 0 failed 1 skipped
}

// The context of a call ends after AttemptTimeout. A call that ignores that is abandoned. More
// abandoned calls than MaxAbandoned are a breach.
func ExamplePolicy_attemptTimeout() {
	all := 1.0
	policy := ota.Policy{AttemptTimeout: 10 * time.Minute, FailureThreshold: &all, MaxAbandoned: 1}
	sim := weathered(policy, "a", "hang-1", "b", "c")
	fmt.Println(sim.Plan.Status, "after", sim.Took(), "-", sim.Failed[0].ID, sim.Failed[0].Tasks[0].Reason)
	sim = weathered(policy, "a", "stuck-1", "stuck-2", "b")
	fmt.Println(sim.Plan.Status, "-", sim.Plan.Breaches[0].Reason)
	// Output:
	// completed after 10m0s - hang-1 timeout
	// paused - too_many_abandoned
}

// A batch must have been healthy for the duration Stable before its soak ends. Grace is how long an
// unhealthy agent may take to recover.
func ExampleSoak_recovering() {
	policy := ota.Policy{Soak: ota.Soak{Duration: 5 * time.Minute, Interval: time.Minute}}
	sim := weathered(policy, "a", "b", "c", "faint-1")
	fmt.Println(sim.Plan.Status, "-", sim.Failed[0].ID, sim.Failed[0].Tasks[0].Reason)

	policy.Soak.Grace, policy.Soak.Stable = 10*time.Minute, 20*time.Minute
	sim = weathered(policy, "a", "b", "c", "faint-1")
	fmt.Println(sim.Plan.Status, "after", sim.Took())
	// Output:
	// paused - faint-1 unhealthy
	// completed after 27m0s
}
