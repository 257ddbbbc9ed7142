package ota_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // for programs on systems without time zones

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
	"github.com/seed-19b57ce3/ota/simulate"
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

// Agents are upgraded in the nights after Friday and Saturday, in Berlin. An upgrade takes up to
// half an hour, so none starts in the last half hour of the window. Clocks go forward in the second
// night. How long does the plan take?
func ExampleWindow() {
	policy := ota.Policy{Concurrency: 1, Windows: []ota.Window{{
		Days: []time.Weekday{time.Friday, time.Saturday}, Start: 22 * time.Hour, Length: 8 * time.Hour,
		Zone: "Europe/Berlin", Margin: 30 * time.Minute,
	}}}
	var ids []string
	for i := range 30 {
		ids = append(ids, fmt.Sprintf("till-%02d", i))
	}
	spec := ota.Spec{Name: "Tills 7.1", ToVersion: "7.1", Agents: ota.AgentIDs(ids...), Policy: policy, Shape: ota.Shape{Size: 30}}
	fleet := simulate.FleetFunc(func(a ota.Attempt, at time.Time) simulate.Call {
		return simulate.Call{Latency: 25 * time.Minute, Result: ota.Result{Version: a.ToVersion}}
	})
	monday := time.Date(2024, 3, 25, 9, 0, 0, 0, time.UTC)
	sim, err := simulate.Run(context.Background(), spec, fleet, simulate.Options{Start: monday})
	check(err)

	fmt.Println("first start:", policy.NextOpen(monday).Format(time.RFC1123))
	fmt.Println(sim.Plan.Status, sim.End.Format(time.RFC1123))
	morning := time.Date(2024, 3, 31, 4, 45, 0, 0, time.UTC) // 06:45 in Berlin
	fmt.Println("next start:", policy.NextOpen(morning).Format(time.RFC1123))
	// Output:
	// first start: Fri, 29 Mar 2024 21:00:00 UTC
	// completed Sun, 31 Mar 2024 02:00:00 UTC
	// next start: Fri, 05 Apr 2024 20:00:00 UTC
}

// At most one node of each rack is down at a time. The plan lists the racks one after the other,
// and upgrades them in parallel.
func ExampleBudget() {
	var nodes []ota.Agent
	for i := range 12 {
		nodes = append(nodes, ota.Agent{ID: fmt.Sprintf("node-%02d", i), Labels: map[string]string{"rack": fmt.Sprint("r", i/4)}})
	}
	spec := ota.Spec{
		Name: "Nodes 5.2", ToVersion: "5.2", Shape: ota.Shape{Size: 12},
		Policy: ota.Policy{Concurrency: 8, Budgets: []ota.Budget{{Label: "rack", Max: 1}}},
		Agents: func(yield func(ota.Agent, error) bool) {
			for _, n := range nodes {
				if !yield(n, nil) {
					return
				}
			}
		},
	}
	fleet := simulate.FleetFunc(func(a ota.Attempt, _ time.Time) simulate.Call {
		return simulate.Call{Latency: time.Minute, Result: ota.Result{Version: a.ToVersion}}
	})
	sim, err := simulate.Run(context.Background(), spec, fleet, simulate.Options{})
	check(err)
	fmt.Println(sim.Plan.Status, "after", sim.Took())
	// Output:
	// completed after 4m0s
}

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
	page, err := engine.Agents(ctx, plan.ID, ota.AgentQuery{Status: []ota.TaskStatus{ota.TaskFailed}})
	check(err)
	fmt.Println(page.Items[0].ID, page.Items[0].Tasks[0].Reason)
	// Output:
	// paused Failure threshold exceeded: 1 of the 3 agents of batch 0 failed, none is tolerated
	// sick-1 unhealthy
}

// An agent that succeeds and then answers no question about its health fails, whatever the policy is.
func ExampleSoak_misses() {
	ctx := context.Background()
	// The silent- agents of this fleet answer no question after their upgrade.
	fleet := otatest.NewFleet(otatest.Options{})
	engine, err := ota.New(memstore.New(), fleet, ota.Options{})
	check(err)
	// An agent may leave one question unanswered, but not two in a row.
	policy := ota.Policy{Soak: ota.Soak{Interval: 5 * time.Millisecond, Misses: 2}}
	plan := started(ctx, engine, ota.Shape{Size: 3}, policy, "ok-1", "ok-2", "silent-1", "ok-3", "ok-4", "ok-5")
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status, plan.Changed)
	page, err := engine.Agents(ctx, plan.ID, ota.AgentQuery{Status: []ota.TaskStatus{ota.TaskFailed}})
	check(err)
	fmt.Println(page.Items[0].ID, page.Items[0].Tasks[0].Reason)
	// Output:
	// paused 3
	// silent-1 silent
}

// darkFleet is a fleet whose network is down from the third to the fifth minute.
type darkFleet struct{}

func (darkFleet) SimulateCall(a ota.Attempt, _ time.Time) simulate.Call {
	return simulate.Call{Latency: time.Second, Result: ota.Result{Version: a.ToVersion}}
}

// SimulateHealth implements simulate.Prober.
func (darkFleet) SimulateHealth(_ ota.Attempt, at time.Time) simulate.Health {
	minute := at.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).Minutes()
	if minute >= 3 && minute < 5 {
		return simulate.Health{Latency: time.Second, Err: errors.New("no route to host")}
	}
	return simulate.Health{Latency: time.Second, Health: ota.Health{Healthy: true}}
}

// In an outage, agents that the plan has not begun are silent too. So the plan pauses, and rolls
// nothing back.
func ExampleSoak_compare() {
	var ids []string
	for i := range 100 {
		ids = append(ids, fmt.Sprint("web-", i))
	}
	spec := ota.Spec{
		Name: "compare", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs(ids...), Shape: ota.Shape{Canary: 10, Size: 45},
		Policy: ota.Policy{OnBreach: ota.ActionRollback, Soak: ota.Soak{Duration: 10 * time.Minute}},
	}
	sim, err := simulate.Run(context.Background(), spec, darkFleet{}, simulate.Options{})
	check(err)
	breach := sim.Plan.Breaches[0]
	fmt.Println(sim.Plan.Status, breach.Reason, breach.Action)
	fmt.Println(breach.Text)
	// Output:
	// paused ambient pause
	// 20 of 20 agents that this plan has not begun are sick too: an outage, or a release that harms others
}

// A plan that must cover all of its agents stays open while one of them has failed.
func ExampleComplete() {
	ctx, shutdown := context.WithCancel(context.Background())
	defer shutdown()
	// The flaky- agents of this fleet fail the first time.
	engine, err := ota.New(memstore.New(), otatest.NewFleet(otatest.Options{}), ota.Options{})
	check(err)
	go func() { check(engine.Run(ctx)) }()

	all := 1.0
	policy := ota.Policy{FailureThreshold: &all, Complete: ota.Complete{Min: 1}}
	plan := started(ctx, engine, ota.Shape{Size: 3}, policy, "ok-1", "ok-2", "flaky-1")
	for record, err := range engine.Watch(ctx, plan.ID, 0) {
		check(err)
		if last := record.Events[len(record.Events)-1]; last.Kind == ota.EventBatchSoaking {
			break
		}
	}
	for {
		x, err := engine.Explain(ctx, plan.ID)
		check(err)
		if x.Blockers[0].Reason == ota.ReasonCoverage {
			fmt.Println(x.Blockers[0].Text)
			break
		}
	}
	_, err = engine.Retry(ctx, plan.ID, nil, ota.Request{Actor: "ann"})
	check(err)
	plan, err = engine.Wait(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status, plan.Coverage)
	// Output:
	// 2 of 3 agents are at the target, 1 more must be
	// completed all
}

// A batch goes on without an agent that hangs. The agent counts when it ends.
func ExampleStragglers() {
	ctx := context.Background()
	hung := make(chan struct{})
	executor := ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		switch a.Agent {
		case "hangs":
			<-hung
		case "last": // the first batch has closed
			close(hung)
		}
		return ota.Result{Version: a.ToVersion}, nil
	})
	engine, err := ota.New(memstore.New(), executor, ota.Options{})
	check(err)
	policy := ota.Policy{Stragglers: ota.Stragglers{Share: 0.5, After: 5 * time.Millisecond}}
	plan := started(ctx, engine, ota.Shape{Size: 2}, policy, "ok", "hangs", "last")
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status, plan.Coverage)
	for record, err := range engine.Watch(ctx, plan.ID, 0) {
		check(err)
		for _, e := range record.Events {
			if e.Kind == ota.EventBatchCompleted {
				fmt.Println(e.Batch, e.Text)
			}
		}
		if record.Status.Ended() {
			break
		}
	}
	// Output:
	// completed all
	// 0 1 agent is out
	// 1
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
	// paused Failure threshold exceeded: 1 of the 2 agents of batch 0 failed, none is tolerated
}
