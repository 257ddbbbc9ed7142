package ota_test

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// A loop of your own drives a plan: here one call after the other, in virtual time.
func ExampleStepper() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), nil, ota.Options{})
	check(err)
	plan, err := engine.Create(ctx, ota.Spec{
		Name: "Gateways 7.1", FromVersion: "7.0", ToVersion: "7.1", Agents: ota.AgentIDs("g-1", "g-2", "g-3"),
		Policy: ota.Policy{Concurrency: 1, Soak: ota.Soak{Duration: time.Hour}},
	})
	check(err)
	_, err = engine.Start(ctx, plan.ID, ota.Request{})
	check(err)

	begin := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	now := begin
	s := engine.Stepper(plan.ID, ota.Answers{})
	for !s.Resting() {
		step, err := s.Step(ctx, now)
		check(err) // a program tries again later
		for _, c := range step.Calls {
			a := c.Attempt()
			now = now.Add(5 * time.Minute)
			fmt.Println(now.Sub(begin), a.Agent, "runs", a.ToVersion)
			s.Returned(c, now, ota.Result{Version: a.ToVersion}, nil)
		}
		if len(step.Calls) == 0 && step.Wake.After(now) {
			now = step.Wake // nothing is out: the time is next
		}
	}
	plan, err = s.Plan(ctx)
	check(err)
	fmt.Println(now.Sub(begin), plan.Status)
	// Output:
	// 5m0s g-1 runs 7.1
	// 10m0s g-2 runs 7.1
	// 15m0s g-3 runs 7.1
	// 1h15m0s completed
}

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
