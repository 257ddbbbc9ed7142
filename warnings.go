package ota

import (
	"fmt"
	"reflect"
	"strings"
)

// policyWarnings say what is legal about a policy but deserves a look. bare is how many agents lack the budgeted label.
func policyWarnings(p Policy, batches []BatchRow, agents, bare int) []string {
	w := toleranceWarning(p, batches, agents)
	if bare > 0 {
		w = append(w, fmt.Sprintf("%d of %d agents have no label %s: the budget counts them as agents of one value", bare, agents, p.Budget.Label))
	}
	return w
}

// toleranceWarning says where the threshold, once it is a number, tolerates nothing although it is not 0.
func toleranceWarning(p Policy, batches []BatchRow, agents int) []string {
	threshold := *p.FailureThreshold
	if threshold == 0 {
		return nil
	}
	if p.Scope == ScopePlan {
		if Tolerated(threshold, agents) == 0 {
			return []string{fmt.Sprintf("failureThreshold %g tolerates 0 of %d agents: the first failure is a breach", threshold, agents)}
		}
		return nil
	}
	for _, b := range batches {
		if Tolerated(threshold, b.Size) == 0 {
			return []string{fmt.Sprintf("failureThreshold %g tolerates 0 of %d agents in batch %d: the first failure there is a breach", threshold, b.Size, b.Index)}
		}
	}
	return nil
}

// slowRollback warns where a rollback plan takes longer than its work, since its policy is as careful as its source's.
func slowRollback(p, source *Policy) []string {
	var kept []string
	if len(p.Windows) > 0 && reflect.DeepEqual(p.Windows, source.Windows) {
		kept = append(kept, "windows")
	}
	if o := p.Soak; !o.None() && o == source.Soak {
		kept = append(kept, fmt.Sprintf("observe (%s after each batch)", o.Duration+o.Stable))
	}
	if p.Hold.All && source.Hold.All {
		kept = append(kept, "hold.every (each batch waits for Promote)")
	}
	if p.Reserve && source.Reserve {
		kept = append(kept, "reserve")
	}
	if len(kept) == 0 {
		return nil
	}
	return []string{"the rollback takes longer than its work: it has its source's " + strings.Join(kept, ", ") + "; RollbackSpec.Policy changes that"}
}

// gatedRollback is the same for the gate, which no policy switches off.
const gatedRollback = "the rollback takes longer than its work: the gate is asked after each batch; a Gater may pass a plan that has a Source at once"
