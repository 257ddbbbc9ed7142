package ota_test

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/simulate"
)

var (
	// careful waits for a person after every batch. In a batch of less than 50 agents
	// the first failure is a breach.
	careful = ota.Spec{
		Shape: ota.Shape{Canary: 1, Growth: ota.Growth{First: 5, Max: 50}},
		Policy: ota.Policy{
			Concurrency: 10, FailureThreshold: new(0.02), Reserve: true,
			Hold:  ota.Hold{All: true},
			Soak:  ota.Soak{Duration: 30 * time.Minute, ToEnd: true},
			Retry: ota.RetryPolicy{Max: 1, Backoff: time.Minute},
		},
	}
	// standard upgrades two agents first, then a quarter of the fleet at a time.
	// It observes each batch for ten minutes.
	standard = ota.Spec{
		Shape: ota.Shape{Canary: 2, Percent: 25},
		Policy: ota.Policy{
			Concurrency: 10, FailureThreshold: new(0.1),
			Soak:  ota.Soak{Duration: 10 * time.Minute},
			Retry: ota.RetryPolicy{Max: 2, Backoff: time.Minute, MaxBackoff: 10 * time.Minute},
		},
	}
	// push upgrades the whole fleet as one batch, in a shuffled order. It pauses when
	// more than a tenth of the fleet fails.
	push = ota.Spec{
		Shape: ota.Shape{Percent: 100, Shuffle: 1},
		Policy: ota.Policy{
			Concurrency: 100, FailureThreshold: new(0.1), Scope: ota.ScopePlan,
			Retry: ota.RetryPolicy{Max: 2, Backoff: 10 * time.Second},
		},
	}
)

// Three policies to copy, each tried on two hundred simulated agents. One agent in fifty fails with
// this release. The option Promote promotes the batches that careful holds.
func ExamplePolicy() {
	for name, spec := range map[string]*ota.Spec{"careful": &careful, "standard": &standard, "push": &push} {
		spec.Name, spec.ToVersion = name, "2"
		spec.Agents = func(yield func(ota.Agent, error) bool) {
			for i := range 200 {
				if !yield(ota.Agent{ID: fmt.Sprint("agent-", i)}, nil) {
					return
				}
			}
		}
	}
	model := simulate.SameAgents(simulate.AgentModel{Fails: 0.02, Flaky: 0.03, Latency: simulate.Latency{Median: 3 * time.Minute, P99: 15 * time.Minute}})
	for _, spec := range []ota.Spec{careful, standard, push} {
		options := simulate.TrialOptions{Runs: 100, Seed: 1, Run: simulate.Options{Promote: true}}
		r, err := simulate.Trials(context.Background(), spec, model, options)
		check(err)
		fmt.Printf("%s: pauses in %.0f %% of runs; %d fail as a rule; the other runs are done after %v\n",
			spec.Name, 100*r.Breached(), r.Failed().P50, r.Took().P50.Round(time.Minute))
	}
	// Output:
	// careful: pauses in 93 % of runs; 1 fail as a rule; the other runs are done after 15h27m0s
	// standard: pauses in 7 % of runs; 3 fail as a rule; the other runs are done after 2h46m0s
	// push: pauses in 0 % of runs; 3 fail as a rule; the other runs are done after 23m0s
}
