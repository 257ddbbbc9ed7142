package ota_test

import (
	"context"
	"fmt"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

// A rollback is a plan of its own. It takes exactly the agents that may have been changed back to
// their previous versions.
func ExampleEngine_Rollback() {
	ctx := context.Background()
	fleet := otatest.NewFleet(otatest.Options{})
	engine, err := ota.New(memstore.New(), fleet, ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{}, ota.Policy{Concurrency: 1}, "ok-1", "ok-2", "fail-1", "ok-3")
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status, "after", plan.Changed, "of", plan.Agents)

	back, err := engine.Rollback(ctx, plan.ID, ota.RollbackSpec{}, ota.Request{Actor: "ann", Reason: "1.3.0 is bad"})
	check(err)
	back, err = engine.RunPlan(ctx, back.ID)
	check(err)
	fmt.Println(back.Name, back.Status, back.Agents, "agents")
	plan, err = engine.Plan(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Name, plan.Status)
	fmt.Println("ok-1 runs", fleet.Version("ok-1"))
	// Output:
	// paused after 3 of 4
	// Rollback of June release completed 3 agents
	// June release rolled_back
	// ok-1 runs 1.2.0
}

// With ActionRollback a breach rolls the plan back automatically.
func ExampleAction() {
	ctx := context.Background()
	fleet := otatest.NewFleet(otatest.Options{})
	engine, err := ota.New(memstore.New(), fleet, ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{}, ota.Policy{Concurrency: 1, OnBreach: ota.ActionRollback}, "ok-1", "fail-1", "ok-2")
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status)
	fmt.Println("ok-1 runs", fleet.Version("ok-1"))
	// Output:
	// rolled_back
	// ok-1 runs 1.2.0
}

// CreateRollback creates a rollback plan without its Start, so that an operator can check it and
// change its policy first.
func ExampleEngine_CreateRollback() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), otatest.NewFleet(otatest.Options{}), ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{}, ota.Policy{}, "ok-1", "ok-2")
	_, err = engine.RunPlan(ctx, plan.ID)
	check(err)

	back, err := engine.CreateRollback(ctx, plan.ID, ota.RollbackSpec{Name: "Back to 1.2.0"}, ota.Request{Actor: "ann"})
	check(err)
	fmt.Println(back.Name, back.Status, back.FromVersion, "to", back.ToVersion)
	again, err := engine.CreateRollback(ctx, plan.ID, ota.RollbackSpec{}, ota.Request{Actor: "bob"})
	check(err)
	fmt.Println("the same:", again.ID == back.ID)

	_, err = engine.Start(ctx, back.ID, ota.Request{Actor: "ann"})
	check(err)
	back, err = engine.RunPlan(ctx, back.ID)
	check(err)
	fmt.Println(back.Status)
	// Output:
	// Back to 1.2.0 pending 1.3.0 to 1.2.0
	// the same: true
	// completed
}
