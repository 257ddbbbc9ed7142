package ota_test

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
	"github.com/seed-19b57ce3/ota/simulate"
)

// 1 %, 10 %, 50 %, and the rest. The canary soaks for a day, the others for an hour, and the third batch
// waits for a person.
func ExampleStage() {
	spec := ota.Spec{
		Name: "Firmware 7", ToVersion: "7", Agents: ota.AgentIDs(otatest.IDs("ok", 200)...),
		Shape: ota.Shape{Batches: []ota.BatchShape{
			{Name: "canary", Percent: 1}, {Name: "early", Percent: 10}, {Name: "half", Percent: 50}, {Name: "rest"},
		}},
		Policy: ota.Policy{
			Concurrency: 50, Soak: ota.Soak{Duration: time.Hour},
			Stages: []ota.Stage{
				{Batch: 0, Soak: new(24 * time.Hour), FailureThreshold: new(0.0), Concurrency: 1},
				{Batch: 2, Hold: new(true)},
			},
		},
	}
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	check(err)
	preview, err := e.Preview(context.Background(), spec, ota.PreviewOptions{})
	check(err)
	for _, b := range preview.Batches {
		fmt.Printf("%s: %d agents, at most %d at once, soaks %v, held: %v\n", b.Name, b.Size, b.Concurrency, b.Soak, b.Held)
	}
	fleet := simulate.FleetFunc(func(a ota.Attempt, _ time.Time) simulate.Call {
		return simulate.Call{Latency: time.Minute, Result: ota.Result{Version: a.ToVersion}}
	})
	sim, err := simulate.Run(context.Background(), spec, fleet, simulate.Options{Promote: true})
	check(err)
	fmt.Println(sim.Plan.Status, "after", sim.Took())
	// Output:
	// canary: 2 agents, at most 1 at once, soaks 24h0m0s, held: false
	// early: 20 agents, at most 50 at once, soaks 1h0m0s, held: false
	// half: 100 agents, at most 50 at once, soaks 1h0m0s, held: true
	// rest: 78 agents, at most 50 at once, soaks 1h0m0s, held: false
	// completed after 27h7m0s
}

// A canary of three among 60 pumps of three models. Volunteers come first, the hospital comes last.
func ExampleShape_represent() {
	var pumps []ota.Agent
	for i := range 60 {
		labels := map[string]string{"model": []string{"A", "A", "A", "A", "B", "C"}[i/10], "site": "ward"}
		if i%10 == 9 {
			labels["site"] = "hospital"
		}
		pumps = append(pumps, ota.Agent{ID: fmt.Sprintf("pump-%02d", i), Labels: labels})
	}
	pumps[30].Labels["ring"] = "volunteer"
	spec := ota.Spec{
		Name: "Pumps 7.1", ToVersion: "7.1", Agents: eachAgent(pumps),
		Shape: ota.Shape{
			Canary: 4, Size: 28, Represent: []string{"model"},
			First: []ota.Label{{Name: "ring", Value: "volunteer"}}, Last: []ota.Label{{Name: "site", Value: "hospital"}},
		},
	}
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	check(err)
	p, err := e.Create(context.Background(), spec)
	check(err)
	agents, err := e.Agents(context.Background(), p.ID, ota.AgentQuery{})
	check(err)
	for batch := range p.Batches {
		models, last := map[string]int{}, 0
		for _, a := range agents.Items {
			if a.Batch != batch {
				continue
			}
			models[a.Labels["model"]]++
			if a.Labels["site"] == "hospital" {
				last++
			}
		}
		fmt.Println("batch", batch, models, "hospital:", last)
	}
	// Output:
	// batch 0 map[A:2 B:1 C:1] hospital: 0
	// batch 1 map[A:20 B:4 C:4] hospital: 0
	// batch 2 map[A:18 B:5 C:5] hospital: 6
}
