package ota

import (
	"cmp"
	"context"
	"errors"
	"slices"
)

// tend does what is due between the two plans of a rollback, from the side of either: it finishes what a process that died
// has begun, ends the source when its rollback has ended, and tells a rollback whether its source has drained.
func (e *Engine) advanceRollback(ctx context.Context, id string) (counterpart, error) {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return counterpart{}, err
	}
	if row.Source != "" {
		return e.advanceRollbackPlan(ctx, &row)
	}
	return counterpart{}, e.advanceSource(ctx, &row)
}

func (e *Engine) advanceSource(ctx context.Context, row *PlanRow) error {
	ref := row.Control.Rollback
	if ref == nil {
		if !undoing(&row.Control, &row.Progress) {
			return nil
		}
		return e.rollBackByItself(ctx, row)
	}
	if !ref.Done.IsZero() {
		return nil
	}
	r, err := e.ensureRollback(ctx, row)
	if err != nil {
		if errors.Is(err, ErrNothing) {
			return nil
		}
		return err
	}
	switch st := statusOf(&r.Control, &r.Progress); {
	case st == StatusCompleted:
		return e.rolledBack(ctx, row.ID, r.ID)
	case st == StatusCanceled:
		return e.rollbackOff(ctx, row.ID, r.ID, "rollback plan "+r.ID+" was canceled")
	case st == StatusPending && !ref.begun() && !undoing(&row.Control, &row.Progress):
		return nil // it waits for its Start
	case st == StatusPending, ref.Started == nil:
		_, err := e.startRollback(ctx, r, startedBy(row))
		return err
	}
	return nil
}

// startedBy is who says the verbs that start a rollback plan.
func startedBy(row *PlanRow) Request {
	switch ref := row.Control.Rollback; {
	case ref.Started != nil:
		return Request{Actor: ref.Started.Actor, Reason: ref.Started.Reason}
	case ref.Wanted != nil:
		return Request{Actor: ref.Wanted.Actor, Reason: ref.Wanted.Reason}
	case undoing(&row.Control, &row.Progress):
		return breachedBy(row)
	default:
		return Request{Actor: "ota", Reason: "its rollback plan was started"}
	}
}

// rollBackByItself carries out the rollback that a breach asked for.
func (e *Engine) rollBackByItself(ctx context.Context, row *PlanRow) error {
	by := breachedBy(row)
	var spec RollbackSpec
	if t := row.Control.RollbackSpec; t != nil {
		spec = *t
	}
	by.Generation = row.ControlNumber // so that a Cancel said meanwhile has the last word
	_, err := e.Rollback(ctx, row.ID, spec, by)
	by.Generation = 0
	if !errors.Is(err, ErrNothing) {
		return err
	}
	_, err = e.applyRow(ctx, row.ID, VerbRollback, by, func(w *command) error {
		if w.c.RolledBackBreach >= w.row.Progress.LastBreach {
			return nil
		}
		w.c.RolledBackBreach = w.row.Progress.LastBreach
		w.event(Event{Kind: EventRollbackOff, Batch: -1, Text: "nothing to roll back"})
		return nil
	})
	return err
}

// breachedBy is who says the verbs that follow from a breach.
func breachedBy(row *PlanRow) Request {
	by := Request{Actor: "ota"}
	if b := standing(&row.Control, &row.Progress); b != nil {
		by.Reason = string(cleanLine(b.String()))
	}
	return by
}

// tendRollback looks whether the source has drained, and which agents that were in flight then turned out untouched.
func (e *Engine) advanceRollbackPlan(ctx context.Context, row *PlanRow) (counterpart, error) {
	source, err := e.store.Plan(ctx, row.Source)
	if err != nil {
		return counterpart{}, err
	}
	if err := e.advanceSource(ctx, &source); err != nil {
		return counterpart{}, err
	}
	p := &source.Progress
	st := counterpart{drained: p.Counts.Running+p.Counts.Waiting == 0}
	if !st.drained {
		return st, nil
	}
	if st.blocked, err = e.blockedElsewhere(ctx, row.ID); err != nil { // after the source drained, so that none comes later
		return counterpart{}, err
	}
	if row.Progress.Confirmed >= row.Spec.Unconfirmed {
		return st, nil
	}
	for from := 0; from < row.Spec.Unconfirmed; {
		page, err := e.store.Agents(ctx, row.ID, RowQuery{From: from, To: row.Spec.Unconfirmed, Limit: orderChunk})
		if err != nil || len(page.Items) == 0 {
			return counterpart{}, err
		}
		rows := map[string]*AgentRow{}
		q := RowQuery{Limit: orderChunk}
		for i := range page.Items {
			r := &page.Items[i]
			from = r.Ordinal + 1
			rows[r.Agent.ID] = r
			q.IDs = append(q.IDs, r.Agent.ID)
		}
		was, err := e.store.Agents(ctx, source.ID, q)
		if err != nil {
			return counterpart{}, err
		}
		for i := range was.Items {
			st.untouched = appendUntouched(st.untouched, rows[was.Items[i].Agent.ID], &was.Items[i])
		}
	}
	slices.SortFunc(st.untouched, func(a, b unconfirmed) int {
		return cmp.Or(cmp.Compare(a.ordinal, b.ordinal), cmp.Compare(a.task, b.task))
	})
	return st, nil
}

// appendUntouched adds the tasks of an agent's row in the rollback that never touched it in the source. What is the same
// task in both is told by its component.
func appendUntouched(list []unconfirmed, row, was *AgentRow) []unconfirmed {
	for k := range row.State.tasks() {
		i := 0
		if len(row.Agent.Tasks) > 0 {
			i = slices.IndexFunc(was.Agent.Tasks, func(t TaskSpec) bool { return t.Component.same(row.Agent.Tasks[k].Component) })
		}
		if !was.State.touched(i) {
			list = append(list, unconfirmed{row.Ordinal, k})
		}
	}
	return list
}
