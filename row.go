package ota

import (
	"slices"
	"time"
)

// begun reports whether the engine is to carry the rollback out, or does so already.
func (r *rollbackRef) begun() bool { return r != nil && (r.Wanted != nil || r.Started != nil) }

// refusable reports whether the start of the rollback may still be refused. Work that waits for it
// then continues.
func (r *rollbackRef) refusable() bool { return r != nil && r.Wanted != nil && r.Started == nil }

// known returns what the plan remembers of a request.
func (c *planControl) known(id string, v Verb) (r pastRequest, ok bool) {
	i := slices.IndexFunc(c.Requests, func(r pastRequest) bool { return r.ID == id && r.Verb == v })
	if i < 0 || id == "" {
		return pastRequest{}, false
	}
	return c.Requests[i], true
}

// remember records a request, and drops all but the newest 64.
func (c *planControl) remember(r pastRequest) {
	c.Requests = append(slices.Clone(c.Requests), r)
	c.Requests = c.Requests[max(0, len(c.Requests)-maxRequests):]
}

const maxRequests = 64

// batchRow is one batch as stored.
type batchRow struct {
	Index  int         `json:"index"`
	Name   string      `json:"name,omitempty"`
	First  int         `json:"first"` // ordinal of its first agent
	Size   int         `json:"size"`
	Status BatchStatus `json:"status"`
	// Cursor is an ordinal: agents of the batch before it are not pending.
	Cursor  int    `json:"cursor"`
	Counts  Counts `json:"counts"` // agents by status
	Tasks   Counts `json:"tasks"`  // tasks by status
	Open    int    `json:"open"`   // agents that have a slot
	Changed int    `json:"changed"`
	// Unhealthy counts agents that are reported unhealthy and have not failed yet.
	Unhealthy int `json:"unhealthy,omitempty"`
	Accepted  int `json:"accepted,omitempty"`
	// Canary: the batch must change an agent before another batch begins.
	Canary bool `json:"canary,omitempty"`
	// PausedFor is what the clock of BatchTimeout has in advance: Control.PausedOpen when that
	// clock began, less the time since StartedAt in which windows were open.
	PausedFor time.Duration `json:"pausedFor,omitempty"`
	// TimeoutReported says that the breach of the batch's timeout was recorded.
	TimeoutReported bool        `json:"late,omitempty"`
	Gate            GateVerdict `json:"gate,omitempty"` // the last answer
	GateAt          time.Time   `json:"gateAt,omitzero"`
	Inconclusive    int         `json:"inconclusive,omitempty"` // answers
	GateErrors      int         `json:"gateErrors,omitempty"`
	// Continued says that a breach with the action continue was recorded.
	Continued    bool      `json:"continued,omitempty"`
	StartedAt    time.Time `json:"startedAt,omitzero"`
	FinishedAt   time.Time `json:"settledAt,omitzero"`
	HealthySince time.Time `json:"healthySince,omitzero"`
	ClosedAt     time.Time `json:"closedAt,omitzero"`
	// Evidence are the agents by which Expect judges the batch.
	Evidence evidence `json:"evidence,omitzero"`
	// ExpectContinued is Continued for breaches of Expect.
	ExpectContinued bool `json:"expectContinued,omitempty"`
	// InUse are the values of the label InUseLabel that have begun in the batch, for Budget.Values.
	// Those whose agents have all finished may be among them.
	InUseLabel string   `json:"inUseLabel,omitempty"`
	InUse      []string `json:"inUse,omitempty"`
	// LastStart is when the last agent began, less Control.PausedFor at that time, in Unix
	// nanoseconds. So time in which the plan is paused does not count for Stragglers.After.
	LastStart int64 `json:"lastStart,omitempty"`
	// Stragglers is the number of agents with the flag agentStraggler.
	Stragglers int `json:"stragglers,omitempty"`
}

// out returns how many agents of a batch have started and have not finished.
func (r *batchRow) out() int { return r.Counts.Running + r.Counts.Waiting }

// largestBatch returns the size of the largest batch.
func largestBatch(batches []batchRow) (n int) {
	for i := range batches {
		n = max(n, batches[i].Size)
	}
	return n
}

// agentRow is one agent of a plan as stored. It contains its tasks, so that counters, slots and
// rows agree by construction.
type agentRow struct {
	Ordinal int // position in the plan, from 0
	Batch   int // index of its batch
	Agent   agentSpec
	State   agentState
}

// agentSpec is the part of an agent that never changes. Create writes it; a Commit does not
// contain it.
type agentSpec struct {
	ID string `json:"id"`
	// Version is what the agent ran before the plan, if the Spec gave it.
	Version string `json:"version,omitempty"`
	// Target, of a rollback, is the version to restore; empty means the plan's.
	Target string            `json:"target,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	// Tasks are as many as the state has. Empty for an agent with one task that its plan
	// describes.
	Tasks []TaskSpec `json:"tasks,omitempty"`
}

// agentState is the changing part of an agent. A Store may keep it as the bytes that AppendBinary
// makes.
type agentState struct {
	Status TaskStatus
	Flags  agentFlags
	Task   taskState   // the agent's first task
	Rest   []taskState // its further tasks; nil for nearly every agent
	More   *agentMore  // rare fields, or nil; never changed in place
}

// agentFlags are facts about an agent.
type agentFlags uint16

// The facts about an agent.
const (
	agentChanged   agentFlags = 1 << iota // it may have been changed
	agentOpen                             // it has a slot
	agentAtTarget                         // it succeeded without a change
	agentUnhealthy                        // reported unhealthy, not failed yet
	agentReleased                         // unchanged and never called again: free for other plans
	agentExtended                         // its attempt was called again, with its whole time again
	agentUrgent                           // starts next, by Now
	agentWasBad                           // of a rollback: bad in the source, so no failure counts
	agentDown                             // does not serve: an attempt failed, or it is unhealthy, or its precheck says so

	// Its batch closed while it was out, and it has not ended, or not given a healthy answer since.
	// Bit 10 is not used: with it, a state would begin as another part does (see describe).
	agentStraggler agentFlags = 1 << 11
)

// down reports whether the agent does not serve, as far as its plan knows. Its flag says so until
// it succeeds, is healthy again, or its precheck says so. A retry, a skip and an accepted failure
// leave it.
func (a *agentState) down() bool { return a.Flags&agentDown != 0 }

// agentMore has the fields that few agents need.
type agentMore struct {
	Previous  string // version before its first start, from a precheck
	Unhealthy int64  // since when it is unhealthy, Unix nanoseconds
	Release   string // release before its first start, from a precheck
}

// taskState is the changing part of one task. Times are Unix nanoseconds, UTC; 0 means none.
type taskState struct {
	Status  TaskStatus
	Why     Reason // how it ended, or why it waits
	Tries   uint8  // tries of the retry budget used
	Changed bool   `json:",omitempty"` // it may have changed the agent
	Number  uint32 // how often it was started
	// Started is when its newest attempt started. A repeat after a crash moves it by time that does
	// not count for AttemptTimeout.
	Started int64
	Ended   int64     // its end; while it waits, the time when it is due
	More    *taskMore // rare fields, or nil; never changed in place
}

// taskMore has the fields that few tasks need.
type taskMore struct {
	Version string // reported, if it is not the target
	Error   string // of the last failed attempt, cut to 4 KiB
	// UnreachableSince is since when the agent is away, Unix nanoseconds. It moves by the time in
	// which the plan could not try again.
	UnreachableSince int64
}

// active returns the index of an agent's present task: the first that has not ended.
func (a *agentState) active() int {
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

// previous returns the version that the agent ran before the plan, as far as it is known.
func (r *agentRow) previous(s *planSpec) string {
	switch {
	case r.State.More != nil && r.State.More.Previous != "":
		return r.State.More.Previous
	case r.Agent.Version != "":
		return r.Agent.Version
	default:
		return s.FromVersion
	}
}

// attemptOpen reports whether an attempt waits for its outcome: it is running, or waits for its
// repeat.
func (a *agentState) attemptOpen(task int, number uint32) bool {
	if task >= a.tasks() {
		return false
	}
	t := a.task(task)
	return t.Number == number && (t.Status == TaskRunning || t.Status == TaskWaiting && t.Why == ReasonRepeat)
}

// unstarted reports whether no attempt of a task was started, or the last one was reset: it is
// pending, or waits for its start by Now.
func (t *taskState) unstarted() bool {
	return t.Status == TaskPending || t.Status == TaskWaiting && t.Why == ReasonOperator
}

// keptTasks returns tasks as they are stored: none for an agent with one task that its plan
// describes.
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

// newRow returns an agent of a new plan.
func newRow(ordinal, batch int, a agentSpec) agentRow {
	row := agentRow{Ordinal: ordinal, Batch: batch, Agent: a}
	if n := len(a.Tasks); n > 1 {
		row.State.Rest = make([]taskState, n-1)
	}
	return row
}

// task returns task i of an agent with all its versions.
func (s *planSpec) task(a *agentSpec, i int) TaskSpec {
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

// from returns the version before task i. A version from a precheck counts if the agent has only
// this task.
func (r *agentRow) from(s *planSpec, i int) string {
	if n := len(r.Agent.Tasks); n == 0 || n == 1 && r.Agent.Tasks[0].FromVersion == "" {
		return r.previous(s)
	}
	return s.task(&r.Agent, i).FromVersion
}

// target returns the version to which task i brings its agent.
func (s *planSpec) target(a *agentSpec, i int) string {
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
func (a *agentState) task(i int) *taskState {
	if i == 0 {
		return &a.Task
	}
	return &a.Rest[i-1]
}

func (a *agentState) tasks() int { return 1 + len(a.Rest) }

// touched reports whether task i may have changed the agent. Old rows with one task record this
// for the agent only.
func (a *agentState) touched(i int) bool {
	return a.task(i).Changed || len(a.Rest) == 0 && a.Flags&agentChanged != 0
}

// partly reports whether a task of the agent has succeeded.
func (a *agentState) partly() bool {
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

// read decodes an agent. It keeps the ID and the labels of the row.
func (r *agentRow) read(row *Row) error {
	*r = agentRow{Ordinal: row.Number, Batch: row.Batch, Agent: agentSpec{ID: row.ID, Labels: row.Labels}}
	if len(row.Fixed) > 0 { // few agents have fields of their own
		if err := r.Agent.decodePart(row.Fixed); err != nil {
			return err
		}
	}
	if len(row.State) > 0 {
		return r.State.UnmarshalBinary(row.State)
	}
	if n := len(r.Agent.Tasks); n > 1 {
		r.State.Rest = make([]taskState, n-1)
	}
	return nil
}

// fresh reports whether the agent is as its plan has made it.
func (a *agentState) fresh() bool {
	for i := range a.Rest {
		if a.Rest[i] != (taskState{}) {
			return false
		}
	}
	return a.Status == 0 && a.Flags == 0 && a.Task == (taskState{}) && a.More == nil
}

// reason is why the agent ended or waits: that of its first task that failed, else of its present
// one.
func (a *agentState) reason() Reason {
	for i := range a.Rest {
		if bad(a.task(i).Status) {
			return a.task(i).Why
		}
	}
	return a.task(a.active()).Why
}
