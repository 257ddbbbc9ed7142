package ota_test

import (
	"context"
	"fmt"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

// Create a plan, start it, and drive it to its end in the foreground.
func ExampleEngine_RunPlan() {
	ctx := context.Background()
	executor := ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		// Upgrade a.Agent to a.ToVersion here, and return the version that it runs now.
		return ota.Result{Version: a.ToVersion}, nil
	})
	engine, err := ota.New(memstore.New(), executor, ota.Options{})
	check(err)

	plan, err := engine.Create(ctx, ota.Spec{
		Name: "June release", FromVersion: "1.2.0", ToVersion: "1.3.0",
		Agents: ota.AgentIDs("db-1", "db-2", "web-1", "web-2", "web-3"),
		Shape:  ota.Shape{Size: 2},
	})
	check(err)
	fmt.Println(plan.Status, plan.Agents, "agents in", plan.Batches, "batches")

	_, err = engine.Start(ctx, plan.ID, ota.Request{Actor: "ann"})
	check(err)
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status, plan.Counts.Succeeded, "succeeded")
	// Output:
	// pending 5 agents in 3 batches
	// completed 5 succeeded
}

// A service drives all plans of its Store in the background, and answers queries meanwhile.
func ExampleEngine_Run() {
	ctx, shutdown := context.WithCancel(context.Background())
	engine, err := ota.New(memstore.New(), otatest.NewFleet(otatest.Options{}), ota.Options{})
	check(err)
	stopped := make(chan error)
	go func() { stopped <- engine.Run(ctx) }()

	first := started(ctx, engine, ota.Shape{}, ota.Policy{}, "web-1", "web-2")
	second := started(ctx, engine, ota.Shape{}, ota.Policy{}, "db-1", "db-2")
	for _, id := range []string{first.ID, second.ID} {
		plan, err := engine.Wait(ctx, id)
		check(err)
		fmt.Println(plan.Status)
	}

	shutdown() // no more starts; calls in flight get Options.DrainTimeout
	fmt.Println(<-stopped)
	// Output:
	// completed
	// completed
	// <nil>
}

// FieldErrors lists all mistakes of a Spec at once.
func ExampleFieldErrors() {
	engine, err := ota.New(memstore.New(), nil, ota.Options{})
	check(err)
	_, err = engine.Create(context.Background(), ota.Spec{
		ToVersion: "1.3.0",
		Agents:    ota.AgentIDs("web-1", "web-1"),
		Policy:    ota.Policy{Concurrency: -1, FailureThreshold: threshold(10)},
	})
	for _, mistake := range ota.FieldErrors(err) {
		fmt.Println(mistake)
	}
	// Output:
	// name is missing; allowed: 1 to 255 bytes
	// concurrency (-1) is out of range; allowed: 1 to 1000000; 0 means 5
	// failureThreshold (10) is out of range; allowed: 0 to 1, as a fraction: 0.1 tolerates one of ten
	// agents[1].id ("web-1") is in the plan twice; allowed: every agent once
}

// Three named batches: one canary, a few, and the rest.
func ExampleShape() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), nil, ota.Options{})
	check(err)
	plan, err := engine.Create(ctx, ota.Spec{
		Name: "June release", FromVersion: "1.2.0", ToVersion: "1.3.0", Agents: ota.AgentIDs(otatest.IDs("web-", 20)...),
		Shape:  ota.Shape{Batches: []ota.BatchShape{{Name: "canary", Size: 1}, {Name: "few", Size: 4}, {Name: "rest", Size: 15}}},
		Policy: ota.Policy{FailureThreshold: new(0.1)},
	})
	check(err)
	for b, err := range engine.Batches(ctx, plan.ID, 0) {
		check(err)
		fmt.Printf("%d %s: %d agents, tolerates %d\n", b.Index, b.Name, b.Size, b.Tolerated)
	}
	fmt.Println(plan.Warnings[0])
	// Output:
	// 0 canary: 1 agents, tolerates 0
	// 1 few: 4 agents, tolerates 0
	// 2 rest: 15 agents, tolerates 1
	// failureThreshold 0.1 tolerates 0 of 1 agent in batch 0: the first failure there is a breach
}

// Plans lists plans by label and status, newest first, in pages.
func ExampleEngine_Plans() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), nil, ota.Options{})
	check(err)
	for _, s := range []struct{ id, team string }{{"a", "web"}, {"b", "db"}, {"c", "web"}, {"d", "web"}} {
		_, err := engine.Create(ctx, ota.Spec{
			ID: s.id, Name: "June release", ToVersion: "1.3.0", Agents: ota.AgentIDs("agent-of-" + s.id),
			Labels: map[string]string{"team": s.team},
		})
		check(err)
	}
	_, err = engine.Start(ctx, "a", ota.Request{})
	check(err)

	page, err := engine.Plans(ctx, ota.PlanQuery{
		Labels: map[string]string{"team": "web"}, Status: []ota.Status{ota.StatusPending}, Limit: 1, Total: true,
	})
	check(err)
	fmt.Println(page.Items[0].ID, "more:", page.More, "in all:", page.Total)
	// Output:
	// d more: true in all: 2
}

// With a Store that is a Claimer, such as memstore.Store, an agent is in one active plan at a time.
func ExampleClaimError() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), nil, ota.Options{})
	check(err)
	for _, s := range []struct{ id, agent string }{{"june", "web-1"}, {"july", "web-1"}} {
		_, err := engine.Create(ctx, ota.Spec{ID: s.id, Name: s.id, ToVersion: "1.3.0", Agents: ota.AgentIDs(s.agent)})
		check(err)
		_, err = engine.Start(ctx, s.id, ota.Request{})
		fmt.Println(s.id, err)
	}
	// Output:
	// june <nil>
	// july ota: plan july: 1 agent belongs to another plan: web-1 is in june
}

// A request key makes Create idempotent. The caller can repeat a request whose answer was lost.
func ExampleSpec_requestKey() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), nil, ota.Options{})
	check(err)
	spec := ota.Spec{
		Name: "June release", ToVersion: "1.3.0", Agents: ota.AgentIDs("web-1"),
		RequestKey: "6b1f", Fingerprint: "hash of the request",
	}
	first, err := engine.Create(ctx, spec)
	check(err)
	again, err := engine.Create(ctx, spec)
	check(err)
	fmt.Println(first.ID == again.ID)
	// Output:
	// true
}

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
	// batch_observing 0
	// batch_completed 0
	// batch_started 1
	// task_started web-2
	// task_succeeded web-2
	// batch_observing 1
	// batch_completed 1
}

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

// Each gateway has two components with their own versions. The plan upgrades the database before
// the proxy, and a rollback goes in reverse. The agent uses one slot, and counts as one failure if
// it fails.
func ExampleResolver() {
	ctx := context.Background()
	resolver := ota.ResolverFunc(func(_ context.Context, _ ota.Spec, a ota.Agent) ([]ota.TaskSpec, error) {
		component := func(name string) ota.Component {
			return ota.Component{Name: name, Instance: a.ID + "/" + name}
		}
		return []ota.TaskSpec{
			{Component: component("database"), FromVersion: "15", ToVersion: "16"},
			{Component: component("proxy")}, // from and to the plan's versions
		}, nil
	})
	engine, err := ota.New(memstore.New(), otatest.NewFleet(otatest.Options{}), ota.Options{Resolver: resolver})
	check(err)
	plan := started(ctx, engine, ota.Shape{}, ota.Policy{}, "gateway-1")
	_, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	show := func(id string) {
		page, err := engine.Agents(ctx, id, ota.AgentQuery{})
		check(err)
		for _, t := range page.Items[0].Tasks {
			fmt.Println(t.Component.Name, t.From, "to", t.Target, t.Status)
		}
	}
	show(plan.ID)

	back, err := engine.Rollback(ctx, plan.ID, ota.RollbackSpec{}, ota.Request{Actor: "ann"})
	check(err)
	_, err = engine.RunPlan(ctx, back.ID)
	check(err)
	show(back.ID)
	// Output:
	// database 15 to 16 succeeded
	// proxy 1.2.0 to 1.3.0 succeeded
	// proxy 1.3.0 to 1.2.0 succeeded
	// database 16 to 15 succeeded
}
