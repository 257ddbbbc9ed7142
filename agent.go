package ota

import (
	"fmt"
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
	// Release is what the agent runs before the plan, if known, and what a rollback brings it back
	// to. Empty means the plan's FromRelease. If that is empty too, a rollback uses the release
	// that a Prechecker reported, else the one that Engine.Releases finds. At most 255 bytes.
	Release string
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
	StartedAt     time.Time  `json:"startedAt,omitzero"` // its newest attempt
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

// maxAgents keeps ordinals within an int32.
const maxAgents = 1 << 30

// Batch is a snapshot of a batch.
type Batch struct {
	Index     int         `json:"index"`
	Name      string      `json:"name,omitempty"`
	Size      int         `json:"size"` // number of its agents
	Status    BatchStatus `json:"status"`
	Tolerated int         `json:"tolerated"` // failures before a breach, once all its agents have begun
	// Accepted are failures that do not count: an operator accepted them, or, in a rollback plan,
	// the agents did not work before.
	Accepted    int       `json:"accepted"`
	Counts      Counts    `json:"counts"` // its agents by status
	Tasks       Counts    `json:"tasks"`  // its tasks by status
	StartedAt   time.Time `json:"startedAt,omitzero"`
	FinishedAt  time.Time `json:"settledAt,omitzero"` // when its last agent ended, most recently
	CompletedAt time.Time `json:"completedAt,omitzero"`
}

// Counts counts agents, or tasks, by status.
type Counts struct {
	Pending   int `json:"pending"`
	Running   int `json:"running"`
	Waiting   int `json:"waiting"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Skipped   int `json:"skipped"`
	Canceled  int `json:"canceled"`
	Unknown   int `json:"unknown"`
	AtTarget  int `json:"atTarget"` // of Succeeded: those that needed no change
}

// move counts one item with status to instead of from.
func (c *Counts) move(from, to TaskStatus) {
	*c.of(from)--
	*c.of(to)++
}

// of returns the counter of one status, or nil for an unknown status.
func (c *Counts) of(s TaskStatus) *int {
	switch s {
	case TaskPending:
		return &c.Pending
	case TaskRunning:
		return &c.Running
	case TaskWaiting:
		return &c.Waiting
	case TaskSucceeded:
		return &c.Succeeded
	case TaskFailed:
		return &c.Failed
	case TaskSkipped:
		return &c.Skipped
	case TaskCanceled:
		return &c.Canceled
	case TaskUnknown:
		return &c.Unknown
	}
	return nil
}

// Of returns how many have one status.
func (c Counts) Of(s TaskStatus) int {
	if n := c.of(s); n != nil {
		return *n
	}
	return 0
}

// Total returns the sum of all statuses.
func (c Counts) Total() int {
	return c.Pending + c.Running + c.Waiting + c.Succeeded + c.Failed + c.Skipped + c.Canceled + c.Unknown
}

// Bad returns how many count as failed: failed and unknown.
func (c Counts) Bad() int { return c.Failed + c.Unknown }

// PrecheckState is the state of an agent before the plan changes anything.
type PrecheckState uint8

// The states that a precheck can find.
const (
	PrecheckReady       PrecheckState = iota // it may be upgraded
	PrecheckAtTarget                         // it needs no change: it succeeds at once
	PrecheckBlocked                          // it is skipped, which is no failure
	PrecheckUnreachable                      // no answer: asked again until UnreachableTimeout
)

var precheckStates = enum[PrecheckState]{"precheck state", []string{"ready", "at_target", "blocked", "away"}}

// Readiness is the result of asking a Prechecker about many agents, and of looking at the plans
// and windows that concern them.
type Readiness struct {
	At    time.Time `json:"at,omitzero"`     // when the agents were asked
	Actor string    `json:"actor,omitempty"` // who asked
	// Asked is how many agents were asked about: 0 when the Executor is no Prechecker. Each is
	// counted in one of the next four fields.
	Asked       int `json:"asked"`
	Ready       int `json:"ready"`
	AtTarget    int `json:"atTarget"`
	Blocked     int `json:"blocked"`
	Unreachable int `json:"away"` // no answer, or an error of the Prechecker
	// Findings are the first 32 agents that are blocked or away.
	Findings []Finding `json:"findings,omitempty"`
	// Conflicts are agents that other active plans have claimed: the first 32 found. ConflictCount
	// is their number, counted once for each plan that claims them. Precheck also finds agents
	// that an ended plan keeps.
	Conflicts     []Conflict `json:"conflicts,omitempty"`
	ConflictCount int        `json:"conflictCount,omitempty"`
	// NextOpen is when a maintenance window next allows starts. It is At itself when one is open
	// or there is none, and zero when none opens again.
	NextOpen time.Time `json:"nextOpen,omitzero"`
}

// Finding is an agent that cannot be upgraded now.
type Finding struct {
	Agent  string        `json:"agent"` // ID
	State  PrecheckState `json:"state"`
	Reason string        `json:"reason,omitempty"` // cut to 255 bytes
}

// Clear reports whether a plan could start its agents now: no agent is blocked, away, or claimed
// by another plan, and a window is open.
func (r Readiness) Clear() bool {
	return r.Blocked+r.Unreachable+r.ConflictCount == 0 && r.NextOpen.Equal(r.At)
}

// String returns the counts, for example "10 asked: 7 ready, 1 at the target, 2 blocked, 0 away; 0
// conflicts".
func (r Readiness) String() string {
	return fmt.Sprintf("%d asked: %d ready, %d at the target, %d blocked, %d away; %d conflicts",
		r.Asked, r.Ready, r.AtTarget, r.Blocked, r.Unreachable, r.ConflictCount)
}
