package ota_test

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
	"github.com/seed-19b57ce3/ota/storetest"
)

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
