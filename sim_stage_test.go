package ota

import (
	"math/rand/v2"
	"time"
)

// staged is the policy as the referee reads it for a batch: what its stage says, and else the policy's.
func staged(p *Policy, batch int) Policy {
	out := *p
	for _, s := range p.Stages {
		if s.Batch != batch {
			continue
		}
		if s.Concurrency != 0 {
			out.Concurrency = s.Concurrency
		}
		if s.Soak != nil {
			out.Soak.Duration = *s.Soak
		}
		if s.FailureThreshold != nil {
			out.FailureThreshold, out.Scope = s.FailureThreshold, ScopeBatch
		}
		if s.Hold != nil {
			out.Hold = Hold{All: *s.Hold}
		}
	}
	return out
}

// stages give every fourth random plan stages, and some of these a list of shares. They draw from a
// generator of their own, so that the schedules of the other plans stay what they are.
func stages(s *Spec, agents, n int) {
	draw := rand.New(rand.NewPCG(uint64(n), 13))
	if draw.IntN(4) > 0 {
		return
	}
	if agents >= 4 && draw.IntN(3) == 0 {
		s.Shape = Shape{Batches: []BatchShape{{Percent: 20}, {Size: 1}, {}}, Represent: []string{"rack"}, Last: []Label{{"rack", "0"}}}
		for i := range s.Policy.Budgets {
			if s.Policy.Budgets[i].Label == "rack" && s.Policy.Budgets[i].Values > 0 {
				s.Shape.Represent = nil
			}
		}
	}
	for batch := range len(s.Shape.sizes(agents)) {
		x := Stage{Batch: batch}
		if draw.IntN(2) == 0 {
			x.Concurrency = 1 + draw.IntN(4)
		}
		if draw.IntN(3) == 0 && s.Policy.Scope != ScopePlan {
			x.FailureThreshold = ptr([]float64{0, 0.3, 1}[draw.IntN(3)])
		}
		if draw.IntN(3) == 0 {
			x.Soak = ptr(time.Duration(draw.IntN(3)) * time.Minute)
		}
		if draw.IntN(4) == 0 && batch > 0 {
			x.Hold = ptr(draw.IntN(2) == 0)
		}
		if x != (Stage{Batch: batch}) {
			s.Policy.Stages = append(s.Policy.Stages, x)
		}
	}
}
