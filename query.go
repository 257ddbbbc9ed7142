package ota

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/seed-19b57ce3/ota/internal/reuse"
)

// Plan returns the present state of a plan, or ErrNotFound.
func (e *Engine) Plan(ctx context.Context, id string) (Plan, error) {
	row, err := e.store.listed(ctx, id)
	if err != nil {
		return Plan{}, wrapError(err, "plan %s", id)
	}
	rows, plans := []planRow{row}, []Plan{planOf(&row)}
	if err := e.tellUndriven(ctx, rows, plans); err != nil {
		return Plan{}, wrapError(err, "plan %s", id)
	}
	return plans[0], nil
}

// Plans returns one page of plans, newest first.
func (e *Engine) Plans(ctx context.Context, q PlanQuery) (Page[Plan], error) {
	rows, err := e.store.Plans(ctx, q)
	if err != nil {
		return Page[Plan]{}, wrapError(err, "plans")
	}
	out := pageOf(rows, make([]Plan, len(rows.Items)))
	for i := range rows.Items {
		out.Items[i] = planOf(&rows.Items[i])
	}
	if err := e.tellUndriven(ctx, rows.Items, out.Items); err != nil {
		return Page[Plan]{}, wrapError(err, "plans")
	}
	return out, nil
}

// Batches yields the batches of a plan in order, from the index from on.
func (e *Engine) Batches(ctx context.Context, id string, from int) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		row, err := e.store.Plan(ctx, id)
		if err != nil {
			yield(Batch{}, wrapError(err, "batches of plan %s", id))
			return
		}
		st := statusOf(&row.Control, &row.Progress)
		for {
			page, err := e.store.Batches(ctx, id, rowQuery{From: from})
			if err != nil {
				yield(Batch{}, wrapError(err, "batches of plan %s", id))
				return
			}
			for i := range page.Items {
				from = page.Items[i].Index + 1
				if !yield(batchOf(&page.Items[i], st, &row.Control), nil) {
					return
				}
			}
			if !page.More || len(page.Items) == 0 {
				return
			}
		}
	}
}

// AgentQuery selects agents of a plan: those to which all fields apply that are set. The zero value
// selects all of them, DefaultPage at a time.
type AgentQuery struct {
	From, To int          // ordinals from From to below To; To 0 means to the end
	Status   []TaskStatus // any of these
	IDs      []string     // any of these, at most 1,000
	Reason   []Reason     // any of these: how the agent ended, or why it waits
	Prefix   string       // how ID begins
	Label    Label        // agents with this label; an empty Value selects those without it, too
	Cursor   string       // Page.Next of the page before, with the same query
	Limit    int          // at most this many; 0 means DefaultPage
	Total    bool         // set Page.Total
}

// agentBuffers are rows that Agents has read before.
var agentBuffers reuse.Pool[[]agentRow]

// Agents returns one page of a plan's agents, in order. For the next page, set q.From to the
// ordinal of the last agent plus 1, or q.Cursor to Page.Next.
func (e *Engine) Agents(ctx context.Context, id string, query AgentQuery) (Page[AgentInfo], error) {
	q := rowQuery{
		From: query.From, To: query.To, Status: query.Status, IDs: query.IDs, Reason: query.Reason, Prefix: query.Prefix,
		Label: query.Label, Cursor: query.Cursor, Limit: query.Limit, Total: query.Total,
	}
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return Page[AgentInfo]{}, wrapError(err, "agents of plan %s", id)
	}
	st := statusOf(&row.Control, &row.Progress)
	if neverStarts(st) && len(q.Status) > 0 {
		q.Status = storedStatuses(q.Status)
	}
	buffer := cmp.Or(agentBuffers.Get(), new([]agentRow))
	defer agentBuffers.Put(buffer)
	q.Buffer = *buffer
	rows, err := e.store.Agents(ctx, id, q)
	if err != nil {
		return Page[AgentInfo]{}, wrapError(err, "agents of plan %s", id)
	}
	*buffer = rows.Items[:0]
	out := pageOf(rows, make([]AgentInfo, len(rows.Items)))
	n := 0
	for i := range rows.Items {
		n += rows.Items[i].State.tasks()
	}
	// One allocation serves all agents. One for each would double the cost of Agents.
	tasks := make([]Task, n)
	for i := range rows.Items {
		a := &out.Items[i]
		agentOf(a, &rows.Items[i], &row.Spec, st, tasks)
		tasks = tasks[len(a.Tasks):]
	}
	return out, nil
}

// Agent returns one agent of a plan. Its cost does not depend on the number of agents. The error is
// ErrNotFound if the plan does not exist, or does not have the agent.
func (e *Engine) Agent(ctx context.Context, plan, agent string) (AgentInfo, error) {
	page, err := e.Agents(ctx, plan, AgentQuery{IDs: []string{agent}, Limit: 1})
	if err == nil && len(page.Items) == 0 {
		err = fmt.Errorf("%w: plan %s has no agent %q", ErrNotFound, plan, shorten(agent))
	}
	if err != nil {
		return AgentInfo{}, err
	}
	return page.Items[0], nil
}

// storedStatuses translates the statuses of a query into stored ones, for a plan that shows its
// pending agents as canceled. It returns a status that no agent has if the query can match none.
func storedStatuses(ask []TaskStatus) []TaskStatus {
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
		return []TaskStatus{TaskUnknown + 1} // an empty list would match all agents
	}
	return out
}

// FailedSpec returns a Spec for a new plan of those agents of a plan that failed. It has the
// source's versions, labels and present policy; change what should differ. Create refuses it while
// the source, which claims these agents, has not ended. RemainingSpec also has agents that were not
// tried.
func (e *Engine) FailedSpec(ctx context.Context, id string) (Spec, error) {
	p, err := e.Plan(ctx, id)
	if err != nil {
		return Spec{}, err
	}
	return e.restOf(ctx, p, "Failed of ", []TaskStatus{TaskFailed, TaskUnknown}, failedAgents), nil
}

// RemainingSpec returns a Spec for a new plan of those agents of a plan that it has not brought to
// the target: agents that failed, that were canceled, and, with skipped, that were skipped. Of a
// plan that was rolled back, it also has the agents that were taken back. While the plan has not
// ended, its pending agents are still to come, and the Spec has only agents that failed, or were
// skipped.
//
// The Spec has the source's order, versions, labels and present policy; each agent has its labels,
// its tasks, and the version that it ran before the source. Create refuses a Spec without agents.
func (e *Engine) RemainingSpec(ctx context.Context, id string, skipped bool) (Spec, error) {
	p, err := e.Plan(ctx, id)
	if err != nil {
		return Spec{}, err
	}
	status := []TaskStatus{TaskFailed, TaskUnknown}
	if p.Status.Ended() { // pending agents of a plan that has ended are canceled
		status = append(status, TaskPending, TaskCanceled)
	}
	if skipped {
		status = append(status, TaskSkipped)
	}
	if p.Status == StatusRolledBack {
		status = append(status, TaskSucceeded)
	}
	return e.restOf(ctx, p, "Rest of ", status, remainingAgents), nil
}

func failedAgents(*agentRow) bool { return true }

// remainingAgents leaves out agents that were at the target before the plan was rolled back.
func remainingAgents(r *agentRow) bool {
	return r.State.Status != TaskSucceeded || r.State.Flags&agentChanged != 0
}

// restOf is a Spec of those agents of a plan with one of these statuses that keep accepts.
func (e *Engine) restOf(ctx context.Context, p Plan, prefix string, status []TaskStatus, keep func(*agentRow) bool) Spec {
	return Spec{
		Name: string(cleanLine(prefix + p.Name)), FromVersion: p.FromVersion, FromRelease: p.FromRelease,
		ToVersion: p.ToVersion, ToRelease: p.ToRelease, Labels: p.Labels, Policy: p.Policy,
		Agents: func(yield func(Agent, error) bool) {
			spec := planSpec{FromVersion: p.FromVersion}
			for q := (rowQuery{Status: status}); ; {
				page, err := e.store.Agents(ctx, p.ID, q)
				if err != nil {
					yield(Agent{}, wrapError(err, "agents of plan %s", p.ID))
					return
				}
				for i := range page.Items {
					r := &page.Items[i]
					q.From = r.Ordinal + 1
					if keep(r) && !yield(r.again(&spec, p.ToRelease), nil) {
						return
					}
				}
				if !page.More {
					return
				}
			}
		},
	}
}

// again is the agent for another plan to the same target.
func (r *agentRow) again(s *planSpec, release string) Agent {
	a := Agent{ID: r.Agent.ID, Version: r.previous(s), Labels: r.Agent.Labels, Tasks: r.Agent.Tasks}
	if a.Tasks == nil && r.Agent.Target != "" {
		a.Tasks = []TaskSpec{{ToVersion: r.Agent.Target, ToRelease: release}}
	}
	return a
}

// Watch yields the records of a plan's log above after, and then each new one. It yields each
// record once, in order and without a gap, until ctx ends or the caller's loop stops. after is 0
// for the whole log, or the Revision of the last record seen. A slow reader slows nothing else.
//
// Watch does not end with the plan, because the log may still grow. Record.Status shows whether the
// plan has ended.
func (e *Engine) Watch(ctx context.Context, id string, after uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		changed, stop := e.hub.Watch(id)
		defer stop()
		for {
			rows, err := e.store.Log(ctx, id, after, 256)
			if err != nil {
				yield(Record{}, wrapError(err, "watch plan %s", id))
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

// Log returns one page of a plan's log: the records above q.After in order, or, with q.Before, those
// below it, newest first. For the next page, set q.After or q.Before to the Revision of the last
// record. With q.Notable it has only records that are worth showing to people, such as verbs,
// breaches and the end of the plan. An empty id means the notable records of all plans, newest
// first. The error is ErrNotFound for a plan that does not exist.
func (e *Engine) Log(ctx context.Context, id string, q LogQuery) (Page[Record], error) {
	rows, err := e.store.store.Log(ctx, id, q)
	if err != nil {
		return Page[Record]{}, wrapError(err, "log of plan %s", id)
	}
	out := pageOf(rows, make([]Record, len(rows.Items)))
	for i, row := range rows.Items {
		if out.Items[i], err = decodeRecord(row.Plan, row); err != nil {
			return Page[Record]{}, wrapError(err, "log of plan %s", row.Plan)
		}
	}
	return out, nil
}

// awaitChange is waitChange, and returns the cause when ctx has ended.
func (e *Engine) awaitChange(ctx context.Context, changed <-chan struct{}) error {
	if !e.waitChange(ctx, changed) {
		return context.Cause(ctx)
	}
	return nil
}

// waitChange waits for a hint that the plan has changed, but at most Options.Poll. It returns false
// if ctx has ended.
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

// Wait returns when a plan is paused or has ended, or when ctx ends. It also waits for a plan that
// has not started. Any engine may drive the plan. For a rollback plan that has ended, Wait waits
// for its source too: then their agents are free for other plans.
func (e *Engine) Wait(ctx context.Context, id string) (Plan, error) {
	changed, stop := e.hub.Watch(id)
	defer stop()
	for {
		p, err := e.Plan(ctx, id)
		switch {
		case err != nil, p.Status == StatusPaused:
			return p, err
		case p.Status.Ended():
			return p, e.endSource(ctx, &p)
		}
		if !e.waitChange(ctx, changed) {
			return p, context.Cause(ctx)
		}
	}
}

// endSource ends the source of a rollback plan that has ended, if no engine has done it yet.
func (e *Engine) endSource(ctx context.Context, p *Plan) error {
	if p.Source == "" {
		return nil
	}
	row, err := e.store.Plan(ctx, p.Source)
	if errors.Is(err, ErrNotFound) { // it was pruned
		return nil
	}
	if ref := row.Control.Rollback; err != nil || ref == nil || ref.ID != p.ID || !ref.Done.IsZero() {
		return err
	}
	return e.advanceSource(ctx, &row)
}
