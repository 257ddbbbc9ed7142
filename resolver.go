package ota

import (
	"context"
	"fmt"
	"iter"
	"strconv"
)

// Resolver knows the tasks of the agents of a fleet. It is asked once for each agent, while the
// plan is created, in the order of the plan's Spec. The answer is stored with the agent and never
// requested again. It is not asked about an agent with Tasks in the Spec. The tasks of a rollback
// plan come from its source.
//
// Resolve returns the tasks of agent a, in the order in which they are to be done: 1 to 64. A
// single zero TaskSpec is the one task that an agent has without a Resolver. If there are several,
// each has a Component with a Name, and no two have the same Name and Instance. The components of
// a plan have at most 256 different names. An error, or a panic, ends Create with that error, and
// nothing remains of the plan.
//
// spec is the Spec being created. Its maps and slices must not be changed, and its Agents must not
// be read. Within one Create, one goroutine at a time calls Resolve. Several Creates and Previews
// may call it at once.
type Resolver interface {
	Resolve(ctx context.Context, spec Spec, a Agent) ([]TaskSpec, error)
}

// ResolverFunc makes a function a Resolver.
type ResolverFunc func(ctx context.Context, spec Spec, a Agent) ([]TaskSpec, error)

// Resolve calls f.
func (f ResolverFunc) Resolve(ctx context.Context, spec Spec, a Agent) ([]TaskSpec, error) {
	return f(ctx, spec, a)
}

// Resolved returns spec with a Resolver's tasks in those of its agents that have none, found as the agents are read. Create and Preview
// do this with Options.Resolver; it is for simulations, which have no Resolver. See also Engine.Resolved.
func Resolved(ctx context.Context, spec Spec, r Resolver) Spec {
	if r == nil || spec.Agents == nil {
		return spec
	}
	asked := spec
	spec.Agents = resolvedAgents(ctx, asked, r)
	return spec
}

func resolvedAgents(ctx context.Context, spec Spec, r Resolver) iter.Seq2[Agent, error] {
	return func(yield func(Agent, error) bool) {
		for a, err := range spec.Agents {
			if err == nil && a.Tasks == nil {
				a.Tasks, err = protect(func() ([]TaskSpec, error) { return r.Resolve(ctx, spec, a) })
				if a.Tasks == nil {
					a.Tasks = []TaskSpec{} // an empty answer is rejected in checkTasks
				}
				if err != nil {
					err = fmt.Errorf("the tasks of %s: %w", strconv.Quote(shorten(a.ID)), err)
				}
			}
			if !yield(a, err) {
				return
			}
		}
	}
}

const (
	maxTasks      = 64  // of an agent
	maxComponents = 256 // different names of components in a plan
)
