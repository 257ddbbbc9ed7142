package ota

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// CreateRollback creates the plan that takes back the changes of a plan, which is its source. It
// also freezes the source: nothing starts in the source any more. The rollback plan is pending, and
// runs after Start. Repeating CreateRollback returns the same plan.
//
// The rollback plan has every agent that the source may have changed. Each goes back to the version
// that it had before: the one in the Spec of that agent, or else FromVersion. The rollback plan
// omits agents without a known version, and agents that a later plan has changed. Its Warnings list
// them.
//
// By default the rollback plan is one batch that waits for nothing but its own calls; RollbackSpec
// has the details. First come the agents that do not work: failed, unknown, or unhealthy. If they
// fail again, nothing got worse, so they do not count towards the threshold of the rollback plan:
// Batch.Accepted includes them. Then come agents that were in flight, and then the others. These
// follow batch by batch from the last to the first, and in a batch the last changed first. An agent
// whose abandoned call has not returned comes last. It waits without a slot, and fails after
// UnreachableTimeout.
//
// If a later plan changes agents of a rollback plan before its Start, Start is refused until these
// agents are skipped. CreateRollback returns ErrNothing if the source has changed no agent. It
// returns a *StateError for a plan that never started, and for one that is a rollback plan itself.
func (e *Engine) CreateRollback(ctx context.Context, id string, spec RollbackSpec, by Request) (Plan, error) {
	row, err := e.createRollback(ctx, id, spec, by, VerbCreateRollback)
	if err != nil {
		return Plan{}, named(err, VerbCreateRollback.String(), id)
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
		return Plan{}, named(err, VerbRollback.String(), id)
	}
	p, err := e.startRollback(ctx, row, Request{Actor: by.Actor, Reason: by.Reason})
	return p, named(err, VerbRollback.String(), id)
}

// CanRollback returns how many agents Rollback would take back now. It changes nothing. For a plan
// that cannot be rolled back it returns the error of Rollback. The number includes agents in
// flight, which may turn out unchanged. It also includes agents without a version to go back to,
// unless no agent has one.
func (e *Engine) CanRollback(ctx context.Context, id string) (agents int, err error) {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return 0, wrapError(err, "plan %s", id)
	}
	w := &command{ctx: ctx, store: e.store, verb: VerbRollback, row: row, now: e.now(), c: row.Control}
	if row.Control.Rollback == nil || row.Source != "" {
		if err := w.freeze(RollbackSpec{}, true); err != nil {
			return 0, err
		}
		if row.Spec.FromVersion == "" { // otherwise the plan is built at once
			if err := e.checkPreviousVersions(ctx, &row); err != nil {
				return 0, err
			}
		}
	}
	return row.Progress.Changed + row.Progress.Counts.Running, nil
}

// checkPreviousVersions returns ErrNothing, with the reason, if a rollback would have no agent.
func (e *Engine) checkPreviousVersions(ctx context.Context, source *planRow) error {
	for _, err := range (&rollbackBuilder{e: e, ctx: ctx, source: source}).rows() {
		return err
	}
	return nil
}

// createRollback freezes the source and creates the rollback plan: two commits, each idempotent.
// The first one remembers the request. If the caller dies between the two, the driver of the source
// creates the plan.
func (e *Engine) createRollback(ctx context.Context, id string, spec RollbackSpec, by Request, verb Verb) (planRow, error) {
	var m mistakes
	spec.check(&m)
	if err := m.result(); err != nil {
		return planRow{}, err
	}
	if err := e.detachCanceled(ctx, id); err != nil {
		return planRow{}, err
	}
	source, err := e.applyRow(ctx, id, verb, by, func(w *command) error { return w.freeze(spec, verb == VerbRollback) })
	if err != nil {
		return planRow{}, err
	}
	if r, ok := source.Control.known(by.ID, verb); ok && !source.Control.Rollback.is(r.Plan) {
		return e.formerRollback(ctx, &source, r.Plan)
	}
	return e.ensureRollback(ctx, &source)
}

// formerRollback answers a repeated request whose rollback plan is no longer attached to its
// source.
func (e *Engine) formerRollback(ctx context.Context, source *planRow, id string) (planRow, error) {
	row, err := e.store.Plan(ctx, cmp.Or(id, rollbackID(source.ID, source.Control.Rollbacks-1)))
	if errors.Is(err, ErrNotFound) {
		if err := e.checkPreviousVersions(ctx, source); err != nil {
			return planRow{}, err
		}
		return planRow{}, fmt.Errorf("%w: plan %s, when this was requested first", ErrNothing, source.ID)
	}
	return row, err
}

// ensureRollback returns the rollback plan of a frozen source, and creates it if it does not exist.
// If the plan would be empty, or the Store refuses it for good, ensureRollback detaches it from the
// source.
func (e *Engine) ensureRollback(ctx context.Context, source *planRow) (planRow, error) {
	id := source.Control.Rollback.ID
	row, err := e.store.Plan(ctx, id)
	if err == nil || !errors.Is(err, ErrNotFound) {
		return row, err
	}
	rb := &rollbackBuilder{e: e, ctx: ctx, source: source}
	np := newPlan{
		ID: id, Source: source.ID, CreatedAt: e.now(), Labels: rb.labels(),
		Finish: func() (createdPlan, error) { return rb.finish(e.warnings()) },
	}
	err = e.store.Create(ctx, np, rb.rows())
	if errors.Is(err, ErrNothing) {
		return planRow{}, cmp.Or(e.detachRollback(ctx, source.ID, id, "nothing to roll back: "+rb.whyNothing()), err)
	}
	if err != nil && !errors.Is(err, ErrExists) {
		err = wrapError(err, "create rollback of plan %s", source.ID)
		if errors.Is(err, ErrRefused) {
			err = errors.Join(err, e.detachRollback(ctx, source.ID, id, "the store refuses the rollback plan: "+err.Error()))
		}
		return planRow{}, err
	}
	e.changed(id)
	return e.store.Plan(ctx, id)
}

// startRollback starts a rollback plan and makes its source roll back. All checks come first,
// because nothing takes the rollback back after the commit that sets Started. An older version
// could store a rollback plan that runs while its source is only frozen. startRollback repairs
// that.
func (e *Engine) startRollback(ctx context.Context, row planRow, by Request) (Plan, error) {
	st := statusOf(&row.Control, &row.Progress)
	if st.Ended() {
		return planOf(&row), nil
	}
	source, err := e.store.Plan(ctx, row.Source)
	if err != nil {
		return Plan{}, wrapError(err, "start rollback plan %s", row.ID)
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
func errNotRollbackOf(row *planRow) error {
	return &StateError{
		Plan: row.ID, Verb: VerbStart, Have: statusOf(&row.Control, &row.Progress),
		Hint: "plan " + row.Source + " no longer has it as its rollback plan",
	}
}

// prepareRollbackStart checks that a pending rollback plan may start, and takes the claims of its
// agents over from the source.
func (e *Engine) prepareRollbackStart(ctx context.Context, row *planRow, by Request) error {
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
func (e *Engine) checkNotChangedSince(ctx context.Context, row *planRow) error {
	source, err := e.store.Plan(ctx, row.Source)
	if err != nil {
		return wrapError(err, "start rollback plan %s", row.ID)
	}
	later, err := e.laterPlans(ctx, &source)
	if err != nil || len(later) == 0 {
		return err
	}
	rb := &rollbackBuilder{e: e, ctx: ctx, source: &source}
	for q := (rowQuery{Status: []TaskStatus{TaskPending}, Limit: orderChunk}); ; {
		page, err := e.store.Agents(ctx, row.ID, q)
		if err != nil {
			return wrapError(err, "start rollback plan %s", row.ID)
		}
		changed, err := rb.findChangedLater(page.Items, later)
		if err != nil {
			return wrapError(err, "start rollback plan %s", row.ID)
		}
		if len(changed) > 0 {
			legal := legalNow(&row.Spec, &row.Control, &row.Progress, nil)
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

// withdrawRollback clears Wanted, because the rollback plan may not start. The source stays frozen.
// If another request has started the rollback meanwhile, that is success.
func (e *Engine) withdrawRollback(ctx context.Context, row planRow, why error) (Plan, error) {
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
		return wrapError(err, "cancel plan %s", id)
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
