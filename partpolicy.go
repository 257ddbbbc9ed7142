package ota

// A policy, in Control and in what a rollback is to have.

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
	p.Observe.code(c)
	p.Retry.code(c)
	num(c, &p.AttemptLimit)
	num(c, &p.QueueLimit)
	num(c, &p.OnAway)
	num(c, &p.BatchLimit)
	num(c, &p.PlanLimit)
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
	c.bool(&h.Every)
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

func (o *Observe) code(c *coder) {
	num(c, &o.Wait)
	num(c, &o.Stable)
	num(c, &o.Retry)
	num(c, &o.Probe)
	c.bool(&o.ToEnd)
}

func (r *Retry) code(c *coder) {
	num(c, &r.Max)
	num(c, &r.Backoff)
	num(c, &r.MaxBackoff)
}

func (r *Rate) code(c *coder) {
	num(c, &r.Starts)
	num(c, &r.Per)
}

func (g *Gate) code(c *coder) {
	num(c, &g.Every)
	num(c, &g.MaxInconclusive)
	num(c, &g.MaxErrors)
}
