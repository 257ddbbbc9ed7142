package ota

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// policyWarnings returns warnings about legal but surprising settings. bare is how many agents lack
// the label of each budget.
func policyWarnings(p Policy, batches []batchRow, agents int, bare []int) []string {
	w := append(toleranceWarning(p, batches, agents), timeWarnings(p)...)
	if p.Scope == ScopeFirst && p.Expect == nil {
		w = append(w, "scope first without expect: after the first batch, no number of failures is a breach")
	}
	for i, n := range bare {
		if n > 0 {
			w = append(w, fmt.Sprintf("%d of %s %s no label %s: the budget counts them as agents of one value", n, plural.Count(agents, "agent"), plural.Verb(n, "has", "have"), p.Budgets[i].Label))
		}
	}
	return w
}

// soon is the shortest time that a soak or a rate usually has.
const soon = time.Second

// timeWarnings name the times of a policy that are probably mistakes of their unit.
func timeWarnings(p Policy) (w []string) {
	if d := p.Soak.Duration; d > 0 && d < soon {
		w = append(w, fmt.Sprintf("observe.wait %s observes a batch for less than a second", d))
	}
	for i, s := range p.Stages {
		if s.Soak != nil && *s.Soak > 0 && *s.Soak < soon {
			w = append(w, fmt.Sprintf("stages[%d].wait %s observes batch %d for less than a second", i, *s.Soak, s.Batch))
		}
	}
	if d := p.Soak.Stable; d > 0 && d < soon {
		w = append(w, fmt.Sprintf("observe.stable %s is less than a second", d))
	}
	if r := p.Rate; r.Starts > 0 && r.Per > 0 && r.Per < soon {
		w = append(w, fmt.Sprintf("rate.per %s allows %.4g starts per second", r.Per, float64(r.Starts)/r.Per.Seconds()))
	}
	if r := p.Retry; r.MaxBackoff > 0 && r.MaxBackoff < r.Backoff {
		w = append(w, fmt.Sprintf("retry.maxBackoff %s is less than retry.backoff %s: no wait is longer than %s", r.MaxBackoff, r.Backoff, r.MaxBackoff))
	}
	return w
}

// turnsOfBatches find the first batch of a plan whose values take turns, by Budget.Values.
type turnsOfBatches struct {
	budget Budget // Values is 0 if no budget has it
	batch  int    // of seen
	seen   map[string]struct{}
	found  bool
}

func newTurnsOfBatches(budgets []Budget) turnsOfBatches {
	for _, b := range budgets {
		if b.Values > 0 {
			return turnsOfBatches{budget: b, batch: -1}
		}
	}
	return turnsOfBatches{}
}

// add adds an agent. Agents come in order of their batches.
func (t *turnsOfBatches) add(batch int, labels map[string]string) {
	if t.budget.Values == 0 || t.found {
		return
	}
	if t.batch != batch {
		t.batch, t.seen = batch, map[string]struct{}{}
	}
	t.seen[labels[t.budget.Label]] = struct{}{}
	t.found = len(t.seen) > t.budget.Values
}

func (t *turnsOfBatches) warnings() []string {
	if !t.found {
		return nil
	}
	return []string{fmt.Sprintf("batch %d has more than %s: they take turns in each batch; to observe each before the next, cut the batches by %s",
		t.batch, plural.Count(t.budget.Values, "value/of "+t.budget.Label), t.budget.Label)}
}

// specWarnings warn about versions and shapes that are legal, but may be mistakes.
func specWarnings(s Spec, agents int) (w []string) {
	if s.FromVersion == s.ToVersion && s.FromRelease == s.ToRelease {
		w = append(w, fmt.Sprintf("fromVersion and toVersion are both %s: the plan would bring agents to the version that they have", shorten(s.ToVersion)))
	}
	if p := s.Shape.Percent; p > 0 && p < 1 {
		w = append(w, fmt.Sprintf("shape.percent %g is %g %% of the agents; for the fraction %g, use %g", p, p, p, 100*p))
	}
	switch n := s.Shape.Canary; {
	case n > agents:
		w = append(w, fmt.Sprintf("the canary of %s is larger than the plan of %d: it is the only batch", plural.Count(n, "agent"), agents))
	case n > 0 && 2*n > agents:
		w = append(w, fmt.Sprintf("the canary of %s is larger than the rest of %d", plural.Count(n, "agent"), agents-n))
	}
	return w
}

// toleranceWarning says where the threshold tolerates every failure, or, once it is a number of
// agents, none although it is not 0.
func toleranceWarning(p Policy, batches []batchRow, agents int) []string {
	threshold := *p.FailureThreshold
	switch threshold {
	case 0:
		return nil
	case 1:
		if p.Expect != nil {
			return nil
		}
		return []string{"failureThreshold 1 tolerates every failure; for one percent, use 0.01"}
	}
	if p.Scope == ScopePlan {
		if Tolerated(threshold, agents) == 0 {
			return []string{fmt.Sprintf("failureThreshold %g tolerates 0 of %s: the first failure is a breach", threshold, plural.Count(agents, "agent"))}
		}
		return nil
	}
	for _, b := range batches {
		r := p.at(b.Index)
		if r.judges && *r.threshold > 0 && r.tolerated(b.Size) == 0 {
			return []string{fmt.Sprintf("failureThreshold %g tolerates 0 of %s in batch %d: the first failure there is a breach", *r.threshold, plural.Count(b.Size, "agent"), b.Index)}
		}
	}
	return nil
}

// slowRollback warns about settings that a rollback plan shares with its source and that delay it.
func slowRollback(p, source *Policy) []string {
	var shared []string
	if len(p.Windows) > 0 && reflect.DeepEqual(p.Windows, source.Windows) {
		shared = append(shared, "windows")
	}
	o, of := p.Soak, source.Soak
	if o.Compare = of.Compare; !o.None() && o == of {
		shared = append(shared, fmt.Sprintf("observe (%s after each batch)", o.Duration+o.Stable))
	}
	if p.Hold.All && source.Hold.All {
		shared = append(shared, "hold.every (each batch waits for Promote)")
	}
	if p.Reserve && source.Reserve {
		shared = append(shared, "reserve")
	}
	if len(shared) == 0 {
		return nil
	}
	return []string{"the rollback is slowed down by settings of its source: " + strings.Join(shared, ", ") + "; Edit can change them"}
}

// gatedRollback is the same warning for the gate, which no policy switches off.
const gatedRollback = "the rollback is slowed down by the gate after each batch; a Gater may pass a plan that has a Source at once"
