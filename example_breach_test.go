package ota_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

// More agents fail than tolerated, so the plan pauses and Resume needs a decision. This one accepts
// the failures.
func ExampleAccept() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), otatest.NewFleet(otatest.Options{}), ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{Size: 4}, ota.Policy{Concurrency: 1, FailureThreshold: threshold(0.25)},
		"ok-1", "fail-1", "fail-2", "ok-2", "ok-3", "ok-4")
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status)

	_, err = engine.Resume(ctx, plan.ID, ota.Decision{}, ota.Request{Actor: "ann"})
	var breach *ota.BreachError
	fmt.Println(errors.As(err, &breach), breach.Breach)

	// This accepts the failures that ann has seen. If there were more now, Resume would refuse, and
	// return their number.
	_, err = engine.Resume(ctx, plan.ID, ota.Accept(breach.Failed), ota.Request{Actor: "ann", Reason: "known bad disks"})
	check(err)
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status, plan.Counts.Succeeded, "succeeded", plan.Counts.Failed, "failed")
	// Output:
	// paused
	// true Failure threshold exceeded: 2 of 4 failed in batch 0, tolerates 1
	// completed 4 succeeded 2 failed
}

// Raise answers a breach with a higher threshold, which stays for the rest of the plan.
func ExampleRaise() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), otatest.NewFleet(otatest.Options{}), ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{}, ota.Policy{Concurrency: 1, FailureThreshold: threshold(0)},
		"ok-1", "fail-1", "ok-2", "fail-2")
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status, plan.Breaches[0])
	_, err = engine.Resume(ctx, plan.ID, ota.Raise(0.5), ota.Request{Actor: "ann"})
	check(err)
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status, *plan.Policy.FailureThreshold)
	// Output:
	// paused Failure threshold exceeded: 1 of 4 failed in batch 0, tolerates 0
	// completed 0.5
}

// RetryFailed retries the failed agents, before anything else starts. Use it after the cause is
// gone.
func ExampleRetryFailed() {
	ctx := context.Background()
	fleet := otatest.NewFleet(otatest.Options{})
	engine, err := ota.New(memstore.New(), fleet, ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{}, ota.Policy{Concurrency: 1}, "ok-1", "fail-1", "ok-2")
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status, plan.Counts.Failed, "failed")

	fleet.Set("fail-1", otatest.OK) // an engineer frees disk space
	_, err = engine.Resume(ctx, plan.ID, ota.RetryFailed(), ota.Request{Actor: "ann"})
	check(err)
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status, plan.Counts.Failed, "failed")
	// Output:
	// paused 1 failed
	// completed 0 failed
}

// When the plan has ended, Retry is too late. FailedSpec makes a new plan of the agents that
// failed.
func ExampleEngine_FailedSpec() {
	ctx := context.Background()
	fleet := otatest.NewFleet(otatest.Options{})
	engine, err := ota.New(memstore.New(), fleet, ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{}, ota.Policy{FailureThreshold: threshold(1)}, "ok-1", "fail-1", "ok-2", "fail-2")
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status, plan.Counts.Failed, "failed")

	fleet.Set("fail-1", otatest.OK)
	fleet.Set("fail-2", otatest.OK)
	spec, err := engine.FailedSpec(ctx, plan.ID)
	check(err)
	next, err := engine.Create(ctx, spec)
	check(err)
	_, err = engine.Start(ctx, next.ID, ota.Request{Actor: "ann"})
	check(err)
	next, err = engine.RunPlan(ctx, next.ID)
	check(err)
	fmt.Println(next.Name, next.Status, next.Counts.Succeeded, "succeeded")
	// Output:
	// completed 2 failed
	// Failed of June release completed 2 succeeded
}

// With Reserve at most one agent more than tolerated can fail, for any Concurrency. An agent starts
// only if all open agents could fail without exceeding that.
func ExamplePolicy_reserve() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), otatest.NewFleet(otatest.Options{}), ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{Size: 20},
		ota.Policy{Concurrency: 20, FailureThreshold: threshold(0.1), Reserve: true}, otatest.IDs("fail-", 20)...)
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Breaches[0])
	fmt.Println(plan.Counts.Pending, "agents did not start")
	// Output:
	// Failure threshold exceeded: 3 of 20 failed in batch 0, tolerates 2
	// 17 agents did not start
}
