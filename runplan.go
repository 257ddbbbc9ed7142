package ota

import (
	"cmp"
	"context"
	"errors"
)

// RunPlan drives one plan, and the other plan of its rollback, until the plan is paused or has
// ended, or ctx ends. It returns the plan. A pending plan is returned at once, without an error;
// Wait waits for its Start.
//
// RunPlan returns when the plan is paused, also while a batch soaks, an agent waits for a retry, or
// a window is closed. Nothing is in flight then, and questions that were open are answered or
// have timed out. A paused plan is not observed after that, until an engine drives it: only Run
// observes paused plans.
//
// A held batch, a closed window and an unreachable agent are no pause. RunPlan waits until they
// clear, without a limit of time; Explain shows how they clear.
//
// When ctx ends, calls get DrainTimeout to return. RunPlan then returns the plan with the error of
// the context, or with an *AbandonedError if calls ignore their contexts. It returns ErrFenced if
// another engine takes the plan over, and ErrConflict if another live engine drives the plan. It
// returns the plan with every error, unless the plan cannot be read.
func (e *Engine) RunPlan(ctx context.Context, id string) (Plan, error) {
	if e.exec == nil {
		return Plan{}, &FieldError{Field: "executor", Problem: "is missing", Allowed: "an ota.Executor"}
	}
	r := &foreground{supervisor: supervisor{e: e, untilPaused: id, restedAt: map[string]uint64{}}, id: id}
	release, err := e.lease.acquire(ctx)
	if err != nil {
		return r.stopped(ctx)
	}
	defer release()
	return r.run(ctx)
}

// foreground drives one plan, and the other plan of its rollback.
type foreground struct {
	supervisor
	id string
}

func (r *foreground) run(ctx context.Context) (Plan, error) {
	ctx, cancel := context.WithCancel(ctx)
	wake, stop := r.e.hub.Watch("")
	r.wake = wake
	defer stop()
	defer r.wg.Wait()
	defer cancel()
	for {
		row, rests, err := r.look(ctx)
		switch {
		case err == nil && rests:
			cancel()
			return planOf(&row), r.waitForDrivers()
		case ctx.Err() != nil:
			return r.stopped(ctx)
		case err != nil && row.ID != "":
			return planOf(&row), named(err, "run", r.id)
		case err != nil:
			return Plan{}, named(err, "run", r.id)
		}
		r.wait(ctx)
	}
}

// look reads the plan and drives what has to be driven. rests reports that the plan is pending, is
// paused or has ended, and has no driver.
func (r *foreground) look(ctx context.Context) (row planRow, rests bool, err error) {
	if row, err = r.e.store.Plan(ctx, r.id); err != nil {
		return row, false, err
	}
	driven, err := r.drivePlans(ctx, &row)
	st := statusOf(&row.Control, &row.Progress)
	if err != nil || driven || st != StatusPaused && st != StatusPending && !st.Ended() {
		return row, false, err
	}
	// Its source ends with it, also if neither has a driver now.
	if row.Source != "" && st.Ended() {
		_, err = r.e.advanceRollback(ctx, row.Source)
	}
	return row, true, err
}

// stopped returns the plan, with the outcomes of the drain, and why RunPlan stops: ctx has ended.
func (r *foreground) stopped(ctx context.Context) (Plan, error) {
	why := cmp.Or(r.waitForDrivers(), context.Cause(ctx))
	row, err := (&limited{store: r.e.store}).plan(context.WithoutCancel(ctx), r.id)
	if err != nil {
		return Plan{}, errors.Join(why, err)
	}
	return planOf(&row), why
}

// otherPlan reads the other plan of a rollback, or returns ErrNotFound.
func (r *foreground) otherPlan(ctx context.Context, row *planRow) (planRow, error) {
	switch ref := row.Control.Rollback; {
	case ref != nil:
		return r.e.store.Plan(ctx, ref.ID)
	case row.Source != "":
		return r.e.store.Plan(ctx, row.Source)
	}
	return planRow{}, ErrNotFound
}

// drivePlans starts missing drivers of the two plans, and reports whether the plan itself has a
// driver.
func (r *foreground) drivePlans(ctx context.Context, row *planRow) (bool, error) {
	other, otherErr := r.otherPlan(ctx, row)
	owners, err := r.e.owners(ctx)
	if err != nil {
		return false, err
	}
	if !r.e.mayOwn(row, owners) || r.e.steps(row.ID) {
		return false, errOwned(row)
	}
	r.driveIfDue(ctx, row, owners)
	if otherErr == nil {
		r.driveIfDue(ctx, &other, owners)
	}
	r.mu.Lock()
	fenced := r.fenced[row.ID]
	r.mu.Unlock()
	if fenced {
		return false, ErrFenced
	}
	return r.e.driver(row.ID) != nil, nil
}
