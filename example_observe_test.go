package ota_test

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

// Each batch soaks after its last agent has finished. If the Executor is a Prober, the engine asks
// it for the health of the agents.
func ExampleSoak() {
	ctx := context.Background()
	// The sick- agents of this fleet become unhealthy after their upgrade.
	fleet := otatest.NewFleet(otatest.Options{})
	engine, err := ota.New(memstore.New(), fleet, ota.Options{})
	check(err)
	policy := ota.Policy{Soak: ota.Soak{Duration: 50 * time.Millisecond, Interval: 5 * time.Millisecond}}
	plan := started(ctx, engine, ota.Shape{Size: 3}, policy, "ok-1", "ok-2", "sick-1", "ok-3", "ok-4", "ok-5")
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status, plan.Breaches[0])
	page, err := engine.Agents(ctx, plan.ID, ota.RowQuery{Status: []ota.TaskStatus{ota.TaskFailed}})
	check(err)
	fmt.Println(page.Items[0].ID, page.Items[0].Tasks[0].Reason)
	// Output:
	// paused Failure threshold exceeded: 1 of 3 failed in batch 0, tolerates 0
	// sick-1 unhealthy
}

// A monitoring system can report the health of agents. A report counts while the agent's batch
// soaks.
func ExampleEngine_ReportHealth() {
	ctx, shutdown := context.WithCancel(context.Background())
	defer shutdown()
	executor := ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		return ota.Result{Version: a.ToVersion}, nil
	})
	engine, err := ota.New(memstore.New(), executor, ota.Options{})
	check(err)
	go func() { check(engine.Run(ctx)) }()

	policy := ota.Policy{Soak: ota.Soak{Duration: time.Hour}}
	plan := started(ctx, engine, ota.Shape{Size: 2}, policy, "web-1", "web-2", "web-3", "web-4")
	for record, err := range engine.Watch(ctx, plan.ID, 0) {
		check(err)
		if last := record.Events[len(record.Events)-1]; last.Kind == ota.EventBatchSoaking {
			break
		}
	}
	err = engine.ReportHealth(ctx, plan.ID, []ota.HealthReport{
		{Agent: "web-1", Healthy: true},
		{Agent: "web-2", Healthy: false, Reason: "error rate 12 %"},
		{Agent: "web-3", Healthy: false, Reason: "it has not been upgraded, so this is only an event"},
	})
	check(err)
	plan, err = engine.Wait(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status, plan.Breaches[0])
	// Output:
	// paused Failure threshold exceeded: 1 of 2 failed in batch 0, tolerates 0
}
