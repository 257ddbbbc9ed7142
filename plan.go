package ota

import (
	"iter"
	"strings"
	"time"
)

// Spec is what a user asks for. Create turns it into a Plan.
type Spec struct {
	// ID is the plan's ID, 1 to 128 characters of [A-Za-z0-9._~-]. Empty means "plan-" and a
	// random UUID.
	ID string
	// Name is for people. Required, at most 255 bytes.
	Name string
	// FromVersion and FromRelease are what the fleet runs now. A rollback brings agents without a
	// known version of their own back to FromVersion; if that is empty too, it leaves them out. At
	// most 255 bytes each. Spaces and line ends around a version or release are dropped, also
	// those of agents and tasks; a version of spaces alone is refused.
	FromVersion, FromRelease string
	// ToVersion and ToRelease are the target. ToVersion is required. At most 255 bytes each.
	ToVersion, ToRelease string
	// Agents yields the agents in the order in which they are to be upgraded. Create reads it
	// once, to its end. An error that it yields ends Create with that error. Agents are kept in
	// memory only if the shape needs their number first (Percent) or another order of them (Shuffle,
	// Represent, First, Last).
	Agents iter.Seq2[Agent, error]
	// Shape cuts the agents into batches.
	Shape Shape
	// Policy is how fast, how careful, and what to do when it goes wrong.
	Policy Policy
	// Rollback is how the plan is rolled back when a breach asks for it. Nil means the zero
	// RollbackSpec.
	Rollback *RollbackSpec
	// CreatedBy is the name of the person who made the plan, as claimed by the caller, for people.
	// At most 255 bytes.
	CreatedBy string
	// Actor is the real caller of Create, for the plan's history. Empty means CreatedBy. At most
	// 255 bytes.
	Actor string
	// Labels never change, and Plans finds plans by them. At most 64, of 255 bytes each.
	Labels map[string]string
	// Index names labels of agents by which a query of agents is as fast in a large plan as in a
	// small one (AgentQuery.Label). At most 4 different names, of 255 bytes each.
	Index []string
	// Annotations are kept with the plan for programs that use it; Annotate changes them. At most
	// 64, with values of at most 64 KiB.
	Annotations map[string]string
	// RequestKey makes Create idempotent: a second Create with the same key and the same
	// Fingerprint returns the first plan. With another Fingerprint it is refused with ErrExists.
	// Empty means none. At most 255 bytes.
	RequestKey string
	// Fingerprint distinguishes two requests with one key, for example a hash of a request's body.
	// At most 255 bytes.
	Fingerprint string
}

// Plan is a snapshot of a plan: a copy that shares no state with the engine.
type Plan struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	FromVersion string            `json:"fromVersion"`
	FromRelease string            `json:"fromRelease"`
	ToVersion   string            `json:"toVersion"`
	ToRelease   string            `json:"toRelease"`
	CreatedBy   string            `json:"createdBy,omitempty"`
	CreatedAt   time.Time         `json:"createdAt"` // UTC, as all times here
	StartedAt   time.Time         `json:"startedAt,omitzero"`
	PausedAt    time.Time         `json:"pausedAt,omitzero"` // while pausing or paused: since when
	EndedAt     time.Time         `json:"endedAt,omitzero"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Policy      Policy            `json:"policy"` // the present one, with defaults filled in
	Status      Status            `json:"status"`
	Agents      int               `json:"agents"`  // number of its agents
	Batches     int               `json:"batches"` // number of its batches
	// Tolerated is how many of its agents may fail before a breach, once all have begun. With
	// ScopeBatch and ScopeFirst, its batches may tolerate less.
	Tolerated int      `json:"tolerated"`
	Batch     int      `json:"batch"`    // current one; when ended: the last reached
	Counts    Counts   `json:"counts"`   // its agents by status
	Tasks     Counts   `json:"tasks"`    // its tasks by status
	Changed   int      `json:"touched"`  // agents that may have been changed
	Coverage  Coverage `json:"coverage"` // how many of its agents are at the target
	// Waiting is what holds the plan. Nil: it makes progress, or has ended.
	Waiting      *Waiting      `json:"waiting,omitempty"`
	Paused       *Audit        `json:"paused,omitempty"`
	Breaches     []Breach      `json:"breaches,omitempty"`   // the open ones
	Components   []string      `json:"components,omitempty"` // of its tasks, by name, sorted
	Source       string        `json:"source,omitempty"`     // of a rollback: the plan rolled back
	RollbackPlan string        `json:"rollback,omitempty"`   // ID of its rollback plan
	RollbackSpec *RollbackSpec `json:"template,omitempty"`   // Spec.Rollback
	Warnings     []string      `json:"warnings,omitempty"`   // possible mistakes; see Create
	Readiness    *Readiness    `json:"readiness,omitempty"`  // result of the last Precheck
	// Generation changes with every verb and new breach, and with the end; not with progress.
	Generation uint64 `json:"control"`
	Revision   uint64 `json:"revision"`        // number of its newest log record
	Owner      string `json:"owner,omitempty"` // name of its last engine
}

// InFlight returns how many agents have a call of the Executor in flight.
func (p Plan) InFlight() int { return p.Counts.Running }

// check adds every mistake of s to m, except those of its agents.
func (s Spec) check(m *mistakes) {
	if s.ID != "" && !safeID(s.ID) {
		m.add("id", s.ID, "is not a legal plan ID", "1 to 128 characters of A-Z a-z 0-9 . _ ~ -")
	}
	for _, f := range []struct {
		field, value string
		required     bool
	}{
		{"name", s.Name, true},
		{"fromVersion", s.FromVersion, false},
		{"fromRelease", s.FromRelease, false},
		{"toVersion", s.ToVersion, true},
		{"toRelease", s.ToRelease, false},
		{"createdBy", s.CreatedBy, false},
		{"actor", s.Actor, false},
		{"requestKey", s.RequestKey, false},
		{"fingerprint", s.Fingerprint, false},
	} {
		if f.required && f.value == "" {
			m.add(f.field, "", "is missing", "1 to 255 bytes")
		}
		if strings.HasSuffix(f.field, "Version") || strings.HasSuffix(f.field, "Release") {
			checkVersion(m, f.field, f.value)
		} else {
			checkText(m, f.field, f.value, maxText)
		}
	}
	checkMap(m, "labels", s.Labels, maxText)
	checkIndex(m, s.Index)
	checkMap(m, "annotations", s.Annotations, maxAnnotation)
	if s.Agents == nil {
		m.add("agents", "", "are missing", "at least one")
	}
	s.Shape.check(m)
	if s.Rollback != nil {
		s.Rollback.check(m)
	}
	s.Policy.check(m, len(s.Shape.Batches))
	checkRepresented(m, s.Shape.Represent, s.Policy.Budgets)
}

// Audit records who did something, when and why.
type Audit struct {
	At     time.Time `json:"at"`
	Actor  string    `json:"actor,omitempty"`
	Reason string    `json:"reason,omitempty"`
}
