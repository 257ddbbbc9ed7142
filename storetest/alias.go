package storetest

import "github.com/seed-19b57ce3/ota"

const (
	ruleKeeps = "a store keeps nothing that it is given by reference"
	ruleGives = "a store gives nothing by reference that it keeps"
)

var aliasCases = cases{
	{"WhatCreateWasGivenMayBeChanged", func(e *env) {
		p := e.sample("p", 6, 2)
		for i := range p.agents {
			p.agents[i].State = e.busy(i)
		}
		e.create(p)
		before := e.frozen("p")
		p.plan.Labels["app"] = "changed"
		p.created.Spec.Labels["app"] = "changed"
		p.created.Spec.Warnings[0] = "changed"
		scribbleControl(&p.created.Control)
		p.created.Batches[0].Name = "changed"
		for i := range p.agents {
			p.agents[i].State.Rest[0].Number = 999
			if p.agents[i].Agent.Labels != nil {
				p.agents[i].Agent.Labels["zone"] = "changed"
				p.agents[i].Agent.Tasks[0].ToVersion = "changed"
			}
		}
		scribble(p.created.Log)
		scribble(p.created.Head.Show)
		e.same(ruleKeeps, e.everything("p"), before)
		e.same(ruleKeeps, e.listed(ota.PlanQuery{Labels: map[string]string{"app": "p"}}), []string{"p"})
	}},
	{"WhatCommitWasGivenMayBeChanged", func(e *env) {
		e.made("p")
		for n := range 3 {
			c := e.changing(n)
			e.commit(c)
			before := e.frozen("p")
			scribbleControl(c.NewControl)
			c.NewProgress.Breaches[0].Text = "changed"
			c.NewProgress.Changed = 99
			c.Batches[0].Name = "changed"
			c.Agents[0].State.Rest[0].Number = 999
			c.Agents[1].State.Status = ota.TaskUnknown
			scribble(c.Log)
			e.same(ruleKeeps, e.everything("p"), before)
		}
	}},
	{"WhatIsReturnedMayBeChanged", func(e *env) {
		e.made("p")
		e.commit(e.changing(1))
		before := e.frozen("p")
		got := e.everything("p")
		scribbleAll(&got)
		e.same(ruleGives, e.everything("p"), before)
		page, err := e.store.Plans(e.ctx, ota.PlanQuery{})
		e.ok("Plans answers", err)
		got.Plan = page.Items[0]
		got.Agents = e.agents("p", ota.RowQuery{IDs: []string{"p-00001", "p-00004"}})
		scribbleAll(&got)
		e.same(ruleGives, e.everything("p"), before)
	}},
}

func scribble(b []byte) {
	for i := range b {
		b[i] = '#'
	}
}

// scribbleControl changes what a Control half has behind its pointers.
func scribbleControl(c *ota.Control) {
	if c.Annotations != nil {
		c.Annotations["note"] = "scribbled"
	}
	if c.Policy.FailureThreshold != nil {
		*c.Policy.FailureThreshold = 0.999
	}
	for i := range c.Policy.Hold.Batches {
		c.Policy.Hold.Batches[i] = 999
	}
	for _, s := range []*ota.Audit{c.Started, c.Paused} {
		if s != nil {
			s.Actor = "scribbled"
		}
	}
	if c.Cancel != nil {
		c.Cancel.Actor = "scribbled"
	}
	if c.Rollback != nil {
		c.Rollback.Frozen.Actor = "scribbled"
		c.Rollback.Started.Actor = "scribbled"
		c.Rollback.Spec.Labels["a"] = "scribbled"
		c.Rollback.Spec.Annotations["c"] = "scribbled"
		*c.Rollback.Spec.Policy.FailureThreshold = 0.999
	}
	for i := range c.Orders {
		c.Orders[i].Agents[0] = "scribbled"
		c.Orders[i].Batches[0] = 999
		c.Orders[i].Number = 999
	}
	for i := range c.Requests {
		c.Requests[i].ID = "scribbled"
	}
}

func scribbleAll(x *everything) {
	scribbleControl(&x.Plan.Control)
	x.Plan.Spec.Labels["app"] = "scribbled"
	x.Plan.Spec.Warnings[0] = "scribbled"
	x.Plan.Progress.Breaches[0].Text = "scribbled"
	for i := range x.Batches {
		x.Batches[i].Name = "scribbled"
	}
	for i := range x.Agents {
		if x.Agents[i].Agent.Labels != nil {
			x.Agents[i].Agent.Labels["zone"] = "scribbled"
			x.Agents[i].Agent.Tasks[0].ToVersion = "scribbled"
		}
		for j := range x.Agents[i].State.Rest {
			x.Agents[i].State.Rest[j].Number = 999
		}
	}
	for i := range x.Log {
		scribble(x.Log[i].Data)
	}
}
