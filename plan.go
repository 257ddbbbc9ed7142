package ota

import (
	"iter"
	"strings"
	"time"
)

// Spec is what a user asks for. Create turns it into a Plan.
type Spec struct {
	// ID is the plan's ID, 1 to 128 characters of [A-Za-z0-9._~-]; empty means "plan-" and a random UUID.
	ID string
	// Name is for people. Required, at most 255 bytes.
	Name string
	// FromVersion and FromRelease are what the fleet runs now. A rollback takes agents whose own version is not known
	// back to FromVersion, and leaves them out when that is empty too. At most 255 bytes each. Of every version and
	// release, of agents and tasks too, the blanks and ends of lines around it are dropped; one of blanks alone is refused.
	FromVersion, FromRelease string
	// ToVersion and ToRelease are the target. ToVersion is required. At most 255 bytes each.
	ToVersion, ToRelease string
	// Agents yields the agents in the order in which they are to be upgraded, and is read once, to its end, by Create. An error
	// that it yields ends Create with that error. Agents are not held in memory unless the shape shuffles them.
	Agents iter.Seq2[Agent, error]
	// Shape cuts the agents into batches.
	Shape Shape
	// Policy is how fast, how careful, and what to do when it goes wrong.
	Policy Policy
	// Rollback is how the plan is rolled back when a breach says so. Nil is the zero RollbackSpec.
	Rollback *RollbackSpec
	// CreatedBy is a claim about who made the plan, for people. At most 255 bytes.
	CreatedBy string
	// Actor is who really calls Create, for the plan's history. Empty means CreatedBy. At most 255 bytes.
	Actor string
	// Labels are fixed for the plan's life, and Plans finds plans by them. At most 64 of 255 bytes each.
	Labels map[string]string
	// Annotations are kept with the plan for whoever wrote them, and may be changed by Annotate. At most 64, values of
	// at most 64 KiB.
	Annotations map[string]string
	// RequestKey makes Create idempotent: a second Create with the same key and the same Fingerprint returns the first
	// plan, one with another Fingerprint is refused with ErrExists. Empty means none. At most 255 bytes.
	RequestKey string
	// Fingerprint tells two requests with one key apart, for example a hash of a request's body. At most 255 bytes.
	Fingerprint string
}

// Plan is a plan as it stands at one moment: a value, a copy, nobody's state.
type Plan struct {
	ID           string            `json:"id"`
	Name         string            `json:"name"`
	FromVersion  string            `json:"fromVersion"`
	FromRelease  string            `json:"fromRelease"`
	ToVersion    string            `json:"toVersion"`
	ToRelease    string            `json:"toRelease"`
	CreatedBy    string            `json:"createdBy,omitempty"`
	CreatedAt    time.Time         `json:"createdAt"` // UTC, as all times here
	StartedAt    time.Time         `json:"startedAt,omitzero"`
	PausedAt     time.Time         `json:"pausedAt,omitzero"` // while pausing or paused: since when
	EndedAt      time.Time         `json:"endedAt,omitzero"`
	Labels       map[string]string `json:"labels,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	Policy       Policy            `json:"policy"` // the present one, defaults filled in
	Status       Status            `json:"status"`
	Agents       int               `json:"agents"`  // how many it has
	Batches      int               `json:"batches"` // how many it has
	Batch        int               `json:"batch"`   // index of the current one; the last one reached when ended
	Counts       Counts            `json:"counts"`  // its agents by status
	Tasks        Counts            `json:"tasks"`   // its tasks by status
	Changed      int               `json:"touched"` // agents that may have been changed
	Paused       *Audit            `json:"paused,omitempty"`
	Breaches     []Breach          `json:"breaches,omitempty"`   // those that stand
	Components   []string          `json:"components,omitempty"` // names of the components that its tasks are about, in order
	Source       string            `json:"source,omitempty"`     // of a rollback plan: the plan it takes back
	RollbackPlan string            `json:"rollback,omitempty"`   // its rollback plan, when it has one
	RollbackSpec *RollbackSpec     `json:"template,omitempty"`   // Spec.Rollback: of the rollback that a breach asks for
	Warnings     []string          `json:"warnings,omitempty"`   // what is legal but deserves a look
	Readiness    *Readiness        `json:"readiness,omitempty"`  // what the last Precheck has found
	Generation   uint64            `json:"control"`              // changes with every verb and new breach, and with the end; not with progress
	Revision     uint64            `json:"revision"`             // number of its newest log record
	Owner        string            `json:"owner,omitempty"`      // the engine that drove it last
}

// InFlight is how many agents have a call of the Executor out.
func (p Plan) InFlight() int { return p.Counts.Running }

// check adds every mistake of s, besides those of its agents, to m.
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
	checkMap(m, "annotations", s.Annotations, maxAnnotation)
	if s.Agents == nil {
		m.add("agents", "", "are missing", "at least one")
	}
	s.Shape.check(m)
	if s.Rollback != nil {
		s.Rollback.check(m)
	}
	s.Policy.check(m, len(s.Shape.Batches))
}

// RollbackSpec is what may be different about a rollback plan. The zero value gives the name "Rollback of …" and the
// source's labels and present policy, without its list of held batches. Versions, agents and batches follow from the
// source. A Spec may hold one, for the rollback that a breach asks for; CreateRollback and Rollback take their own, and
// nothing of the Spec's.
type RollbackSpec struct {
	Name        string            `json:"name,omitempty"`        // at most 255 bytes
	Labels      map[string]string `json:"labels,omitempty"`      // besides the source's, or in their place; at most 64 of 255 bytes each
	Annotations map[string]string `json:"annotations,omitempty"` // the source's are not taken over; at most 64, values of at most 64 KiB
	// Policy is the whole policy, instead of the source's. To change one thing, begin with a copy of Plan.Policy. What stays
	// the source's and makes the rollback slow is in the rollback plan's Warnings.
	Policy *Policy `json:"policy,omitempty"`
	// Interrupt ends the contexts of the source's calls in flight when the rollback starts; otherwise they drain.
	Interrupt bool `json:"interrupt,omitempty"`
}

func (s RollbackSpec) check(m *mistakes) {
	checkText(m, "rollback.name", s.Name, maxText)
	checkMap(m, "rollback.labels", s.Labels, maxText)
	checkMap(m, "rollback.annotations", s.Annotations, maxAnnotation)
	if s.Policy != nil {
		m.in = "rollback."
		s.Policy.check(m, 0)
		m.in = ""
	}
}
