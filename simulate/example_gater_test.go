package simulate_test

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/simulate"
)

// metrics is a fleet of working agents, and a Gater that reads the error rate of a service. The
// rate rises when the second batch is upgraded.
type metrics struct{ simulate.FleetFunc }

func (metrics) SimulateGate(_ ota.Plan, b ota.Batch, _ time.Time) simulate.Gate {
	if b.Index == 1 {
		return simulate.Gate{Latency: time.Second, Verdict: ota.GateFail}
	}
	return simulate.Gate{Latency: time.Second, Verdict: ota.GatePass}
}

// A gate stops a release whose agents all report success.
func ExampleGater() {
	works := func(a ota.Attempt, _ time.Time) simulate.Call {
		return simulate.Call{Latency: time.Minute, Result: ota.Result{Version: a.ToVersion}}
	}
	spec := ota.Spec{
		Name: "Upgrade", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("a", "b", "c", "d"), Shape: ota.Shape{Size: 1},
	}
	result, err := simulate.Run(context.Background(), spec, metrics{works}, simulate.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Plan.Status, "after", result.Plan.Changed, "agents:", result.Breaches[0].Text)
	// Output:
	// paused after 2 agents: The gate after the batch failed
}
