package ota_test

import (
	"context"
	"fmt"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

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
