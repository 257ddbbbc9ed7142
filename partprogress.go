package ota

// The parts that the plan's owner writes: Progress and batches. They are in every commit, so
// encoding them allocates nothing.

func (p *Progress) appendPart(b []byte) []byte {
	c := partWriter(b, partProgress)
	for c.again() {
		p.code(&c)
	}
	return c.b
}

func (p *Progress) decodePart(b []byte) error {
	var out Progress
	c := partReader(b, partProgress, Schema)
	out.code(&c)
	return setPart(p, &out, c.end())
}

func (p *Progress) code(c *coder) {
	c.stored(&p.Schema)
	c.text(&p.Owner)
	c.text(&p.Instance)
	c.time(&p.At)
	num(c, &p.Batch)
	p.Counts.code(c)
	p.Tasks.code(c)
	num(c, &p.Open)
	num(c, &p.Changed)
	num(c, &p.Accepted)
	num(c, &p.ConsecutiveFailures)
	num(c, &p.Halved)
	num(c, &p.RateAt)
	c.bool(&p.TimeoutReported)
	for i := range each(c, &p.Breaches) {
		p.Breaches[i].code(c)
	}
	num(c, &p.LastBreach)
	num(c, &p.LastOrder)
	num(c, &p.OrderCursor)
	num(c, &p.Confirmed)
	num(c, &p.Inbox)
	num(c, &p.Reached)
	c.time(&p.EndedAt)
	num(c, &p.End)
}

func (n *Counts) code(c *coder) {
	num(c, &n.Pending)
	num(c, &n.Running)
	num(c, &n.Waiting)
	num(c, &n.Succeeded)
	num(c, &n.Failed)
	num(c, &n.Skipped)
	num(c, &n.Canceled)
	num(c, &n.Unknown)
	num(c, &n.AtTarget)
}

func (b *Breach) code(c *coder) {
	num(c, &b.Number)
	num(c, &b.Reason)
	num(c, &b.Batch)
	c.time(&b.At)
	num(c, &b.Action)
	num(c, &b.Failed)
	num(c, &b.Tolerated)
	num(c, &b.Size)
	c.text(&b.Text)
}

func (r *BatchRow) appendPart(b []byte) []byte {
	c := partWriter(b, partBatch)
	for c.again() {
		r.code(&c)
	}
	return c.b
}

func (r *BatchRow) decodePart(b []byte) error {
	var out BatchRow
	c := partReader(b, partBatch, Schema)
	out.code(&c)
	return setPart(r, &out, c.end())
}

func (r *BatchRow) code(c *coder) {
	num(c, &r.Index)
	c.text(&r.Name)
	num(c, &r.First)
	num(c, &r.Size)
	num(c, &r.Status)
	num(c, &r.Cursor)
	r.Counts.code(c)
	r.Tasks.code(c)
	num(c, &r.Open)
	num(c, &r.Changed)
	num(c, &r.Unhealthy)
	num(c, &r.Accepted)
	c.bool(&r.Canary)
	num(c, &r.PausedFor)
	c.bool(&r.TimeoutReported)
	num(c, &r.Gate)
	c.time(&r.GateAt)
	num(c, &r.Inconclusive)
	num(c, &r.GateErrors)
	c.bool(&r.Continued)
	c.time(&r.StartedAt)
	c.time(&r.FinishedAt)
	c.time(&r.HealthySince)
	c.time(&r.ClosedAt)
}
