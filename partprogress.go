package ota

// The parts that the plan's owner writes: Progress and batches. They are in every commit, so
// encoding them allocates nothing.

func (p *planProgress) appendPart(b []byte) []byte {
	c := partWriter(b, partProgress)
	for c.again() {
		p.code(&c)
	}
	return c.b
}

func (p *planProgress) decodePart(b []byte) error {
	var out planProgress
	c := partReader(b, partProgress, Schema)
	out.code(&c)
	return setPart(p, &out, c.end())
}

func (p *planProgress) code(c *coder) {
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
	p.Evidence.code(c)
	for i := range each(c, &p.Starved) {
		p.Starved[i].code(c)
	}
	c.nums(&p.Group)
	num(c, &p.Quiet)
	num(c, &p.Undecided)
	c.bool(&p.Ambient)
	num(c, &p.Stragglers)
	num(c, &p.StragglersFrom)
}

func (e *evidence) code(c *coder) {
	num(c, &e.Failed)
	num(c, &e.Finished)
	num(c, &e.FailedBefore)
	num(c, &e.FinishedBefore)
}

func (x *starvedValue) code(c *coder) {
	c.text(&x.Label)
	c.text(&x.Value)
	num(c, &x.Down)
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

func (r *batchRow) appendPart(b []byte) []byte {
	c := partWriter(b, partBatch)
	for c.again() {
		r.code(&c)
	}
	return c.b
}

func (r *batchRow) decodePart(b []byte) error {
	var out batchRow
	c := partReader(b, partBatch, Schema)
	out.code(&c)
	return setPart(r, &out, c.end())
}

func (r *batchRow) code(c *coder) {
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
	r.Evidence.code(c)
	c.bool(&r.ExpectContinued)
	c.text(&r.InUseLabel)
	c.texts(&r.InUse)
	num(c, &r.LastStart)
	num(c, &r.Stragglers)
}

// The parts that Create writes and that never change: a plan's spec, and an agent's.

// specPart is a plan's spec as it is stored.
type specPart struct {
	planSpec
	Fingerprint string // of the Create, compared when its request key is used again
}

func (s *specPart) appendPart(b []byte) []byte {
	c := partWriter(b, partSpec)
	for c.again() {
		s.code(&c)
	}
	return c.b
}

func (s *specPart) decodePart(b []byte) error {
	var out specPart
	c := partReader(b, partSpec, Schema)
	out.code(&c)
	return setPart(s, &out, c.end())
}

func (s *specPart) code(c *coder) {
	s.planSpec.code(c)
	c.text(&s.Fingerprint)
}

func (s *planSpec) code(c *coder) {
	c.stored(&s.Schema)
	c.text(&s.Name)
	c.text(&s.FromVersion)
	c.text(&s.FromRelease)
	c.text(&s.ToVersion)
	c.text(&s.ToRelease)
	c.text(&s.CreatedBy)
	c.time(&s.CreatedAt)
	c.pairs(&s.Labels)
	num(c, &s.Agents)
	num(c, &s.Batches)
	c.texts(&s.Components)
	c.text(&s.Source)
	num(c, &s.Unconfirmed)
	c.texts(&s.Warnings)
	c.bool(&s.Ungated)
	c.texts(&s.Represent)
}

// appendPart omits the ID and the labels: a Store has them beside the part. An agent without other
// fields, as nearly every agent, is no bytes at all.
func (a *agentSpec) appendPart(b []byte) []byte {
	if a.Version == "" && a.Target == "" && len(a.Tasks) == 0 {
		return b
	}
	c := partWriter(b, partAgent)
	for c.again() {
		a.code(&c)
	}
	return c.b
}

// decodePart leaves the ID and the labels as they are.
func (a *agentSpec) decodePart(b []byte) error {
	out := agentSpec{ID: a.ID, Labels: a.Labels}
	if len(b) == 0 {
		*a = out
		return nil
	}
	c := partReader(b, partAgent, Schema)
	out.code(&c)
	return setPart(a, &out, c.end())
}

func (a *agentSpec) code(c *coder) {
	c.text(&a.Version)
	c.text(&a.Target)
	for i := range each(c, &a.Tasks) {
		a.Tasks[i].code(c)
	}
}

func (t *TaskSpec) code(c *coder) {
	t.Component.code(c)
	c.text(&t.FromVersion)
	c.text(&t.FromRelease)
	c.text(&t.ToVersion)
	c.text(&t.ToRelease)
}

func (o *Component) code(c *coder) {
	c.text(&o.Name)
	c.text(&o.ID)
	c.text(&o.Instance)
	c.text(&o.Node)
	c.text(&o.Owner)
}
