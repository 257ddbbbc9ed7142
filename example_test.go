package ota_test

import (
	"context"
	"fmt"
	"log"
	"slices"

	"github.com/seed-19b57ce3/ota"
)

// The examples share two helpers, so that they show what matters.

// check ends an example that fails.
func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// started creates and starts a plan for an upgrade from 1.2.0 to 1.3.0. With a zero shape it has
// one batch.
func started(ctx context.Context, e *ota.Engine, shape ota.Shape, policy ota.Policy, agents ...string) ota.Plan {
	plan, err := e.Create(ctx, ota.Spec{
		Name: "June release", FromVersion: "1.2.0", ToVersion: "1.3.0",
		Agents: ota.AgentIDs(agents...), Shape: shape, Policy: policy,
	})
	check(err)
	plan, err = e.Start(ctx, plan.ID, ota.Request{Actor: "ann"})
	check(err)
	return plan
}

// threshold returns a value for Policy.FailureThreshold.
func threshold(f float64) *float64 { return &f }

// printAgents prints the agents of a plan.
func printAgents(ctx context.Context, e *ota.Engine, plan string) {
	page, err := e.Agents(ctx, plan, ota.AgentQuery{})
	check(err)
	for a := range slices.Values(page.Items) {
		fmt.Println(a.ID, a.Status, a.Tasks[0].Reason)
	}
}
