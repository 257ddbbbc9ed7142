package ota_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// A plan may have several limits at once. The first breach pauses it.
func Example_limits() {
	fleet := ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		if strings.HasPrefix(a.Agent, "broken-") {
			return ota.Result{}, errors.New("does not boot")
		}
		return ota.Result{Version: a.ToVersion}, nil
	})
	engine, _ := ota.New(memstore.New(), fleet, ota.Options{})
	ctx := context.Background()
	half := 0.5
	plan, _ := engine.Create(ctx, ota.Spec{
		Name:      "limits",
		ToVersion: "2.0",
		Agents:    ota.AgentIDs("a", "b", "broken-c", "broken-d", "broken-e", "f", "g", "h", "i", "j"),
		Policy: ota.Policy{
			Concurrency:      1,
			FailureThreshold: &half,                                      // five of ten may fail,
			MaxConsecutive:   2,                                          // but not three in a row,
			BatchTimeout:     time.Hour,                                  // a batch may take an hour,
			PlanTimeout:      24 * time.Hour,                             // the plan a day,
			Rate:             ota.Rate{Starts: 10_000, Per: time.Second}, // and this many may start.
		},
	})
	_, _ = engine.Start(ctx, plan.ID, ota.Request{Actor: "ann"})
	plan, _ = engine.RunPlan(ctx, plan.ID)
	fmt.Println(plan.Status, "-", plan.Breaches[0])
	// Output: paused - Too many agents failed in a row: 3 in a row, 2 are allowed
}
