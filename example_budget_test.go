package ota_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/simulate"
)

// One master at a time, and three data nodes.
func ExampleBudget_each() {
	var nodes []ota.Agent
	for i := range 15 {
		role := "data"
		if i < 3 {
			role = "master"
		}
		nodes = append(nodes, ota.Agent{ID: fmt.Sprintf("%s-%02d", role, i), Labels: map[string]string{"role": role}})
	}
	spec := ota.Spec{
		Name: "Search 8.4", ToVersion: "8.4", Shape: ota.Shape{Size: 15}, Agents: eachAgent(nodes),
		Policy: ota.Policy{Concurrency: 8, Budgets: []ota.Budget{{Label: "role", Max: 1, Each: map[string]int{"data": 3}}}},
	}
	fleet := simulate.FleetFunc(func(a ota.Attempt, _ time.Time) simulate.Call {
		return simulate.Call{Latency: time.Minute, Result: ota.Result{Version: a.ToVersion}}
	})
	sim, err := simulate.Run(context.Background(), spec, fleet, simulate.Options{})
	check(err)
	fmt.Println(sim.Plan.Status, "after", sim.Took())
	// Output:
	// completed after 4m0s
}

// One zone after the other, and five agents of it at once. The plan lists the zones in turn.
func ExampleBudget_values() {
	var nodes []ota.Agent
	for i := range 15 {
		nodes = append(nodes, ota.Agent{ID: fmt.Sprintf("node-%02d", i), Labels: map[string]string{"zone": fmt.Sprint("z", i%3)}})
	}
	spec := ota.Spec{
		Name: "Ingesters 2.14", ToVersion: "2.14", Shape: ota.Shape{Size: 15}, Agents: eachAgent(nodes),
		Policy: ota.Policy{Concurrency: 8, Budgets: []ota.Budget{{Label: "zone", Values: 1}}},
	}
	var zones []string
	fleet := simulate.FleetFunc(func(a ota.Attempt, _ time.Time) simulate.Call {
		zones = append(zones, a.Labels["zone"])
		return simulate.Call{Latency: time.Minute, Result: ota.Result{Version: a.ToVersion}}
	})
	sim, err := simulate.Run(context.Background(), spec, fleet, simulate.Options{})
	check(err)
	fmt.Println(sim.Plan.Status, "after", sim.Took(), slices.Compact(zones))
	// Output:
	// completed after 3m0s [z0 z1 z2]
}

// A dead member keeps its place in the budget of its cluster: the plan does not take down the next
// one. It upgrades the other cluster, and then pauses.
func ExampleBudgetOf() {
	var nodes []ota.Agent
	for i := range 6 {
		nodes = append(nodes, ota.Agent{ID: fmt.Sprintf("node-%d", i), Labels: map[string]string{"cluster": fmt.Sprint("c", i/3)}})
	}
	spec := ota.Spec{
		Name: "etcd 3.6", ToVersion: "3.6", Shape: ota.Shape{Size: 6}, Agents: eachAgent(nodes),
		Policy: ota.Policy{FailureThreshold: new(0.5), Budgets: []ota.Budget{{Label: "cluster", Max: 1}}},
	}
	fleet := simulate.FleetFunc(func(a ota.Attempt, _ time.Time) simulate.Call {
		if a.Agent == "node-0" {
			return simulate.Call{Latency: time.Minute, Err: ota.Permanent(errors.New("it does not come back"))}
		}
		return simulate.Call{Latency: time.Minute, Result: ota.Result{Version: a.ToVersion}}
	})
	sim, err := simulate.Run(context.Background(), spec, fleet, simulate.Options{})
	check(err)
	fmt.Println(sim.Plan.Status, "with", sim.Plan.Counts.Succeeded, "upgraded")
	fmt.Println(strings.ReplaceAll(sim.Plan.Breaches[0].String(), ": ", ":\n"))
	// Output:
	// paused with 3 upgraded
	// Agents that are down use up the budget of those that wait:
	// 2 agents cannot start:
	// cluster "c0" has 1 agent down
}

// eachAgent yields agents without an error.
func eachAgent(agents []ota.Agent) func(func(ota.Agent, error) bool) {
	return func(yield func(ota.Agent, error) bool) {
		slices.Values(agents)(func(a ota.Agent) bool { return yield(a, nil) })
	}
}
