package ota_test

import (
	"context"
	"fmt"
	"time"
	_ "time/tzdata" // for programs on systems without time zones

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/simulate"
)

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
