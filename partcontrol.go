package ota

// The part that verbs write: Control.

func (k *planControl) appendPart(b []byte) []byte {
	c := partWriter(b, partControl)
	for c.again() {
		k.code(&c)
	}
	return c.b
}

func (k *planControl) decodePart(b []byte) error {
	var out planControl
	c := partReader(b, partControl, Schema)
	out.code(&c)
	return setPart(k, &out, c.end())
}

func (k *planControl) code(c *coder) {
	c.stored(&k.Schema)
	k.Policy.code(c)
	c.pairs(&k.Annotations)
	if some(c, &k.Started) {
		k.Started.code(c)
	}
	if some(c, &k.Paused) {
		k.Paused.code(c)
	}
	if some(c, &k.Cancel) {
		k.Cancel.code(c)
	}
	num(c, &k.Promoted)
	num(c, &k.AnsweredBreach)
	if some(c, &k.Rollback) {
		k.Rollback.code(c)
	}
	if some(c, &k.RollbackSpec) {
		k.RollbackSpec.code(c)
	}
	num(c, &k.Rollbacks)
	for i := range each(c, &k.Orders) {
		k.Orders[i].code(c)
	}
	num(c, &k.OrderCount)
	num(c, &k.PausedFor)
	num(c, &k.PausedOpen)
	c.bool(&k.PlanTimeoutAccepted)
	num(c, &k.BatchTimeoutAccepted)
	num(c, &k.GateAccepted)
	num(c, &k.RolledBackBreach)
	c.texts(&k.Warnings)
	c.nums(&k.Unlabeled)
	if some(c, &k.Readiness) {
		k.Readiness.code(c)
	}
	for i := range each(c, &k.Requests) {
		k.Requests[i].code(c)
	}
	c.rising(&k.Expected.Plan)
	c.rising(&k.Expected.Batch)
	num(c, &k.StarvedAnswered)
	num(c, &k.StragglersAccepted)
}

func (s *Audit) code(c *coder) {
	c.time(&s.At)
	c.text(&s.Actor)
	c.text(&s.Reason)
}

func (s *planStop) code(c *coder) {
	s.Audit.code(c)
	c.bool(&s.Interrupt)
}

func (r *rollbackRef) code(c *coder) {
	c.text(&r.ID)
	r.Spec.code(c)
	r.Frozen.code(c)
	if some(c, &r.Wanted) {
		r.Wanted.code(c)
	}
	if some(c, &r.Started) {
		r.Started.code(c)
	}
	c.text(&r.Request)
	c.time(&r.Done)
}

func (s *RollbackSpec) code(c *coder) {
	c.text(&s.Name)
	c.pairs(&s.Labels)
	c.pairs(&s.Annotations)
	if some(c, &s.Policy) {
		s.Policy.code(c)
	}
	c.bool(&s.Interrupt)
	num(c, &s.Inherit)
}

func (o *planOrder) code(c *coder) {
	num(c, &o.Number)
	num(c, &o.Kind)
	c.texts(&o.Agents)
	c.nums(&o.Batches)
	o.By.code(c)
}

func (r *pastRequest) code(c *coder) {
	c.text(&r.ID)
	num(c, &r.Verb)
	c.text(&r.Plan)
}

func (r *Readiness) code(c *coder) {
	c.time(&r.At)
	c.text(&r.Actor)
	num(c, &r.Asked)
	num(c, &r.Ready)
	num(c, &r.AtTarget)
	num(c, &r.Blocked)
	num(c, &r.Unreachable)
	for i := range each(c, &r.Findings) {
		r.Findings[i].code(c)
	}
	for i := range each(c, &r.Conflicts) {
		r.Conflicts[i].code(c)
	}
	num(c, &r.ConflictCount)
	c.time(&r.NextOpen)
}

func (f *Finding) code(c *coder) {
	c.text(&f.Agent)
	num(c, &f.State)
	c.text(&f.Reason)
}

func (f *Conflict) code(c *coder) {
	c.text(&f.Agent)
	c.text(&f.Plan)
	c.text(&f.Engine)
}

// A policy, as a field of Control and of a RollbackSpec.

func (p *Policy) code(c *coder) {
	var threshold *float64
	var expect *Expect
	if c.read {
		own := new(judgement)
		threshold, expect = &own.threshold, &own.expect
	}
	num(c, &p.Concurrency)
	if someIn(c, &p.FailureThreshold, threshold) {
		c.float(p.FailureThreshold)
	}
	num(c, &p.Scope)
	num(c, &p.OnBreach)
	c.bool(&p.Halve)
	c.bool(&p.Reserve)
	for i := range each(c, &p.Budgets) {
		p.Budgets[i].code(c)
	}
	p.Hold.code(c)
	for i := range each(c, &p.Windows) {
		p.Windows[i].code(c)
	}
	p.Soak.code(c)
	p.Retry.code(c)
	num(c, &p.AttemptTimeout)
	num(c, &p.UnreachableTimeout)
	num(c, &p.OnUnreachable)
	num(c, &p.BatchTimeout)
	num(c, &p.PlanTimeout)
	num(c, &p.MaxConsecutive)
	p.Rate.code(c)
	p.Gate.code(c)
	num(c, &p.MaxAbandoned)
	c.float(&p.Complete.Min)
	num(c, &p.Complete.Within)
	if someIn(c, &p.Expect, expect) {
		c.float(&p.Expect.Normal)
		c.float(&p.Expect.Alpha)
	}
	for i := range each(c, &p.Stages) {
		p.Stages[i].code(c)
	}
	c.float(&p.Stragglers.Share)
	num(c, &p.Stragglers.After)
}

func (b *Budget) code(c *coder) {
	c.text(&b.Label)
	num(c, &b.Max)
	c.numbers(&b.Each)
	num(c, &b.Values)
	num(c, &b.Of)
}

func (h *Hold) code(c *coder) {
	c.bool(&h.All)
	c.nums(&h.Batches)
}

func (s *Stage) code(c *coder) {
	num(c, &s.Batch)
	if some(c, &s.Soak) {
		num(c, s.Soak)
	}
	if some(c, &s.FailureThreshold) {
		c.float(s.FailureThreshold)
	}
	num(c, &s.Concurrency)
	if some(c, &s.Hold) {
		c.bool(s.Hold)
	}
}

func (w *Window) code(c *coder) {
	for i := range each(c, &w.Days) {
		num(c, &w.Days[i])
	}
	num(c, &w.Start)
	num(c, &w.Length)
	c.text(&w.Zone)
	num(c, &w.Margin)
}

func (o *Soak) code(c *coder) {
	num(c, &o.Duration)
	num(c, &o.Stable)
	num(c, &o.Grace)
	num(c, &o.Interval)
	c.bool(&o.ToEnd)
	num(c, &o.Misses)
	num(c, &o.Sample)
	num(c, &o.Compare)
}

func (r *RetryPolicy) code(c *coder) {
	num(c, &r.Max)
	num(c, &r.Backoff)
	num(c, &r.MaxBackoff)
}

func (r *Rate) code(c *coder) {
	num(c, &r.Starts)
	num(c, &r.Per)
}

func (g *Gate) code(c *coder) {
	num(c, &g.Interval)
	num(c, &g.MaxInconclusive)
	num(c, &g.MaxErrors)
}
