package ota

// The parts that Create writes and that never change: a plan's spec, and an agent's.

// specPart is a plan's spec as it is stored.
type specPart struct {
	PlanSpec
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
	s.PlanSpec.code(c)
	c.text(&s.Fingerprint)
}

func (s *PlanSpec) code(c *coder) {
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
}

// appendPart omits the ID and the labels: a Store has them beside the part. An agent without other
// fields, as nearly every agent, is no bytes at all.
func (a *AgentSpec) appendPart(b []byte) []byte {
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
func (a *AgentSpec) decodePart(b []byte) error {
	out := AgentSpec{ID: a.ID, Labels: a.Labels}
	if len(b) == 0 {
		*a = out
		return nil
	}
	c := partReader(b, partAgent, Schema)
	out.code(&c)
	return setPart(a, &out, c.end())
}

func (a *AgentSpec) code(c *coder) {
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
