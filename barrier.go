package ota

import (
	"fmt"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// A barrier answers whether the plan may go on to the next batch. Openers stand before a pending
// batch; closers stand before the end of a batch whose agents have ended. To add a barrier, add a
// function to one of the lists.
var (
	openers = []func(*view) (block, bool){promotedBarrier, freshBarrier}
	closers = []func(*view) (block, bool){observedBarrier, answeredBarrier, gateBarrier, evidenceBarrier, stragglersBarrier, coverageBarrier}
)

// block is why a barrier does not let the plan pass.
type block struct {
	Why   Reason
	Until int64 // when this clears by itself; 0: it does not
	Verb  Verb
	Text  string
	// names adds names to Text, in Explain. It may cost time, and a decision does not need it.
	names func() string

	// An answer of the Gater clears it.
	asksGate bool
}

// holding are the barriers that hold the current batch.
func (v *view) holding(yield func(block) bool) {
	var barriers []func(*view) (block, bool)
	switch v.b.Status {
	case BatchPending:
		barriers = openers
	case BatchSoaking:
		barriers = closers
	}
	for _, barrier := range barriers {
		if b, holds := barrier(v); holds && !yield(b) {
			return
		}
	}
}

func promotedBarrier(v *view) (block, bool) {
	k := v.b.Index
	if !v.c.Policy.at(k).held || v.c.Promoted >= k {
		return block{}, false
	}
	return block{Why: ReasonHeld, Verb: VerbPromote, Text: fmt.Sprintf("batch %d", k)}, true
}

func observedBarrier(v *view) (block, bool) {
	if v.b.Unhealthy > 0 {
		return block{Why: ReasonSoaking, Text: fmt.Sprintf("%s of batch %d %s unhealthy", plural.Count(v.b.Unhealthy, "agent"), v.b.Index, plural.Verb(v.b.Unhealthy, "is", "are"))}, true
	}
	waited := nanos(v.b.FinishedAt) + int64(v.c.Policy.at(v.b.Index).soak)
	until := max(nanos(v.b.HealthySince), waited) + int64(v.c.Policy.Soak.Stable)
	return block{Why: ReasonSoaking, Until: until, Text: fmt.Sprintf("batch %d", v.b.Index)}, v.now < until
}

// answeredBarrier holds a batch until every agent of it that succeeded has given a healthy answer
// since. With Soak.Misses Off, a silent agent never fails, so Promote of the next batch goes on
// without it.
func answeredBarrier(v *view) (block, bool) {
	switch {
	case !v.calls.prober:
		return block{}, false
	case v.p.Ambient:
		return block{Why: ReasonInquiry, Text: "the agents are asked again once those that the plan has not begun are healthy"}, true
	case !v.allProbed:
		return block{Why: ReasonInquiry, Text: "asking the agents of the batch how they are"}, true
	case v.unproven == 0 || v.c.Policy.Soak.Misses == Off && v.c.Promoted > v.b.Index:
		return block{}, false
	}
	x := block{
		Why: ReasonInquiry, names: v.silent,
		Text: "no healthy answer since the success of " + plural.Count(v.unproven, fmt.Sprintf("agent/of batch %d", v.b.Index)),
	}
	if v.c.Policy.Soak.Misses == Off && v.b.Index+1 < v.spec.Batches {
		x.Verb = VerbPromote
	}
	return x, true
}

// freshBarrier blocks the next batch until the batch before was asked within the last
// Soak.Interval. Rounds go on while a batch is held or a plan is paused. So it blocks only after a
// change of owner.
func freshBarrier(v *view) (block, bool) {
	return block{Why: ReasonInquiry, Text: "asking the agents of the batch before how they are"}, v.calls.prober && v.stale
}

func gateBarrier(v *view) (block, bool) {
	if !v.calls.gater || v.spec.Ungated || v.b.Gate == GatePass || v.c.GateAccepted > v.b.Index || v.b.Changed+v.b.out() == 0 {
		return block{}, false
	}
	return block{Why: ReasonGate, Text: fmt.Sprintf("batch %d", v.b.Index), asksGate: true}, true
}

// evidenceBarrier stops the plan after a canary that changed no agent, since such a canary proves
// nothing. After the last batch there is nothing to prove, and no batch to promote.
func evidenceBarrier(v *view) (block, bool) {
	if !v.b.Canary || v.b.Changed > 0 || v.c.Promoted > v.b.Index || v.b.Index+1 == v.spec.Batches {
		return block{}, false
	}
	return block{Why: ReasonEvidence, Verb: VerbPromote, Text: fmt.Sprintf("batch %d", v.b.Index)}, true
}

// coverageBarrier holds the last batch while too few agents of the plan are at the target. While the
// plan does not run, the batch stays open: an agent could still turn unhealthy before the plan ends.
func coverageBarrier(v *view) (block, bool) {
	rule := v.c.Policy.Complete
	if rule.Min == 0 || v.b.Index+1 < v.spec.Batches || v.c.Promoted > v.b.Index {
		return block{}, false
	}
	missing := rule.missing(v.p.Counts.Succeeded, v.spec.Agents)
	if missing == 0 {
		return block{Why: ReasonCoverage, Text: "the batch stays open until the plan runs again"}, v.status != StatusRunning
	}
	x := block{
		Why: ReasonCoverage, Verb: VerbPromote,
		Text: fmt.Sprintf("%d of %s %s at the target, %d more must be", v.p.Counts.Succeeded,
			plural.Count(v.spec.Agents, "agent"), plural.Verb(v.p.Counts.Succeeded, "is", "are"), missing),
	}
	if rule.Within > 0 {
		x.Until = nanos(v.b.FinishedAt) + int64(rule.Within)
	}
	return x, x.Until == 0 || v.now < x.Until
}
