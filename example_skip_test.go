package ota_test

import (
	"context"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

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
