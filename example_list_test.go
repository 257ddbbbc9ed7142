package ota_test

import (
	"context"
	"fmt"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

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
	// july ota: plan july: 1 agents belong to another plan: web-1 is in june
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
