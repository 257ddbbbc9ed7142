package ota

import (
	"fmt"
	"iter"
	"strconv"
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

// Shape cuts a plan's agents into batches. The zero value cuts them, in the given order, into
// batches of DefaultBatchSize. Every agent is in exactly one batch.
type Shape struct {
	// Size is the number of agents in a batch; the last batch has the remaining ones. 1 or more; 0
	// means DefaultBatchSize. Not together with Batches.
	Size int
	// Percent is a batch's share of all agents in percent: 25 is a quarter. The number is rounded
	// up, to at least one; the last batch has the remaining agents. More than 0, at most 100; 0
	// means Size. The agents are then kept in memory while the plan is made.
	Percent float64
	// Canary puts a batch of this many agents before all others. The canary must change at least
	// one agent, or the next batch must be promoted, before another batch begins. 1 or more; 0
	// means no canary.
	Canary int
	// Growth makes each batch larger than the one before, instead of Size and Percent.
	Growth Growth
	// Batches lists every batch. Agents are assigned in order, and the sizes must add up to all
	// agents.
	Batches []BatchShape
	// Shuffle, when not 0, is the seed of a shuffle of all agents, so that the same agents are not
	// always the first to get a bad release. The same seed and agents give the same order. Not
	// together with Batches. The agents are then kept in memory while the plan is made.
	Shuffle uint64
}

// Growth is a series of batch sizes. The first is First. Each later one is Factor times the one
// before, rounded down, but at least one more (with Factor 1 it stays the same). No batch is
// larger than Max.
type Growth struct {
	First  int     // 1 or more; 0 means no growth
	Factor float64 // 1 to 100; 0 means 2
	Max    int     // 0 means no limit
}

// size returns the size of batch k of the series, from 0.
func (g Growth) size(k int) int {
	factor, size := g.Factor, g.First
	if factor == 0 {
		factor = 2
	}
	for range k {
		if g.Max > 0 && size >= g.Max || size >= maxAgents {
			break
		}
		if next := int(min(float64(size)*factor, maxAgents)); next > size || factor == 1 {
			size = next
		} else {
			size++
		}
	}
	if g.Max > 0 {
		size = min(size, g.Max)
	}
	return min(size, maxAgents)
}

// BatchShape is one batch of an explicit list.
type BatchShape struct {
	Name string // for people; may be empty; at most 255 bytes
	Size int    // how many agents; 1 or more
}

// check adds every mistake of s to m.
func (s Shape) check(m *mistakes) {
	m.numbers(numberRule{"shape.size", s.Size, 0, maxAgents, "1 or more; 0 means 10"})
	m.fraction("shape.percent", s.Percent, 0, 100, "more than 0, at most 100")
	m.numbers(numberRule{"shape.canary", s.Canary, 0, maxAgents, "1 or more; 0 means none"})
	s.Growth.check(m)
	rules := 0
	for _, used := range []bool{s.Size != 0, s.Percent != 0, s.Growth != (Growth{})} {
		if used {
			rules++
		}
	}
	if rules > 1 {
		m.add("shape", "", "has more than one of size, percent and growth", "one of them")
	}
	if len(s.Batches) > 0 {
		s.checkList(m)
	}
}

func (g Growth) check(m *mistakes) {
	if g == (Growth{}) {
		return
	}
	m.numbers(numberRule{"shape.growth.first", g.First, 1, maxAgents, "1 or more"})
	if g.Factor != 0 {
		m.fraction("shape.growth.factor", g.Factor, 1, 100, "1 to 100; 0 means 2")
	}
	if g.Max < 0 || g.Max > 0 && g.Max < g.First {
		m.add("shape.growth.max", strconv.Itoa(g.Max), "is less than the first batch", "at least shape.growth.first; 0 means no limit")
	}
}

// checkList checks an explicit list of batches, and that nothing else cuts the agents.
func (s Shape) checkList(m *mistakes) {
	if s.Percent != 0 || s.Canary != 0 || s.Growth != (Growth{}) {
		m.add("shape.batches", "", "do not go with percent, canary or growth", "a list, or a rule")
	}
	if s.Size != 0 {
		m.add("shape.size", strconv.Itoa(s.Size), "does not go with a list of batches", "one of the two")
	}
	if s.Shuffle != 0 {
		m.add("shape.shuffle", strconv.FormatUint(s.Shuffle, 10), "does not go with a list of batches", "one of the two")
	}
	for i, b := range s.Batches {
		field := fmt.Sprintf("shape.batches[%d]", i)
		checkText(m, field+".name", b.Name, maxText)
		if b.Size < 1 || b.Size > maxAgents {
			m.add(field+".size", strconv.Itoa(b.Size), "makes an empty or impossible batch", "1 or more")
		}
	}
}

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
