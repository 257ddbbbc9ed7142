package ota

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// rollbackBuilder builds a rollback plan from the batches of its source, in the order of
// rollbackorder.go. It has one batch of the source in memory at a time.
type rollbackBuilder struct {
	e            *Engine
	ctx          context.Context
	source       *planRow
	batches      []batchRow
	total        int      // rows of the rollback plan so far
	unconfirmed  int      // agents below this ordinal may turn out unchanged
	noVersion    []string // agents without a version to go back to
	changedLater []string // agents that a later plan has changed
	omitted      int      // how many agents and tasks were omitted

	inCall   map[string]bool // agents for which a call is out
	deferred []agentRow      // their rows in the source: they come last
	found    ordinals        // agents of the source that are in the rollback plan, or in deferred
	gated    bool            // a gate was asked about a batch of the source

	release   string // to which the first agents go back, if they agree
	noRelease int    // agents without a release to go back to
}

// rows yields the rows of the rollback plan, or ErrNothing if there are none.
func (rb *rollbackBuilder) rows() iter.Seq2[agentRow, error] {
	return func(yield func(agentRow, error) bool) {
		later, err := rb.e.laterPlans(rb.ctx, rb.source)
		if err != nil {
			yield(agentRow{}, err)
			return
		}
		if err := rb.findCalls(); err != nil {
			yield(agentRow{}, err)
			return
		}
		steps, err := rb.takes()
		if err != nil {
			yield(agentRow{}, err)
			return
		}
		for _, step := range steps {
			agents, err := rb.take(step, later)
			if err != nil {
				yield(agentRow{}, err)
				return
			}
			for k := range agents {
				if !yield(agents[k], nil) {
					return
				}
			}
		}
		if rb.total == 0 {
			yield(agentRow{}, rb.nothing())
		}
	}
}

// makeRows makes rows of the rollback plan in batch b, from rows of its source.
func (rb *rollbackBuilder) makeRows(b batchRow, found []agentRow, later []string) ([]agentRow, error) {
	changed, err := rb.findChangedLater(found, later)
	if err != nil {
		return nil, err
	}
	var out []agentRow
	for i := range found {
		r := &found[i]
		if changed[r.Agent.ID] {
			rb.omit(&rb.changedLater, r.Agent.ID)
			continue
		}
		spec, ok := rb.reverse(r)
		if !ok {
			continue
		}
		if r.State.Status == TaskRunning {
			rb.unconfirmed = rb.total + 1
		}
		row := newRow(rb.total, b.Index, spec)
		if isBad(r) {
			row.State.Flags |= agentWasBad
		}
		b.Tasks.Pending += row.State.tasks()
		out = append(out, row)
		rb.total++
	}
	if err := rb.findReleases(out); err != nil {
		return nil, err
	}
	b.Size += len(out)
	b.Counts.Pending = b.Size
	if b.Size > 0 {
		rb.batches = append(rb.batches, b)
	}
	return out, nil
}

// reverse returns an agent of the source for the rollback plan. It has the tasks that may have
// changed the agent, the last one first, with from and to exchanged. ok is false if nothing of the
// agent has a version to go back to.
func (rb *rollbackBuilder) reverse(r *agentRow) (spec agentSpec, ok bool) {
	src := &rb.source.Spec
	spec = agentSpec{ID: r.Agent.ID, Version: cmp.Or(r.Agent.Target, src.ToVersion), Labels: r.Agent.Labels}
	spec.Target = r.previous(src)
	if len(r.Agent.Tasks) == 0 {
		if spec.Target == "" {
			rb.omit(&rb.noVersion, r.Agent.ID)
		}
		if release := r.reported(src); release != "" {
			spec.Tasks = []TaskSpec{{ToRelease: release}}
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
			back.ToVersion = spec.Target // the version that the agent has reported
		}
		if len(r.Agent.Tasks) == 1 {
			back.ToRelease = cmp.Or(r.reported(src), back.ToRelease)
		}
		if back.ToVersion == "" {
			rb.omit(&rb.noVersion, strings.TrimSuffix(r.Agent.ID+" "+t.Component.Name, " "))
			continue
		}
		spec.Tasks = append(spec.Tasks, back)
	}
	return spec, len(spec.Tasks) > 0
}

// omit counts an omitted agent or task, and lists the first maxNamed.
func (rb *rollbackBuilder) omit(list *[]string, id string) {
	rb.omitted++
	if len(*list) < maxNamed {
		*list = append(*list, id)
	}
}

// nothing returns ErrNothing with the reason.
func (rb *rollbackBuilder) nothing() error {
	return fmt.Errorf("%w: plan %s: %s", ErrNothing, rb.source.ID, rb.whyNothing())
}

// whyNothing returns why every agent was omitted.
func (rb *rollbackBuilder) whyNothing() string {
	var why []string
	if len(rb.noVersion) > 0 {
		why = append(why, "no version to go back to is known of "+someOf(rb.noVersion))
	}
	if len(rb.changedLater) > 0 {
		why = append(why, "a later plan has changed "+someOf(rb.changedLater))
	}
	if why == nil {
		why = append(why, "it has changed no agent")
	}
	return strings.Join(why, "; ")
}

// someOf names the first of some agents.
func someOf(ids []string) string {
	if n := len(ids); n > 3 {
		return strings.Join(ids[:3], ", ") + " and others"
	}
	return strings.Join(ids, ", ")
}

// findChangedLater returns those of the agents that a later plan may have changed.
func (rb *rollbackBuilder) findChangedLater(rows []agentRow, later []string) (map[string]bool, error) {
	changed := map[string]bool{}
	for _, plan := range later {
		for chunk := range slices.Chunk(rows, orderChunk) {
			q := rowQuery{Limit: len(chunk)}
			for i := range chunk {
				q.IDs = append(q.IDs, chunk[i].Agent.ID)
			}
			page, err := rb.e.store.Agents(rb.ctx, plan, q)
			if err != nil {
				return nil, err
			}
			for _, r := range page.Items {
				if r.State.Flags&agentChanged != 0 {
					changed[r.Agent.ID] = true
				}
			}
		}
	}
	return changed, nil
}

// laterPlans lists the plans that started after the source and may have changed its agents since.
// An active source still claims the agents that it has changed, so it has no later plans. A plan
// that was rolled back does not count, and neither does a rollback plan.
func (e *Engine) laterPlans(ctx context.Context, source *planRow) ([]string, error) {
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
			case r.unreadable != nil: // it may have changed them
				later = append(later, r.ID)
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

// labels returns the labels of the source and, with precedence, those of the RollbackSpec.
func (rb *rollbackBuilder) labels() map[string]string {
	labels := map[string]string{}
	maps.Copy(labels, rb.source.Spec.Labels)
	maps.Copy(labels, rb.source.Control.Rollback.Spec.Labels)
	return labels
}

// policy returns the policy of the rollback plan, and whether a Gater is asked about it.
func (rb *rollbackBuilder) policy() (p Policy, gated bool) {
	spec := &rb.source.Control.Rollback.Spec
	p = rb.source.Control.Policy
	switch {
	case spec.Policy != nil:
		p, gated = *spec.Policy, spec.Policy.Gate != (Gate{})
	case spec.Inherit == InheritAll:
		p.Hold.Batches, p.Complete, gated = nil, Complete{}, true
	default:
		p = p.ForRollback()
	}
	return p.judgedAsRollback(), gated
}

// finish returns the parts of the plan that depend on its agents.
func (rb *rollbackBuilder) finish(warnings []string) (createdPlan, error) {
	src, spec := &rb.source.Spec, rb.source.Control.Rollback.Spec
	p, gated := rb.policy()
	now := rb.e.now()
	for _, w := range []struct {
		ids  []string
		what string
	}{{rb.noVersion, "have no known version to go back to"}, {rb.changedLater, "were changed by a later plan"}} {
		if len(w.ids) > 0 {
			warnings = append(warnings, fmt.Sprintf("agents omitted because they %s: %v", w.what, w.ids))
		}
	}
	if n := rb.omitted - len(rb.noVersion) - len(rb.changedLater); n > 0 {
		warnings = append(warnings, fmt.Sprintf("%d more agents were omitted", n))
	}
	if rb.noRelease > 0 && src.ToRelease != "" {
		warnings = append(warnings, fmt.Sprintf("no release to go back to is known of %s, of %d", plural.Count(rb.noRelease, "agent"), rb.total))
	}
	if gated && (rb.e.with.Gater != nil || rb.gated) {
		warnings = append(warnings, gatedRollback)
	}
	c := planControl{Schema: Schema, Policy: p, Annotations: cloneMap(spec.Annotations), Warnings: append(policyWarnings(p, rb.batches, rb.total, nil), slowRollback(&p, &rb.source.Control.Policy)...)}
	by := rb.source.Control.Rollback.Frozen
	return created(planSpec{
		Schema: Schema, Name: cmp.Or(spec.Name, string(cleanLine("Rollback of "+src.Name))), FromVersion: src.ToVersion, FromRelease: src.ToRelease,
		ToVersion: src.FromVersion, ToRelease: cmp.Or(src.FromRelease, rb.release), CreatedBy: by.Actor, CreatedAt: now, Labels: rb.labels(),
		Agents: rb.total, Batches: len(rb.batches), Source: rb.source.ID, Unconfirmed: rb.unconfirmed, Warnings: warnings,
		Ungated:    !gated,
		Components: slices.Clone(src.Components),
	}, c, rb.batches, by.Actor, now), nil
}
