package ota

import (
	"cmp"
	"context"
	"fmt"
	"iter"
)

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

// records yields the records that a plan's log has now.
func (e *Engine) records(ctx context.Context, id string, yield func(Record, error) bool) {
	for after := uint64(0); ; {
		rows, err := e.store.Log(ctx, id, after, DefaultPage)
		if err != nil {
			yield(Record{}, err)
			return
		}
		if len(rows) == 0 {
			return
		}
		for _, row := range rows {
			rec, err := decodeRecord(id, row)
			if !yield(rec, err) || err != nil {
				return
			}
			after = row.Revision
		}
	}
}
