package ota

// A policy, as a field of Control and of a RollbackSpec.

func (p *Policy) code(c *coder) {
	num(c, &p.Concurrency)
	if some(c, &p.FailureThreshold) {
		c.float(p.FailureThreshold)
	}
	num(c, &p.Scope)
	num(c, &p.OnBreach)
	c.bool(&p.Halve)
	c.bool(&p.Reserve)
	p.Budget.code(c)
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
}

func (b *Budget) code(c *coder) {
	c.text(&b.Label)
	num(c, &b.Max)
}

func (h *Hold) code(c *coder) {
	c.bool(&h.All)
	c.nums(&h.Batches)
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
