package ota

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// The defaults of a Policy and a Shape.
const (
	DefaultBatchSize          = 10
	DefaultConcurrency        = 5
	DefaultFailureThreshold   = 0.1
	DefaultAttemptTimeout     = 30 * time.Minute
	DefaultUnreachableTimeout = time.Hour
	DefaultSoakInterval       = 10 * time.Second
	DefaultSoakMisses         = 3
	DefaultSoakCompare        = 20
	DefaultGateInterval       = 30 * time.Second
)

// NoTimeout switches AttemptTimeout or UnreachableTimeout off.
const NoTimeout = time.Duration(math.MaxInt64)

// Off switches Soak.Misses or Soak.Compare off.
const Off = -1

// Policy says how fast a plan goes, how careful it is, and what it does when things go wrong. It
// may be edited while the plan runs. In the zero value every field has its documented default. A
// duration is 0 or at least a millisecond.
type Policy struct {
	// Concurrency is the most agents that may be open at once: running, or keeping their slot
	// between two attempts. 1 to 1,000,000; 0 means DefaultConcurrency.
	Concurrency int `json:"concurrency"`

	// FailureThreshold is the largest tolerated fraction of failed agents, 0 to 1. More than that
	// is a breach: with 0 the first failure is one, with 1 none is. See Tolerated. If it is given,
	// it judges alone. Nil without an Expect means DefaultFailureThreshold of the first batch, and
	// the default Expect beside it. Nil with an Expect means 1.
	FailureThreshold *float64 `json:"failureThreshold,omitempty"`

	// Scope is what FailureThreshold is a fraction of: the agents of each batch (the default), of
	// the plan, or of the first batch.
	Scope Scope `json:"scope"`

	// Expect says how often agents usually fail: more failures than that explains are a breach. If
	// it is given, it judges alone, or beside a FailureThreshold that is given too. Nil without a
	// FailureThreshold means Expect{DefaultNormal, DefaultAlpha}; nil with one means none. A
	// rollback plan has none.
	Expect *Expect `json:"expect,omitempty"`

	// OnBreach is what happens when more agents fail than tolerated.
	OnBreach Action `json:"onBreach"`

	// Halve halves Concurrency after every batch in which an agent failed, down to 1. It doubles
	// it again after every batch without a failure, up to Concurrency.
	Halve bool `json:"halve,omitempty"`

	// Reserve starts an agent only while failed + open is at most the tolerated number. So at most
	// tolerated + 1 agents are open at once, whatever Concurrency is, and at most tolerated + 1
	// can fail during upgrade. If no failure is tolerated, agents go one at a time.
	Reserve bool `json:"reserve,omitempty"`

	// Budgets limit how many agents with one value of a label are unavailable at once. At most 8.
	Budgets []Budget `json:"budgets,omitempty"`

	// Hold names the batches that wait for Promote before they begin.
	Hold Hold `json:"hold,omitzero"`

	// Stages are what differs in single batches: how long they soak, their threshold, their
	// Concurrency, whether they wait for Promote. At most 64, one for a batch, in any order. A
	// rollback plan has none.
	Stages []Stage `json:"stages,omitempty"`

	// Windows are the maintenance windows. An agent starts only while one of them is open; this
	// includes retries, and repeats after a crash. Calls in flight and observation continue
	// outside of them. None means always open. At most 64. A rollback plan has none, unless its
	// RollbackSpec says otherwise.
	Windows []Window `json:"windows,omitempty"`

	// Soak is how, and for how long, every batch is observed after its last agent has finished.
	Soak Soak `json:"observe,omitzero"`

	// Retry says how often, and when, a failed attempt is tried again.
	Retry RetryPolicy `json:"retry,omitzero"`

	// AttemptTimeout limits one attempt. When it passes, the context of the call ends and the
	// attempt has timed out. A call that repeats the attempt after a crash keeps its deadline. If
	// that passed while no engine was there, the attempt gets AttemptTimeout again, once. 1 ms or
	// more, or NoTimeout; 0 means DefaultAttemptTimeout.
	AttemptTimeout time.Duration `json:"attemptLimit"`

	// UnreachableTimeout is how long an agent may stay unreachable or throttled, counted from the
	// first such answer. The next such answer after it is the last one. Time in which the plan
	// cannot try again does not count: a shut window, a pause, no free slot, no engine. In a
	// rollback it also limits how long an agent waits for its abandoned call. 1 ms or more, or
	// NoTimeout; 0 means DefaultUnreachableTimeout.
	UnreachableTimeout time.Duration `json:"queueLimit"`

	// OnUnreachable is what happens to an agent that was away until its last answer.
	OnUnreachable UnreachableAction `json:"onAway"`

	// BatchTimeout and PlanTimeout limit how long a batch and the plan may take from their start.
	// Time in which the plan is paused does not count; for BatchTimeout, neither does time in which
	// the windows are shut, nor time before Retry made the batch run again. Exceeding a limit is a
	// breach and triggers OnBreach. 1 ms to ten years; 0 means no limit.
	BatchTimeout time.Duration `json:"batchLimit,omitempty"`
	PlanTimeout  time.Duration `json:"planLimit,omitempty"`

	// MaxConsecutive is how many agents may fail in a row, across batches. One more is a breach,
	// and the count begins again. 1 or more; 0 means no limit.
	MaxConsecutive int `json:"maxConsecutive,omitempty"`

	// Rate limits how many attempts start in a period. The zero value sets no limit.
	Rate Rate `json:"rate,omitzero"`

	// Gate says how a Gater is asked after every batch. It has no effect if the Executor is no
	// Gater.
	Gate Gate `json:"gate,omitzero"`

	// Complete says how many agents must be at the target before the plan is completed. The zero
	// value requires none.
	Complete Complete `json:"complete,omitzero"`

	// Stragglers says when a batch goes on without its last agents. In the zero value it waits for
	// every agent.
	Stragglers Stragglers `json:"stragglers,omitzero"`

	// MaxAbandoned is how many calls may be abandoned, because they did not return after their
	// timeout, before the plan pauses itself. 0 means the plan's Concurrency.
	MaxAbandoned int `json:"maxAbandoned,omitempty"`
}

// Scope is what a failure threshold is a fraction of.
type Scope uint8

// The scopes of a failure threshold.
const (
	ScopeBatch Scope = iota // each batch by itself
	ScopePlan               // the plan as a whole
	ScopeFirst              // the first batch; the threshold judges no other
)

var scopes = enum[Scope]{"scope", []string{"batch", "plan", "first"}}

// Action is what happens at a breach. When several breaches occur at the same instant, the
// strongest action wins: rollback, then pause, then continue.
type Action uint8

// The actions on a breach.
const (
	ActionPause    Action = iota // start nothing more and wait for a decision
	ActionRollback               // start nothing more and roll back the changed agents; if none, pause
	ActionContinue               // record the breach and continue
)

var actions = enum[Action]{"action", []string{"pause", "rollback", "continue"}}

// UnreachableAction is what happens to an agent that stays away until its last answer.
type UnreachableAction uint8

// The actions on an agent that stays away.
const (
	UnreachableFails   UnreachableAction = iota // it fails, and counts as failed
	UnreachableSkipped                          // it is skipped, and does not count as failed
)

var unreachableActions = enum[UnreachableAction]{"away action", []string{"fail", "skip"}}

// Hold says which batches wait for Promote. The zero value holds none. The first batch is never
// held: it needs only Start.
type Hold struct {
	All     bool  `json:"every,omitempty"`   // every batch but the first
	Batches []int `json:"batches,omitempty"` // these, by index from 0; 1 or more
}

func (h Hold) holds(batch int) bool {
	return batch > 0 && (h.All || slices.Contains(h.Batches, batch))
}

// Rate is a number of starts in a period. Starts are spread evenly. Unused starts do not
// accumulate (burst: 0.1 s). The limiter's state is stored, so a crash does not reset it.
type Rate struct {
	Starts int           `json:"starts,omitempty"` // 1 to 1,000,000; 0 means no rate
	Per    time.Duration `json:"per,omitempty"`    // 1 ms to ten years; 0 means a minute
}

// interval is the time between two starts, in nanoseconds.
func (r Rate) interval() int64 { return max(int64(r.Per)/int64(max(r.Starts, 1)), 1) }

// burst is how many attempts may start at once.
func (r Rate) burst() int64 { return max(1, int64(100*time.Millisecond)/r.interval()) }

// Gate says how often a Gater without a clear answer is asked again before the plan pauses.
type Gate struct {
	// Interval is the time between two questions. 1 ms to ten years; 0 means DefaultGateInterval.
	Interval time.Duration `json:"every,omitempty"`
	// MaxInconclusive is how many inconclusive answers a batch may get. One more is a breach that
	// pauses the plan. 0 or more.
	MaxInconclusive int `json:"maxInconclusive,omitempty"`
	// MaxErrors is how many errors a batch may get instead of an answer. One more is a breach that
	// pauses the plan. 0 or more.
	MaxErrors int `json:"maxErrors,omitempty"`
}

// RetryPolicy says when a failed attempt is tried again. The zero value never retries.
type RetryPolicy struct {
	// Max is how many attempts may follow the first. 0 to 100.
	Max int `json:"max,omitempty"`
	// Backoff is the wait before the first retry; each later wait is twice as long. A hash of the
	// attempt shortens a wait by up to half, so that agents that failed together do not return
	// together. 0, or 1 ms to ten years.
	Backoff time.Duration `json:"backoff,omitempty"`
	// MaxBackoff is the longest wait. 1 ms to ten years; 0 means no limit.
	MaxBackoff time.Duration `json:"maxBackoff,omitempty"`
}

// withDefaults returns p with each zero that means a default replaced by that default.
func (p Policy) withDefaults() Policy {
	if p.Concurrency == 0 {
		p.Concurrency = DefaultConcurrency
	}
	p.judgeByDefault()
	if p.AttemptTimeout == 0 {
		p.AttemptTimeout = DefaultAttemptTimeout
	}
	if p.UnreachableTimeout == 0 {
		p.UnreachableTimeout = DefaultUnreachableTimeout
	}
	if p.Soak.Interval == 0 {
		p.Soak.Interval = DefaultSoakInterval
	}
	if p.Soak.Misses == 0 {
		p.Soak.Misses = DefaultSoakMisses
	}
	if p.Soak.Compare == 0 {
		p.Soak.Compare = DefaultSoakCompare
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
	p.Budgets = cloneBudgets(p.Budgets)
	p.Hold.Batches = slices.Clone(p.Hold.Batches)
	p.Stages = cloneStages(p.Stages)
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
	p.Expect.check(m)
	actions.check(m, "onBreach", p.OnBreach)
	unreachableActions.check(m, "onAway", p.OnUnreachable)
	checkBudgets(m, p.Budgets)
	p.Complete.check(m)
	p.Stragglers.check(m)
	if p.Reserve && p.OnBreach == ActionContinue {
		m.add("reserve", "true", "does not go with going on after a breach: it would wait for ever", "with onBreach pause or rollback")
	}
	p.Hold.check(m, batches)
	p.checkStages(m, batches)
	m.durations(p.durations()...)
	m.numbers(
		numberRule{"observe.misses", p.Soak.Misses, Off, 1000, "1 to 1000, or Off; 0 means 3"},
		numberRule{"observe.sample", p.Soak.Sample, 0, maxConcurrency, "1 to 1000000; 0 means 1 % of the agents, at least 10 and at most 1000"},
		numberRule{"observe.compare", p.Soak.Compare, Off, maxGroup, compareAllowed},
		numberRule{"retry.max", p.Retry.Max, 0, 100, "0 to 100"},
		numberRule{"rate.starts", p.Rate.Starts, 0, 1_000_000, "1 to 1000000; 0 means no rate"},
		numberRule{"maxConsecutive", p.MaxConsecutive, 0, noMost, "0 or more"},
		numberRule{"gate.maxInconclusive", p.Gate.MaxInconclusive, 0, noMost, "0 or more"},
		numberRule{"gate.maxErrors", p.Gate.MaxErrors, 0, noMost, "0 or more"},
		numberRule{"maxAbandoned", p.MaxAbandoned, 0, noMost, "1 or more; 0 means the concurrency"},
	)
	if n := p.Soak.Compare; n > 0 && n < minGroup {
		m.add("observe.compare", strconv.Itoa(n), "is too few agents to compare with", compareAllowed)
	}
	checkWindows(m, p.Windows)
	p.checkWindowUnits(m)
}

const compareAllowed = "4 to 1000, or Off; 0 means 20"

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
		{"complete.within", p.Complete.Within, maxDuration, durationAllowed},
		{"stragglers.after", p.Stragglers.After, maxDuration, durationAllowed},
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

// Tolerated returns how many of n agents may fail before threshold is exceeded: the largest t with
// t/n at most threshold, compared as float64 fractions. (Multiplication instead would give 28 for
// 0.29 of 100.) It is 0 for n < 1.
func Tolerated(threshold float64, n int) int {
	if n < 1 || !(threshold > 0) {
		return 0
	}
	if threshold >= 1 {
		return n
	}
	t := int(threshold * float64(n)) // within one of the answer; the comparison below decides
	for t < n && float64(t+1)/float64(n) <= threshold {
		t++
	}
	for t > 0 && float64(t)/float64(n) > threshold {
		t--
	}
	return t
}
