package ota

import (
	"maps"
	"slices"
)

// planOf returns the Plan that readers see of a stored plan.
func planOf(row *planRow) Plan {
	if row.unreadable != nil {
		return planAs(row, row.Status)
	}
	return planAs(row, statusOf(&row.Control, &row.Progress))
}

// planAs is planOf with a status that a verb knows better.
func planAs(row *planRow, st Status) Plan {
	s, c, p := &row.Spec, &row.Control, &row.Progress
	plan := Plan{
		ID: row.ID, Name: s.Name, FromVersion: s.FromVersion, FromRelease: s.FromRelease,
		ToVersion: s.ToVersion, ToRelease: s.ToRelease, CreatedBy: s.CreatedBy, CreatedAt: s.CreatedAt,
		EndedAt: p.EndedAt, Labels: cloneMap(s.Labels), Annotations: cloneMap(c.Annotations),
		Policy: c.Policy.withDefaults(), Status: st, Agents: s.Agents, Batches: s.Batches, Tolerated: c.toleratedInPlan(s.Agents, s.Batches),
		Batch: min(p.Batch, p.Reached), Counts: ended(p.Counts, st), Tasks: ended(p.Tasks, st), Changed: p.Changed, Coverage: coverageOf(s, p), Waiting: row.Head.waiting(),
		Source: s.Source, Warnings: slices.Concat(s.Warnings, c.Warnings), Owner: p.Owner, Components: slices.Clone(s.Components),
		Generation: row.ControlNumber, Revision: row.Revision, Readiness: c.Readiness.clone(),
	}
	if t := c.RollbackSpec; t != nil {
		own := t.clone()
		if own.Policy != nil {
			*own.Policy = own.Policy.judgedAsRollback()
			own.Policy.Gate = t.Policy.Gate // if it is zero, no Gater is asked
		}
		plan.RollbackSpec = &own
	}
	if c.Started != nil {
		plan.StartedAt = c.Started.At
	}
	if st == StatusPausing || st == StatusPaused {
		plan.PausedAt = pausedSince(c, p)
		if c.Paused != nil {
			stamp := *c.Paused
			plan.Paused = &stamp
		}
	}
	for _, b := range p.Breaches {
		if b.Number > c.AnsweredBreach {
			plan.Breaches = append(plan.Breaches, b)
		}
	}
	if r := c.Rollback; r != nil {
		plan.RollbackPlan = r.ID
		if !r.Done.IsZero() {
			plan.EndedAt = r.Done
		}
	}
	if st == StatusCanceled && plan.EndedAt.IsZero() && c.Cancel != nil {
		plan.EndedAt = c.Cancel.At
	}
	return plan
}

// ended counts agents that a plan's end left pending as canceled. This is derived, because it
// would otherwise be a million writes.
func ended(n Counts, st Status) Counts {
	if neverStarts(st) {
		n.Canceled += n.Pending
		n.Pending = 0
	}
	return n
}

// neverStarts reports whether a plan will never start its pending agents.
func neverStarts(st Status) bool {
	return st == StatusCanceled || st == StatusRollingBack || st == StatusRolledBack
}

func batchOf(b *batchRow, st Status, c *planControl) Batch {
	out := Batch{
		Index: b.Index, Name: b.Name, Size: b.Size, Status: b.Status, Tolerated: c.toleratedInBatch(b.Index, b.Size),
		Accepted: b.Accepted, Counts: ended(b.Counts, st), Tasks: ended(b.Tasks, st),
		StartedAt: b.StartedAt, FinishedAt: b.FinishedAt, CompletedAt: b.ClosedAt,
	}
	if neverStarts(st) && b.Status != BatchCompleted {
		out.Status = BatchCanceled
	}
	return out
}

// toleratedInBatch returns how many agents of a batch may fail before a breach, once all have
// begun.
func (c *planControl) toleratedInBatch(index, size int) int {
	r := c.Policy.at(index)
	r.judges = r.judges || c.Policy.Scope == ScopePlan
	n := r.tolerated(size)
	if c.Policy.Expect != nil {
		n = min(n, c.Expected.Plan.Tolerated(size))
		if len(c.Expected.Batch) > 0 {
			n = min(n, c.Expected.Batch.Tolerated(size))
		}
	}
	return n
}

// toleratedInPlan is the same for a plan of so many agents and batches.
func (c *planControl) toleratedInPlan(agents, batches int) int {
	n := agents
	if c.Policy.Scope != ScopeFirst || batches < 2 {
		_, threshold := c.Policy.most()
		n = Tolerated(threshold, agents)
	}
	if c.Policy.Expect != nil {
		n = min(n, c.Expected.Plan.Tolerated(agents))
	}
	return n
}

// agentOf sets a to the content of a row. Its tasks use the beginning of room.
func agentOf(a *AgentInfo, r *agentRow, s *planSpec, st Status, room []Task) {
	n := r.State.tasks()
	*a = AgentInfo{
		ID: r.Agent.ID, Batch: r.Batch, Ordinal: r.Ordinal, Version: r.previous(s),
		Labels: cloneMap(r.Agent.Labels), Status: r.State.Status,
		Changed: r.State.Flags&agentChanged != 0, AtTarget: r.State.Flags&agentAtTarget != 0,
		Unhealthy: r.State.Flags&agentUnhealthy != 0, Tasks: room[:n:n],
	}
	if neverStarts(st) && a.Status == TaskPending {
		a.Status = TaskCanceled
	}
	for i := range a.Tasks {
		t := &a.Tasks[i]
		*t = taskOf(r.State.task(i), s.task(&r.Agent, i))
		t.Changed = r.State.touched(i)
		if neverStarts(st) && t.Status == TaskPending {
			t.Status = TaskCanceled
		}
	}
}

func taskOf(t *taskState, work TaskSpec) Task {
	out := Task{
		Component: work.Component, From: work.FromVersion, FromRelease: work.FromRelease,
		Target: work.ToVersion, TargetRelease: work.ToRelease,
		Status: t.Status, Reason: t.Why, Changed: t.Changed, Attempts: int(t.Number), StartedAt: stamp(t.Started),
	}
	switch {
	case t.Status == TaskWaiting:
		out.DueAt = stamp(t.Ended)
	case t.Status.Finished():
		out.EndedAt = stamp(t.Ended)
	}
	if t.More != nil {
		out.Version, out.Error = t.More.Version, t.More.Error
	}
	return out
}

// Readers get copies of what a driver works on. These functions copy the values behind the
// pointers, maps and slices.

func (p Policy) clone() Policy {
	p.FailureThreshold, p.Expect = cloneOf(p.FailureThreshold), cloneOf(p.Expect)
	p.Budgets = cloneBudgets(p.Budgets)
	p.Hold.Batches = slices.Clone(p.Hold.Batches)
	p.Stages = cloneStages(p.Stages)
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

// waiting is what the Head of a plan says of it; nil if it makes progress, or has ended.
func (h *Head) waiting() *Waiting {
	if h.Hold == ReasonNone || h.Status.Ended() {
		return nil
	}
	w := &Waiting{Reason: h.Hold, Since: h.Since}
	if h.Person {
		w.Needs = NeedsPerson
	}
	return w
}
