package ota

import (
	"maps"
	"slices"
)

// A Store shares no references with its callers. These functions copy the values behind the
// pointers, maps and slices of a row. The copy shares with its original only values that never
// change in place: texts, AgentMore and TaskMore.

func cloneOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

func (s PlanSpec) clone() PlanSpec {
	s.Labels = maps.Clone(s.Labels)
	s.Warnings = slices.Clone(s.Warnings)
	s.Components = slices.Clone(s.Components)
	return s
}

func (p Policy) clone() Policy {
	p.FailureThreshold = cloneOf(p.FailureThreshold)
	p.Hold.Batches = slices.Clone(p.Hold.Batches)
	p.Windows = cloneWindows(p.Windows)
	return p
}

func (r *RollbackRef) clone() *RollbackRef {
	r = cloneOf(r)
	if r != nil {
		r.Wanted = cloneOf(r.Wanted)
		r.Started = cloneOf(r.Started)
		r.Spec = r.Spec.clone()
	}
	return r
}

func (s RollbackSpec) clone() RollbackSpec {
	s.Labels = maps.Clone(s.Labels)
	s.Annotations = maps.Clone(s.Annotations)
	if s.Policy != nil {
		p := s.Policy.clone()
		s.Policy = &p
	}
	return s
}

// Clone returns a copy that shares nothing with c.
func (c Control) Clone() Control {
	c.Policy = c.Policy.clone()
	c.Annotations = maps.Clone(c.Annotations)
	c.Started = cloneOf(c.Started)
	c.Paused = cloneOf(c.Paused)
	c.Cancel = cloneOf(c.Cancel)
	c.Rollback = c.Rollback.clone()
	if c.RollbackSpec != nil {
		t := c.RollbackSpec.clone()
		c.RollbackSpec = &t
	}
	c.Orders = slices.Clone(c.Orders)
	for i := range c.Orders {
		c.Orders[i].Agents = slices.Clone(c.Orders[i].Agents)
		c.Orders[i].Batches = slices.Clone(c.Orders[i].Batches)
	}
	c.Warnings = slices.Clone(c.Warnings)
	c.Readiness = c.Readiness.clone()
	c.Requests = slices.Clone(c.Requests)
	return c
}

func (r *Readiness) clone() *Readiness {
	r = cloneOf(r)
	if r != nil {
		r.Findings = slices.Clone(r.Findings)
		r.Conflicts = slices.Clone(r.Conflicts)
	}
	return r
}

func (p Progress) clone() Progress {
	p.Breaches = slices.Clone(p.Breaches)
	return p
}

// Clone returns a copy that shares nothing with r. A Store that keeps rows in memory returns clones
// and keeps clones.
func (r PlanRow) Clone() PlanRow {
	r.Spec = r.Spec.clone()
	r.Control = r.Control.Clone()
	r.Progress = r.Progress.clone()
	r.Head.Show = slices.Clone(r.Head.Show)
	return r
}
