package ota

import (
	"context"
	"errors"
	"fmt"
)

// withdrawRollback clears Wanted, because the rollback plan may not start. The source stays frozen.
// If another request has started the rollback meanwhile, that is success.
func (e *Engine) withdrawRollback(ctx context.Context, row PlanRow, why error) (Plan, error) {
	if !refusal(why) && !errors.Is(why, ErrClaimed) {
		return Plan{}, why
	}
	by := Request{Actor: "ota", Reason: string(cleanLine(why.Error()))}
	source, err := e.applyRow(ctx, row.Source, VerbRollback, by, func(w *command) error {
		ref := w.c.Rollback
		if !ref.is(row.ID) || ref.Wanted == nil || ref.Started != nil {
			return nil
		}
		frozen := *ref
		frozen.Wanted = nil
		w.c.Rollback = &frozen
		w.event(Event{Kind: EventRollbackOff, Batch: -1})
		return nil
	})
	switch {
	case err != nil:
		return Plan{}, err
	case source.Control.Rollback.is(row.ID) && source.Control.Rollback.Started != nil:
		return e.Plan(ctx, row.ID)
	}
	return Plan{}, why
}

// detachCanceled detaches a canceled rollback plan from its source, if the process that canceled it
// died before it did so.
func (e *Engine) detachCanceled(ctx context.Context, source string) error {
	row, err := e.store.Plan(ctx, source)
	if err != nil || row.Control.Rollback == nil {
		return nil //nolint:nilerr // the next verb reads the plan too, and reports the error
	}
	r, err := e.store.Plan(ctx, row.Control.Rollback.ID)
	if err != nil || statusOf(&r.Control, &r.Progress) != StatusCanceled {
		return nil //nolint:nilerr // the caller creates it, or does not get that far
	}
	return e.detachRollback(ctx, source, r.ID, "rollback plan "+r.ID+" was canceled")
}

// detachRollback detaches a rollback plan from its source, because it was canceled, would be empty,
// or was refused by the Store. A source that has not ended claims its agents again, and is paused.
func (e *Engine) detachRollback(ctx context.Context, source, id, why string) error {
	if c := e.with.Claimer; c != nil {
		if p, err := e.store.Plan(ctx, source); err == nil && p.Progress.End == StatusUnknown && p.Control.Cancel == nil {
			if _, _, err := c.Claim(ctx, source, id); err != nil {
				return err
			}
		}
	}
	_, err := e.applyRow(ctx, source, VerbCreateRollback, Request{Actor: "ota", Reason: string(cleanLine(why))}, func(w *command) error {
		if w.c.Rollback == nil || w.c.Rollback.ID != id {
			return nil
		}
		w.callOff(why)
		if w.row.Progress.End == StatusUnknown && w.c.Cancel == nil && w.c.Paused == nil {
			s := w.audit()
			w.c.Paused = &s
		}
		return nil
	})
	return err
}

// cancelPendingRollback cancels the rollback plan of a source that rolls back because of a breach,
// if that plan has not started. Cancel of the source then ends both.
func (e *Engine) cancelPendingRollback(ctx context.Context, id string, by Request) error {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return fmt.Errorf("ota: cancel plan %s: %w", id, err)
	}
	if statusOf(&row.Control, &row.Progress) != StatusRollingBack || !cancelable(&row.Control, &row.Progress) {
		return nil // Cancel itself reports what is wrong
	}
	if by.Generation != 0 && by.Generation != row.ControlNumber || row.Control.Rollback == nil {
		return nil
	}
	by.Generation = 0
	_, err = e.apply(ctx, row.Control.Rollback.ID, VerbCancel, by, func(w *command) error { return w.cancel(false) })
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
