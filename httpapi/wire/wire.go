// Package wire has the bodies of the lifecycle API as Go types: what package httpapi answers and
// package client returns. A plan, a page of tasks and a refusal have one type on both sides.
package wire

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/duration"
)

// Plan is a plan on the wire. Fields that do not exist yet are left out; nothing is ever null.
type Plan struct {
	ID               string     `json:"id"`
	Name             string     `json:"name"`
	FromVersion      string     `json:"fromVersion"`
	ToVersion        string     `json:"toVersion"`
	FromRelease      string     `json:"fromRelease"`
	ToRelease        string     `json:"toRelease"`
	Batches          []Batch    `json:"batches"`          // in order; left out by ?batches=false
	FailureThreshold float64    `json:"failureThreshold"` // the largest fraction of failed agents that is tolerated, 0 to 1
	Concurrency      int        `json:"concurrency"`      // the most agents that are open at once
	Status           ota.Status `json:"status"`
	CurrentBatch     int        `json:"currentBatch"` // index; the last one reached when the plan has ended
	CreatedBy        string     `json:"createdBy"`
	CreatedAt        Time       `json:"createdAt"`
	StartedAt        Time       `json:"startedAt,omitzero"`
	PausedAt         Time       `json:"pausedAt,omitzero"`         // while pausing or paused
	PauseReason      string     `json:"pauseReason,omitempty"`     // while pausing or paused
	CompletedAt      Time       `json:"completedAt,omitzero"`      // when it ended, however
	SourcePlanUUID   string     `json:"sourcePlanUuid,omitempty"`  // of a rollback plan: the ID of the plan it takes back
	Error            string     `json:"error,omitempty"`           // paused by a fault: what it was
	ObserveDuration  string     `json:"observeDuration,omitempty"` // how long batches are observed, as it was given; text that is no duration has no effect

	Labels           map[string]string `json:"labels"`
	Annotations      map[string]string `json:"annotations,omitempty"`
	RollbackPlanUUID string            `json:"rollbackPlanUuid,omitempty"` // the ID of its rollback plan
	Rollback         *RollbackTemplate `json:"rollback,omitempty"`         // as its creation said it
	TotalAgents      int               `json:"totalAgents"`
	Policy
	Warnings []string `json:"warnings,omitempty"` // what is legal but deserves a look

	// ETag is the entity tag that came with the plan, for If-Match; Client fills it in.
	ETag string `json:"-"`
}

// Control is the plan's Control number, for ota.By, or 0 when the plan did not come from a Client.
func (p *Plan) Control() uint64 {
	n, _ := strconv.ParseUint(strings.Trim(p.ETag, `"`), 10, 64)
	return n
}

// RollbackTemplate is how a plan is rolled back when a breach says so, with the names of the request that said it.
type RollbackTemplate struct {
	Name            string            `json:"name,omitempty"`            // empty: "Rollback of …"
	Labels          map[string]string `json:"labels,omitempty"`          // besides the plan's
	Annotations     map[string]string `json:"annotations,omitempty"`     // instead of the plan's
	Mode            string            `json:"mode"`                      // what becomes of calls in flight: "drain" or "interrupt"
	ObserveDuration string            `json:"observeDuration,omitempty"` // as it was given, else what the policy has
	*RollbackPolicy                   // nil: the plan's own, as it is when it is rolled back
}

// Batch is a batch on the wire.
type Batch struct {
	BatchIndex        int             `json:"batchIndex"` // from 0
	Name              string          `json:"name,omitempty"`
	AgentIDs          []string        `json:"agentIds"` // in the plan's order
	Status            ota.BatchStatus `json:"status"`
	FailedCount       int             `json:"failedCount"`       // agents, not tasks
	ToleratedFailures int             `json:"toleratedFailures"` // agents of it that may fail; with the scope "plan" it is the plan that counts
	Tasks             []Task          `json:"tasks"`             // by agent; left out by ?tasks=false
}

// Task is a task on the wire, in a batch. UUIDs are 32 hex digits.
type Task struct {
	ComponentUUID         string `json:"componentUuid"`
	ComponentInstanceUUID string `json:"componentInstanceUuid"`
	LifecycleTaskUUID     string `json:"lifecycleTaskUuid"` // "task-" and hex digits, the same for the task's life
	ComponentName         string `json:"componentName"`
	TaskType              string `json:"taskType"` // "update" or "rollback"
	Status                string `json:"status"`   // pending, running (also between two attempts), succeeded, failed, skipped, canceled, unknown
	NodeUUID              string `json:"nodeUuid"`
	LCAUUID               string `json:"lcaUuid"`
	AgentID               string `json:"agentId"`
	RuntimeStatus         string `json:"runtimeStatus,omitempty"` // "running" once its version is known, "unhealthy" once it was reported so
	ActualVersion         string `json:"actualVersion,omitempty"`
	ActualRelease         string `json:"actualRelease,omitempty"`
}

// TaskInfo is a task on the wire, in a page of tasks: a Task and what else is known.
type TaskInfo struct {
	Task
	BatchIndex int        `json:"batchIndex"`
	Target     string     `json:"targetVersion"`
	Waiting    bool       `json:"waiting,omitempty"` // running, but between two attempts
	Reason     ota.Reason `json:"reason"`            // how it ended, or why it waits
	Attempts   int        `json:"attempts"`
	StartedAt  Time       `json:"startedAt,omitzero"` // the last time
	EndedAt    Time       `json:"endedAt,omitzero"`
	DueAt      Time       `json:"dueAt,omitzero"`  // waiting: when the next attempt is due
	Error      string     `json:"error,omitempty"` // of the last failed attempt
}

// Summary counts a plan's agents. CompletedCount, FailedCount and PendingCount add up to TotalAgents.
type Summary struct {
	PlanID         string     `json:"planId"`
	Status         ota.Status `json:"status"`
	TotalAgents    int        `json:"totalAgents"`
	CompletedCount int        `json:"completedCount"` // succeeded, also those that were at the target already
	FailedCount    int        `json:"failedCount"`    // failed or unknown
	PendingCount   int        `json:"pendingCount"`   // all others: also running, skipped and canceled
	FailureRate    float64    `json:"failureRate"`    // FailedCount / TotalAgents
	RunningCount   int        `json:"runningCount"`   // of PendingCount: an attempt is running, or another will be
	WaitingCount   int        `json:"waitingCount"`   // of RunningCount: between two attempts
	SkippedCount   int        `json:"skippedCount"`
	CanceledCount  int        `json:"canceledCount"`
	UnknownCount   int        `json:"unknownCount"` // of FailedCount
}

// List is one page of a list that is paged by offset.
type List[T any] struct {
	Items  []T `json:"items"`
	Total  int `json:"total"` // how many match in all
	Limit  int `json:"limit"`
	Offset int `json:"offset"`
}

// TaskPage is one page of a plan's tasks.
type TaskPage struct {
	Items []TaskInfo `json:"items"`
	Next  string     `json:"nextCursor,omitempty"` // for ?cursor=; empty on the last page
}

// RollbackAnswer is what CreateRollbackPlan answers.
type RollbackAnswer struct {
	Plan     Plan     `json:"plan"`
	Warnings []string `json:"warnings"`
}

// Explanation is what ExplainPlan answers.
type Explanation struct {
	PlanID       string     `json:"planId"`
	Status       ota.Status `json:"status"`
	CurrentBatch int        `json:"currentBatch"`
	Sentence     string     `json:"sentence"` // the first blocker, or what the plan is doing
	Legal        []ota.Verb `json:"legal"`    // what may be said to the plan now; everything else would be refused, or change nothing
	Blockers     []Blocker  `json:"blockers"` // not empty while the plan has not ended and makes no progress
}

// Blocker is one thing that holds a plan back.
type Blocker struct {
	Reason   ota.Reason `json:"reason"`
	Sentence string     `json:"sentence"`
	Until    Time       `json:"until,omitzero"` // when it clears by itself
	Verb     string     `json:"verb,omitempty"` // what clears it
	With     string     `json:"with,omitempty"` // with which decision, and what else clears it
}

// DowngradeComponent is a component of CreateDowngradePlan, and where it is to go. All of it is required.
type DowngradeComponent struct {
	ComponentUUID string `json:"componentUuid"`
	ToVersion     string `json:"toVersion"`
	ToRelease     string `json:"toRelease"`
}

// HealthReport is one element of what ReportHealth is given.
type HealthReport struct {
	AgentID string    `json:"agentId"`
	Healthy bool      `json:"healthy"`
	At      time.Time `json:"at,omitzero"` // when it was so; zero means now
	Reason  string    `json:"reason,omitempty"`
}

// OutcomeReport is one element of what ReportOutcomes is given: how an attempt ended that its Executor waits for. The attempt is
// named by its Key alone, or by AgentID, Task and Number.
type OutcomeReport struct {
	Key       string     `json:"key,omitempty"` // ota.Attempt.Key
	AgentID   string     `json:"agentId,omitempty"`
	Task      int        `json:"task,omitempty"`      // which of the agent's tasks, from 0
	Number    int        `json:"number,omitempty"`    // which attempt, from 1
	Outcome   ota.Reason `json:"outcome"`             // succeeded, error, permanent, rejected, unreachable or throttled
	Version   string     `json:"version,omitempty"`   // what the agent runs now
	Unchanged bool       `json:"unchanged,omitempty"` // it was certainly not changed
	After     Duration   `json:"after,omitempty"`     // throttled: when it may be tried again; 0 means after a growing time
	Message   string     `json:"message,omitempty"`   // cut to 4 KiB
}

// Preview is what PreviewPlan answers: what a plan would be.
type Preview struct {
	TotalAgents      int     `json:"totalAgents"`
	FailureThreshold float64 `json:"failureThreshold"`
	Concurrency      int     `json:"concurrency"`
	ObserveDuration  string  `json:"observeDuration,omitempty"`
	Policy
	Batches        []PreviewBatch `json:"batches"`
	Warnings       []string       `json:"warnings"`
	Conflicts      []Conflict     `json:"conflicts"`          // agents that active plans hold now, at most 32
	TotalConflicts int            `json:"totalConflicts"`     // how many there are
	Duration       Duration       `json:"duration,omitempty"` // how long it takes at least; with callDuration only
}

// PreviewBatch is a batch that would be.
type PreviewBatch struct {
	BatchIndex        int       `json:"batchIndex"`
	Name              string    `json:"name,omitempty"`
	Agents            int       `json:"agents"` // how many
	ToleratedFailures int       `json:"toleratedFailures"`
	BeginsAfter       *Duration `json:"beginsAfter,omitempty"` // from the plan's start on, at the earliest; with callDuration only
	EndsAfter         *Duration `json:"endsAfter,omitempty"`   // likewise
}

// Precheck is what Precheck answers.
type Precheck struct {
	Allowed bool           `json:"allowed"` // every item has passed
	Items   []PrecheckItem `json:"items"`
}

// PrecheckItem is one check: agent-connectivity, agent-version, agent-conflict, maintenance-window or executor.
type PrecheckItem struct {
	Name    string `json:"name"`
	Passed  bool   `json:"passed"`
	Message string `json:"message"` // what was found, with at most 32 agents by name
	Fix     string `json:"fix"`     // what can be done about it; empty when it has passed
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
	Logs        string `json:"logs"`   // in a list: the last error; by itself: what every attempt said, one a line
	StartedAt   Time   `json:"startedAt,omitzero"`
	CompletedAt Time   `json:"completedAt,omitzero"`
	Operator    string `json:"operator,omitempty"`  // by itself only: who started the plan
	CreateDate  Time   `json:"createDate,omitzero"` // by itself only: when the plan was made
}

// Time is a time on the wire: RFC 3339 in UTC, whole seconds.
type Time struct{ time.Time }

// MarshalJSON writes for example "2026-01-15T08:00:00Z".
func (t Time) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(make([]byte, 0, 22), `"2006-01-02T15:04:05Z"`), nil
}

// Duration is a length of time on the wire: a Go duration such as "30m0s", and "none" for ota.NoLimit.
type Duration time.Duration

// MarshalJSON writes a string.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// String returns a Go duration, or "none".
func (d Duration) String() string {
	if time.Duration(d) == ota.NoLimit {
		return "none"
	}
	return time.Duration(d).String()
}

// UnmarshalJSON reads what MarshalJSON writes, and ISO 8601 and seconds.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, ok := duration.Parse(s)
	if s == "none" {
		v, ok = ota.NoLimit, true
	}
	if !ok {
		return fmt.Errorf("httpapi: %q is no duration", s)
	}
	*d = Duration(v)
	return nil
}
