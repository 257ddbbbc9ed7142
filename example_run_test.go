package ota_test

import (
	"context"
	"fmt"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

// Create a plan, start it, and drive it to its end in the foreground.
func ExampleEngine_RunPlan() {
	ctx := context.Background()
	executor := ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		// Upgrade a.Agent to a.ToVersion here, and return the version that it runs now.
		return ota.Result{Version: a.ToVersion}, nil
	})
	engine, err := ota.New(memstore.New(), executor, ota.Options{})
	check(err)

	plan, err := engine.Create(ctx, ota.Spec{
		Name: "June release", FromVersion: "1.2.0", ToVersion: "1.3.0",
		Agents: ota.AgentIDs("db-1", "db-2", "web-1", "web-2", "web-3"),
		Shape:  ota.Shape{Size: 2},
	})
	check(err)
	fmt.Println(plan.Status, plan.Agents, "agents in", plan.Batches, "batches")

	_, err = engine.Start(ctx, plan.ID, ota.Request{Actor: "ann"})
	check(err)
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status, plan.Counts.Succeeded, "succeeded")
	// Output:
	// pending 5 agents in 3 batches
	// completed 5 succeeded
}

// A service drives all plans of its Store in the background, and answers queries meanwhile.
func ExampleEngine_Run() {
	ctx, shutdown := context.WithCancel(context.Background())
	engine, err := ota.New(memstore.New(), otatest.NewFleet(otatest.Options{}), ota.Options{})
	check(err)
	stopped := make(chan error)
	go func() { stopped <- engine.Run(ctx) }()

	first := started(ctx, engine, ota.Shape{}, ota.Policy{}, "web-1", "web-2")
	second := started(ctx, engine, ota.Shape{}, ota.Policy{}, "db-1", "db-2")
	for _, id := range []string{first.ID, second.ID} {
		plan, err := engine.Wait(ctx, id)
		check(err)
		fmt.Println(plan.Status)
	}

	shutdown() // no more starts; calls in flight get Options.DrainTimeout
	fmt.Println(<-stopped)
	// Output:
	// completed
	// completed
	// <nil>
}

// FieldErrors lists all mistakes of a Spec at once.
func ExampleFieldErrors() {
	engine, err := ota.New(memstore.New(), nil, ota.Options{})
	check(err)
	_, err = engine.Create(context.Background(), ota.Spec{
		ToVersion: "1.3.0",
		Agents:    ota.AgentIDs("web-1", "web-1"),
		Policy:    ota.Policy{Concurrency: -1, FailureThreshold: threshold(10)},
	})
	for _, mistake := range ota.FieldErrors(err) {
		fmt.Println(mistake)
	}
	// Output:
	// name is missing; allowed: 1 to 255 bytes
	// concurrency (-1) is out of range; allowed: 1 to 1000000; 0 means 5
	// failureThreshold (10) is out of range; allowed: 0 to 1, as a fraction: 0.1 tolerates one of ten
	// agents[1].id ("web-1") is in the plan twice; allowed: every agent once
}

// Three named batches: one canary, a few, and the rest.
func ExampleShape() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), nil, ota.Options{})
	check(err)
	plan, err := engine.Create(ctx, ota.Spec{
		Name: "June release", FromVersion: "1.2.0", ToVersion: "1.3.0", Agents: ota.AgentIDs(otatest.IDs("web-", 20)...),
		Shape: ota.Shape{Batches: []ota.BatchShape{{Name: "canary", Size: 1}, {Name: "few", Size: 4}, {Name: "rest", Size: 15}}},
	})
	check(err)
	for b, err := range engine.Batches(ctx, plan.ID, 0) {
		check(err)
		fmt.Printf("%d %s: %d agents, tolerates %d\n", b.Index, b.Name, b.Size, b.Tolerated)
	}
	fmt.Println(plan.Warnings[0])
	// Output:
	// 0 canary: 1 agents, tolerates 0
	// 1 few: 4 agents, tolerates 0
	// 2 rest: 15 agents, tolerates 1
	// failureThreshold 0.1 tolerates 0 of 1 agents in batch 0: the first failure there is a breach
}
