package ota_test

import (
	"context"
	"fmt"
	"log"
	"slices"
	"sync/atomic"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
	"github.com/seed-19b57ce3/ota/storetest"
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

// countingStore wraps a Store and counts its commits. It embeds *memstore.Store, so it has all of the
// optional interfaces.
type countingStore struct {
	*memstore.Store
	commits atomic.Int64
}

// Commit implements ota.Store.
func (s *countingStore) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	revision, err := s.Store.Commit(ctx, c)
	if err == nil {
		s.commits.Add(1)
	}
	return revision, err
}

// Package storetest checks your own Store, in a test:
//
//	storetest.Run(t, func(t *testing.T) ota.Store { return newStore() }, storetest.Options{})
//
// Outside a test, for example in an operator's tool, use Check.
func ExampleStore() {
	ctx := context.Background()
	fmt.Println(storetest.Check(ctx, func() (ota.Store, error) { return &countingStore{Store: memstore.New()}, nil }))

	store := &countingStore{Store: memstore.New()}
	engine, err := ota.New(store, otatest.NewFleet(otatest.Options{}), ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{}, ota.Policy{Concurrency: 1}, "web-1", "web-2")
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	// The log has one record for each commit, and a first one that Create wrote.
	fmt.Println(plan.Status, uint64(store.commits.Load())+1 == plan.Revision)
	// Output:
	// <nil>
	// completed true
}
