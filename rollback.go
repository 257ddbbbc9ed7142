package ota

import (
	"cmp"
	"context"
	"errors"
	"fmt"
)

// CreateRollback creates the plan that takes back the changes of a plan, which is its source. It
// also freezes the source: nothing starts in the source any more. The rollback plan is pending, and
// runs after Start. Repeating CreateRollback returns the same plan.
//
// The rollback plan has every agent that the source may have changed. Each goes back to the version
// that it had before: the one in the Spec of that agent, or else FromVersion. The rollback plan
// omits agents without a known version, and agents that a later plan has changed. Its Warnings list
// them. They also list the settings that make the rollback plan as careful, and as slow, as its
// source: windows, observe, hold.every, reserve and the gate. RollbackSpec.Policy changes these
// settings.
//
// If a later plan changes agents of a rollback plan before its Start, Start is refused until these
// agents are skipped. CreateRollback returns ErrNothing if the source has changed no agent. It
// returns a *StateError for a plan that never started, and for one that is a rollback plan itself.
func (e *Engine) CreateRollback(ctx context.Context, id string, spec RollbackSpec, by Request) (Plan, error) {
	row, err := e.createRollback(ctx, id, spec, by, VerbCreateRollback)
	if err != nil {
		return Plan{}, err
	}
	return planOf(&row), nil
}

// Rollback is CreateRollback and the Start of the rollback plan, which it returns. The rollback
// plan begins once no call of the source is in flight. The source is rolling back from the first
// commit on, and rolled back when the rollback plan completes.
//
// If the caller dies after the first commit, the engine finishes the operation. If the rollback
// plan may not start, Rollback returns the error of Start, for example a *ClaimError. The rollback
// plan then stays pending, and its source stays frozen.
func (e *Engine) Rollback(ctx context.Context, id string, spec RollbackSpec, by Request) (Plan, error) {
	row, err := e.createRollback(ctx, id, spec, by, VerbRollback)
	if err != nil {
		return Plan{}, err
	}
	return e.startRollback(ctx, row, Request{Actor: by.Actor, Reason: by.Reason})
}

// CanRollback returns how many agents Rollback would take back now. It changes nothing. For a plan
// that cannot be rolled back it returns the error of Rollback. The number includes agents in
// flight, which may turn out unchanged. It also includes agents without a version to go back to,
// unless no agent has one.
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
		if row.Spec.FromVersion == "" { // otherwise every agent has a version to go back to
			if err := e.checkPreviousVersions(ctx, &row); err != nil {
				return 0, err
			}
		}
	}
	return row.Progress.Changed + row.Progress.Counts.Running, nil
}

// checkPreviousVersions returns ErrNothing if no agent of a plan has a version to go back to.
func (e *Engine) checkPreviousVersions(ctx context.Context, source *PlanRow) error {
	for _, err := range (&rollbackBuilder{e: e, ctx: ctx, source: source}).rows() {
		if errors.Is(err, ErrNothing) {
			return errNoPreviousVersion(source.ID)
		}
		return err
	}
	return nil
}

func errNoPreviousVersion(plan string) error {
	return fmt.Errorf("%w: no agent of plan %s has a version to go back to", ErrNothing, plan)
}

// createRollback freezes the source and creates the rollback plan: two commits, each idempotent.
// The first one remembers the request. If the caller dies between the two, the driver of the source
// creates the plan.
func (e *Engine) createRollback(ctx context.Context, id string, spec RollbackSpec, by Request, verb Verb) (PlanRow, error) {
	var m mistakes
	spec.check(&m)
	if err := m.result(); err != nil {
		return PlanRow{}, err
	}
	if err := e.detachCanceled(ctx, id); err != nil {
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

// formerRollback answers a repeated request whose rollback plan is no longer attached to its
// source.
func (e *Engine) formerRollback(ctx context.Context, source *PlanRow, id string) (PlanRow, error) {
	row, err := e.store.Plan(ctx, cmp.Or(id, rollbackID(source.ID, source.Control.Rollbacks-1)))
	if errors.Is(err, ErrNotFound) {
		return PlanRow{}, errNoPreviousVersion(source.ID)
	}
	return row, err
}

// ensureRollback returns the rollback plan of a frozen source, and creates it if it does not exist.
// If the plan would be empty, or the Store refuses it for good, ensureRollback detaches it from the
// source.
func (e *Engine) ensureRollback(ctx context.Context, source *PlanRow) (PlanRow, error) {
	id := source.Control.Rollback.ID
	row, err := e.store.Plan(ctx, id)
	if err == nil || !errors.Is(err, ErrNotFound) {
		return row, err
	}
	rb := &rollbackBuilder{e: e, ctx: ctx, source: source}
	np := NewPlan{
		ID: id, Source: source.ID, CreatedAt: e.now(), Labels: rb.labels(),
		Finish: func() (Created, error) { return rb.finish(e.warnings()) },
	}
	err = e.store.Create(ctx, np, rb.rows())
	if errors.Is(err, ErrNothing) {
		if err := e.detachRollback(ctx, source.ID, id, "nothing to roll back"); err != nil {
			return PlanRow{}, err
		}
		return PlanRow{}, errNoPreviousVersion(source.ID)
	}
	if err != nil && !errors.Is(err, ErrExists) {
		err = fmt.Errorf("ota: create rollback of plan %s: %w", source.ID, err)
		if errors.Is(err, ErrRefused) {
			err = errors.Join(err, e.detachRollback(ctx, source.ID, id, "the store refuses the rollback plan: "+err.Error()))
		}
		return PlanRow{}, err
	}
	e.changed(id)
	return e.store.Plan(ctx, id)
}
