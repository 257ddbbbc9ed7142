package ota

import "slices"

// dispatch turns the committed starts into calls, and the core's questions into asks.
func (x *session) dispatch() {
	st := x.st
	x.starts = slices.Grow(x.starts, len(st.change.starts))
	for _, b := range st.change.starts {
		r := st.rows.at(b.ordinal)
		x.starts = append(x.starts, st.job(st.template(r, b.task), r))
	}
	x.reportedCalls = append(x.reportedCalls, st.change.reportedCalls...)
	for _, a := range st.asks {
		r := &cachedRow{agentRow: a.compared}
		if a.compared == nil {
			r = st.rows.at(a.ordinal)
		}
		a.attempt = st.attempt(r, a.task)
		x.asks = append(x.asks, a)
	}
	st.asks = st.asks[:0]
	if st.asksGate {
		st.asksGate = false
		x.asks = append(x.asks, ask{kind: askGate, batch: st.p.Batch, finishedAt: st.current().FinishedAt})
	}
	for st.queue.inspect.Len() > 0 {
		r := st.rows.at(st.queue.inspect.Pop())
		i := r.State.active()
		r.inspecting = true
		x.asks = append(x.asks, ask{kind: askInspect, attempt: st.attempt(r, i), ordinal: r.Ordinal, task: i, number: r.State.task(i).Number})
	}
	if x.syncAbandoned != nil {
		x.released = append(x.released, st.change.released...)
	}
}

// nextChange begins a new change, and reports whether more is to do at once.
func (s *state) nextChange() (again bool) {
	c := &s.change
	again = c.again
	*c = change{
		step: c.step + 1, log: c.log,
		agents: c.agents[:0], batches: c.batches[:0], starts: c.starts[:0], reportedCalls: c.reportedCalls[:0],
	}
	c.log.reset()
	return again
}

// releaseRows frees rows and batches that are not needed any more.
func (s *state) releaseRows() {
	done := s.queue.next
	done = s.probing.needsFrom(done)
	s.rows.release(done)
	if s.probing.active || s.current() == nil {
		s.rows.sweep(done)
	}
	for _, i := range s.change.batches {
		if b := s.batches[i]; b != nil && b.Status == BatchCompleted && i < s.p.Batch && !b.judge && b.Stragglers == 0 {
			delete(s.batches, i)
			s.lastBatch = nil
		}
	}
}

// template is what the attempts of a task have in common. All plain agents share one, until a verb
// changes the plan.
func (s *state) template(r *cachedRow, task int) *Attempt {
	if !r.plain() {
		a := s.attempt(r, task)
		return &a
	}
	if t := &s.shared; t.attempt == nil || t.control != s.controlNumber || t.attempt.Epoch != s.epoch {
		a := s.attempt(r, task)
		t.attempt, t.control = &a, s.controlNumber
	}
	return s.shared.attempt
}

// job is a call to make: the attempt template, or one like it for another agent.
func (s *state) job(own *Attempt, r *cachedRow) job {
	t := r.State.task(own.Task)
	return job{
		template: own, agent: r.Agent.ID, labels: r.Agent.Labels, ordinal: r.Ordinal,
		deadline: s.deadline(t), number: t.Number, repeat: t.Why == ReasonRepeat,
	}
}

// plain reports whether the agent's attempt differs from others only in ID and labels.
func (r *cachedRow) plain() bool {
	a := &r.Agent
	return len(a.Tasks) == 0 && a.Version == "" && a.Target == "" && r.State.More == nil
}

// deadline is when the call of a running task must end, Unix nanoseconds; 0: it has no limit.
func (s *state) deadline(t *taskState) int64 {
	if t.Status != TaskRunning {
		return 0
	}
	return t.deadline(s.c.Policy.AttemptTimeout)
}

// attempt is what the Executor receives for a task.
func (s *state) attempt(r *cachedRow, task int) Attempt {
	t, work := r.State.task(task), s.spec.task(&r.Agent, task)
	return Attempt{
		Plan: s.id, Agent: r.Agent.ID, Task: task, Component: work.Component, Number: int(t.Number), Epoch: s.epoch,
		FromVersion: r.from(&s.spec, task), FromRelease: work.FromRelease,
		ToVersion: work.ToVersion, ToRelease: work.ToRelease,
		Repeat: t.Why == ReasonRepeat, IsRollback: s.spec.Source != "",
		Labels: r.Agent.Labels, Annotations: s.c.Annotations, Deadline: stamp(s.deadline(t)),
	}
}
