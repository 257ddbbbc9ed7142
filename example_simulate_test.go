package ota_test

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/otatest"
)

// A plan that would take days is tried in milliseconds, by the code that would carry it out.
func ExampleSimulate() {
	fleet := otatest.NewFleet(otatest.Options{Latency: 4 * time.Minute})
	spec := ota.Spec{
		Name: "June release", FromVersion: "1.2.0", ToVersion: "1.3.0",
		Agents: ota.AgentIDs(append(otatest.IDs("ok-", 300), otatest.IDs("fail-", 100)...)...),
		Shape:  ota.Shape{Size: 100},
		Policy: ota.Policy{Concurrency: 10, Observe: ota.Observe{Wait: 24 * time.Hour, Probe: time.Hour}},
	}
	sim, err := ota.Simulate(context.Background(), spec, fleet, ota.SimOptions{})
	check(err)
	fmt.Println(sim.Stop, "after", sim.Took(), "and", sim.Calls, "calls")
	fmt.Println(sim.Breaches[0].Text)
	fmt.Println(len(sim.Failed), "agents failed, the first is", sim.Failed[0].ID)
	// Output:
	// paused after 74h8m0s and 320 calls
	// Failure threshold exceeded: 20 of 100 failed in batch 3, tolerates 10
	// 20 agents failed, the first is fail-001
}

// A fleet of your own for Simulate is a function: how long does this call take, and how does it end?
func ExampleSimFleetFunc() {
	night := func(at time.Time) bool { return at.Hour() < 6 }
	fleet := ota.SimFleetFunc(func(a ota.Attempt, at time.Time) ota.SimCall {
		if !night(at) {
			return ota.SimCall{Latency: time.Second, Err: ota.Throttled(fmt.Errorf("%s is at work", a.Agent), time.Hour)}
		}
		return ota.SimCall{Latency: 20 * time.Minute, Result: ota.Result{Version: a.ToVersion}}
	})
	spec := ota.Spec{
		Name: "Tills", ToVersion: "1.3.0", Agents: ota.AgentIDs(otatest.IDs("till-", 40)...),
		Policy: ota.Policy{Concurrency: 2, QueueLimit: 48 * time.Hour},
	}
	sim, err := ota.Simulate(context.Background(), spec, fleet, ota.SimOptions{})
	check(err)
	fmt.Println(sim.Plan.Status, sim.Plan.Counts.Succeeded, "after", sim.Took().Round(time.Hour))
	// Output:
	// completed 40 after 25h0m0s
}
