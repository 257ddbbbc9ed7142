package ota

import (
	"math"
	"strconv"
	"time"
)

// Soak is how a batch is observed after its upgrade. With the zero value, a batch is not observed
// for any time. If the Executor is a [Prober], each agent of it that was changed must still give
// one healthy answer after its success. The last batch is observed like the others.
type Soak struct {
	// Duration is the least time for which a batch is observed, counted from the end of its last
	// agent. 0, or 1 ms to ten years.
	Duration time.Duration `json:"wait,omitempty"`
	// Stable is how long, after Duration, all agents of the batch must have been healthy without
	// interruption. 0, or 1 ms to ten years.
	Stable time.Duration `json:"stable,omitempty"`
	// Grace is how long an agent may be unhealthy before it fails; a healthy report in between
	// restarts it. 1 ms to ten years; 0 means that the first unhealthy report counts.
	Grace time.Duration `json:"retry,omitempty"`
	// Interval is the time between two rounds of questions to a Prober. 1 ms to ten years; 0 means
	// DefaultSoakInterval.
	Interval time.Duration `json:"probe,omitempty"`
	// ToEnd continues to observe the agents of completed batches until the plan ends. A report
	// that one of them is unhealthy counts at once, whatever Grace is. The soak of each later
	// batch probes a sample of them too.
	ToEnd bool `json:"toEnd,omitempty"`
	// Misses is how many questions in a row an agent may leave unanswered. The last of them counts
	// as an unhealthy answer, with the reason silent. Only questions that the present owner of the
	// plan asked count, never time. So an agent that is silent for less than (Misses - 1) times
	// Interval does not fail. 1 to 1,000; 0 means DefaultSoakMisses. With Off, a batch waits for a
	// silent agent, and Promote of the next batch goes on without it.
	Misses int `json:"misses,omitempty"`
	// Sample is how many agents of passed batches a round asks; they are taken in turn. Agents
	// that did not answer are asked besides, in every round. 1 to 1,000,000; 0 means 1 % of them,
	// at least 10 and at most 1,000.
	Sample int `json:"sample,omitempty"`
	// Compare is how many agents that the plan has not begun are asked in every round too, if the
	// Executor is a Prober. Only agents that answered healthy once, from Start on, are among them.
	// Before anything follows from failures, they are asked once more. If a quarter of them, and at
	// least two, are unhealthy or silent, the plan pauses with the reason ambient: it rolls nothing
	// back, and judges the failed agents again once the others are healthy. 4 to 1,000; 0 means
	// DefaultSoakCompare, and Off none. A rollback plan has none.
	Compare int `json:"compare,omitempty"`
}

// The least and the greatest size of a group to compare with. Fewer agents say nothing.
const (
	minGroup = 4
	maxGroup = 1000
)

// None reports whether a batch is not observed for any time.
func (o Soak) None() bool { return o.Duration == 0 && o.Stable == 0 }

// interval is the time between two rounds, in nanoseconds.
func (o Soak) interval() int64 {
	if o.Interval <= 0 {
		return int64(DefaultSoakInterval)
	}
	return int64(o.Interval)
}

// misses is Misses with its default; 0: off.
func (o Soak) misses() int {
	switch o.Misses {
	case 0:
		return DefaultSoakMisses
	case Off:
		return 0
	default:
		return o.Misses
	}
}

// compare is Compare with its default; 0: off.
func (o Soak) compare() int {
	switch o.Compare {
	case 0:
		return DefaultSoakCompare
	case Off:
		return 0
	default:
		return o.Compare
	}
}

// sample is how many of n agents of passed batches a round asks.
func (o Soak) sample(n int) int {
	if o.Sample > 0 {
		return min(o.Sample, n)
	}
	return min(max(n/100, 10), 1000, n)
}

// Complete says how many agents must be at the target before a plan is completed. Until then its
// last batch stays open, with the reason coverage. Retry of failed agents may reach the number.
// Promote with the number of batches completes the plan as it is.
type Complete struct {
	// Min is the least fraction of the plan's agents that must be at the target: upgraded, or there
	// already. More than 0, at most 1; 0 requires none. Skipped, canceled and failed agents are not
	// at the target.
	Min float64 `json:"min,omitempty"`
	// Within completes the plan as it is, that long after the last agent of its last batch has
	// finished, and not before every straggler has. 1 ms to ten years; 0 means that the plan waits
	// until Retry or Promote. It has no effect if Min is 0, and is refused then.
	Within time.Duration `json:"within,omitempty"`
}

func (c Complete) check(m *mistakes) {
	if !(c.Min >= 0 && c.Min <= 1) {
		m.add("complete.min", strconv.FormatFloat(c.Min, 'g', -1, 64), "is not a fraction", "0 to 1")
	}
	if c.Within != 0 && c.Min == 0 {
		m.add("complete.within", c.Within.String(), "has no effect without complete.min", "0, or a complete.min above 0")
	}
}

// missing returns how many more of n agents must be at the target: k agents are enough if k/n is at
// least Min, compared as float64 fractions.
func (c Complete) missing(succeeded, n int) int {
	k := min(int(math.Ceil(c.Min*float64(n))), n) // within one of the answer; the comparison decides
	for k > 0 && float64(k-1)/float64(n) >= c.Min {
		k--
	}
	for k < n && float64(k)/float64(n) < c.Min {
		k++
	}
	return max(k-succeeded, 0)
}

// Stragglers says when a batch goes on without its last agents: they have started and have not
// finished, because their calls are out or they wait for another attempt. Both fields are required
// together.
//
// A straggler keeps its slot, its claim and its attempts. It counts in its own batch when it ends,
// also after that batch has closed: more failures than tolerated are a breach then. With a
// [Prober], it must still give a healthy answer after its success. The last batch waits for every
// agent, so no plan is completed while an agent is out. GiveUp ends the call of a straggler.
type Stragglers struct {
	// Share is the largest fraction of a batch's agents that may be out when the batch goes on.
	// More than 0, at most 1, compared as in Tolerated: 0.05 allows one of 20, and none of 10. 0
	// means that a batch waits for every agent.
	Share float64 `json:"share,omitempty"`
	// After is how long the batch waits after the last first attempt of an agent, or the last call
	// that a new owner has to repeat. Time in which the plan is paused does not count. 1 ms to ten
	// years.
	After time.Duration `json:"after,omitempty"`
}

func (r Stragglers) check(m *mistakes) {
	share := strconv.FormatFloat(r.Share, 'g', -1, 64)
	switch {
	case !(r.Share >= 0 && r.Share <= 1):
		m.add("stragglers.share", share, "is not a fraction", "0 to 1")
	case r.Share > 0 && r.After == 0:
		m.add("stragglers.share", share, "needs a time", "0, or a stragglers.after of 1ms or more")
	case r.Share == 0 && r.After != 0:
		m.add("stragglers.after", r.After.String(), "has no effect without stragglers.share", "0, or a stragglers.share above 0")
	}
}
