package ota

// RollbackSpec is how a plan is rolled back. The zero value is the fast way: one batch, the
// source's labels, the name "Rollback of …", and the policy that Policy.ForRollback makes of the
// source's present one. Versions and agents follow from the source. Annotations, and the source's
// own RollbackSpec, are not inherited. Spec.Rollback is for the rollback that a breach asks for.
// CreateRollback and Rollback use only their own RollbackSpec, and nothing of Spec.Rollback.
//
// The zero value promises this time: agents / Concurrency, rounded up, times the time of a call,
// and one round of questions if the Executor is a Prober. Only Budgets, Retry, UnreachableTimeout,
// abandoned calls, and agents that answer unhealthy or not at all can make it longer. Explain then
// names them.
type RollbackSpec struct {
	// Name is for people. At most 255 bytes.
	Name string `json:"name,omitempty"`
	// Labels are added to the source's, or replace them. At most 64, of 255 bytes each.
	Labels map[string]string `json:"labels,omitempty"`
	// Annotations are the plan's only ones. At most 64, with values of at most 64 KiB.
	Annotations map[string]string `json:"annotations,omitempty"`
	// Policy is the whole policy of the rollback plan. To change one field, begin with
	// Plan.Policy.ForRollback(). A Gater is asked about the rollback plan only if Gate is not zero.
	// Not together with InheritAll. The rollback plan's Warnings name settings of the source that
	// make it slow.
	Policy *Policy `json:"policy,omitempty"`
	// Inherit is what else the rollback plan has of its source: its batches, or its whole policy
	// too.
	Inherit Inherit `json:"inherit,omitzero"`
	// Interrupt ends the contexts of the source's calls in flight when the rollback starts.
	// Otherwise the rollback waits for these calls.
	Interrupt bool `json:"interrupt,omitempty"`
}

func (s RollbackSpec) check(m *mistakes) {
	checkText(m, "rollback.name", s.Name, maxText)
	checkMap(m, "rollback.labels", s.Labels, maxText)
	checkMap(m, "rollback.annotations", s.Annotations, maxAnnotation)
	if s.Policy != nil {
		m.in = "rollback."
		s.Policy.check(m, 0)
		if len(s.Policy.Stages) > 0 {
			m.add("stages", "", "do not apply to a rollback", "none")
		}
		m.in = ""
	}
	inherits.check(m, "rollback.inherit", s.Inherit)
	if s.Inherit == InheritAll && s.Policy != nil {
		m.add("rollback.inherit", s.Inherit.String(), "does not go with a policy, which is the whole policy", "limits or batches, or no policy")
	}
}

// Inherit is what a rollback plan has of its source. Each value includes those before it.
type Inherit uint8

// What a rollback plan inherits.
const (
	// InheritLimits is one batch, with the limits that protect agents; see Policy.ForRollback.
	InheritLimits Inherit = iota
	// InheritBatches is the source's batches in reverse order, too.
	InheritBatches
	// InheritAll is the source's whole present policy too, without Hold.Batches and Stages, and its
	// gate. So the rollback is as careful, and as slow, as its source.
	InheritAll
)

var inherits = enum[Inherit]{"inheritance", []string{"limits", "batches", "all"}}

// ForRollback returns the policy that the rollback plan of a plan with policy p has by default. It
// keeps Concurrency, FailureThreshold, OnBreach, Budgets, Retry, AttemptTimeout,
// UnreachableTimeout, OnUnreachable, MaxAbandoned, and of Soak: Grace, Interval and Misses. Scope
// is the plan. Everything that only makes a plan wait is off: Windows, Hold, Rate, Halve, Reserve,
// Gate, MaxConsecutive, BatchTimeout, PlanTimeout, Expect, Complete, Stages, Stragglers, and
// the rest of Soak.
func (p Policy) ForRollback() Policy {
	p = p.judgedAsRollback()
	back := Policy{
		Concurrency: p.Concurrency, Scope: ScopePlan, OnBreach: p.OnBreach,
		Budgets: p.Budgets, Retry: p.Retry, AttemptTimeout: p.AttemptTimeout, UnreachableTimeout: p.UnreachableTimeout,
		OnUnreachable: p.OnUnreachable, MaxAbandoned: p.MaxAbandoned,
		Soak: Soak{Grace: p.Soak.Grace, Interval: p.Soak.Interval, Misses: p.Soak.Misses, Compare: Off},
	}
	if p.FailureThreshold != nil {
		threshold := *p.FailureThreshold
		back.FailureThreshold = &threshold
	}
	return back
}
