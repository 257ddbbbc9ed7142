package ota_test

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
	"github.com/seed-19b57ce3/ota/simulate"
)

// A policy to begin with: its rules in plain English, and what it does to a release that breaks
// every agent.
func ExampleStandard() {
	shape, policy := ota.Standard()
	policy.Concurrency = 20
	spec := ota.Spec{
		Name: "June release", FromVersion: "1.2.0", ToVersion: "1.3.0",
		Agents: ota.AgentIDs(otatest.IDs("web-", 500)...),
		Shape:  shape, Policy: policy,
	}
	engine, err := ota.New(memstore.New(), ota.ExecutorFunc(func(context.Context, ota.Attempt) (ota.Result, error) { return ota.Result{}, nil }), ota.Options{})
	check(err)
	preview, err := engine.Preview(context.Background(), spec, ota.PreviewOptions{})
	check(err)
	fmt.Println(preview)
	fmt.Println()
	fmt.Println(policy)
	// Output:
	// 500 agents in 5 batches: the first has 10, the largest 200.
	// It tolerates 1 failure in the first batch, and 15 of all agents.
	// The first batch shows a failure, with 95 %, of a release that breaks 26 % of agents or more.
	// It stops by itself, with 95 %, a release that breaks 39 % or more.
	// A release that breaks less than 4.6 % passes unseen.
	// A release that breaks every agent reaches, if health is asked or reported:
	//   at most 10 agents: calls fail, calls hang, it shows after 1m, it shows after 5m
	//   all 500 agents, and nothing stops the plan: it shows after 1h, it shows after 24h
	//
	// At most 20 agents are upgraded at once.
	// More failures than 10 % of the first batch are a breach.
	// Usually at most 1 % of agents fail: more failures than that explains are a breach. It stops a good release by mistake in at most 1 % of plans.
	// On a breach the plan pauses, and a person decides.
	// An attempt may take 30m; a failed one is repeated at most 2 times, after 1m, then twice as long each time, never after more than 10m.
	// An agent that is unreachable for more than 1h fails.
	// A batch is observed for 10m after its last agent.
	// A Prober is asked every 10s; 3 questions in a row without an answer count as unhealthy. An unhealthy agent fails at once.
	// Agents of earlier batches are observed until the plan ends; a round asks 1 % of them, 10 to 1000.
}

// The three ready policies, each tried on two hundred simulated agents. One agent in fifty fails
// with this release. The option Promote promotes the batches that careful holds.
func ExamplePolicy() {
	model := simulate.SameAgents(simulate.AgentModel{Fails: 0.02, Flaky: 0.03, Latency: simulate.Latency{Median: 3 * time.Minute, P99: 15 * time.Minute}})
	for _, ready := range []func() (ota.Shape, ota.Policy){ota.Careful, ota.Standard, ota.Push} {
		spec := ota.Spec{Name: "n", ToVersion: "2", Agents: ota.AgentIDs(otatest.IDs("agent-", 200)...)}
		spec.Shape, spec.Policy = ready()
		options := simulate.TrialOptions{Runs: 100, Seed: 1, Run: simulate.Options{Promote: true}}
		r, err := simulate.Trials(context.Background(), spec, model, options)
		check(err)
		fmt.Printf("pauses in %.0f %% of runs; %d fail as a rule; the other runs are done after %v\n",
			100*r.Breached(), r.Failed().P50, r.Took().P50.Round(time.Minute))
	}
	// Output:
	// pauses in 1 % of runs; 4 fail as a rule; the other runs are done after 7h55m0s
	// pauses in 1 % of runs; 4 fail as a rule; the other runs are done after 1h44m0s
	// pauses in 2 % of runs; 4 fail as a rule; the other runs are done after 1h15m0s
}
