package ota_test

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// These agents fetch their orders, and report when they have finished. The call only gives the
// order; the outcome arrives hours later.
func ExampleAsync() {
	inbox := make(chan ota.Attempt, 1) // represents messages to the agent
	e, _ := ota.New(memstore.New(), ota.Async(func(_ context.Context, a ota.Attempt) error { inbox <- a; return nil }), ota.Options{})
	ctx := context.Background()
	p, _ := e.Create(ctx, ota.Spec{ID: "p-1", Name: "x", ToVersion: "2.0", Agents: ota.AgentIDs("gateway-7"), Policy: ota.Policy{AttemptTimeout: 24 * time.Hour}})
	_, _ = e.Start(ctx, p.ID, ota.Request{})
	go func() { // the agent, hours later
		a := <-inbox
		plan, agent, task, number, _ := ota.ParseKey(a.Key())
		err := e.ReportOutcomes(ctx, plan, []ota.OutcomeReport{
			{Agent: agent, Task: task, Number: number, Reason: ota.ReasonSucceeded, Version: "2.0"},
		})
		fmt.Println("acknowledged:", err == nil)
		inbox <- a
	}()
	p, _ = e.RunPlan(ctx, p.ID)
	<-inbox
	fmt.Println(p.Status, p.Counts.Succeeded)
	// Output:
	// acknowledged: true
	// completed 1
}
