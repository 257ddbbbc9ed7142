package ota_test

import (
	"context"
	"fmt"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/otatest"
)

// A rollback is a plan of its own: of exactly the agents that may have been changed, each back to its own version.
func ExampleEngine_Rollback() {
	ctx := context.Background()
	fleet := otatest.NewFleet(otatest.Options{})
	engine, err := ota.New(ota.NewMemStore(), fleet, ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{}, ota.Policy{Concurrency: 1}, "ok-1", "ok-2", "fail-1", "ok-3")
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status, "after", plan.Changed, "of", plan.Agents)

	undo, err := engine.Rollback(ctx, plan.ID, ota.RollbackSpec{}, ota.Request{Actor: "ann", Reason: "1.3.0 is bad"})
	check(err)
	undo, err = engine.RunPlan(ctx, undo.ID)
	check(err)
	fmt.Println(undo.Name, undo.Status, undo.Agents, "agents")
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

// With this action a breach takes everything back by itself.
func ExampleAction() {
	ctx := context.Background()
	fleet := otatest.NewFleet(otatest.Options{})
	engine, err := ota.New(ota.NewMemStore(), fleet, ota.Options{})
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

// A rollback plan can be made without being started: to look at it first, and to change its limits.
func ExampleEngine_CreateRollback() {
	ctx := context.Background()
	engine, err := ota.New(ota.NewMemStore(), otatest.NewFleet(otatest.Options{}), ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{}, ota.Policy{}, "ok-1", "ok-2")
	_, err = engine.RunPlan(ctx, plan.ID)
	check(err)

	undo, err := engine.CreateRollback(ctx, plan.ID, ota.RollbackSpec{Name: "Back to 1.2.0"}, ota.Request{Actor: "ann"})
	check(err)
	fmt.Println(undo.Name, undo.Status, undo.FromVersion, "to", undo.ToVersion)
	again, err := engine.CreateRollback(ctx, plan.ID, ota.RollbackSpec{}, ota.Request{Actor: "bob"})
	check(err)
	fmt.Println("the same:", again.ID == undo.ID)

	_, err = engine.Start(ctx, undo.ID, ota.Request{Actor: "ann"})
	check(err)
	undo, err = engine.RunPlan(ctx, undo.ID)
	check(err)
	fmt.Println(undo.Status)
	// Output:
	// Back to 1.2.0 pending 1.3.0 to 1.2.0
	// the same: true
	// completed
}
