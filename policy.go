package ota

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// What a Policy holds where nothing is given.
const (
	DefaultBatchSize          = 10
	DefaultConcurrency        = 5
	DefaultFailureThreshold   = 0.1
	DefaultAttemptTimeout     = 30 * time.Minute
	DefaultUnreachableTimeout = time.Hour
	DefaultSoakInterval       = 10 * time.Second
	DefaultGateInterval       = 30 * time.Second
)

// NoTimeout switches AttemptTimeout or UnreachableTimeout off.
const NoTimeout = time.Duration(math.MaxInt64)

// Policy is the part of a plan that may be edited while the plan runs: how fast, how careful, and what to do when it
// goes wrong. The zero value is the documented default of every field.
type Policy struct {
	// Concurrency is the most agents that may be open at once: running, or holding their slot between two attempts.
	// 1 or more; 0 means DefaultConcurrency.
	Concurrency int `json:"concurrency"`

	// FailureThreshold is the largest fraction of failed agents that is tolerated, 0 to 1: a breach is more than it.
	// 0 strikes at the first failure, 1 never; nil means DefaultFailureThreshold. See Tolerated.
	FailureThreshold *float64 `json:"failureThreshold,omitempty"`

	// Scope is what FailureThreshold is a fraction of: the agents of each batch (the default) or of the plan.
	Scope Scope `json:"scope"`

	// OnBreach is what happens when more fail than tolerated.
	OnBreach Action `json:"onBreach"`

	// Halve halves Concurrency after every batch in which an agent failed, down to 1, and doubles it again, up to
	// Concurrency, after every batch in which none did.
	Halve bool `json:"halve,omitempty"`

	// Reserve starts an agent only while failed + open is at most the tolerated number, so that at most one agent more
	// than tolerated can ever fail during upgrade. So at most tolerated + 1 are open at once, whatever Concurrency says; with nothing
	// tolerated, agents go one at a time.
	Reserve bool `json:"reserve,omitempty"`

	// Budget bounds how many agents with one value of a label are open at once.
	Budget Budget `json:"budget,omitzero"`

	// Hold names the batches that wait for Promote before they begin.
	Hold Hold `json:"hold,omitzero"`

	// Windows are the maintenance windows: agents are started only while one of them is open, also for a retry and for a
	// repeat after a crash. Calls that were made go on outside of them, and so does what is observed. None: always open.
	// At most 64. A rollback plan has those of its source, unless RollbackSpec gives it another policy; Edit lifts them.
	Windows []Window `json:"windows,omitempty"`

	// Observe is how long, and how, every batch is watched after its last agent was settled.
	Soak Soak `json:"observe,omitzero"`

	// Retry says how often, and when, an attempt that failed is tried again.
	Retry RetryPolicy `json:"retry,omitzero"`

	// AttemptTimeout bounds one call of the Executor; its context ends then and the attempt has timed out. Positive, or
	// NoTimeout; 0 means DefaultAttemptTimeout.
	AttemptTimeout time.Duration `json:"attemptLimit"`

	// UnreachableTimeout is how long an agent may stay unreachable or throttled, counted from the first such answer; the next
	// such answer after it is its last. Positive, or NoTimeout; 0 means DefaultUnreachableTimeout.
	UnreachableTimeout time.Duration `json:"queueLimit"`

	// OnUnreachable is what becomes of an agent that was away until its last answer.
	OnUnreachable UnreachableAction `json:"onAway"`

	// BatchTimeout and PlanTimeout bound how long a batch and the plan may take from their start, but for the time the plan was
	// paused. A limit that has passed is a breach. More than 0; 0 means none.
	BatchTimeout time.Duration `json:"batchLimit,omitempty"`
	PlanTimeout  time.Duration `json:"planLimit,omitempty"`

	// MaxConsecutive is how many agents may fail in a row, whatever batch they are in; one more is a breach, and the
	// count begins anew. 1 or more; 0 means that nobody counts.
	MaxConsecutive int `json:"maxConsecutive,omitempty"`

	// Rate bounds how many attempts are started in a time. The zero value does not.
	Rate Rate `json:"rate,omitzero"`

	// Gate says how a Gater is asked after every batch. It means nothing where the Executor is none.
	Gate Gate `json:"gate,omitzero"`

	// MaxAbandoned is how many calls may be left behind, because they did not return after their limit, before the
	// plan pauses itself. 0 means the plan's Concurrency.
	MaxAbandoned int `json:"maxAbandoned,omitempty"`
}

// Scope is what a failure threshold is a fraction of.
type Scope uint8

// The scopes of a failure threshold.
const (
	ScopeBatch Scope = iota // each batch by itself
	ScopePlan               // the plan as a whole
)

var scopes = enum[Scope]{"scope", []string{"batch", "plan"}}

// Action is what happens when a verdict strikes. When several strike in one instant the strongest wins: rollback, then
// pause, then continue.
type Action uint8

// The actions on a breach.
const (
	ActionPause    Action = iota // start nothing more and wait for a decision
	ActionRollback               // start nothing more and take back what was touched; with nothing touched, pause
	ActionContinue               // record it and go on
)

var actions = enum[Action]{"action", []string{"pause", "rollback", "continue"}}

// UnreachableAction is what becomes of an agent that stayed away.
type UnreachableAction uint8

// What may become of an agent that stayed away.
const (
	UnreachableFails   UnreachableAction = iota // it fails, and counts as failed
	UnreachableSkipped                          // it is skipped, and does not
)

var unreachableActions = enum[UnreachableAction]{"away action", []string{"fail", "skip"}}

// Hold says which batches wait for Promote. The zero value holds none. The first batch is never held: it needs only
// Start.
type Hold struct {
	All     bool  `json:"every,omitempty"`   // every batch but the first
	Batches []int `json:"batches,omitempty"` // these, by index from 0; 1 or more
}

func (h Hold) holds(batch int) bool {
	return batch > 0 && (h.All || slices.Contains(h.Batches, batch))
}

// Observe is the soak after a batch. The zero value observes nothing. The last batch is observed like the others.
type Soak struct {
	// Wait is how long a batch is watched at least, counted from the settling of its last agent. 0 or more.
	Duration time.Duration `json:"wait,omitempty"`
	// Stable is how long, after Wait, all agents of the batch must have been healthy without a break. 0 or more.
	Stable time.Duration `json:"stable,omitempty"`
	// Retry is how long an agent may be unhealthy before it fails; a healthy report in between starts it anew. 0 means
	// that the first unhealthy report counts.
	Grace time.Duration `json:"retry,omitempty"`
	// Probe is the time between two rounds of questions to a Prober. 0 means DefaultSoakInterval.
	Interval time.Duration `json:"probe,omitempty"`
	// ToEnd goes on watching the agents of batches that have passed, until the plan ends: a report that one of them is
	// unhealthy counts, at once, whatever Retry says, and each observation of a later batch asks about them too.
	ToEnd bool `json:"toEnd,omitempty"`
}

// None reports whether nothing is observed.
func (o Soak) None() bool { return o.Duration == 0 && o.Stable == 0 }

// Rate is a number of starts in a time. Starts are spread evenly: what was not used is not saved up beyond a tenth of a second's worth,
// nor by a crash.
type Rate struct {
	Starts int           `json:"starts,omitempty"` // 1 to 1,000,000; 0 means no rate
	Per    time.Duration `json:"per,omitempty"`    // more than 0; 0 means a minute
}

// interval is the time between two starts.
func (r Rate) interval() int64 { return max(int64(r.Per)/int64(max(r.Starts, 1)), 1) }

// burst is how many starts may be made at once.
func (r Rate) burst() int64 { return max(1, int64(100*time.Millisecond)/r.interval()) }

// Gate is how often a Gater that gives no clear answer is asked again before the plan pauses.
type Gate struct {
	// Every is the time between two questions. 0 means DefaultGateInterval.
	Interval time.Duration `json:"every,omitempty"`
	// MaxInconclusive is how many inconclusive answers a batch may get; one more is a breach that pauses. 0 or more.
	MaxInconclusive int `json:"maxInconclusive,omitempty"`
	// MaxErrors is how many errors a batch may get in place of an answer; one more is a breach that pauses. 0 or more.
	MaxErrors int `json:"maxErrors,omitempty"`
}

// Retry is when a failed attempt is tried again. The zero value never does.
type RetryPolicy struct {
	// Max is how many attempts may follow the first. 0 to 100.
	Max int `json:"max,omitempty"`
	// Backoff is the wait before the first retry; each further one doubles it. A wait is shortened by up to half, by a
	// hash of the attempt, so that agents which failed together do not return together. 0 or more.
	Backoff time.Duration `json:"backoff,omitempty"`
	// MaxBackoff caps the wait. 0 means no cap.
	MaxBackoff time.Duration `json:"maxBackoff,omitempty"`
}

// withDefaults returns p with every zero that means a default replaced by it.
func (p Policy) withDefaults() Policy {
	if p.Concurrency == 0 {
		p.Concurrency = DefaultConcurrency
	}
	threshold := DefaultFailureThreshold
	if p.FailureThreshold != nil {
		threshold = *p.FailureThreshold
	}
	p.FailureThreshold = &threshold
	if p.AttemptTimeout == 0 {
		p.AttemptTimeout = DefaultAttemptTimeout
	}
	if p.UnreachableTimeout == 0 {
		p.UnreachableTimeout = DefaultUnreachableTimeout
	}
	if p.Soak.Interval == 0 {
		p.Soak.Interval = DefaultSoakInterval
	}
	if p.Gate.Interval == 0 {
		p.Gate.Interval = DefaultGateInterval
	}
	if p.MaxAbandoned == 0 {
		p.MaxAbandoned = p.Concurrency
	}
	if p.Rate.Starts > 0 && p.Rate.Per == 0 {
		p.Rate.Per = time.Minute
	}
	p.Hold.Batches = slices.Clone(p.Hold.Batches)
	p.Windows = cloneWindows(p.Windows)
	return p
}

// maxConcurrency keeps every sum of slots within an int32.
const maxConcurrency = 1_000_000

// check adds every mistake of p to m. batches is the number of batches, or 0 when that is not known
// yet.
func (p Policy) check(m *mistakes, batches int) {
	m.numbers(numberRule{"concurrency", p.Concurrency, 0, maxConcurrency, "1 to 1000000; 0 means 5"})
	if t := p.FailureThreshold; t != nil {
		m.fraction("failureThreshold", *t, 0, 1, "0 to 1, as a fraction: 0.1 tolerates one of ten")
	}
	scopes.check(m, "scope", p.Scope)
	actions.check(m, "onBreach", p.OnBreach)
	unreachableActions.check(m, "onAway", p.OnUnreachable)
	p.Budget.check(m)
	if p.Reserve && p.OnBreach == ActionContinue {
		m.add("reserve", "true", "does not go with going on after a breach: it would wait for ever", "with onBreach pause or rollback")
	}
	p.Hold.check(m, batches)
	m.durations(p.durations()...)
	m.numbers(
		numberRule{"retry.max", p.Retry.Max, 0, 100, "0 to 100"},
		numberRule{"rate.starts", p.Rate.Starts, 0, 1_000_000, "1 to 1000000; 0 means no rate"},
		numberRule{"maxConsecutive", p.MaxConsecutive, 0, noMost, "0 or more"},
		numberRule{"gate.maxInconclusive", p.Gate.MaxInconclusive, 0, noMost, "0 or more"},
		numberRule{"gate.maxErrors", p.Gate.MaxErrors, 0, noMost, "0 or more"},
		numberRule{"maxAbandoned", p.MaxAbandoned, 0, noMost, "1 or more; 0 means the concurrency"},
	)
	checkWindows(m, p.Windows)
	p.checkWindowUnits(m)
}

// durations are the rules of the policy's durations, besides those of its windows.
func (p Policy) durations() []durationRule {
	return []durationRule{
		{"observe.wait", p.Soak.Duration, maxDuration, durationAllowed},
		{"observe.stable", p.Soak.Stable, maxDuration, durationAllowed},
		{"observe.retry", p.Soak.Grace, maxDuration, durationAllowed},
		{"observe.probe", p.Soak.Interval, maxDuration, durationAllowed},
		{"retry.backoff", p.Retry.Backoff, maxDuration, durationAllowed},
		{"retry.maxBackoff", p.Retry.MaxBackoff, maxDuration, durationAllowed},
		{"batchLimit", p.BatchTimeout, maxDuration, durationAllowed},
		{"planLimit", p.PlanTimeout, maxDuration, durationAllowed},
		{"rate.per", p.Rate.Per, maxDuration, durationAllowed},
		{"gate.every", p.Gate.Interval, maxDuration, durationAllowed},
		{"attemptLimit", p.AttemptTimeout, NoTimeout, "1ms or more, or NoTimeout; 0 means 30m"},
		{"queueLimit", p.UnreachableTimeout, NoTimeout, "1ms or more, or NoTimeout; 0 means 1h"},
	}
}

// checkWindowUnits adds a mistake for each duration of a window that has no unit.
func (p Policy) checkWindowUnits(m *mistakes) {
	for i, w := range p.Windows[:min(len(p.Windows), maxWindows)] {
		at := fmt.Sprintf("windows[%d].", i)
		checkUnit(m, at+"start", w.Start, "0 to less than 24h")
		checkUnit(m, at+"length", w.Length, "1ms to 168h")
		checkUnit(m, at+"margin", w.Margin, "0, or 1ms to less than the length")
	}
}

// check adds a mistake for each batch that cannot be held. batches is as in Policy.check.
func (h Hold) check(m *mistakes, batches int) {
	for _, b := range h.Batches {
		switch {
		case b == 0:
			m.add("hold.batches", "0", "names the first batch, which needs only Start", "1 or more")
		case b < 0 || batches > 0 && b >= batches:
			m.add("hold.batches", strconv.Itoa(b), "names no batch of the plan", holdable(batches))
		}
	}
}

// holdable names the batches that may be held. batches is as in Policy.check.
func holdable(batches int) string {
	if batches == 1 {
		return "none, since the plan has only its first batch"
	}
	return "1 to the last batch's index"
}

// Tolerated returns how many of n agents may fail before threshold is exceeded: the largest t with t/n at most
// threshold, compared as float64 fractions. (Multiplying instead would give 28 for 0.29 of 100.) It is 0 for n < 1.
func Tolerated(threshold float64, n int) int {
	if n < 1 || !(threshold > 0) {
		return 0
	}
	if threshold >= 1 {
		return n
	}
	t := int(threshold * float64(n)) // within one of the answer; the comparison decides
	for t < n && float64(t+1)/float64(n) <= threshold {
		t++
	}
	for t > 0 && float64(t)/float64(n) > threshold {
		t--
	}
	return t
}

// Budget bounds how many agents with one value of a label are open at once, as Concurrency bounds all of them: at most
// two per rack, for example, whatever the order of the agents. The zero value bounds nothing.
type Budget struct {
	// Label is the agents' label whose values are told apart. Agents without it share the empty value. At most 255
	// bytes; empty means no budget.
	Label string `json:"label,omitempty"`
	// Max is how many agents with one value may be open. 1 to 1,000,000.
	Max int `json:"max,omitempty"`
}

func (b Budget) check(m *mistakes) {
	checkText(m, "budget.label", b.Label, maxText)
	switch {
	case b.Max < 0 || b.Max > maxConcurrency || b.Label != "" && b.Max == 0:
		m.add("budget.max", strconv.Itoa(b.Max), "is out of range", "1 to 1000000")
	case b.Label == "" && b.Max > 0:
		m.add("budget.label", "", "is missing", "the name of a label of the agents")
	}
}
