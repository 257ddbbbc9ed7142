package ota_test

import (
	"context"
	"fmt"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// errorRates is an Executor that also checks the service's error rate before the next batch begins.
type errorRates struct{ perBatch []float64 }

func (errorRates) Execute(_ context.Context, a ota.Attempt) (ota.Result, error) {
	return ota.Result{Version: a.ToVersion}, nil
}

// Gate implements ota.Gater.
func (r errorRates) Gate(_ context.Context, _ ota.Plan, b ota.Batch) (ota.GateVerdict, error) {
	if r.perBatch[b.Index] > 0.01 {
		return ota.GateFail, nil
	}
	return ota.GatePass, nil
}

// After the canary, and after each further batch, the gate decides whether the next batch may
// begin.
func ExampleGater() {
	engine, _ := ota.New(memstore.New(), errorRates{perBatch: []float64{0.001, 0.04}}, ota.Options{})
	ctx := context.Background()
	plan, _ := engine.Create(ctx, ota.Spec{
		Name:      "gated",
		ToVersion: "2.0",
		Agents:    ota.AgentIDs("a", "b", "c", "d", "e", "f"),
		Shape:     ota.Shape{Canary: 1, Percent: 50},
	})
	_, _ = engine.Start(ctx, plan.ID, ota.Request{Actor: "ann"})
	plan, _ = engine.RunPlan(ctx, plan.ID)
	fmt.Println(plan.Status, "-", plan.Breaches[0])
	fmt.Println(plan.Counts.Succeeded, "upgraded,", plan.Counts.Pending, "not started")
	// Output:
	// paused - The gate after the batch failed
	// 4 upgraded, 2 not started
}
