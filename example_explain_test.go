package ota_test

import (
	"context"
	"fmt"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

// Explain lists everything that blocks a plan, and the verb that clears it.
func ExampleEngine_Explain() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), otatest.NewFleet(otatest.Options{}), ota.Options{})
	check(err)
	explain := func(id string) {
		why, err := engine.Explain(ctx, id)
		check(err)
		fmt.Printf("%s: %s", why.Status, why.Blockers[0].Reason.Sentence())
		if verb := why.Blockers[0].Verb; verb != 0 {
			fmt.Printf(" (%s clears it)", verb)
		}
		fmt.Println()
	}

	plan, err := engine.Create(ctx, ota.Spec{
		Name: "June release", ToVersion: "1.3.0", Agents: ota.AgentIDs("ok-1", "fail-1", "ok-2"),
		Policy: ota.Policy{Concurrency: 1},
	})
	check(err)
	explain(plan.ID)
	_, err = engine.Start(ctx, plan.ID, ota.Request{})
	check(err)
	explain(plan.ID) // no engine runs Run or RunPlan yet
	_, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	explain(plan.ID)
	_, err = engine.Resume(ctx, plan.ID, ota.Accept(1), ota.Request{})
	check(err)
	_, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	explain(plan.ID)
	// Output:
	// pending: The plan has not been started (start clears it)
	// running: No engine drives the plan
	// paused: A breach stands and needs a decision (resume clears it)
	// completed: The plan has ended
}
