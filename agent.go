package ota

import (
	"iter"
	"time"
)

// Agent is one thing to be upgraded. Only its ID is required.
type Agent struct {
	// ID names the agent in the fleet and is unique in its plan: 1 to 255 bytes of UTF-8. It has
	// no control characters, no invisible characters (such as a no-break space or a byte order
	// mark), and no spaces around it.
	ID string
	// Version is what the agent runs before the plan, if known. Empty means the plan's
	// FromVersion. At most 255 bytes.
	Version string
	// Labels are the agent's, for example its zone. An Executor sees them in the Attempt.
	Labels map[string]string
	// Tasks are the work on the agent, done one after the other in this order: 1 to 64. Resolver
	// has their rules. Nil means that Options.Resolver is asked, or, without a Resolver, that the
	// agent has one task.
	Tasks []TaskSpec
}

// AgentIDs returns agents with these IDs and nothing else, in the given order, for Spec.Agents.
func AgentIDs(ids ...string) iter.Seq2[Agent, error] {
	return func(yield func(Agent, error) bool) {
		for _, id := range ids {
			if !yield(Agent{ID: id}, nil) {
				return
			}
		}
	}
}

// AgentInfo is a snapshot of an agent of a plan.
type AgentInfo struct {
	ID        string            `json:"id"`
	Batch     int               `json:"batch"`
	Ordinal   int               `json:"ordinal"`           // position in the plan, from 0
	Version   string            `json:"version,omitempty"` // what it ran before the plan
	Labels    map[string]string `json:"labels,omitempty"`
	Status    TaskStatus        `json:"status"`
	Changed   bool              `json:"touched"`  // it may have been changed
	AtTarget  bool              `json:"atTarget"` // it succeeded without being changed
	Unhealthy bool              `json:"unhealthy,omitempty"`
	Tasks     []Task            `json:"tasks"` // in the order in which they are done; never empty
}

// Task is a snapshot of a task of an agent.
type Task struct {
	Component     Component  `json:"component,omitzero"` // what it works on; zero if not given
	From          string     `json:"from,omitempty"`     // the version before the plan, if known
	FromRelease   string     `json:"fromRelease,omitempty"`
	Target        string     `json:"target"` // the version that it installs
	TargetRelease string     `json:"targetRelease,omitempty"`
	Status        TaskStatus `json:"status"`
	Reason        Reason     `json:"reason"`             // how it ended, or why it waits
	Changed       bool       `json:"touched"`            // may have changed the agent
	Attempts      int        `json:"attempts"`           // how often it was started
	StartedAt     time.Time  `json:"startedAt,omitzero"` // most recently
	EndedAt       time.Time  `json:"endedAt,omitzero"`
	DueAt         time.Time  `json:"dueAt,omitzero"`    // of its next attempt, while it waits
	Version       string     `json:"version,omitempty"` // reported, if not the target
	Error         string     `json:"error,omitempty"`   // of the last failed attempt
}

// Component says which part of an agent a task works on. The engine passes it on, to the Executor
// and to readers of tasks. It uses only Name and Instance, which distinguish the tasks of one
// agent. Unknown fields may be empty. Each is at most 255 bytes of UTF-8 without control
// characters.
type Component struct {
	Name     string `json:"name,omitempty"`     // kind of component, for example "proxy"
	ID       string `json:"id,omitempty"`       // the same wherever it is installed
	Instance string `json:"instance,omitempty"` // ID of this installation of it
	Node     string `json:"node,omitempty"`     // ID of the node that it runs on
	Owner    string `json:"owner,omitempty"`    // ID of its manager there
}

// TaskSpec is one task of an agent: a component, and the versions from which and to which it is
// brought. The zero TaskSpec is the task of an agent without further details.
type TaskSpec struct {
	Component Component `json:"component,omitzero"`
	// FromVersion and FromRelease are what the component runs before the plan, and what a rollback
	// restores. An empty FromVersion means the agent's Version, or else the plan's FromVersion. At
	// most 255 bytes each.
	FromVersion string `json:"fromVersion,omitempty"`
	FromRelease string `json:"fromRelease,omitempty"`
	// ToVersion and ToRelease are the target. An empty ToVersion means the plan's. An empty
	// ToRelease means the plan's if ToVersion is empty too, and no release otherwise. At most 255
	// bytes each.
	ToVersion string `json:"toVersion,omitempty"`
	ToRelease string `json:"toRelease,omitempty"`
}

// same reports whether two tasks of one agent work on the same component.
func (c Component) same(x Component) bool { return c.Name == x.Name && c.Instance == x.Instance }
