package ota

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"
)

// planOf is what a stored plan looks like to its readers.
func planOf(row *PlanRow) Plan {
	s, c, p := &row.Spec, &row.Control, &row.Progress
	st := statusOf(c, p)
	plan := Plan{
		ID: row.ID, Name: s.Name, FromVersion: s.FromVersion, FromRelease: s.FromRelease,
		ToVersion: s.ToVersion, ToRelease: s.ToRelease, CreatedBy: s.CreatedBy, CreatedAt: s.CreatedAt,
		EndedAt: p.EndedAt, Labels: cloneMap(s.Labels), Annotations: cloneMap(c.Annotations),
		Policy: c.Policy.withDefaults(), Status: st, Agents: s.Agents, Batches: s.Batches,
		Batch: min(p.Batch, p.Reached), Counts: ended(p.Counts, st), Tasks: ended(p.Tasks, st), Touched: p.Touched,
		Source: s.Source, Warnings: slices.Concat(s.Warnings, c.Warnings), Owner: p.Owner, Components: slices.Clone(s.Components),
		Control: row.ControlNumber, Revision: row.Revision, Readiness: c.Readiness.clone(),
	}
	if t := c.Template; t != nil {
		own := t.clone()
		if own.Policy != nil {
			*own.Policy = own.Policy.withDefaults()
		}
		plan.Template = &own
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
		if b.Number > c.Cleared {
			plan.Breaches = append(plan.Breaches, b)
		}
	}
	if r := c.Rollback; r != nil {
		plan.Rollback = r.ID
		if !r.Done.IsZero() {
			plan.EndedAt = r.Done
		}
	}
	if st == StatusCanceled && plan.EndedAt.IsZero() {
		plan.EndedAt = c.Cancel.At
	}
	return plan
}

// ended counts what a plan's end never started as canceled: that is derived, not written a million times.
func ended(n Counts, st Status) Counts {
	if gone(st) {
		n.Canceled += n.Pending
		n.Pending = 0
	}
	return n
}

// gone reports whether what a plan has not started will never be started by it.
func gone(st Status) bool {
	return st == StatusCanceled || st == StatusRollingBack || st == StatusRolledBack
}

// Plan returns a plan as it stands, or ErrNotFound.
func (e *Engine) Plan(ctx context.Context, id string) (Plan, error) {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return Plan{}, fmt.Errorf("ota: plan %s: %w", id, err)
	}
	return planOf(&row), nil
}

// Plans returns one page of plans, newest first.
func (e *Engine) Plans(ctx context.Context, q PlanQuery) (Page[Plan], error) {
	rows, err := e.store.Plans(ctx, q)
	if err != nil {
		return Page[Plan]{}, fmt.Errorf("ota: plans: %w", err)
	}
	out := Page[Plan]{Items: make([]Plan, len(rows.Items)), More: rows.More, Total: rows.Total}
	for i := range rows.Items {
		out.Items[i] = planOf(&rows.Items[i])
	}
	return out, nil
}

// Batches yields the batches of a plan from index from on, in order.
func (e *Engine) Batches(ctx context.Context, id string, from int) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		row, err := e.store.Plan(ctx, id)
		if err != nil {
			yield(Batch{}, fmt.Errorf("ota: batches of plan %s: %w", id, err))
			return
		}
		st, p := statusOf(&row.Control, &row.Progress), row.Control.Policy.withDefaults()
		for {
			page, err := e.store.Batches(ctx, id, RowQuery{From: from})
			if err != nil {
				yield(Batch{}, fmt.Errorf("ota: batches of plan %s: %w", id, err))
				return
			}
			for i := range page.Items {
				from = page.Items[i].Index + 1
				if !yield(batchOf(&page.Items[i], st, *p.FailureThreshold), nil) {
					return
				}
			}
			if !page.More || len(page.Items) == 0 {
				return
			}
		}
	}
}

func batchOf(b *BatchRow, st Status, threshold float64) Batch {
	out := Batch{
		Index: b.Index, Name: b.Name, Size: b.Size, Status: b.Status, Tolerated: Tolerated(threshold, b.Size),
		Accepted: b.Accepted, Counts: ended(b.Counts, st), Tasks: ended(b.Tasks, st),
		StartedAt: b.StartedAt, SettledAt: b.SettledAt, CompletedAt: b.ClosedAt,
	}
	if gone(st) && b.Status != BatchCompleted {
		out.Status = BatchCanceled
	}
	return out
}

// AgentInfo is an agent of a plan as it stands.
type AgentInfo struct {
	ID        string            `json:"id"`
	Batch     int               `json:"batch"`
	Ordinal   int               `json:"ordinal"`           // its place in the plan, from 0: where a page may begin
	Version   string            `json:"version,omitempty"` // what it ran before the plan
	Labels    map[string]string `json:"labels,omitempty"`
	Status    TaskStatus        `json:"status"`
	Touched   bool              `json:"touched"`  // it may have been changed
	AtTarget  bool              `json:"atTarget"` // it succeeded without being changed
	Unhealthy bool              `json:"unhealthy,omitempty"`
	Tasks     []Task            `json:"tasks"` // in the order in which they are done; never empty
}

// Task is a task of an agent as it stands.
type Task struct {
	Component     Component  `json:"component,omitzero"` // what it is about; zero where nothing was said of it
	From          string     `json:"from,omitempty"`     // the version that was there before the plan, as far as known
	FromRelease   string     `json:"fromRelease,omitempty"`
	Target        string     `json:"target"` // the version it is brought to
	TargetRelease string     `json:"targetRelease,omitempty"`
	Status        TaskStatus `json:"status"`
	Reason        Reason     `json:"reason"`             // how it ended, or why it waits
	Touched       bool       `json:"touched"`            // it may have changed the agent: a rollback takes it back
	Attempts      int        `json:"attempts"`           // how often it was started
	StartedAt     time.Time  `json:"startedAt,omitzero"` // the last time
	EndedAt       time.Time  `json:"endedAt,omitzero"`
	DueAt         time.Time  `json:"dueAt,omitzero"`    // while it waits: when its next attempt is due
	Version       string     `json:"version,omitempty"` // what the agent reported, where that is not the target
	Error         string     `json:"error,omitempty"`   // of the last failed attempt
}

// Agents returns one page of a plan's agents, in order. The next page begins at the ordinal after the last one's.
func (e *Engine) Agents(ctx context.Context, id string, q RowQuery) (Page[AgentInfo], error) {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return Page[AgentInfo]{}, fmt.Errorf("ota: agents of plan %s: %w", id, err)
	}
	st := statusOf(&row.Control, &row.Progress)
	if gone(st) && len(q.Status) > 0 {
		q.Status = derived(q.Status)
	}
	rows, err := e.store.Agents(ctx, id, q)
	if err != nil {
		return Page[AgentInfo]{}, fmt.Errorf("ota: agents of plan %s: %w", id, err)
	}
	out := Page[AgentInfo]{Items: make([]AgentInfo, len(rows.Items)), More: rows.More, Total: rows.Total}
	n := 0
	for i := range rows.Items {
		n += rows.Items[i].State.tasks()
	}
	tasks := make([]Task, n) // of all agents: a piece of memory for each would cost as much as all else here
	for i := range rows.Items {
		a := &out.Items[i]
		agentOf(a, &rows.Items[i], &row.Spec, st, tasks)
		tasks = tasks[len(a.Tasks):]
	}
	return out, nil
}

// derived turns statuses asked for into those stored, in a plan whose pending agents count as canceled.
func derived(ask []TaskStatus) []TaskStatus {
	var out []TaskStatus
	for _, s := range ask {
		switch s {
		case TaskPending:
		case TaskCanceled:
			out = append(out, TaskCanceled, TaskPending)
		default:
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return []TaskStatus{TaskUnknown + 1} // nothing has it
	}
	return out
}

// agentOf makes a what a row says. Its tasks are at the beginning of room.
func agentOf(a *AgentInfo, r *AgentRow, s *PlanSpec, st Status, room []Task) {
	n := r.State.tasks()
	*a = AgentInfo{
		ID: r.Agent.ID, Batch: r.Batch, Ordinal: r.Ordinal, Version: r.previous(s),
		Labels: cloneMap(r.Agent.Labels), Status: r.State.Status,
		Touched: r.State.Flags&AgentTouched != 0, AtTarget: r.State.Flags&AgentAtTarget != 0,
		Unhealthy: r.State.Flags&AgentUnhealthy != 0, Tasks: room[:n:n],
	}
	if gone(st) && a.Status == TaskPending {
		a.Status = TaskCanceled
	}
	for i := range a.Tasks {
		t := &a.Tasks[i]
		*t = taskOf(r.State.task(i), s.task(&r.Agent, i))
		t.Touched = r.State.touched(i)
		if gone(st) && t.Status == TaskPending {
			t.Status = TaskCanceled
		}
	}
}

func taskOf(t *TaskState, work TaskSpec) Task {
	out := Task{
		Component: work.Component, From: work.FromVersion, FromRelease: work.FromRelease,
		Target: work.ToVersion, TargetRelease: work.ToRelease,
		Status: t.Status, Reason: t.Why, Touched: t.Touched, Attempts: int(t.Number), StartedAt: stamp(t.Started),
	}
	switch {
	case t.Status == TaskWaiting:
		out.DueAt = stamp(t.Ended)
	case t.Status.Settled():
		out.EndedAt = stamp(t.Ended)
	}
	if t.More != nil {
		out.Version, out.Error = t.More.Version, t.More.Error
	}
	return out
}

// FailedSpec returns a Spec for a new plan of the agents of a plan that failed, with its versions, tasks and policy. Use it where
// Retry is too late: when the plan has ended.
func (e *Engine) FailedSpec(ctx context.Context, id string) (Spec, error) {
	p, err := e.Plan(ctx, id)
	if err != nil {
		return Spec{}, err
	}
	return Spec{
		Name: string(cleanLine("Failed of " + p.Name)), FromVersion: p.FromVersion, FromRelease: p.FromRelease,
		ToVersion: p.ToVersion, ToRelease: p.ToRelease, Labels: p.Labels, Policy: p.Policy,
		Agents: func(yield func(Agent, error) bool) {
			q := RowQuery{Status: []TaskStatus{TaskFailed, TaskUnknown}}
			for {
				page, err := e.store.Agents(ctx, id, q)
				if err != nil {
					yield(Agent{}, fmt.Errorf("ota: agents of plan %s: %w", id, err))
					return
				}
				for _, r := range page.Items {
					q.From = r.Ordinal + 1
					a := Agent{ID: r.Agent.ID, Version: cmp.Or(r.Agent.Version, p.FromVersion), Labels: r.Agent.Labels, Tasks: r.Agent.Tasks}
					if a.Tasks == nil && r.Agent.Target != "" {
						a.Tasks = []TaskSpec{{ToVersion: r.Agent.Target, ToRelease: p.ToRelease}}
					}
					if !yield(a, nil) {
						return
					}
				}
				if !page.More {
					return
				}
			}
		},
	}, nil
}

// Watch yields the records of a plan's log above after, then follows it: every one once, in order, without gap, until
// ctx ends or the loop is left. after is 0 for all of them, or the Revision of the last record seen. A slow reader slows nobody. It
// does not end with the plan, whose log may still grow; Record.Status tells when the plan has ended.
func (e *Engine) Watch(ctx context.Context, id string, after uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		changed, stop := e.hub.watch(id)
		defer stop()
		for {
			rows, err := e.store.Log(ctx, id, after, 256)
			if err != nil {
				yield(Record{}, fmt.Errorf("ota: watch plan %s: %w", id, err))
				return
			}
			for _, row := range rows {
				rec, err := decodeRecord(id, row)
				if !yield(rec, err) || err != nil {
					return
				}
				after = row.Revision
			}
			if len(rows) > 0 {
				continue
			}
			if !e.waitChange(ctx, changed) {
				yield(Record{}, context.Cause(ctx))
				return
			}
		}
	}
}

// waitChange waits for a hint that a plan changed, for Poll at the longest; it reports false when ctx has ended.
func (e *Engine) waitChange(ctx context.Context, changed <-chan struct{}) bool {
	t := e.opt.Clock.Timer(e.opt.Poll)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-changed:
	case <-t.C:
	}
	return true
}

// Wait returns when a plan is paused or has ended, whoever drives it, or when ctx ends. A plan that was not started it waits for,
// too.
func (e *Engine) Wait(ctx context.Context, id string) (Plan, error) {
	changed, stop := e.hub.watch(id)
	defer stop()
	for {
		p, err := e.Plan(ctx, id)
		if err != nil || p.Status == StatusPaused || p.Status.Ended() {
			return p, err
		}
		if !e.waitChange(ctx, changed) {
			return p, context.Cause(ctx)
		}
	}
}
