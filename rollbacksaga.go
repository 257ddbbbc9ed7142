package ota

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
)

// advanceRollback takes the steps that are due between the two plans of a rollback. id is either
// plan. It finishes what a process began before it died. It ends the source when the rollback plan
// has ended. For a rollback plan it reports whether the source has drained.
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

// advanceSource takes the steps that are due for a source.
func (e *Engine) advanceSource(ctx context.Context, row *planRow) error {
	ref := row.Control.Rollback
	if ref == nil {
		if !undoing(&row.Control, &row.Progress) {
			return nil
		}
		return e.rollBackAfterBreach(ctx, row)
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
		return e.finishSource(ctx, row.ID, r.ID)
	case st == StatusCanceled:
		return e.detachRollback(ctx, row.ID, r.ID, "rollback plan "+r.ID+" was canceled")
	case st == StatusPending && !ref.begun() && !undoing(&row.Control, &row.Progress):
		return nil // the rollback plan waits for its Start
	case st == StatusPending, ref.Started == nil:
		_, err := e.startRollback(ctx, r, startRequest(row))
		return err
	}
	return nil
}

// finishSource ends a source whose rollback plan has completed.
func (e *Engine) finishSource(ctx context.Context, source, id string) error {
	_, err := e.applyRow(ctx, source, VerbRollback, Request{}, func(w *command) error {
		ref := w.c.Rollback
		if ref == nil || ref.ID != id || !ref.Done.IsZero() {
			return nil
		}
		done := *ref
		done.Done = w.now
		w.c.Rollback = &done
		w.event(Event{Kind: EventRolledBack, Batch: -1, Text: id})
		return nil
	})
	return err
}

// startRequest is the request behind the start of a rollback plan: its actor and its reason.
func startRequest(row *planRow) Request {
	switch ref := row.Control.Rollback; {
	case ref.Started != nil:
		return Request{Actor: ref.Started.Actor, Reason: ref.Started.Reason}
	case ref.Wanted != nil:
		return Request{Actor: ref.Wanted.Actor, Reason: ref.Wanted.Reason}
	case undoing(&row.Control, &row.Progress):
		return breachRequest(row)
	default:
		return Request{Actor: "ota", Reason: "its rollback plan was started"}
	}
}

// rollBackAfterBreach starts the rollback that a breach has triggered.
func (e *Engine) rollBackAfterBreach(ctx context.Context, row *planRow) error {
	by := breachRequest(row)
	var spec RollbackSpec
	if t := row.Control.RollbackSpec; t != nil {
		spec = *t
	}
	by.Generation = row.ControlNumber // a Cancel that comes meanwhile wins
	_, err := e.Rollback(ctx, row.ID, spec, by)
	by.Generation = 0
	if !errors.Is(err, ErrNothing) {
		return err
	}
	why := string(cleanMessage(strings.TrimPrefix(err.Error(), "ota: ")))
	_, err = e.applyRow(ctx, row.ID, VerbRollback, by, func(w *command) error {
		if w.c.RolledBackBreach >= w.row.Progress.LastBreach {
			return nil
		}
		w.c.RolledBackBreach = w.row.Progress.LastBreach
		w.event(Event{Kind: EventRollbackOff, Batch: -1, Text: why})
		return nil
	})
	return err
}

// breachRequest is the request behind the verbs that follow from a breach.
func breachRequest(row *planRow) Request {
	by := Request{Actor: "ota"}
	if b := standing(&row.Control, &row.Progress); b != nil {
		by.Reason = string(cleanLine(b.String()))
	}
	return by
}

// advanceRollbackPlan takes the steps that are due for a rollback plan. It reports whether the
// source has drained, and which agents that were in flight turned out unchanged, or bad.
func (e *Engine) advanceRollbackPlan(ctx context.Context, row *planRow) (counterpart, error) {
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
	// This comes after the source has drained, so that no later call is missing.
	if st.blocked, err = e.blockedElsewhere(ctx, row.ID); err != nil {
		return counterpart{}, err
	}
	if row.Progress.Confirmed >= row.Spec.Unconfirmed {
		return st, nil
	}
	for from := 0; from < row.Spec.Unconfirmed; {
		page, err := e.store.Agents(ctx, row.ID, rowQuery{From: from, To: row.Spec.Unconfirmed, Limit: orderChunk})
		if err != nil || len(page.Items) == 0 {
			return counterpart{}, err
		}
		rows := map[string]*agentRow{}
		q := rowQuery{Limit: orderChunk}
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
			row, w := rows[was.Items[i].Agent.ID], &was.Items[i]
			st.untouched = appendUntouched(st.untouched, row, w)
			if isBad(w) && row.State.Flags&agentWasBad == 0 {
				st.bad = append(st.bad, row.Ordinal)
			}
		}
	}
	slices.SortFunc(st.untouched, func(a, b unconfirmed) int {
		return cmp.Or(cmp.Compare(a.ordinal, b.ordinal), cmp.Compare(a.task, b.task))
	})
	return st, nil
}

// appendUntouched adds the tasks of the rollback plan that changed nothing in the source. row is
// the agent's row in the rollback plan, and was its row in the source. A task has the same
// component in both.
func appendUntouched(list []unconfirmed, row, was *agentRow) []unconfirmed {
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
