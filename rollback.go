package ota

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// CreateRollback makes the plan that takes back what a plan has touched, and freezes that plan: nothing starts in it any
// more. The rollback plan is pending, and runs once it is started. Saying it again returns the same plan.
//
// It holds every agent that may have been changed, each with the version it had before: what the Spec said for that agent, else
// FromVersion. Agents without a known version, and agents that a later plan has touched, are left out and listed in its
// Warnings. So are the settings that make the rollback plan as careful, and as slow, as its source:
// windows, observe, hold.every, reserve and the gate. RollbackSpec.Policy changes them.
//
// Start of the rollback plan is refused if a later plan has touched agents of it since, until these
// are skipped. CreateRollback returns ErrNothing when nothing was touched, and a *StateError for a
// plan that never started or is a rollback itself.
func (e *Engine) CreateRollback(ctx context.Context, id string, spec RollbackSpec, by Request) (Plan, error) {
	row, err := e.createRollback(ctx, id, spec, by, VerbCreateRollback)
	if err != nil {
		return Plan{}, err
	}
	return planOf(&row), nil
}

// Rollback is CreateRollback and the Start of that plan, which begins once nothing of the source is in flight. The source
// rolls back from the first commit on, and has rolled back when the rollback plan completes. It returns the rollback plan.
//
// What that commit has accepted, the engine finishes by itself when the caller dies. A rollback plan that may not start is
// refused with the error that Start would return, for example a *ClaimError. It then stays pending, and its source frozen.
func (e *Engine) Rollback(ctx context.Context, id string, spec RollbackSpec, by Request) (Plan, error) {
	row, err := e.createRollback(ctx, id, spec, by, VerbRollback)
	if err != nil {
		return Plan{}, err
	}
	return e.startRollback(ctx, row, Request{Actor: by.Actor, Reason: by.Reason})
}

// CanRollback tells whether Rollback would be legal now, and of how many agents; it changes nothing. A plan that cannot be rolled
// back gives the error that Rollback would give. Agents in flight count, although they may turn out untouched; so do agents
// without a version to go back to, unless none has one.
func (e *Engine) CanRollback(ctx context.Context, id string) (agents int, err error) {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("ota: plan %s: %w", id, err)
	}
	w := &command{ctx: ctx, store: e.store, verb: VerbRollback, row: row, now: e.now(), c: row.Control}
	if row.Control.Rollback == nil || row.Source != "" {
		if err := w.freeze(RollbackSpec{}, true); err != nil {
			return 0, err
		}
		if row.Spec.FromVersion == "" { // else everybody has a version to go back to
			if err := e.goesBack(ctx, &row); err != nil {
				return 0, err
			}
		}
	}
	return row.Progress.Changed + row.Progress.Counts.Running, nil
}

// goesBack looks whether any agent of a plan has a version to go back to.
func (e *Engine) goesBack(ctx context.Context, source *PlanRow) error {
	for _, err := range (&rollbackBuilder{e: e, ctx: ctx, source: source}).rows() {
		if errors.Is(err, ErrNothing) {
			return nothingBack(source.ID)
		}
		return err
	}
	return nil
}

func nothingBack(plan string) error {
	return fmt.Errorf("%w: no agent of plan %s has a version to go back to", ErrNothing, plan)
}

// createRollback freezes the source and makes the rollback plan: two commits, each idempotent. The first one remembers
// the request. When the caller dies between the two, the driver of the source makes the plan.
func (e *Engine) createRollback(ctx context.Context, id string, spec RollbackSpec, by Request, verb Verb) (PlanRow, error) {
	var m mistakes
	spec.check(&m)
	if err := m.result(); err != nil {
		return PlanRow{}, err
	}
	if err := e.untieCanceled(ctx, id); err != nil {
		return PlanRow{}, err
	}
	source, err := e.applyRow(ctx, id, verb, by, func(w *command) error { return w.freeze(spec, verb == VerbRollback) })
	if err != nil {
		return PlanRow{}, err
	}
	if r, ok := source.Control.known(by.ID, verb); ok && !source.Control.Rollback.is(r.Plan) {
		return e.formerRollback(ctx, &source, r.Plan)
	}
	return e.ensureRollback(ctx, &source)
}

// formerRollback answers the repetition of a request whose rollback plan is not tied to its source any more.
func (e *Engine) formerRollback(ctx context.Context, source *PlanRow, id string) (PlanRow, error) {
	row, err := e.store.Plan(ctx, cmp.Or(id, rollbackID(source.ID, source.Control.Rollbacks-1)))
	if errors.Is(err, ErrNotFound) {
		return PlanRow{}, nothingBack(source.ID)
	}
	return row, err
}

// ensureRollback makes the rollback plan of a frozen source, unless it is there. One that would be empty, or that the
// Store refuses for good, is none, and the freeze is taken back.
func (e *Engine) ensureRollback(ctx context.Context, source *PlanRow) (PlanRow, error) {
	id := source.Control.Rollback.ID
	row, err := e.store.Plan(ctx, id)
	if err == nil || !errors.Is(err, ErrNotFound) {
		return row, err
	}
	u := &rollbackBuilder{e: e, ctx: ctx, source: source}
	np := NewPlan{
		ID: id, Source: source.ID, CreatedAt: e.now(), Labels: u.labels(),
		Finish: func() (Created, error) { return u.finish(e.warnings()) },
	}
	err = e.store.Create(ctx, np, u.rows())
	if errors.Is(err, ErrNothing) {
		if err := e.rollbackOff(ctx, source.ID, id, "nothing to roll back"); err != nil {
			return PlanRow{}, err
		}
		return PlanRow{}, nothingBack(source.ID)
	}
	if err != nil && !errors.Is(err, ErrExists) {
		err = fmt.Errorf("ota: create rollback of plan %s: %w", source.ID, err)
		if errors.Is(err, ErrRefused) {
			err = errors.Join(err, e.rollbackOff(ctx, source.ID, id, "the store refuses the rollback plan: "+err.Error()))
		}
		return PlanRow{}, err
	}
	e.changed(id)
	return e.store.Plan(ctx, id)
}

// startRollback starts a rollback plan and makes its source roll back. Whatever may refuse that comes first: from the
// commit that sets Started on, the rollback is not taken back. A rollback plan that runs although its source was not told
// so, as an older version could store it, is repaired.
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
		return Plan{}, notItsRollback(&row)
	}
	if st == StatusPending {
		if err := e.mayStart(ctx, &row, by); err != nil {
			return e.refuseRollback(ctx, row, err)
		}
	}
	request := by.ID // it was about the plan that the caller named, as by.Control was
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
	if errors.Is(err, ErrState) { // the driver of the source has started it meanwhile, and it has gone on since
		return e.Plan(ctx, row.ID)
	}
	return p, err
}

func notItsRollback(row *PlanRow) error {
	return &StateError{
		Plan: row.ID, Verb: VerbStart, Have: statusOf(&row.Control, &row.Progress),
		Hint: "it is not the rollback plan of plan " + row.Source + " any more",
	}
}

// mayStart checks that a pending rollback plan can be started, and takes its agents over from its source.
func (e *Engine) mayStart(ctx context.Context, row *PlanRow, by Request) error {
	w := &command{ctx: ctx, store: e.store, verb: VerbStart, request: by, row: *row, now: e.now(), c: row.Control}
	if err := w.start(); err != nil {
		return err
	}
	if err := e.changedSince(ctx, row); err != nil { // before claims are taken for nothing
		return err
	}
	if err := e.claim(ctx, row.ID, row.Source); err != nil {
		return err
	}
	return e.changedSince(ctx, row) // no other plan can change them any more
}

// changedSince refuses to start a rollback plan with agents that a later plan has changed since it was made.
func (e *Engine) changedSince(ctx context.Context, row *PlanRow) error {
	source, err := e.store.Plan(ctx, row.Source)
	if err != nil {
		return fmt.Errorf("ota: start rollback plan %s: %w", row.ID, err)
	}
	later, err := e.laterPlans(ctx, &source)
	if err != nil || len(later) == 0 {
		return err
	}
	u := &rollbackBuilder{e: e, ctx: ctx, source: &source}
	for q := (RowQuery{Status: []TaskStatus{TaskPending}, Limit: orderChunk}); ; {
		page, err := e.store.Agents(ctx, row.ID, q)
		if err != nil {
			return fmt.Errorf("ota: start rollback plan %s: %w", row.ID, err)
		}
		gone, err := u.touchedLater(page.Items, later)
		if err != nil {
			return fmt.Errorf("ota: start rollback plan %s: %w", row.ID, err)
		}
		if len(gone) > 0 {
			legal := legalNow(&row.Spec, &row.Control, &row.Progress)
			return &StateError{
				Plan: row.ID, Verb: VerbStart, Have: statusOf(&row.Control, &row.Progress),
				Legal: slices.DeleteFunc(legal, func(v Verb) bool { return v == VerbStart }),
				Hint: fmt.Sprintf("a later plan has changed agents of it since it was made, for example %s; "+
					"skip them, or cancel it and make another", slices.Sorted(maps.Keys(gone))[0]),
			}
		}
		if !page.More || len(page.Items) == 0 {
			return nil
		}
		q.From = page.Items[len(page.Items)-1].Ordinal + 1
	}
}

// refuseRollback takes back that a rollback was wanted, because its plan may not start. The source stays frozen. Where the
// rollback was begun by somebody else meanwhile, that is what the caller wanted.
func (e *Engine) refuseRollback(ctx context.Context, row PlanRow, why error) (Plan, error) {
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

// untieCanceled unties the canceled rollback plan of a source, where whoever canceled it did not get to that.
func (e *Engine) untieCanceled(ctx context.Context, source string) error {
	row, err := e.store.Plan(ctx, source)
	if err != nil || row.Control.Rollback == nil {
		return nil //nolint:nilerr // the verb that follows reads the plan too, and says so
	}
	r, err := e.store.Plan(ctx, row.Control.Rollback.ID)
	if err != nil || statusOf(&r.Control, &r.Progress) != StatusCanceled {
		return nil //nolint:nilerr // it is made below, or not reached
	}
	return e.rollbackOff(ctx, source, r.ID, "rollback plan "+r.ID+" was canceled")
}

// rollbackOff unties a rollback plan from its source: one that was canceled, would have been empty, or was refused by the
// Store. A source that has not ended is then paused.
func (e *Engine) rollbackOff(ctx context.Context, source, id, why string) error {
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

// uncreate cancels the rollback plan of a source that is rolling back by a breach, as long as that plan was not started.
// Cancel of the source then ends both.
func (e *Engine) uncreate(ctx context.Context, id string, by Request) error {
	row, err := e.store.Plan(ctx, id)
	if err != nil || statusOf(&row.Control, &row.Progress) != StatusRollingBack || !cancelable(&row.Control, &row.Progress) {
		return nil // Cancel itself says what is wrong
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

// rolledBack ends a source whose rollback plan has completed.
func (e *Engine) rolledBack(ctx context.Context, source, id string) error {
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

// Cancel ends a plan for good. Calls in flight drain, or, with interrupt, have their contexts ended. Agents not started
// stay as they are. Of a plan that rolls back because of a breach, Cancel is legal until its rollback plan was started. It
// calls the rollback off, and is the way out when that plan cannot be made.
func (e *Engine) Cancel(ctx context.Context, id string, interrupt bool, by Request) (Plan, error) {
	if err := e.uncreate(ctx, id, by); err != nil {
		return Plan{}, err
	}
	p, err := e.apply(ctx, id, VerbCancel, by, func(w *command) error { return w.cancel(interrupt) })
	if err == nil && p.Source != "" && p.Status == StatusCanceled {
		_, err = e.advanceRollback(ctx, p.Source)
	}
	return p, err
}
