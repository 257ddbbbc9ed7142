package ota_test

import (
	"context"
	"fmt"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

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
