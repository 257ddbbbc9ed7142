package ota_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/simulate"
)

// A release breaks one agent in thirty. That is never more than a tenth of a batch, so a threshold of
// a tenth passes it. Usually one agent in a hundred fails: by that, it is found.
func ExampleExpect() {
	n := 0
	fleet := simulate.FleetFunc(func(a ota.Attempt, _ time.Time) simulate.Call {
		call := simulate.Call{Latency: time.Minute, Result: ota.Result{Version: a.ToVersion}}
		if n++; n%30 == 0 {
			call.Err = ota.Permanent(errors.New("no answer after the restart"))
		}
		return call
	})
	var agents []string
	for i := range 5000 {
		agents = append(agents, fmt.Sprintf("gateway-%04d", i))
	}
	for _, policy := range []ota.Policy{
		{FailureThreshold: new(0.1)},
		{Expect: &ota.Expect{Normal: 0.01}},
	} {
		n = 0
		spec := ota.Spec{
			Name: "Firmware 7.1", FromVersion: "7.0", ToVersion: "7.1", Agents: ota.AgentIDs(agents...),
			Shape: ota.Shape{Canary: 20, Size: 500}, Policy: policy,
		}
		sim, err := simulate.Run(context.Background(), spec, fleet, simulate.Options{})
		check(err)
		fmt.Println(sim.Plan.Status, "with", sim.Plan.Counts.Failed, "failed")
		for _, b := range sim.Plan.Breaches {
			fmt.Println(b)
		}
	}
	// Output:
	// completed with 166 failed
	// paused with 15 failed
	// More agents failed than is usual: 15 of the 450 agents of the plan that have begun failed, 14 are tolerated: 3.33 % failed, 1 % is usual; if more is usual here, set expect.normal to 0.02
}

// Without a threshold and without an Expect, the default judges: a tenth of the first batch, and
// Expect. A threshold that is given judges alone.
func ExampleExpect_default() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), nil, ota.Options{})
	check(err)
	for _, policy := range []ota.Policy{{}, {FailureThreshold: new(0.1)}} {
		plan, err := engine.Create(ctx, ota.Spec{Name: "June release", ToVersion: "1.3.0", Agents: ota.AgentIDs("web-1", "web-2"), Policy: policy})
		check(err)
		p := plan.Policy
		fmt.Println("threshold", *p.FailureThreshold, "of", p.Scope)
		if p.Expect != nil {
			fmt.Println("expect", p.Expect.Normal, p.Expect.Alpha)
		}
	}
	// Output:
	// threshold 0.1 of first
	// expect 0.01 0.01
	// threshold 0.1 of batch
}
