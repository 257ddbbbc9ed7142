package simulate_test

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/simulate"
)

// Is the default policy good enough if one gateway in fifty does not come back, and gateways on
// battery are slow? Two hundred runs on random fleets show how often the plan pauses, how many
// agents fail, and how long it takes. The seed makes the fleets the same each time.
func ExampleTrials() {
	agents := func(yield func(ota.Agent, error) bool) {
		for i := range 100 {
			power := [...]string{"mains", "battery"}[i%2]
			if !yield(ota.Agent{ID: fmt.Sprintf("gateway-%02d", i), Labels: map[string]string{"power": power}}, nil) {
				return
			}
		}
	}
	model := func(a ota.Agent) simulate.AgentModel {
		m := simulate.AgentModel{Fails: 0.02, Latency: simulate.Latency{Median: 2 * time.Minute, P99: 10 * time.Minute}}
		if a.Labels["power"] == "battery" {
			m.Latency = simulate.Latency{Median: 5 * time.Minute, P99: 20 * time.Minute}
		}
		return m
	}
	spec := ota.Spec{Name: "Firmware 7.1", ToVersion: "7.1", Agents: agents}
	r, err := simulate.Trials(context.Background(), spec, model, simulate.TrialOptions{Runs: 200, Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("completes in %.0f %% of runs, pauses in %.0f %%\n", 100*r.Completed(), 100*r.Breached())
	fmt.Println("failed:", r.Failed().P50, "as a rule,", r.Failed().P99, "in a bad run")
	fmt.Println("done after", r.Took().P50.Round(time.Minute), "as a rule")
	// Output:
	// completes in 98 % of runs, pauses in 2 %
	// failed: 2 as a rule, 5 in a bad run
	// done after 2h12m0s as a rule
}
