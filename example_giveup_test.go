package ota_test

import (
	"context"
	"fmt"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

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
