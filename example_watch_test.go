package ota_test

import (
	"context"
	"fmt"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

// Watch yields the records of a plan's log, and then each new one: every record once, in order. A
// later Watch can continue after the last revision seen.
func ExampleEngine_Watch() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), otatest.NewFleet(otatest.Options{}), ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{Size: 1}, ota.Policy{Concurrency: 1}, "web-1", "web-2")
	_, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	for record, err := range engine.Watch(ctx, plan.ID, 0) {
		check(err)
		for _, e := range record.Events {
			if e.Agent != "" {
				fmt.Println(e.Kind, e.Agent)
			} else if e.Batch >= 0 {
				fmt.Println(e.Kind, e.Batch)
			}
		}
		if record.Status.Ended() {
			break // the log may still grow, by late reports
		}
	}
	// Output:
	// batch_started 0
	// task_started web-1
	// task_succeeded web-1
	// batch_completed 0
	// batch_started 1
	// task_started web-2
	// task_succeeded web-2
	// batch_completed 1
}
