package ota

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// startRollback starts a rollback plan and makes its source roll back. All checks come first,
// because nothing takes the rollback back after the commit that sets Started. An older version
// could store a rollback plan that runs while its source is only frozen. startRollback repairs
// that.
func (e *Engine) startRollback(ctx context.Context, row PlanRow, by Request) (Plan, error) {
	st := statusOf(&row.Control, &row.Progress)
	if st.Ended() {
		return planOf(&row), nil
	}
	source, err := e.store.Plan(ctx, row.Source)
	if err != nil {
		return Plan{}, fmt.Errorf("ota: start rollback plan %s: %w", row.ID, err)
	}
	if !source.Control.Rollback.is(row.ID) {
		return Plan{}, errNotRollbackOf(&row)
	}
	if st == StatusPending {
		if err := e.prepareRollbackStart(ctx, &row, by); err != nil {
			return e.withdrawRollback(ctx, row, err)
		}
	}
	request := by.ID // like the generation, it belongs to the plan that the caller named
	by.Generation, by.ID = 0, ""
	source, err = e.applyRow(ctx, row.Source, VerbRollback, by, func(w *command) error { return w.rollBack(row.ID, request) })
	if err != nil {
		return Plan{}, err
	}
	if st != StatusPending {
		return planOf(&row), nil
	}
	by.ID = cmp.Or(request, source.Control.Rollback.Request)
	p, err := e.apply(ctx, row.ID, VerbStart, by, (*command).start)
	// The driver of the source may have started it meanwhile.
	if errors.Is(err, ErrState) {
		return e.Plan(ctx, row.ID)
	}
	return p, err
}

// errNotRollbackOf refuses to start a rollback plan that its source no longer has.
func errNotRollbackOf(row *PlanRow) error {
	return &StateError{
		Plan: row.ID, Verb: VerbStart, Have: statusOf(&row.Control, &row.Progress),
		Hint: "plan " + row.Source + " no longer has it as its rollback plan",
	}
}

// prepareRollbackStart checks that a pending rollback plan may start, and takes the claims of its
// agents over from the source.
func (e *Engine) prepareRollbackStart(ctx context.Context, row *PlanRow, by Request) error {
	w := &command{ctx: ctx, store: e.store, verb: VerbStart, request: by, row: *row, now: e.now(), c: row.Control}
	if err := w.start(); err != nil {
		return err
	}
	if err := e.checkNotChangedSince(ctx, row); err != nil { // before it claims agents in vain
		return err
	}
	if err := e.claim(ctx, row.ID, row.Source); err != nil {
		return err
	}
	return e.checkNotChangedSince(ctx, row) // no other plan can change them any more
}

// checkNotChangedSince refuses the start if a later plan has changed agents of the rollback plan
// since its creation.
func (e *Engine) checkNotChangedSince(ctx context.Context, row *PlanRow) error {
	source, err := e.store.Plan(ctx, row.Source)
	if err != nil {
		return fmt.Errorf("ota: start rollback plan %s: %w", row.ID, err)
	}
	later, err := e.laterPlans(ctx, &source)
	if err != nil || len(later) == 0 {
		return err
	}
	rb := &rollbackBuilder{e: e, ctx: ctx, source: &source}
	for q := (RowQuery{Status: []TaskStatus{TaskPending}, Limit: orderChunk}); ; {
		page, err := e.store.Agents(ctx, row.ID, q)
		if err != nil {
			return fmt.Errorf("ota: start rollback plan %s: %w", row.ID, err)
		}
		changed, err := rb.findChangedLater(page.Items, later)
		if err != nil {
			return fmt.Errorf("ota: start rollback plan %s: %w", row.ID, err)
		}
		if len(changed) > 0 {
			legal := legalNow(&row.Spec, &row.Control, &row.Progress)
			return &StateError{
				Plan: row.ID, Verb: VerbStart, Have: statusOf(&row.Control, &row.Progress),
				Legal: slices.DeleteFunc(legal, func(v Verb) bool { return v == VerbStart }),
				Hint: fmt.Sprintf("a later plan has changed some of its agents since its creation, for example %s; "+
					"skip these agents, or cancel this plan and create another one", slices.Sorted(maps.Keys(changed))[0]),
			}
		}
		if !page.More || len(page.Items) == 0 {
			return nil
		}
		q.From = page.Items[len(page.Items)-1].Ordinal + 1
	}
}
