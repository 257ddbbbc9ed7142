package ota

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Stage is what differs from the policy in one batch. A field that is nil or 0 is as in the policy.
// So Edit of the policy changes every batch that has no value of its own. Mender calls stages
// phases, hawkBit groups, and Argo Rollouts steps.
type Stage struct {
	// Batch is the index of the batch. 0 or more.
	Batch int `json:"batch"`
	// Soak is Soak.Duration of the batch. 0 observes it for no time, except for Soak.Stable; 1 ms
	// to ten years; nil means the policy's.
	Soak *time.Duration `json:"wait,omitempty"`
	// FailureThreshold is the largest tolerated fraction of failed agents of the batch, 0 to 1; nil
	// means the policy's. It judges its batch, also if Scope is the first batch. It is refused if
	// Scope is the plan. Raise of a breach of the batch changes it.
	FailureThreshold *float64 `json:"failureThreshold,omitempty"`
	// Concurrency is the most agents of the plan that may be open while the batch is the current
	// one. 1 to 1,000,000; 0 means the policy's.
	Concurrency int `json:"concurrency,omitempty"`
	// Hold says whether the batch waits for Promote before it begins; nil means that the policy's
	// Hold says it. It is refused for the first batch.
	Hold *bool `json:"hold,omitempty"`
}

// maxStages bounds the stages of a policy.
const maxStages = 64

// rules are the values of a policy that a stage may change, for one batch.
type rules struct {
	concurrency int
	threshold   *float64 // nil in a plan that cannot be read
	judges      bool     // the threshold judges this batch by itself
	soak        time.Duration
	soaks       bool // the batch is observed for a time
	held        bool // the batch waits for Promote
}

// at returns what applies to a batch: its stage's values, and else the policy's. No other code
// reads these values of a policy for a batch.
func (p *Policy) at(batch int) rules {
	r := rules{
		concurrency: p.Concurrency, threshold: p.FailureThreshold, soak: p.Soak.Duration, held: p.Hold.holds(batch),
		judges: p.Scope == ScopeBatch || p.Scope == ScopeFirst && batch == 0,
	}
	if s := p.stage(batch); s != nil {
		if s.Concurrency > 0 {
			r.concurrency = s.Concurrency
		}
		if s.FailureThreshold != nil {
			r.threshold, r.judges = s.FailureThreshold, true
		}
		if s.Soak != nil {
			r.soak = *s.Soak
		}
		if s.Hold != nil {
			r.held = *s.Hold
		}
	}
	r.soaks = r.soak > 0 || p.Soak.Stable > 0
	return r
}

// tolerated is how many of n agents of the batch may fail by the threshold.
func (r *rules) tolerated(n int) int {
	switch {
	case !r.judges:
		return n
	case r.threshold == nil:
		return 0
	default:
		return Tolerated(*r.threshold, n)
	}
}

// stage returns the stage of a batch, or nil.
func (p *Policy) stage(batch int) *Stage {
	for i := range p.Stages {
		if p.Stages[i].Batch == batch {
			return &p.Stages[i]
		}
	}
	return nil
}

// most returns the highest concurrency and the highest threshold of any batch.
func (p *Policy) most() (concurrency int, threshold float64) {
	if concurrency = p.Concurrency; p.FailureThreshold != nil {
		threshold = *p.FailureThreshold
	}
	for i := range p.Stages {
		s := &p.Stages[i]
		if concurrency = max(concurrency, s.Concurrency); s.FailureThreshold != nil {
			threshold = max(threshold, *s.FailureThreshold)
		}
	}
	return concurrency, threshold
}

// raise sets the threshold that judges a batch, or the plan for -1: that of its stage, if it has
// one, and else the policy's.
func (p *Policy) raise(batch int, threshold float64) {
	if s := p.stage(batch); s != nil && s.FailureThreshold != nil {
		s.FailureThreshold = &threshold
		return
	}
	p.FailureThreshold = &threshold
}

func cloneStages(stages []Stage) []Stage {
	stages = slices.Clone(stages)
	for i := range stages {
		s := &stages[i]
		s.Soak, s.FailureThreshold, s.Hold = cloneOf(s.Soak), cloneOf(s.FailureThreshold), cloneOf(s.Hold)
	}
	return stages
}

// checkStages adds every mistake of the stages to m. batches is as in Policy.check.
func (p *Policy) checkStages(m *mistakes, batches int) {
	if len(p.Stages) > maxStages {
		m.add("stages", strconv.Itoa(len(p.Stages)), "has too many entries", "at most 64")
	}
	for i := range p.Stages[:min(len(p.Stages), maxStages)] {
		s, at := &p.Stages[i], fmt.Sprintf("stages[%d].", i)
		switch {
		case s.Batch < 0:
			m.add(at+"batch", strconv.Itoa(s.Batch), "is negative", "0 to the last batch's index")
		case slices.ContainsFunc(p.Stages[:i], func(x Stage) bool { return x.Batch == s.Batch }):
			m.add(at+"batch", strconv.Itoa(s.Batch), "has an earlier stage", "one stage for a batch")
		}
		p.checkStage(m, s, at)
	}
	if batches > 0 {
		p.checkStageBatches(m, batches)
	}
}

// checkStageBatches adds a mistake for each stage of a batch that the plan does not have.
func (p *Policy) checkStageBatches(m *mistakes, batches int) {
	for i := range p.Stages[:min(len(p.Stages), maxStages)] {
		if b := p.Stages[i].Batch; b >= batches {
			m.add(fmt.Sprintf("stages[%d].batch", i), strconv.Itoa(b), "names no batch of the plan", fmt.Sprintf("0 to %d", batches-1))
		}
	}
}

// checkStage adds every mistake of one stage to m.
func (p *Policy) checkStage(m *mistakes, s *Stage, at string) {
	if s.Soak == nil && s.FailureThreshold == nil && s.Concurrency == 0 && s.Hold == nil {
		m.add(at+"batch", strconv.Itoa(s.Batch), "differs in nothing", "a stage with wait, failureThreshold, concurrency or hold")
	}
	if s.Soak != nil {
		m.durations(durationRule{at + "wait", *s.Soak, maxDuration, durationAllowed})
	}
	m.numbers(numberRule{at + "concurrency", s.Concurrency, 0, maxConcurrency, "1 to 1000000; 0 means the policy's"})
	if t := s.FailureThreshold; t != nil {
		m.fraction(at+"failureThreshold", *t, 0, 1, "0 to 1, as a fraction: 0.1 tolerates one of ten")
		if p.Scope == ScopePlan {
			m.add(at+"failureThreshold", strconv.FormatFloat(*t, 'g', -1, 64), "does not go with scope plan, which judges no batch by itself", "scope batch or first")
		}
	}
	switch {
	case s.Hold == nil:
	case s.Batch == 0:
		m.add(at+"hold", strconv.FormatBool(*s.Hold), "is for the first batch, which needs only Start", "none, or batch 1 or later")
	case !*s.Hold && slices.Contains(p.Hold.Batches, s.Batch):
		m.add(at+"hold", "false", fmt.Sprintf("contradicts hold.batches, which names batch %d", s.Batch), "true, or no such batch in hold.batches")
	}
}

// watches reports whether the owner watches agents while the plan is paused at a batch: those of the
// batch, or of the batch before.
func (p *Policy) watches(batch int) bool { return p.at(batch).soaks || p.at(batch-1).soaks }

func cloneOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
