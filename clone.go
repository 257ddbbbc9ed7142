package ota

import (
	"maps"
	"slices"
)

// Readers get copies of what a driver works on. These functions copy the values behind the pointers,
// maps and slices.

func cloneOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

func (p Policy) clone() Policy {
	p.FailureThreshold = cloneOf(p.FailureThreshold)
	p.Hold.Batches = slices.Clone(p.Hold.Batches)
	p.Windows = cloneWindows(p.Windows)
	return p
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

func (r *Readiness) clone() *Readiness {
	r = cloneOf(r)
	if r != nil {
		r.Findings = slices.Clone(r.Findings)
		r.Conflicts = slices.Clone(r.Conflicts)
	}
	return r
}
