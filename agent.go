package ota

import (
	"iter"
	"time"
)

// Agent is one thing to be upgraded. Only its ID is required.
type Agent struct {
	// ID names the agent in the fleet, and is unique in its plan: 1 to 255 bytes of UTF-8 without control characters,
	// without characters that cannot be seen (such as a no-break space or a byte order mark), and without blanks around it.
	ID string
	// Version is what the agent runs before the plan, as far as known; empty means the plan's FromVersion.
	Version string
	// Labels are the agent's, for example its zone; an Executor sees them in the Attempt.
	Labels map[string]string
	// Tasks are what is to be done on the agent, one after the other, in this order: 1 to 64, see Resolver for what they have to
	// be. Nil means that Options.Resolver is asked, and without one that the agent has one task.
	Tasks []TaskSpec
}

// AgentIDs returns agents that have nothing but their IDs, in the given order, for Spec.Agents.
func AgentIDs(ids ...string) iter.Seq2[Agent, error] {
	return func(yield func(Agent, error) bool) {
		for _, id := range ids {
			if !yield(Agent{ID: id}, nil) {
				return
			}
		}
	}
}

// AgentInfo is an agent of a plan as it stands.
type AgentInfo struct {
	ID        string            `json:"id"`
	Batch     int               `json:"batch"`
	Ordinal   int               `json:"ordinal"`           // its place in the plan, from 0: where a page may begin
	Version   string            `json:"version,omitempty"` // what it ran before the plan
	Labels    map[string]string `json:"labels,omitempty"`
	Status    TaskStatus        `json:"status"`
	Changed   bool              `json:"touched"`  // it may have been changed
	AtTarget  bool              `json:"atTarget"` // it succeeded without being changed
	Unhealthy bool              `json:"unhealthy,omitempty"`
	Tasks     []Task            `json:"tasks"` // in the order in which they are done; never empty
}

// Task is a task of an agent as it stands.
type Task struct {
	Component     Component  `json:"component,omitzero"` // what it is about; zero where nothing was said of it
	From          string     `json:"from,omitempty"`     // the version that was there before the plan, as far as known
	FromRelease   string     `json:"fromRelease,omitempty"`
	Target        string     `json:"target"` // the version it is brought to
	TargetRelease string     `json:"targetRelease,omitempty"`
	Status        TaskStatus `json:"status"`
	Reason        Reason     `json:"reason"`             // how it ended, or why it waits
	Changed       bool       `json:"touched"`            // it may have changed the agent: a rollback takes it back
	Attempts      int        `json:"attempts"`           // how often it was started
	StartedAt     time.Time  `json:"startedAt,omitzero"` // the last time
	EndedAt       time.Time  `json:"endedAt,omitzero"`
	DueAt         time.Time  `json:"dueAt,omitzero"`    // while it waits: when its next attempt is due
	Version       string     `json:"version,omitempty"` // what the agent reported, where that is not the target
	Error         string     `json:"error,omitempty"`   // of the last failed attempt
}

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

// same reports whether two tasks of one agent are about the same component.
func (c Component) same(x Component) bool { return c.Name == x.Name && c.Instance == x.Instance }
