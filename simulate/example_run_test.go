package simulate_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/simulate"
)

// How long does an upgrade of 10,000 gateways take, if each batch of 500 soaks for two hours? One
// gateway in fifty does not come back.
func ExampleRun() {
	var ids []string
	for i := range 10_000 {
		ids = append(ids, fmt.Sprintf("gateway-%04d", i))
	}
	spec := ota.Spec{
		Name: "Firmware 7.1", FromVersion: "7.0", ToVersion: "7.1", Agents: ota.AgentIDs(ids...),
		Shape:  ota.Shape{Size: 500},
		Policy: ota.Policy{Concurrency: 25, Expect: &ota.Expect{Normal: 0.02}, Soak: ota.Soak{Duration: 2 * time.Hour}},
	}
	n := 0
	fleet := simulate.FleetFunc(func(a ota.Attempt, _ time.Time) simulate.Call {
		if n++; n%50 == 0 {
			return simulate.Call{Latency: 15 * time.Minute, Err: ota.Permanent(errors.New("did not come back"))}
		}
		return simulate.Call{Latency: 6 * time.Minute, Result: ota.Result{Version: a.ToVersion}}
	})
	sim, err := simulate.Run(context.Background(), spec, fleet, simulate.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sim.Plan.Status, "after", sim.Took())
	fmt.Println(sim.Plan.Counts.Failed, "fail, the first is", sim.Failed[0].ID)
	fmt.Println(len(sim.Breaches), "breaches")
	// Output:
	// completed after 85h0m0s
	// 200 fail, the first is gateway-0049
	// 0 breaches
}
