package wire

import (
	"time"

	"github.com/seed-19b57ce3/ota"
)

// The types of this file are the table of a policy's members. Each field is one row: it has the
// name of the field of ota.Policy that it stands for, the name of the member as its json tag, and
// its kind as its type. Package internal/policy reads the table: the server decodes and answers by
// it, the client encodes by it, and tests compare it with ota.Policy and with openapi.json.
//
// A tag `policy:"…"` narrows what a request may have. "1..100" is the range of a number; without
// it, a number is from 0 to 1,000,000. "limit" is a length of time that is more than 0, or "none".
// "clock" is a time of day. A tag `allowed:"…"` says in other words what a number may be.

// RollbackPolicy is a whole policy: that of a rollback, in a RollbackTemplate.
type RollbackPolicy struct {
	FailureThreshold float64 `json:"failureThreshold"`
	Concurrency      int     `json:"concurrency" policy:"1..1000000"`
	Policy
}

// Policy is a policy without the two members that are a plan's own. Its fields mean what those of
// ota.Policy mean. In an answer they lie beside the plan's, and defaults are filled in.
type Policy struct {
	Scope              ota.Scope             `json:"scope"`
	OnBreach           ota.Action            `json:"onBreach"`
	Reserve            bool                  `json:"reserve"`
	Hold               Hold                  `json:"hold"`
	Soak               Soak                  `json:"observe"`
	Retry              RetryPolicy           `json:"retry"`
	AttemptTimeout     Duration              `json:"attemptLimit" policy:"limit"`
	UnreachableTimeout Duration              `json:"queueLimit" policy:"limit"`
	OnUnreachable      ota.UnreachableAction `json:"onAway"`
	MaxAbandoned       int                   `json:"maxAbandoned" policy:"1..1000000"`

	Windows        []Window   `json:"windows,omitempty"`
	BatchTimeout   Duration   `json:"batchLimit"` // "0s": none
	PlanTimeout    Duration   `json:"planLimit"`  // "0s": none
	MaxConsecutive int        `json:"maxConsecutive"`
	Rate           Rate       `json:"rate"`
	Gate           Gate       `json:"gate"`
	Complete       Complete   `json:"complete"`
	Stragglers     Stragglers `json:"stragglers"`

	Stages  []Stage  `json:"stages,omitempty"`
	Halve   bool     `json:"halve"`
	Budgets []Budget `json:"budgets,omitempty"`
	Expect  *Expect  `json:"expect,omitempty"` // left out: none
}

// Expect is ota.Expect on the wire.
type Expect struct {
	Normal float64 `json:"normal"`
	Alpha  float64 `json:"alpha"`
}

// Hold is ota.Hold on the wire.
type Hold struct {
	All     bool  `json:"every,omitempty"`
	Batches []int `json:"batches,omitempty" policy:"1..1073741824"`
}

// Stage is ota.Stage on the wire. A member that is absent is as in the policy.
type Stage struct {
	Batch            int       `json:"batch" policy:"0..1073741823"`
	Soak             *Duration `json:"wait,omitempty"`
	FailureThreshold *float64  `json:"failureThreshold,omitempty"`
	Concurrency      int       `json:"concurrency,omitempty"`
	Hold             *bool     `json:"hold,omitempty"`
}

// Soak is ota.Soak on the wire. Its Duration and a plan's observeDuration are the same.
type Soak struct {
	Duration Duration `json:"wait"`
	Stable   Duration `json:"stable"`
	Grace    Duration `json:"retry"`
	Interval Duration `json:"probe"`
	ToEnd    bool     `json:"toEnd"`
	Misses   int      `json:"misses" policy:"-1..1000"`
	Sample   int      `json:"sample" policy:"0..1000000"`
	Compare  int      `json:"compare" policy:"-1..1000"`
}

// RetryPolicy is ota.RetryPolicy on the wire.
type RetryPolicy struct {
	Max        int      `json:"max" policy:"0..100"`
	Backoff    Duration `json:"backoff"`
	MaxBackoff Duration `json:"maxBackoff"`
}

// Rate is ota.Rate on the wire.
type Rate struct {
	Starts int      `json:"starts"`
	Per    Duration `json:"per"`
}

// Gate is ota.Gate on the wire.
type Gate struct {
	Interval        Duration `json:"every"`
	MaxInconclusive int      `json:"maxInconclusive"`
	MaxErrors       int      `json:"maxErrors"`
}

// Complete is ota.Complete on the wire.
type Complete struct {
	Min    float64  `json:"min"`
	Within Duration `json:"within"`
}

// Stragglers is ota.Stragglers on the wire.
type Stragglers struct {
	Share float64  `json:"share"`
	After Duration `json:"after"`
}

// Budget is ota.Budget on the wire.
type Budget struct {
	Label  string         `json:"label"`
	Max    int            `json:"max,omitempty"`
	Each   map[string]int `json:"each,omitempty" policy:"1..1000000"`
	Values int            `json:"values,omitempty" policy:"0..64"`
	Of     ota.BudgetOf   `json:"of"`
}

// Window is ota.Window on the wire.
type Window struct {
	Days   []time.Weekday `json:"days,omitempty" policy:"0..6" allowed:"0 (Sunday) to 6 (Saturday)"`
	Start  Duration       `json:"start" policy:"clock"`
	Length Duration       `json:"length"`
	Zone   string         `json:"zone,omitempty"`
	Margin Duration       `json:"margin"`
}
