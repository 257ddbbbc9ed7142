// Package wire has the bodies of the lifecycle API as Go types: what package httpapi answers and
// package client returns. A plan, a page of tasks and a refusal have one type on both sides.
package wire

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/duration"
)

// Plan is a plan on the wire. A field that does not exist yet is left out. No field is null.
type Plan struct {
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	FromVersion string  `json:"fromVersion"`
	ToVersion   string  `json:"toVersion"`
	FromRelease string  `json:"fromRelease"`
	ToRelease   string  `json:"toRelease"`
	Batches     []Batch `json:"batches"` // in order; left out by ?batches=false
	// FailureThreshold is the largest tolerated fraction of failed agents, 0 to 1.
	FailureThreshold float64    `json:"failureThreshold"`
	Concurrency      int        `json:"concurrency"` // most agents that are open at once
	Status           ota.Status `json:"status"`
	CurrentBatch     int        `json:"currentBatch"` // index; at the end, the last one reached
	CreatedBy        string     `json:"createdBy"`
	CreatedAt        Time       `json:"createdAt"`
	StartedAt        Time       `json:"startedAt,omitzero"`
	PausedAt         Time       `json:"pausedAt,omitzero"`        // while pausing or paused
	PauseReason      string     `json:"pauseReason,omitempty"`    // while pausing or paused
	CompletedAt      Time       `json:"completedAt,omitzero"`     // when it ended, with any status
	SourcePlanUUID   string     `json:"sourcePlanUuid,omitempty"` // of a rollback plan: its source
	// Error says what went wrong: the breach that is no number of failures, and what the failed agents
	// said, with how many said it. In a list it has the breach only.
	Error string `json:"error,omitempty"`
	// ObserveDuration is how long each batch is observed, as the request gave it. Text that is no
	// duration has no effect.
	ObserveDuration string `json:"observeDuration,omitempty"`

	Labels           map[string]string `json:"labels"`
	Annotations      map[string]string `json:"annotations,omitempty"`
	RollbackPlanUUID string            `json:"rollbackPlanUuid,omitempty"` // its rollback plan
	Rollback         *RollbackTemplate `json:"rollback,omitempty"`         // of its creation
	TotalAgents      int               `json:"totalAgents"`
	Coverage         ota.Coverage      `json:"coverage"` // how many of its agents are at the target
	// ToleratedFailures is how many of all agents may fail before a breach, once all have begun. With
	// the scopes "batch" and "first", the batches may tolerate less.
	ToleratedFailures int `json:"toleratedFailures"`
	Policy
	Warnings []string `json:"warnings,omitempty"` // settings that are legal and may be mistakes

	// Waiting is what holds the plan. Nil: it makes progress, or has ended.
	Waiting    *Waiting   `json:"waiting,omitempty"`
	Counts     ota.Counts `json:"counts"`          // its agents by status
	Touched    int        `json:"touched"`         // agents that may have been changed
	BatchCount int        `json:"batchCount"`      // also where the batches are left out
	Owner      string     `json:"owner,omitempty"` // name of its last engine
	Revision   uint64     `json:"revision"`        // number of its newest log record
	// Generation changes with every verb and new breach, and with the end; not with progress. It is
	// the number in the plan's ETag. Set ota.Request.Generation to it.
	Generation uint64       `json:"control"`
	Breaches   []ota.Breach `json:"breaches,omitempty"` // the open ones
	Paused     *Audit       `json:"paused,omitempty"`   // while an operator's Pause stands

	// ETag is the entity tag of the plan, for If-Match. The client fills it in from the answer.
	ETag string `json:"-"`
}

// Audit is ota.Audit on the wire.
type Audit struct {
	Actor  string `json:"actor,omitempty"`
	Reason string `json:"reason,omitempty"`
	At     Time   `json:"at"`
}

// Waiting is ota.Waiting on the wire.
type Waiting struct {
	Reason   ota.Reason `json:"reason"`
	Sentence string     `json:"sentence"`
	Since    Time       `json:"since,omitzero"`
	Needs    ota.Needs  `json:"needs"` // who can let the plan go on
}

// RollbackTemplate is how a breach rolls the plan back. Its members are those of the request.
type RollbackTemplate struct {
	Name        string            `json:"name,omitempty"`        // empty: "Rollback of …"
	Labels      map[string]string `json:"labels,omitempty"`      // besides the plan's
	Annotations map[string]string `json:"annotations,omitempty"` // instead of the plan's
	Mode        string            `json:"mode"`                  // of calls in flight: drain, interrupt
	Inherit     ota.Inherit       `json:"inherit"`               // what else comes from the plan
	// ObserveDuration is as the request gave it, or else as the policy has it.
	ObserveDuration string `json:"observeDuration,omitempty"`
	*RollbackPolicy        // nil: it follows from the policy that the plan has when it is rolled back
}

// Batch is a batch on the wire.
type Batch struct {
	BatchIndex  int             `json:"batchIndex"` // from 0
	Name        string          `json:"name,omitempty"`
	AgentIDs    []string        `json:"agentIds"` // in the plan's order
	Status      ota.BatchStatus `json:"status"`
	FailedCount int             `json:"failedCount"` // agents, not tasks
	// ToleratedFailures is how many of its agents may fail. With the scope "plan", the plan's count
	// decides instead.
	ToleratedFailures int    `json:"toleratedFailures"`
	Tasks             []Task `json:"tasks"` // by agent; left out by ?tasks=false
}

// Task is a task on the wire, in a batch. UUIDs are 32 hex digits.
type Task struct {
	ComponentUUID         string `json:"componentUuid"`
	ComponentInstanceUUID string `json:"componentInstanceUuid"`
	LifecycleTaskUUID     string `json:"lifecycleTaskUuid"` // "task-" and hex digits
	ComponentName         string `json:"componentName"`
	TaskType              string `json:"taskType"` // "update" or "rollback"
	// Status is pending, running (also between two attempts), succeeded, failed, skipped, canceled
	// or unknown.
	Status   string `json:"status"`
	NodeUUID string `json:"nodeUuid"`
	LCAUUID  string `json:"lcaUuid"`
	AgentID  string `json:"agentId"`
	// RuntimeStatus is "running" once the version is known, and "unhealthy" after such a report.
	RuntimeStatus string `json:"runtimeStatus,omitempty"`
	ActualVersion string `json:"actualVersion,omitempty"`
	ActualRelease string `json:"actualRelease,omitempty"`
	Error         string `json:"error,omitempty"` // of the last failed attempt
}

// TaskInfo is a task on the wire, in a page of tasks. It has more fields than a Task.
type TaskInfo struct {
	Task
	BatchIndex int        `json:"batchIndex"`
	Target     string     `json:"targetVersion"`
	Waiting    bool       `json:"waiting,omitempty"` // running, but between two attempts
	Reason     ota.Reason `json:"reason"`            // why it ended so, or why it waits
	Attempts   int        `json:"attempts"`
	StartedAt  Time       `json:"startedAt,omitzero"` // the last attempt
	EndedAt    Time       `json:"endedAt,omitzero"`
	DueAt      Time       `json:"dueAt,omitzero"` // waiting: when the next attempt is due
}

// Summary counts a plan's agents. CompletedCount, FailedCount and PendingCount add up to
// TotalAgents.
type Summary struct {
	PlanID         string     `json:"planId"`
	Status         ota.Status `json:"status"`
	TotalAgents    int        `json:"totalAgents"`
	CompletedCount int        `json:"completedCount"` // succeeded, also without a change
	FailedCount    int        `json:"failedCount"`    // failed or unknown
	PendingCount   int        `json:"pendingCount"`   // all others, also skipped and canceled
	FailureRate    float64    `json:"failureRate"`    // FailedCount / TotalAgents
	RunningCount   int        `json:"runningCount"`   // of PendingCount: running or waiting
	WaitingCount   int        `json:"waitingCount"`   // of RunningCount: between two attempts
	SkippedCount   int        `json:"skippedCount"`
	CanceledCount  int        `json:"canceledCount"`
	UnknownCount   int        `json:"unknownCount"` // of FailedCount
}

// List is one page of a list that is paged by offset.
type List[T any] struct {
	Items  []T `json:"items"`
	Total  int `json:"total"` // of all pages
	Limit  int `json:"limit"`
	Offset int `json:"offset"`
}

// TaskPage is one page of a plan's tasks.
type TaskPage struct {
	Items []TaskInfo `json:"items"`
	Next  string     `json:"nextCursor,omitempty"` // for ?cursor=; the last page has none
}

// RollbackAnswer is the answer of CreateRollbackPlan.
type RollbackAnswer struct {
	Plan     Plan     `json:"plan"`
	Warnings []string `json:"warnings"`
}

// Explanation is the answer of ExplainPlan.
type Explanation struct {
	PlanID       string     `json:"planId"`
	Status       ota.Status `json:"status"`
	CurrentBatch int        `json:"currentBatch"`
	Sentence     string     `json:"sentence"` // the first blocker, or the plan's progress
	// Legal are the verbs that the plan accepts now. Others are refused, or change nothing.
	Legal []ota.Verb `json:"legal"`
	// Blockers has at least one entry while the plan has not ended and makes no progress.
	Blockers []Blocker `json:"blockers"`
}

// Blocker is one cause that blocks a plan.
type Blocker struct {
	Reason   ota.Reason `json:"reason"`
	Sentence string     `json:"sentence"`
	Until    Time       `json:"until,omitzero"` // when it clears by itself
	Verb     string     `json:"verb,omitempty"` // the verb that clears it
	With     string     `json:"with,omitempty"` // the verb's decision, and other ways to clear it
	Since    Time       `json:"since,omitzero"` // since when it blocks, if known
	// PlanID is the rollback plan that waits, and that accepts the verb. Empty means the plan that
	// is explained.
	PlanID string `json:"planId,omitempty"`
}

// DowngradeComponent is a component of CreateDowngradePlan, with its target. Each field is
// required.
type DowngradeComponent struct {
	ComponentUUID string `json:"componentUuid"`
	ToVersion     string `json:"toVersion"`
	ToRelease     string `json:"toRelease"`
}

// HealthReport is one element of a request to ReportHealth.
type HealthReport struct {
	AgentID string    `json:"agentId"`
	Healthy bool      `json:"healthy"`
	At      time.Time `json:"at,omitzero"` // of the observation; zero means now
	Reason  string    `json:"reason,omitempty"`
}

// OutcomeReport is one element of a request to ReportOutcomes: how an attempt ended whose Executor
// waits for a report. Key names the attempt, or AgentID, Task and Number do.
type OutcomeReport struct {
	Key     string `json:"key,omitempty"` // ota.Attempt.Key
	AgentID string `json:"agentId,omitempty"`
	Task    int    `json:"task,omitempty"`   // which of the agent's tasks, from 0
	Number  int    `json:"number,omitempty"` // which attempt, from 1
	// Outcome is succeeded, error, permanent, rejected, unreachable or throttled.
	Outcome   ota.Reason `json:"outcome"`
	Version   string     `json:"version,omitempty"`   // that the agent runs now
	Unchanged bool       `json:"unchanged,omitempty"` // the agent was certainly not changed
	// After is the wait before the next attempt of a throttled agent. 0 means a growing wait.
	After   Duration `json:"after,omitempty"`
	Message string   `json:"message,omitempty"` // cut to 4 KiB
}

// Preview is the answer of PreviewPlan: the plan that a Spec would make.
type Preview struct {
	TotalAgents       int     `json:"totalAgents"`
	ToleratedFailures int     `json:"toleratedFailures"` // as in a Plan
	FailureThreshold  float64 `json:"failureThreshold"`
	Concurrency       int     `json:"concurrency"`
	ObserveDuration   string  `json:"observeDuration,omitempty"`
	Policy
	Batches        []PreviewBatch `json:"batches"`
	Warnings       []string       `json:"warnings"`
	Conflicts      []Conflict     `json:"conflicts"`          // agents of active plans, at most 32
	TotalConflicts int            `json:"totalConflicts"`     // all of them
	Duration       Duration       `json:"duration,omitempty"` // at least; only with callDuration
	// Harm is what releases would do that break every agent, and Sees which failure rates the plan
	// finds.
	Harm []Harm `json:"harm"`
	Sees []Sees `json:"sees"`
	// Summary is Preview.String of package ota, and PolicyText is Policy.String, in lines. Both are
	// for people and may change.
	Summary    []string `json:"summary"`
	PolicyText []string `json:"policyText"`
}

// Harm is ota.Harm on the wire.
type Harm struct {
	Kind   ota.HarmKind `json:"kind"`
	After  Duration     `json:"after,omitempty"` // of unhealthy: how long after its success
	Agents int          `json:"agents"`          // that the release changes before the plan starts no more
	Stops  bool         `json:"stops"`           // a breach stops the plan
}

// Sees is ota.Sees on the wire.
type Sees struct {
	BatchIndex int     `json:"batchIndex"`
	Agents     int     `json:"agents"` // of this batch and all before it
	Shows      float64 `json:"shows"`  // failure rate, 0 to 1, from which on an agent fails
	Stops      float64 `json:"stops"`  // from which on the plan stops by itself; 0: it stops no release
}

// PreviewBatch is a batch that the plan would have.
type PreviewBatch struct {
	BatchIndex        int    `json:"batchIndex"`
	Name              string `json:"name,omitempty"`
	Agents            int    `json:"agents"` // how many
	ToleratedFailures int    `json:"toleratedFailures"`
	// Concurrency, Soak and Held are what applies to the batch, by its stage or the policy.
	Concurrency int      `json:"concurrency"`
	Soak        Duration `json:"wait"`
	Held        bool     `json:"held"`
	// BeginsAfter and EndsAfter count from the plan's start, at the earliest. Only with
	// callDuration.
	BeginsAfter *Duration `json:"beginsAfter,omitempty"`
	EndsAfter   *Duration `json:"endsAfter,omitempty"`
}

// Precheck is the answer of Precheck.
type Precheck struct {
	Allowed  bool           `json:"allowed"` // every item has passed
	Items    []PrecheckItem `json:"items"`
	Warnings []string       `json:"warnings,omitempty"` // unknown members of the request
}

// PrecheckItem is one check: agent-connectivity, agent-version, agent-conflict, maintenance-window
// or executor.
type PrecheckItem struct {
	Name    string `json:"name"`
	Passed  bool   `json:"passed"`
	Message string `json:"message"` // the finding, with at most 32 agents by name
	Fix     string `json:"fix"`     // how to fix it; empty if it has passed
}

// History is the record of one task that has left pending.
type History struct {
	UUID        string `json:"uuid"` // "hist-" and hex digits
	PlanID      string `json:"planId"`
	PlanName    string `json:"planName"`
	FromVersion string `json:"fromVersion"`
	ToVersion   string `json:"toVersion"`
	FromRelease string `json:"fromRelease"`
	ToRelease   string `json:"toRelease"`
	Component   string `json:"component"`
	AgentID     string `json:"agentId"`
	Status      string `json:"status"` // running, completed
	Result      string `json:"result"` // success, failure, skipped, canceled; empty while running
	// Logs is the last error in a list. In the answer of GetHistoryLogs it has a line per attempt.
	Logs        string `json:"logs"`
	StartedAt   Time   `json:"startedAt,omitzero"`
	CompletedAt Time   `json:"completedAt,omitzero"`
	// Operator and CreateDate, of the plan's start and creation, are only in that answer.
	Operator   string `json:"operator,omitempty"`
	CreateDate Time   `json:"createDate,omitzero"`
}

// Time is a time on the wire: RFC 3339 in UTC, whole seconds.
type Time struct{ time.Time }

// MarshalJSON writes for example "2026-01-15T08:00:00Z".
func (t Time) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(make([]byte, 0, 22), `"2006-01-02T15:04:05Z"`), nil
}

// Duration is a length of time on the wire: a Go duration such as "30m0s", or "none" for
// ota.NoTimeout.
type Duration time.Duration

// MarshalJSON writes a string.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// String returns a Go duration, or "none".
func (d Duration) String() string {
	if time.Duration(d) == ota.NoTimeout {
		return "none"
	}
	return time.Duration(d).String()
}

// UnmarshalJSON reads the text of MarshalJSON, ISO 8601 and seconds.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, ok := duration.Parse(s)
	if s == "none" {
		v, ok = ota.NoTimeout, true
	}
	if !ok {
		return fmt.Errorf("httpapi: %q is no duration", s)
	}
	*d = Duration(v)
	return nil
}
