package ota

import (
	"fmt"
	"iter"
	"maps"
	"strconv"
	"strings"
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
	Policy      Policy            `json:"policy"` // the present one, defaults filled in
	Status      Status            `json:"status"`
	Agents      int               `json:"agents"`  // how many it has
	Batches     int               `json:"batches"` // how many it has
	Batch       int               `json:"batch"`   // index of the current one; the last one reached when ended
	Counts      Counts            `json:"counts"`  // its agents by status
	Tasks       Counts            `json:"tasks"`   // its tasks by status
	Touched     int               `json:"touched"` // agents that may have been changed
	Paused      *Stamp            `json:"paused,omitempty"`
	Breaches    []Breach          `json:"breaches,omitempty"`   // those that stand
	Components  []string          `json:"components,omitempty"` // names of the components that its tasks are about, in order
	Source      string            `json:"source,omitempty"`     // of a rollback plan: the plan it takes back
	Rollback    string            `json:"rollback,omitempty"`   // its rollback plan, when it has one
	Template    *RollbackSpec     `json:"template,omitempty"`   // Spec.Rollback: of the rollback that a breach asks for
	Warnings    []string          `json:"warnings,omitempty"`   // what is legal but deserves a look
	Readiness   *Readiness        `json:"readiness,omitempty"`  // what the last Precheck has found
	Control     uint64            `json:"control"`              // changes with every verb and new breach, and with the end; not with progress
	Revision    uint64            `json:"revision"`             // number of its newest log record
	Owner       string            `json:"owner,omitempty"`      // the engine that drove it last
}

// InFlight is how many agents have a call of the Executor out.
func (p Plan) InFlight() int { return p.Counts.Running }

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
	AtTarget  int `json:"atTarget"` // of Succeeded: those that needed nothing
}

// move counts one with another status than before.
func (c *Counts) move(from, to TaskStatus) {
	*c.of(from)--
	*c.of(to)++
}

// of returns the counter of one status, nil when there is none.
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

// Of is how many are counted with one status.
func (c Counts) Of(s TaskStatus) int {
	if n := c.of(s); n != nil {
		return *n
	}
	return 0
}

// Total is how many are counted.
func (c Counts) Total() int {
	return c.Pending + c.Running + c.Waiting + c.Succeeded + c.Failed + c.Skipped + c.Canceled + c.Unknown
}

// Bad is what counts as failed: failed and unknown.
func (c Counts) Bad() int { return c.Failed + c.Unknown }

// Stamp says who did something, when and why.
type Stamp struct {
	At     time.Time `json:"at"`
	Actor  string    `json:"actor,omitempty"`
	Reason string    `json:"reason,omitempty"`
}

// Breach is a verdict that struck. It is a record, not a condition: it stands until Resume answers it.
type Breach struct {
	Number    uint64    `json:"number"` // of all breaches of the plan, from 1
	Reason    Reason    `json:"reason"`
	Batch     int       `json:"batch"` // the batch it was judged in, -1 for the whole plan
	At        time.Time `json:"at"`
	Action    Action    `json:"action"`
	Failed    int       `json:"failed"`    // failed agents, when it struck
	Tolerated int       `json:"tolerated"` // how many were tolerated
	Size      int       `json:"size"`      // out of how many
	Text      string    `json:"text,omitempty"`
}

// String returns one sentence with the numbers, for example
// "Failure threshold exceeded: 2 of 10 failed in batch 3, tolerates 1".
func (b Breach) String() string {
	s := b.Reason.Sentence()
	if b.Size > 0 {
		where := ""
		if b.Batch >= 0 {
			where = " in batch " + strconv.Itoa(b.Batch)
		}
		s += fmt.Sprintf(": %d of %d failed%s, tolerates %d", b.Failed, b.Size, where, b.Tolerated)
	}
	if b.Text != "" {
		s += ": " + b.Text
	}
	return s
}

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

func safeID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '_', c == '~', c == '-':
		default:
			return false
		}
	}
	return true
}

func cloneMap(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return maps.Clone(m)
}
