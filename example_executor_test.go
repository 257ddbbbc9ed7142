package ota_test

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// installer is an Executor for machines with an idempotent installer: it does not install a version
// twice. So two calls with one Key have one effect.
type installer struct {
	mu   sync.Mutex
	runs map[string]string // by machine
	work int
}

var errOff = errors.New("no route to host")

// Execute implements ota.Executor.
func (m *installer) Execute(ctx context.Context, a ota.Attempt) (ota.Result, error) {
	if err := ctx.Err(); err != nil {
		return ota.Result{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	version, on := m.runs[a.Agent]
	switch {
	case !on:
		return ota.Result{}, ota.Unreachable(errOff) // only if the agent has certainly not changed
	case version == a.ToVersion:
		return ota.Result{Version: version, Unchanged: true}, nil
	}
	m.work++
	m.runs[a.Agent] = a.ToVersion
	return ota.Result{Version: m.runs[a.Agent], Message: "was " + version}, nil
}

// Health implements ota.Prober. The engine asks it for the health of agents while their batch
// soaks.
func (m *installer) Health(context.Context, ota.Attempt) (ota.Health, error) {
	return ota.Health{Healthy: true}, nil
}

// Inspect implements ota.Inspector. After a crash it finds out how an attempt ended.
func (m *installer) Inspect(_ context.Context, a ota.Attempt) (ota.Inspection, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.runs[a.Agent] == a.ToVersion {
		return ota.Inspection{State: ota.InspectDone, Result: ota.Result{Version: a.ToVersion}}, nil
	}
	return ota.Inspection{}, nil // unknown: the engine repeats the call
}

// An Executor has one method. New finds its optional interfaces, here a Prober and an Inspector.
func ExampleExecutor() {
	ctx := context.Background()
	machines := &installer{runs: map[string]string{"web-1": "1.2.0", "web-2": "1.3.0", "web-3": "1.2.0"}}
	engine, err := ota.New(memstore.New(), machines, ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{}, ota.Policy{}, "web-1", "web-2", "web-3")
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	fmt.Println(plan.Status, plan.Counts.Succeeded, "succeeded,", plan.Counts.AtTarget, "of them at the target already")
	fmt.Println(machines.work, "were installed,", plan.Changed, "changed")
	// Output:
	// completed 3 succeeded, 1 of them at the target already
	// 2 were installed, 2 changed
}

// outcomes is an Observer that counts how calls end.
type outcomes struct {
	mu   sync.Mutex
	ends map[ota.Reason]int
	last ota.Status
}

// Called implements ota.Observer.
func (o *outcomes) Called(c *ota.Called) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if c.Kind == ota.CallExecute {
		o.ends[c.Reason]++
	}
}

// Committed implements ota.Observer.
func (o *outcomes) Committed(c *ota.Committed) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = c.Status
}

// An Observer counts for metrics. It reads no log, and costs the plan nearly nothing.
func ExampleObserver() {
	ctx := context.Background()
	machines := &installer{runs: map[string]string{"web-1": "1.2.0", "web-2": "1.2.0"}}
	seen := &outcomes{ends: map[ota.Reason]int{}}
	engine, err := ota.New(memstore.New(), machines, ota.Options{Observer: seen})
	check(err)
	plan := started(ctx, engine, ota.Shape{}, ota.Policy{}, "web-1", "web-2")
	_, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	fmt.Println(seen.ends, seen.last)
	// Output: map[succeeded:2] completed
}
