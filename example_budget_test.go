package ota_test

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/simulate"
)

// At most one node of each rack is down at a time. The plan lists the racks one after the other,
// and upgrades them in parallel.
func ExampleBudget() {
	var nodes []ota.Agent
	for i := range 12 {
		nodes = append(nodes, ota.Agent{ID: fmt.Sprintf("node-%02d", i), Labels: map[string]string{"rack": fmt.Sprint("r", i/4)}})
	}
	spec := ota.Spec{
		Name: "Nodes 5.2", ToVersion: "5.2", Shape: ota.Shape{Size: 12},
		Policy: ota.Policy{Concurrency: 8, Budget: ota.Budget{Label: "rack", Max: 1}},
		Agents: func(yield func(ota.Agent, error) bool) {
			for _, n := range nodes {
				if !yield(n, nil) {
					return
				}
			}
		},
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
