package ota_test

import (
	"context"
	"fmt"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

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
