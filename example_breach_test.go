package ota_test

import (
	"context"
	"errors"
	"fmt"
	"time"

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
	// true Failure threshold exceeded: 2 of the 4 agents of batch 0 failed, 1 is tolerated
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
	// paused Failure threshold exceeded: 1 of the 4 agents of batch 0 failed, none is tolerated
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

// RemainingSpec makes a new plan of everything that a canceled plan has not done.
func ExampleEngine_RemainingSpec() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), otatest.NewFleet(otatest.Options{}), ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{Size: 1}, ota.Policy{FailureThreshold: threshold(0)}, "ok-1", "fail-1", "ok-2", "ok-3")
	_, err = engine.RunPlan(ctx, plan.ID) // the failure pauses it
	check(err)
	_, err = engine.Cancel(ctx, plan.ID, false, ota.Request{Actor: "ann"})
	check(err)
	spec, err := engine.RemainingSpec(ctx, plan.ID, false)
	check(err)
	next, err := engine.Create(ctx, spec)
	check(err)
	fmt.Println(next.Name)
	printAgents(ctx, engine, next.ID)
	// Output:
	// Rest of June release
	// fail-1 pending none
	// ok-2 pending none
	// ok-3 pending none
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
	// Failure threshold exceeded: 3 of the 20 agents of batch 0 failed, 2 are tolerated
	// 17 agents did not start
}

// The engine retries a failed attempt up to Max times, after a wait that doubles each time. The
// agent keeps its slot.
func ExampleRetryPolicy() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), otatest.NewFleet(otatest.Options{}), ota.Options{})
	check(err)
	policy := ota.Policy{
		FailureThreshold: threshold(1),
		Retry:            ota.RetryPolicy{Max: 2, Backoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond},
	}
	plan := started(ctx, engine, ota.Shape{}, policy, "ok-1", "flaky-1", "fail-1")
	_, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	page, err := engine.Agents(ctx, plan.ID, ota.AgentQuery{})
	check(err)
	for _, a := range page.Items {
		fmt.Printf("%s %s after %d attempts %q\n", a.ID, a.Status, a.Tasks[0].Attempts, a.Tasks[0].Error)
	}
	// Output:
	// ok-1 succeeded after 1 attempts ""
	// flaky-1 succeeded after 2 attempts ""
	// fail-1 failed after 3 attempts "agent fail-1 did not install 1.3.0"
}

// An Executor marks the kind of a failure. The engine does not retry Permanent and Rejected, under
// any policy.
func ExamplePermanent() {
	ctx := context.Background()
	executor := ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		switch a.Agent {
		case "old":
			return ota.Result{}, ota.Permanent(errors.New("needs more memory than it has"))
		case "locked":
			return ota.Result{}, ota.Rejected(errors.New("its owner has locked it"))
		case "wrong":
			return ota.Result{Version: "1.2.9"}, nil
		case "panics":
			panic("a bug in the Executor ends only the attempt")
		default:
			return ota.Result{Version: a.ToVersion, Unchanged: true}, nil
		}
	})
	engine, err := ota.New(memstore.New(), executor, ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{}, ota.Policy{FailureThreshold: threshold(1), Retry: ota.RetryPolicy{Max: 9}},
		"old", "locked", "wrong", "panics", "new")
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	printAgents(ctx, engine, plan.ID)
	// Output:
	// old failed permanent
	// locked failed rejected
	// wrong failed wrong_version
	// panics failed panic
	// new succeeded at_target
}

// An agent that is unreachable or throttles uses up no retry, and does not fail. It gives its slot
// back, and the engine asks it again.
func ExampleThrottled() {
	ctx := context.Background()
	executor := ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		if a.Number < 3 {
			return ota.Result{}, ota.Throttled(errors.New("is serving customers"), time.Millisecond)
		}
		return ota.Result{Version: a.ToVersion}, nil
	})
	engine, err := ota.New(memstore.New(), executor, ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{}, ota.Policy{FailureThreshold: threshold(0)}, "till-1")
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	page, err := engine.Agents(ctx, plan.ID, ota.AgentQuery{})
	check(err)
	fmt.Println(plan.Status, "after", page.Items[0].Tasks[0].Attempts, "attempts")
	// Output:
	// completed after 3 attempts
}

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

// By default a rollback is one batch that waits for nothing but its own calls. A RollbackSpec asks
// for more of the source.
func ExampleRollbackSpec() {
	ctx := context.Background()
	policy := ota.Policy{Concurrency: 2, Rate: ota.Rate{Starts: 6000}}
	slower := policy.ForRollback()
	slower.Rate.Starts = 10
	for _, spec := range []ota.RollbackSpec{{}, {Inherit: ota.InheritBatches, Policy: &slower}, {Inherit: ota.InheritAll}} {
		engine, err := ota.New(memstore.New(), otatest.NewFleet(otatest.Options{}), ota.Options{})
		check(err)
		plan := started(ctx, engine, ota.Shape{Size: 1}, policy, "ok-1", "ok-2")
		_, err = engine.RunPlan(ctx, plan.ID)
		check(err)
		back, err := engine.CreateRollback(ctx, plan.ID, spec, ota.Request{})
		check(err)
		fmt.Println("batches:", back.Batches, "starts per minute:", back.Policy.Rate.Starts)
	}
	// Output:
	// batches: 1 starts per minute: 0
	// batches: 2 starts per minute: 10
	// batches: 2 starts per minute: 6000
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
