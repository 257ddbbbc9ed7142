package ota_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/simulate"
)

// tills is an Executor that the engine asks before it upgrades an agent.
type tills struct{}

func (tills) Execute(_ context.Context, a ota.Attempt) (ota.Result, error) {
	return ota.Result{Version: a.ToVersion}, nil
}

func (tills) Precheck(_ context.Context, a ota.Attempt) (ota.Precheck, error) {
	switch {
	case strings.HasPrefix(a.Agent, "new-"):
		return ota.Precheck{Version: a.ToVersion}, nil
	case strings.HasPrefix(a.Agent, "sale-"):
		return ota.Precheck{State: ota.PrecheckBlocked, Reason: "a sale is under way"}, nil
	}
	return ota.Precheck{Version: "1.1.9"}, nil
}

// Before the engine upgrades an agent, it asks for the agent's version, and whether anything blocks
// the upgrade.
func ExamplePrechecker() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), tills{}, ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{}, ota.Policy{}, "till-1", "new-2", "sale-3")
	_, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	page, err := engine.Agents(ctx, plan.ID, ota.AgentQuery{})
	check(err)
	for _, a := range page.Items {
		fmt.Println(a.ID, a.Status, a.Tasks[0].Reason, a.Version)
	}
	// Output:
	// till-1 succeeded succeeded 1.1.9
	// new-2 succeeded at_target 1.2.0
	// sale-3 skipped blocked 1.2.0
}

// Precheck asks about all agents of a plan that have not started. It changes only Plan.Readiness.
func ExampleEngine_Precheck() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), tills{}, ota.Options{})
	check(err)
	plan, err := engine.Create(ctx, ota.Spec{Name: "Tills 7.1", ToVersion: "7.1", Agents: ota.AgentIDs("till-1", "new-2", "sale-3")})
	check(err)
	plan, err = engine.Precheck(ctx, plan.ID, ota.Request{Actor: "ann"})
	check(err)
	fmt.Println(plan.Status, plan.Readiness)
	for _, f := range plan.Readiness.Findings {
		fmt.Println(f.Agent, f.State, f.Reason)
	}
	// Output:
	// pending 3 asked: 1 ready, 1 at the target, 1 blocked, 0 away; 0 conflicts
	// sale-3 blocked a sale is under way
}

// Preview shows the plan that a Spec would make.
func ExampleEngine_Preview() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), tills{}, ota.Options{})
	check(err)
	spec := ota.Spec{
		Name: "Tills 7.1", ToVersion: "7.1", Agents: ota.AgentIDs("till-1", "till-2", "till-3", "new-4", "sale-5"),
		Shape:  ota.Shape{Size: 2, Canary: 1},
		Policy: ota.Policy{Concurrency: 1, FailureThreshold: new(0.1), Soak: ota.Soak{Duration: time.Hour}},
	}
	preview, err := engine.Preview(ctx, spec, ota.PreviewOptions{Precheck: true})
	check(err)
	schedule, err := simulate.Earliest(ctx, spec, 10*time.Minute, preview.Readiness.At)
	check(err)
	for i, b := range preview.Batches {
		at := schedule.Batches[i]
		fmt.Printf("batch %d: %d agents, tolerates %d, %v to %v\n", b.Index, b.Size, b.Tolerated, at.Begins, at.Ends)
	}
	fmt.Println(preview.Warnings[0])
	fmt.Println(preview.Readiness)
	// Output:
	// batch 0: 1 agents, tolerates 0, 0s to 1h10m0s
	// batch 1: 2 agents, tolerates 0, 1h10m0s to 2h30m0s
	// batch 2: 2 agents, tolerates 0, 2h30m0s to 3h50m0s
	// failureThreshold 0.1 tolerates 0 of 1 agent in batch 0: the first failure there is a breach
	// 5 asked: 3 ready, 1 at the target, 1 blocked, 0 away; 0 conflicts
}

// With Halve, a batch with failures halves the concurrency of the following batches, until a batch
// has no failures.
func ExamplePolicy_halve() {
	one := 1.0
	spec := ota.Spec{
		Name: "Nodes 5.2", ToVersion: "5.2", Agents: ota.AgentIDs("bad-1", "n-2", "n-3", "n-4", "n-5", "n-6", "n-7", "n-8", "n-9", "n-10", "n-11", "n-12"),
		Shape:  ota.Shape{Size: 4},
		Policy: ota.Policy{Concurrency: 4, FailureThreshold: &one, Halve: true},
	}
	fleet := simulate.FleetFunc(func(a ota.Attempt, _ time.Time) simulate.Call {
		c := simulate.Call{Latency: time.Minute, Result: ota.Result{Version: a.ToVersion}}
		if strings.HasPrefix(a.Agent, "bad-") {
			c.Err = fmt.Errorf("out of memory")
		}
		return c
	})
	sim, err := simulate.Run(context.Background(), spec, fleet, simulate.Options{})
	check(err)
	for _, b := range sim.Batches {
		fmt.Println(b.CompletedAt.Sub(b.StartedAt))
	}
	// Output:
	// 1m0s
	// 2m0s
	// 1m0s
}

// errorRates is an Executor that also checks the service's error rate before the next batch begins.
type errorRates struct{ perBatch []float64 }

func (errorRates) Execute(_ context.Context, a ota.Attempt) (ota.Result, error) {
	return ota.Result{Version: a.ToVersion}, nil
}

// Gate implements ota.Gater.
func (r errorRates) Gate(_ context.Context, _ ota.Plan, b ota.Batch) (ota.GateVerdict, error) {
	if r.perBatch[b.Index] > 0.01 {
		return ota.GateFail, nil
	}
	return ota.GatePass, nil
}

// After the canary, and after each further batch, the gate decides whether the next batch may
// begin.
func ExampleGater() {
	engine, _ := ota.New(memstore.New(), errorRates{perBatch: []float64{0.001, 0.04}}, ota.Options{})
	ctx := context.Background()
	plan, _ := engine.Create(ctx, ota.Spec{
		Name:      "gated",
		ToVersion: "2.0",
		Agents:    ota.AgentIDs("a", "b", "c", "d", "e", "f"),
		Shape:     ota.Shape{Canary: 1, Percent: 50},
	})
	_, _ = engine.Start(ctx, plan.ID, ota.Request{Actor: "ann"})
	plan, _ = engine.RunPlan(ctx, plan.ID)
	fmt.Println(plan.Status, "-", plan.Breaches[0])
	fmt.Println(plan.Counts.Succeeded, "upgraded,", plan.Counts.Pending, "not started")
	// Output:
	// paused - The gate after the batch failed
	// 4 upgraded, 2 not started
}
