package otatest_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
	"github.com/seed-19b57ce3/ota/simulate"
)

// What would a plan do to a fleet in which a few agents fail? The simulation runs no upgrade and
// does not wait: it shows at once that the plan would take more than a day.
func ExampleSimulate() {
	agents := slices.Concat(otatest.IDs("ok-", 28), otatest.IDs("fail-", 2))
	sim, err := otatest.Simulate(ota.Spec{
		Name:        "Kernel update",
		FromVersion: "1.2.0",
		ToVersion:   "1.3.0",
		Agents:      ota.AgentIDs(agents...),
		Policy:      ota.Policy{FailureThreshold: new(0.1), Soak: ota.Soak{Duration: 12 * time.Hour}},
	}, otatest.NewFleet(otatest.Options{Latency: 10 * time.Minute}))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(sim)
	for _, b := range sim.Breaches {
		fmt.Printf("It would pause after %v: %s.\n", b.After, b.Text)
	}
	for _, a := range sim.Failed {
		fmt.Printf("%s fails: %s\n", a.ID, a.Tasks[0].Error)
	}
	// Output:
	// +0s plan_created 30 agents in 3 batches
	// +0s plan_started
	// +0s batch_started batch 0
	// +20m0s batch_observing batch 0
	// +12h20m0s batch_completed batch 0
	// +12h20m0s batch_started batch 1
	// +12h40m0s batch_observing batch 1
	// +24h40m0s batch_completed batch 1
	// +24h40m0s batch_started batch 2
	// +25h0m0s breach batch 2 Failure threshold exceeded: 2 of the 10 agents of batch 2 failed, 1 is tolerated
	// +25h0m0s batch_observing batch 2
	// +25h0m0s plan_status paused
	// +37h0m0s batch_completed batch 2
	// paused after 37h0m0s: 28 of 30 succeeded, 2 failed, calls: 30
	//   A breach stands and needs a decision: Failure threshold exceeded: 2 of the 10 agents of batch 2 failed, 1 is tolerated; no group to compare with: 0 healthy agents that the plan has not begun, 4 are needed; cleared by resume with accept, raise or retry, or by rollback
	// It would pause after 25h0m0s: Failure threshold exceeded: 2 of the 10 agents of batch 2 failed, 1 is tolerated.
	// fail-1 fails: agent fail-1 did not install 1.3.0
	// fail-2 fails: agent fail-2 did not install 1.3.0
}

// A Fleet replaces the real agents: a program that uses ota is tested with agents that fail on
// demand.
func ExampleFleet() {
	fleet := otatest.NewFleet(otatest.Options{})
	engine, err := ota.New(memstore.New(), fleet, ota.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	half := 0.5
	plan, err := engine.Create(ctx, ota.Spec{
		Name: "Kernel update", FromVersion: "1.2.0", ToVersion: "1.3.0",
		Agents: ota.AgentIDs("ok-1", "ok-2", "flaky-1", "wrong-1"),
		Policy: ota.Policy{Retry: ota.RetryPolicy{Max: 1}, FailureThreshold: &half},
	})
	if err == nil {
		_, err = engine.Start(ctx, plan.ID, ota.Request{Actor: "ann"})
	}
	if err == nil {
		plan, err = engine.RunPlan(ctx, plan.ID)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(plan.Status, "with", plan.Counts.Succeeded, "upgraded")
	fmt.Println("flaky-1 runs", fleet.Version("flaky-1"), "and wrong-1 runs", fleet.Version("wrong-1"))
	// Output:
	// completed with 3 upgraded
	// flaky-1 runs 1.3.0 and wrong-1 runs 1.3.0-wrong
}

// Predicts what will happen to a fleet in its present state, with all options of a simulation.
func ExampleFleet_Copy() {
	fleet := otatest.NewFleet(otatest.Options{Latency: time.Minute})
	fleet.SetVersion("ok-1", "1.3.0")
	sim, err := simulate.Run(context.Background(), ota.Spec{
		Name: "Kernel update", FromVersion: "1.2.0", ToVersion: "1.3.0",
		Agents: ota.AgentIDs(otatest.IDs("ok-", 4)...),
		Shape:  ota.Shape{Size: 2},
		Policy: ota.Policy{Hold: ota.Hold{All: true}},
	}, fleet.Copy(), simulate.Options{Promote: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sim.Plan.Status, "after", sim.Took(), "with", sim.Plan.Changed, "agents touched")
	fmt.Println("really, calls made:", len(fleet.Calls()))
	// Output:
	// completed after 2m0s with 3 agents touched
	// really, calls made: 0
}
