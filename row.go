package ota

import (
	"slices"
	"time"
)

// begun reports whether the engine is to carry the rollback out, or does so already.
func (r *RollbackRef) begun() bool { return r != nil && (r.Wanted != nil || r.Started != nil) }

// refusable reports whether the rollback may still turn out not to be startable. What waits can then go on.
func (r *RollbackRef) refusable() bool { return r != nil && r.Wanted != nil && r.Started == nil }

// known returns what the plan remembers of a request.
func (c *Control) known(id string, v Verb) (r PastRequest, ok bool) {
	i := slices.IndexFunc(c.Requests, func(r PastRequest) bool { return r.ID == id && r.Verb == v })
	if i < 0 || id == "" {
		return PastRequest{}, false
	}
	return c.Requests[i], true
}

// remember records a request, and forgets all but the newest 64.
func (c *Control) remember(r PastRequest) {
	c.Requests = append(slices.Clone(c.Requests), r)
	c.Requests = c.Requests[max(0, len(c.Requests)-maxRequests):]
}

const maxRequests = 64

// BatchRow is one batch as stored.
type BatchRow struct {
	Index           int           `json:"index"`
	Name            string        `json:"name,omitempty"`
	First           int           `json:"first"` // ordinal of its first agent
	Size            int           `json:"size"`
	Status          BatchStatus   `json:"status"`
	Cursor          int           `json:"cursor"` // no agent of it before this ordinal is pending
	Counts          Counts        `json:"counts"` // agents by status
	Tasks           Counts        `json:"tasks"`  // tasks by status
	Open            int           `json:"open"`   // agents that hold a slot
	Changed         int           `json:"changed"`
	Unhealthy       int           `json:"unhealthy,omitempty"` // reported unhealthy, not failed yet
	Accepted        int           `json:"accepted,omitempty"`
	Canary          bool          `json:"canary,omitempty"`    // it must change an agent before another batch begins
	PausedFor       time.Duration `json:"pausedFor,omitempty"` // how long the plan had been paused when the batch started
	TimeoutReported bool          `json:"late,omitempty"`      // that its limit has passed was told
	Gate            GateVerdict   `json:"gate,omitempty"`      // the last answer
	GateAt          time.Time     `json:"gateAt,omitzero"`
	Inconclusive    int           `json:"inconclusive,omitempty"` // answers
	GateErrors      int           `json:"gateErrors,omitempty"`
	Continued       bool          `json:"continued,omitempty"` // a breach with the action continue was recorded
	StartedAt       time.Time     `json:"startedAt,omitzero"`
	FinishedAt      time.Time     `json:"settledAt,omitzero"`
	HealthySince    time.Time     `json:"healthySince,omitzero"`
	ClosedAt        time.Time     `json:"closedAt,omitzero"`
}

// AgentRow is one agent of a plan as stored, its tasks inside, so that counters, slots and rows agree by construction.
type AgentRow struct {
	Ordinal int // its place in the plan, from 0
	Batch   int // index of its batch
	Agent   AgentSpec
	State   AgentState
}

// AgentSpec is what never changes about an agent of a plan. Create writes it; a Commit does not carry it.
type AgentSpec struct {
	ID      string            `json:"id"`
	Version string            `json:"version,omitempty"` // what it ran before the plan, when the Spec said so
	Target  string            `json:"target,omitempty"`  // of a rollback: the version it goes back to; empty means the plan's
	Labels  map[string]string `json:"labels,omitempty"`
	Tasks   []TaskSpec        `json:"tasks,omitempty"` // as many as its state has; none for an agent with one task that its plan tells
}

// AgentState is what happens to an agent. A Store may keep it as the bytes that AppendBinary makes.
type AgentState struct {
	Status TaskStatus
	Flags  AgentFlags
	Task   TaskState   // the agent's first task
	Rest   []TaskState // its further tasks; nil for nearly every agent
	More   *AgentMore  // what few agents have; nil otherwise, and never changed in place
}

// AgentFlags are facts about an agent.
type AgentFlags uint8

// The facts about an agent.
const (
	AgentChanged   AgentFlags = 1 << iota // it may have been changed
	AgentOpen                             // it holds a slot
	AgentAtTarget                         // it succeeded without being changed
	AgentUnhealthy                        // reported unhealthy, not failed yet
	AgentReleased                         // its plan did not change it and never calls it again: other plans may have it
)

// AgentMore is what few agents have.
type AgentMore struct {
	Previous  string // the version before its first start, where a precheck reported one
	Unhealthy int64  // since when it is unhealthy, Unix nanoseconds
}

// TaskState is what happens to one task. Times are Unix nanoseconds, UTC; 0 is none.
type TaskState struct {
	Status  TaskStatus
	Why     Reason    // how it ended, or why it waits
	Tries   uint8     // tries of the retry budget used
	Changed bool      `json:",omitempty"` // it may have changed the agent
	Number  uint32    // how often it was started
	Started int64     // its newest start
	Ended   int64     // when it ended; while it waits, when it is due
	More    *TaskMore // what few tasks have; nil otherwise, and never changed in place
}

// TaskMore is what few tasks have.
type TaskMore struct {
	Version          string // reported, where it is not the target
	Error            string // of the last failed attempt, cut to 4 KiB
	UnreachableSince int64  // since when the agent is away, Unix nanoseconds
}

// active is the index of the task that an agent is at: the first that has not ended.
func (a *AgentState) active() int {
	if !a.Task.Status.Finished() {
		return 0
	}
	for i := range a.Rest {
		if !a.Rest[i].Status.Finished() {
			return i + 1
		}
	}
	return 0
}

func (r *AgentRow) previous(s *PlanSpec) string {
	switch {
	case r.State.More != nil && r.State.More.Previous != "":
		return r.State.More.Previous
	case r.Agent.Version != "":
		return r.Agent.Version
	default:
		return s.FromVersion
	}
}

// attemptOpen reports whether an attempt waits for its outcome: it is running, or waits to be repeated.
func (a *AgentState) attemptOpen(task int, number uint32) bool {
	if task >= a.tasks() {
		return false
	}
	t := a.task(task)
	return t.Number == number && (t.Status == TaskRunning || t.Status == TaskWaiting && t.Why == ReasonRepeat)
}

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

// task returns an agent's task by index.
func (a *AgentState) task(i int) *TaskState {
	if i == 0 {
		return &a.Task
	}
	return &a.Rest[i-1]
}

func (a *AgentState) tasks() int { return 1 + len(a.Rest) }

// touched reports whether task i may have changed the agent. Rows from before tasks told that have one task each, and tell
// it of the agent.
func (a *AgentState) touched(i int) bool {
	return a.task(i).Changed || len(a.Rest) == 0 && a.Flags&AgentChanged != 0
}

// partly reports whether a task of the agent is done.
func (a *AgentState) partly() bool {
	for i := range a.Rest {
		if a.Rest[i].Status == TaskSucceeded {
			return true
		}
	}
	return a.Task.Status == TaskSucceeded
}

func busy(s TaskStatus) bool { return s == TaskRunning || s == TaskWaiting }

func bad(s TaskStatus) bool { return s == TaskFailed || s == TaskUnknown }

func stamp(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
