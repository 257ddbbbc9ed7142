package ota_test

import (
	"context"
	"fmt"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

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
		page, err := engine.Agents(ctx, id, ota.RowQuery{})
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
