package ota_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

// The engine retries a failed attempt up to Max times, after a wait that doubles each time. The
// agent keeps its slot.
func ExampleRetryPolicy() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), otatest.NewFleet(otatest.Options{}), ota.Options{})
	check(err)
	policy := ota.Policy{
		FailureThreshold: threshold(1),
		Retry:            ota.RetryPolicy{Max: 2, Backoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond},
	}
	plan := started(ctx, engine, ota.Shape{}, policy, "ok-1", "flaky-1", "fail-1")
	_, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	page, err := engine.Agents(ctx, plan.ID, ota.RowQuery{})
	check(err)
	for _, a := range page.Items {
		fmt.Printf("%s %s after %d attempts %q\n", a.ID, a.Status, a.Tasks[0].Attempts, a.Tasks[0].Error)
	}
	// Output:
	// ok-1 succeeded after 1 attempts ""
	// flaky-1 succeeded after 2 attempts ""
	// fail-1 failed after 3 attempts "agent fail-1 did not install 1.3.0"
}

// An Executor marks the kind of a failure. The engine does not retry Permanent and Rejected, under
// any policy.
func ExamplePermanent() {
	ctx := context.Background()
	executor := ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		switch a.Agent {
		case "old":
			return ota.Result{}, ota.Permanent(errors.New("needs more memory than it has"))
		case "locked":
			return ota.Result{}, ota.Rejected(errors.New("its owner has locked it"))
		case "wrong":
			return ota.Result{Version: "1.2.9"}, nil
		case "panics":
			panic("a bug in the Executor ends only the attempt")
		default:
			return ota.Result{Version: a.ToVersion, Unchanged: true}, nil
		}
	})
	engine, err := ota.New(memstore.New(), executor, ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{}, ota.Policy{FailureThreshold: threshold(1), Retry: ota.RetryPolicy{Max: 9}},
		"old", "locked", "wrong", "panics", "new")
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	printAgents(ctx, engine, plan.ID)
	// Output:
	// old failed permanent
	// locked failed rejected
	// wrong failed wrong_version
	// panics failed panic
	// new succeeded at_target
}

// An agent that is unreachable or throttles uses up no retry, and does not fail. It gives its slot
// back, and the engine asks it again.
func ExampleThrottled() {
	ctx := context.Background()
	executor := ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		if a.Number < 3 {
			return ota.Result{}, ota.Throttled(errors.New("is serving customers"), time.Millisecond)
		}
		return ota.Result{Version: a.ToVersion}, nil
	})
	engine, err := ota.New(memstore.New(), executor, ota.Options{})
	check(err)
	plan := started(ctx, engine, ota.Shape{}, ota.Policy{FailureThreshold: threshold(0)}, "till-1")
	plan, err = engine.RunPlan(ctx, plan.ID)
	check(err)
	page, err := engine.Agents(ctx, plan.ID, ota.RowQuery{})
	check(err)
	fmt.Println(plan.Status, "after", page.Items[0].Tasks[0].Attempts, "attempts")
	// Output:
	// completed after 3 attempts
}
