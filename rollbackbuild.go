package ota

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// undo is a rollback plan being made: it reads the source's batches, the current one first and then from the last to the
// first, and within each those in flight first, then in reverse order of completion. One batch is held in memory at a time.
type rollbackBuilder struct {
	e            *Engine
	ctx          context.Context
	source       *PlanRow
	batches      []BatchRow
	total        int
	doubtful     int
	unknown      []string // agents without a version to go back to
	changedLater []string // agents that a later plan has touched
	omitted      int      // how many were left out

	out   map[string]bool // agents for which a call is out
	last  []AgentRow      // rows of the source for those: they come last
	gated bool            // a gate was asked about the source
}

func (u *rollbackBuilder) rows() iter.Seq2[AgentRow, error] {
	return func(yield func(AgentRow, error) bool) {
		later, err := u.e.laterPlans(u.ctx, u.source)
		if err != nil {
			yield(AgentRow{}, err)
			return
		}
		if err := u.findOut(); err != nil {
			yield(AgentRow{}, err)
			return
		}
		for _, i := range append(u.order(), lastBatch) {
			agents, err := u.batch(i, later)
			if err != nil {
				yield(AgentRow{}, err)
				return
			}
			for k := range agents {
				if !yield(agents[k], nil) {
					return
				}
			}
		}
		if u.total == 0 {
			yield(AgentRow{}, ErrNothing)
		}
	}
}

func (u *rollbackBuilder) order() []int {
	p := &u.source.Progress
	current := min(p.Batch, u.source.Spec.Batches-1)
	order := []int{current}
	for i := p.Reached; i >= 0; i-- {
		if i != current {
			order = append(order, i)
		}
	}
	return order
}

// lastBatch stands for the agents that come last, whichever batch of the source they are of.
const lastBatch = -1

// findOut finds the agents for which a call is out: they wait until it has returned, and must not hold the others up.
func (u *rollbackBuilder) findOut() error {
	u.out = map[string]bool{}
	for _, agent := range u.e.abandoned.agents(u.source.ID, false) {
		u.out[agent] = true
	}
	others, err := u.e.blockedElsewhere(u.ctx, u.source.ID)
	for _, b := range others {
		u.out[b.agent] = true
	}
	return err
}

// batch reads the agents of one batch of the source that are to be taken back.
func (u *rollbackBuilder) batch(i int, later []string) ([]AgentRow, error) {
	if i == lastBatch {
		return u.take(u.reopen(), u.last, later)
	}
	page, err := u.e.store.Batches(u.ctx, u.source.ID, RowQuery{From: i, To: i + 1})
	if err != nil || len(page.Items) == 0 {
		return nil, err
	}
	src := page.Items[0]
	u.gated = u.gated || src.Gate != GateNone
	var found []AgentRow
	for q := (RowQuery{From: src.First, To: src.First + src.Size}); ; {
		page, err := u.e.store.Agents(u.ctx, u.source.ID, q)
		if err != nil {
			return nil, err
		}
		found = slices.Grow(found, len(page.Items))
		for _, r := range page.Items {
			q.From = r.Ordinal + 1
			switch {
			case r.State.Flags&AgentChanged == 0 && r.State.Status != TaskRunning:
			case u.out[r.Agent.ID]:
				u.last = append(u.last, r)
			default:
				found = append(found, r)
			}
		}
		if !page.More {
			break
		}
	}
	slices.SortStableFunc(found, func(a, b AgentRow) int {
		return cmp.Or(-cmp.Compare(inFlight(&a), inFlight(&b)), -cmp.Compare(lastEnd(&a), lastEnd(&b)))
	})
	return u.take(u.begin(src.Name), found, later)
}

// begin begins a batch of the rollback plan.
func (u *rollbackBuilder) begin(name string) BatchRow {
	return BatchRow{Index: len(u.batches), Name: name, First: u.total, Cursor: u.total}
}

// reopen takes the last batch, so that more agents join it, or begins one.
func (u *rollbackBuilder) reopen() BatchRow {
	n := len(u.batches)
	if n == 0 {
		return u.begin("")
	}
	b := u.batches[n-1]
	u.batches = u.batches[:n-1]
	return b
}

func inFlight(r *AgentRow) int {
	if r.State.Status == TaskRunning {
		return 1
	}
	return 0
}

func lastEnd(r *AgentRow) int64 {
	end := r.State.Task.Ended
	for i := range r.State.Rest {
		end = max(end, r.State.Rest[i].Ended)
	}
	return end
}

// take makes rows of the rollback plan, in batch b, from rows of its source.
func (u *rollbackBuilder) take(b BatchRow, found []AgentRow, later []string) ([]AgentRow, error) {
	gone, err := u.touchedLater(found, later)
	if err != nil {
		return nil, err
	}
	var out []AgentRow
	for i := range found {
		r := &found[i]
		if gone[r.Agent.ID] {
			u.omit(&u.changedLater, r.Agent.ID)
			continue
		}
		spec, ok := u.backwards(r)
		if !ok {
			continue
		}
		if r.State.Status == TaskRunning {
			u.doubtful = u.total + 1 // those in flight come first, but an earlier batch that was reopened comes before them
		}
		row := newRow(u.total, b.Index, spec)
		b.Tasks.Pending += row.State.tasks()
		out = append(out, row)
		u.total++
	}
	b.Size += len(out)
	b.Counts.Pending = b.Size
	if b.Size > 0 {
		u.batches = append(u.batches, b)
	}
	return out, nil
}

// undone is an agent of the source as its rollback plan has it: with the tasks that may have changed it, the last one
// first, each from where it was brought to back to where it was. It is not there when nothing of it has a version to go
// back to.
func (u *rollbackBuilder) backwards(r *AgentRow) (spec AgentSpec, ok bool) {
	src := &u.source.Spec
	spec = AgentSpec{ID: r.Agent.ID, Version: cmp.Or(r.Agent.Target, src.ToVersion), Labels: r.Agent.Labels}
	spec.Target = r.previous(src)
	if len(r.Agent.Tasks) == 0 {
		if spec.Target == "" {
			u.omit(&u.unknown, r.Agent.ID)
		}
		return spec, spec.Target != ""
	}
	for i, task := range slices.Backward(r.Agent.Tasks) {
		if !r.State.touched(i) && r.State.task(i).Status != TaskRunning {
			continue
		}
		t := src.task(&r.Agent, i)
		back := TaskSpec{
			Component: t.Component, FromVersion: t.ToVersion, FromRelease: t.ToRelease, ToVersion: t.FromVersion, ToRelease: t.FromRelease,
		}
		if len(r.Agent.Tasks) == 1 && spec.Target != "" && task.FromVersion == "" {
			back.ToVersion = spec.Target // what the agent itself has reported
		}
		if back.ToVersion == "" {
			u.omit(&u.unknown, strings.TrimSuffix(r.Agent.ID+" "+t.Component.Name, " "))
			continue
		}
		spec.Tasks = append(spec.Tasks, back)
	}
	return spec, len(spec.Tasks) > 0
}

func (u *rollbackBuilder) omit(list *[]string, id string) {
	u.omitted++
	if len(*list) < maxNamed {
		*list = append(*list, id)
	}
}

// touchedLater tells which of these agents one of the later plans may have changed.
func (u *rollbackBuilder) touchedLater(rows []AgentRow, later []string) (map[string]bool, error) {
	gone := map[string]bool{}
	for _, plan := range later {
		for chunk := range slices.Chunk(rows, orderChunk) {
			q := RowQuery{Limit: len(chunk)}
			for i := range chunk {
				q.IDs = append(q.IDs, chunk[i].Agent.ID)
			}
			page, err := u.e.store.Agents(u.ctx, plan, q)
			if err != nil {
				return nil, err
			}
			for _, r := range page.Items {
				if r.State.Flags&AgentChanged != 0 {
					gone[r.Agent.ID] = true
				}
			}
		}
	}
	return gone, nil
}

// laterPlans lists the plans, started after the source, that may have changed agents of it since. An active source holds its claims on what it has changed, so there
// are none; a plan that was rolled back, and its rollback plan, have left no trace.
func (e *Engine) laterPlans(ctx context.Context, source *PlanRow) ([]string, error) {
	if source.Progress.End == StatusUnknown && source.Control.Cancel == nil || source.Control.Started == nil {
		return nil, nil
	}
	var later []string
	for q := (PlanQuery{}); ; {
		page, err := e.store.Plans(ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			r := &page.Items[i]
			started := r.Control.Started
			switch {
			case r.ID == source.ID, r.Source != "", started == nil, started.At.Before(source.Control.Started.At):
			case r.Progress.Changed == 0, statusOf(&r.Control, &r.Progress) == StatusRolledBack:
			default:
				later = append(later, r.ID)
			}
		}
		q.Offset += len(page.Items)
		if !page.More {
			return later, nil
		}
	}
}

func (u *rollbackBuilder) labels() map[string]string {
	labels := map[string]string{}
	maps.Copy(labels, u.source.Spec.Labels)
	maps.Copy(labels, u.source.Control.Rollback.Spec.Labels)
	return labels
}

func (u *rollbackBuilder) finish(warnings []string) (Created, error) {
	src, spec := &u.source.Spec, u.source.Control.Rollback.Spec
	p := u.source.Control.Policy
	p.Hold.Batches = nil
	if spec.Policy != nil {
		p = *spec.Policy
	}
	p = p.withDefaults()
	now := u.e.now()
	for _, w := range []struct {
		ids  []string
		what string
	}{{u.unknown, "have no known version to go back to"}, {u.changedLater, "were changed by a later plan"}} {
		if len(w.ids) > 0 {
			warnings = append(warnings, fmt.Sprintf("agents left out because they %s: %v", w.what, w.ids))
		}
	}
	if n := u.omitted - len(u.unknown) - len(u.changedLater); n > 0 {
		warnings = append(warnings, fmt.Sprintf("%d more agents were left out", n))
	}
	if u.e.with.Gater != nil || u.gated {
		warnings = append(warnings, gatedRollback)
	}
	c := Control{Schema: Schema, Policy: p, Annotations: cloneMap(spec.Annotations), Warnings: slowRollback(&p, &u.source.Control.Policy)}
	by := u.source.Control.Rollback.Frozen
	return created(PlanSpec{
		Schema: Schema, Name: cmp.Or(spec.Name, string(cleanLine("Rollback of "+src.Name))), FromVersion: src.ToVersion, FromRelease: src.ToRelease,
		ToVersion: src.FromVersion, ToRelease: src.FromRelease, CreatedBy: by.Actor, CreatedAt: now, Labels: u.labels(),
		Agents: u.total, Batches: len(u.batches), Source: u.source.ID, Unconfirmed: u.doubtful, Warnings: warnings,
		Components: slices.Clone(src.Components),
	}, c, u.batches, by.Actor, now), nil
}
