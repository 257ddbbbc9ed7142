package ota_test

import (
	"context"
	"fmt"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

// After Pause has returned, nothing starts any more. Calls in flight drain.
func ExampleEngine_Pause() {
	ctx, shutdown := context.WithCancel(context.Background())
	defer shutdown()
	called, goOn := make(chan string), make(chan bool)
	executor := ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		called <- a.Agent
		<-goOn
		return ota.Result{Version: a.ToVersion}, nil
	})
	engine, err := ota.New(memstore.New(), executor, ota.Options{})
	check(err)
	go func() { check(engine.Run(ctx)) }()

	plan := started(ctx, engine, ota.Shape{}, ota.Policy{Concurrency: 1}, "web-1", "web-2", "web-3")
	fmt.Println("upgrading", <-called)
	plan, err = engine.Pause(ctx, plan.ID, ota.Request{Actor: "ann", Reason: "lunch"})
	check(err)
	fmt.Println(plan.Status, "with", plan.InFlight(), "in flight")

	goOn <- true
	plan, err = engine.Wait(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status, "by", plan.Paused.Actor, "for", plan.Paused.Reason)

	_, err = engine.Resume(ctx, plan.ID, ota.Decision{}, ota.Request{Actor: "ann"})
	check(err)
	for range 2 {
		fmt.Println("upgrading", <-called)
		goOn <- true
	}
	plan, err = engine.Wait(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status)
	// Output:
	// upgrading web-1
	// pausing with 1 in flight
	// paused by ann for lunch
	// upgrading web-2
	// upgrading web-3
	// completed
}

// A plan refuses a verb that its status forbids. The error lists the verbs that it accepts.
func ExampleStateError() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), nil, ota.Options{})
	check(err)
	plan, err := engine.Create(ctx, ota.Spec{ID: "june", Name: "June release", ToVersion: "1.3.0", Agents: ota.AgentIDs("web-1")})
	check(err)
	_, err = engine.Pause(ctx, plan.ID, ota.Request{})
	fmt.Println(err)
	// Output:
	// ota: pause is not possible while plan june is pending; possible now: start, cancel, skip, edit, annotate
}

// An edit counts from the next decision on. With a request ID, a caller can safely repeat a verb
// whose answer was lost.
func ExampleEngine_Edit() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), nil, ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{}, ota.Policy{Concurrency: 1}, "web-1", "web-2")
	double := func(p *ota.Policy) { p.Concurrency *= 2 }
	for range 2 {
		plan, err = engine.Edit(ctx, plan.ID, double, ota.Request{Actor: "ann", ID: "edit-17"})
		check(err)
	}
	fmt.Println(plan.Policy.Concurrency)
	// Output:
	// 2
}

// A held batch begins only after Promote. The plan stays running, and Explain says what it waits
// for.
func ExampleEngine_Promote() {
	ctx, shutdown := context.WithCancel(context.Background())
	defer shutdown()
	engine, err := ota.New(memstore.New(), otatest.NewFleet(otatest.Options{}), ota.Options{})
	check(err)
	go func() { check(engine.Run(ctx)) }()

	shape := ota.Shape{Batches: []ota.BatchShape{{Name: "canary", Size: 1}, {Name: "rest", Size: 3}}}
	plan := started(ctx, engine, shape, ota.Policy{Hold: ota.Hold{All: true}}, "web-1", "web-2", "web-3", "web-4")
	for record, err := range engine.Watch(ctx, plan.ID, 0) {
		check(err)
		if last := record.Events[len(record.Events)-1]; last.Kind == ota.EventBatchCompleted {
			break
		}
	}
	why, err := engine.Explain(ctx, plan.ID)
	check(err)
	fmt.Println(why.Status)
	fmt.Println(why.Sentence())

	_, err = engine.Promote(ctx, plan.ID, 1, ota.Request{Actor: "ann", Reason: "the canary is fine"})
	check(err)
	plan, err = engine.Wait(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status)
	// Output:
	// running
	// The next batch is held until it is promoted: batch 1; cleared by promote
	// completed
}

// Cancel ends a plan. It waits for calls in flight or, as here, interrupts them. The state of an
// interrupted agent is unknown, and counts as failed. Agents that have not started do not change.
func ExampleEngine_Cancel() {
	ctx, shutdown := context.WithCancel(context.Background())
	defer shutdown()
	called := make(chan string)
	executor := ota.ExecutorFunc(func(ctx context.Context, a ota.Attempt) (ota.Result, error) {
		called <- a.Agent
		<-ctx.Done()
		return ota.Result{}, ctx.Err()
	})
	engine, err := ota.New(memstore.New(), executor, ota.Options{})
	check(err)
	go func() { check(engine.Run(ctx)) }()

	plan := started(ctx, engine, ota.Shape{}, ota.Policy{Concurrency: 1}, "web-1", "web-2")
	<-called
	plan, err = engine.Cancel(ctx, plan.ID, true, ota.Request{Actor: "ann"})
	check(err)
	fmt.Println(plan.Status)
	plan, err = engine.Wait(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status)
	printAgents(ctx, engine, plan.ID)
	// Output:
	// canceling
	// canceled
	// web-1 unknown interrupted
	// web-2 canceled none
}

// Skip leaves out agents that have not started.
func ExampleEngine_Skip() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), otatest.NewFleet(otatest.Options{}), ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{}, ota.Policy{}, "web-1", "web-2", "web-3")
	_, err = engine.Skip(ctx, plan.ID, []string{"web-2"}, ota.Request{Actor: "ann", Reason: "is being repaired"})
	check(err)
	_, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	printAgents(ctx, engine, plan.ID)
	// Output:
	// web-1 succeeded succeeded
	// web-2 skipped operator
	// web-3 succeeded succeeded
}

// Now upgrades one machine first that cannot wait for its batch.
func ExampleEngine_Now() {
	ctx := context.Background()
	executor := ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		fmt.Println(a.Agent)
		return ota.Result{Version: a.ToVersion}, nil
	})
	engine, err := ota.New(memstore.New(), executor, ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{Size: 1}, ota.Policy{Concurrency: 1}, "web-1", "web-2", "web-3")
	_, err = engine.Now(ctx, plan.ID, []string{"web-3"}, ota.Request{Actor: "ann", Reason: "its disk fails"})
	check(err)
	_, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	// Output:
	// web-3
	// web-1
	// web-2
}

// GiveUp ends the wait for one call that hangs. The rest of the plan goes on.
func ExampleEngine_GiveUp() {
	ctx := context.Background()
	hangs := make(chan struct{})
	executor := ota.ExecutorFunc(func(ctx context.Context, a ota.Attempt) (ota.Result, error) {
		if a.Agent == "web-1" {
			close(hangs)
			<-ctx.Done() // GiveUp ends it
			return ota.Result{}, ctx.Err()
		}
		return ota.Result{Version: a.ToVersion}, nil
	})
	engine, err := ota.New(memstore.New(), executor, ota.Options{})
	check(err)
	threshold := 0.5 // an agent that was given up counts as failed
	policy := ota.Policy{AttemptTimeout: ota.NoTimeout, FailureThreshold: &threshold}
	plan := started(ctx, engine, ota.Shape{}, policy, "web-1", "web-2")
	go func() {
		<-hangs
		_, err := engine.GiveUp(ctx, plan.ID, []string{"web-1"}, ota.Request{Actor: "ann", Reason: "it hangs"})
		check(err)
	}()
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status)
	printAgents(ctx, engine, plan.ID)
	// Output:
	// completed
	// web-1 unknown operator
	// web-2 succeeded succeeded
}
