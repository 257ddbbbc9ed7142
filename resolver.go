package ota

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// Component says which part of an agent a task is about. The engine hands it on, to the Executor and to whoever reads tasks, and
// looks only at Name and Instance, which tell the tasks of one agent apart. What is not known may be left empty; each is
// at most 255 bytes of UTF-8 without control characters.
type Component struct {
	Name     string `json:"name,omitempty"`     // the kind of component, for people, for example "proxy"
	ID       string `json:"id,omitempty"`       // of the component, the same wherever it is installed
	Instance string `json:"instance,omitempty"` // ID of this installation of it
	Node     string `json:"node,omitempty"`     // ID of the node that it runs on
	Owner    string `json:"owner,omitempty"`    // ID of what manages it there, for example a lifecycle agent
}

// TaskSpec is one task of an agent: a component, and from which version to which it is brought. The zero TaskSpec is the
// task of an agent for which nothing else is said.
type TaskSpec struct {
	Component Component `json:"component,omitzero"`
	// FromVersion and FromRelease are what the component runs before the plan, and what a rollback takes it back to. An
	// empty FromVersion means the agent's Version, else the plan's FromVersion. At most 255 bytes each.
	FromVersion string `json:"fromVersion,omitempty"`
	FromRelease string `json:"fromRelease,omitempty"`
	// ToVersion and ToRelease are the target. An empty ToVersion means the plan's. A release that is empty is the plan's where
	// its version is the plan's too, and none otherwise. At most 255 bytes each.
	ToVersion string `json:"toVersion,omitempty"`
	ToRelease string `json:"toRelease,omitempty"`
}

// Resolver knows which tasks the agents of a fleet have. It is asked once for each agent, while the plan is created, in the
// order of the plan's Spec; the answer is stored with the agent, and never asked for again. An agent whose Tasks the Spec
// gives is not asked about, and a rollback plan has the tasks that its source says.
//
// Resolve returns the tasks of agent a, in the order in which they are to be done: 1 to 64 of them. A single zero TaskSpec is
// the one task that an agent has without a Resolver; where there are several, each has a Component with a Name, and no two
// have the same Name and Instance; a plan's components have at most 256 different names. An error, or a panic, ends Create with that error, and leaves nothing behind. spec is the Spec
// being created; its maps and slices must not be changed, and its Agents not be read. Resolve is called by one goroutine at a
// time within one Create, and by as many as there are Creates and Previews at once.
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
// do this with Options.Resolver; it is for Simulate and Trials, which have no Engine.
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
					a.Tasks = []TaskSpec{} // refused: whoever was asked has to say something
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

// checkTasks adds the mistakes of the tasks of agent i.
func (d *draft) checkTasks(i int, tasks []TaskSpec) {
	field := fmt.Sprintf("agents[%d].tasks", i)
	switch n := len(tasks); {
	case n == 0:
		d.mistakes.agent(field, "", "are none", "1 to 64; left out, or a zero TaskSpec, for the one task of every agent")
		return
	case n > maxTasks:
		d.mistakes.agent(field, strconv.Itoa(n), "are too many", "1 to 64")
		return
	}
	for k := range tasks {
		t := &tasks[k]
		at := field + "[" + strconv.Itoa(k) + "]"
		for _, text := range []struct{ name, value string }{
			{".component.name", t.Component.Name},
			{".component.id", t.Component.ID},
			{".component.instance", t.Component.Instance},
			{".component.node", t.Component.Node},
			{".component.owner", t.Component.Owner},
			{".fromVersion", t.FromVersion},
			{".fromRelease", t.FromRelease},
			{".toVersion", t.ToVersion},
			{".toRelease", t.ToRelease},
		} {
			problem := textProblem(text.value, maxText)
			if !strings.HasPrefix(text.name, ".component") {
				problem = versionProblem(text.value)
			}
			if problem != "" {
				d.mistakes.agent(at+text.name, strconv.Quote(shorten(text.value)), problem, textAllowed(maxText))
			}
		}
		if t.Component.Name != "" && len(d.names) <= maxComponents {
			d.names[t.Component.Name] = struct{}{}
		}
		if len(tasks) > 1 && t.Component.Name == "" {
			d.mistakes.agent(at+".component.name", "", "is empty", "1 to 255 bytes, where an agent has several tasks")
		}
		if slices.ContainsFunc(tasks[:k], func(x TaskSpec) bool { return x.Component.same(t.Component) }) {
			d.mistakes.agent(at+".component", strconv.Quote(shorten(t.Component.Name)), "is there twice",
				"another name or another instance for every task of an agent")
		}
	}
}

// same reports whether two tasks of one agent are about the same component.
func (c Component) same(x Component) bool { return c.Name == x.Name && c.Instance == x.Instance }

// keptTasks is how tasks are stored: none for an agent of which nothing is said that its plan does not say.
func keptTasks(tasks []TaskSpec) []TaskSpec {
	if len(tasks) == 1 && tasks[0] == (TaskSpec{}) {
		return nil
	}
	tasks = slices.Clone(tasks)
	for i := range tasks {
		tasks[i].trim()
	}
	return tasks
}

// newRow is an agent of a plan that begins.
func newRow(ordinal, batch int, a AgentSpec) AgentRow {
	row := AgentRow{Ordinal: ordinal, Batch: batch, Agent: a}
	if n := len(a.Tasks); n > 1 {
		row.State.Rest = make([]TaskState, n-1)
	}
	return row
}

// task is what task i of an agent is to do, complete.
func (s *PlanSpec) task(a *AgentSpec, i int) TaskSpec {
	var t TaskSpec
	if i < len(a.Tasks) {
		t = a.Tasks[i]
	}
	if t.FromVersion == "" {
		if t.FromVersion = a.Version; t.FromVersion == "" {
			t.FromVersion = s.FromVersion
		}
		if t.FromRelease == "" {
			t.FromRelease = s.FromRelease
		}
	}
	if t.ToVersion == "" {
		t.ToVersion = s.target(a, i)
		if t.ToRelease == "" {
			t.ToRelease = s.ToRelease
		}
	}
	return t
}

// from is the version that task i finds: what a precheck has told of its agent, where that has only this task.
func (r *AgentRow) from(s *PlanSpec, i int) string {
	if n := len(r.Agent.Tasks); n == 0 || n == 1 && r.Agent.Tasks[0].FromVersion == "" {
		return r.previous(s)
	}
	return s.task(&r.Agent, i).FromVersion
}

// target is the version that task i brings its agent to.
func (s *PlanSpec) target(a *AgentSpec, i int) string {
	switch {
	case i < len(a.Tasks) && a.Tasks[i].ToVersion != "":
		return a.Tasks[i].ToVersion
	case a.Target != "":
		return a.Target
	default:
		return s.ToVersion
	}
}
