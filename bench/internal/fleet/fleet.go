// Package fleet makes plans of agents that take no time, and drives them.
package fleet

import (
	"context"
	"fmt"
	"iter"

	"github.com/seed-19b57ce3/ota"
)

// Noop is an Executor that does nothing.
var Noop = ota.ExecutorFunc(func(context.Context, ota.Attempt) (ota.Result, error) { return ota.Result{}, nil })

// Plan describes a plan to make.
type Plan struct {
	ID          string
	Agents      int
	Batch       int // agents in each batch; 0 means 10,000
	Concurrency int // 0 means 64
}

// Spec is the plan's specification.
func (p Plan) Spec() ota.Spec {
	if p.Batch == 0 {
		p.Batch = 10_000
	}
	if p.Concurrency == 0 {
		p.Concurrency = 64
	}
	return ota.Spec{
		ID: p.ID, Name: p.ID, ToVersion: "2", Agents: Agents(p.ID, p.Agents), Shape: ota.Shape{Size: p.Batch},
		Policy: ota.Policy{Concurrency: min(p.Concurrency, p.Batch)},
	}
}

// Agents yields n agents, each with an ID of len(prefix)+9 bytes.
func Agents(prefix string, n int) iter.Seq2[ota.Agent, error] {
	return func(yield func(ota.Agent, error) bool) {
		for i := range n {
			if !yield(ota.Agent{ID: fmt.Sprintf("%s-%08d", prefix, i)}, nil) {
				return
			}
		}
	}
}

// Start makes the plan on the store, starts it, and returns an engine that can drive it with e.
func Start(ctx context.Context, s ota.Store, e ota.Executor, p Plan) (*ota.Engine, error) {
	engine, err := ota.New(s, e, ota.Options{Name: "bench"})
	if err != nil {
		return nil, err
	}
	return engine, Add(ctx, engine, p)
}

// Add makes and starts one more plan.
func Add(ctx context.Context, e *ota.Engine, p Plan) error {
	if _, err := e.Create(ctx, p.Spec()); err != nil {
		return err
	}
	_, err := e.Start(ctx, p.ID, ota.Request{})
	return err
}

// Run drives the plan to its end, and returns the number of commits.
func Run(ctx context.Context, e *ota.Engine, p Plan) (commits uint64, err error) {
	before, err := e.Plan(ctx, p.ID)
	if err != nil {
		return 0, err
	}
	done, err := e.RunPlan(ctx, p.ID)
	if err != nil {
		return 0, err
	}
	if done.Status != ota.StatusCompleted || done.Counts.Succeeded != p.Agents {
		return 0, fmt.Errorf("plan %s ended %s, %+v", p.ID, done.Status, done.Counts)
	}
	return done.Revision - before.Revision, nil
}
