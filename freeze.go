package ota

import (
	"fmt"
	"strconv"

	"github.com/google/uuid"
)

// rollbackID is the ID of a plan's rollback plan. n is how many rollback plans were canceled
// before.
func rollbackID(source string, n int) string {
	return "plan-" + uuid.NewSHA1(rollbackSpace, []byte(source+"/"+strconv.Itoa(n))).String()
}

var rollbackSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("github.com/seed-19b57ce3/ota/rollback"))

// freeze links the rollback plan to its source. From then on nothing starts in the source. With
// start, the source rolls back.
func (w *command) freeze(spec RollbackSpec, start bool) error {
	if w.row.Source != "" {
		return w.refuse("it is a rollback itself; roll forward with a new plan")
	}
	ref := w.c.Rollback
	if ref != nil && (!start || ref.begun() || !ref.Done.IsZero()) {
		return nil
	}
	if ref == nil {
		// otherwise a breach has asked for it already
		if !undoing(&w.row.Control, &w.row.Progress) {
			if err := w.legal(); err != nil {
				return err
			}
		}
		if p := &w.row.Progress; p.Changed+p.Counts.Running == 0 {
			return fmt.Errorf("%w: plan %s has changed no agent", ErrNothing, w.row.ID)
		}
		ref = &rollbackRef{ID: rollbackID(w.row.ID, w.c.Rollbacks), Spec: spec, Frozen: w.audit()}
	}
	next := *ref
	if start {
		s := w.audit()
		next.Wanted = &s
	}
	w.c.Rollback = &next
	w.event(Event{Kind: EventFrozen, Batch: -1, Text: next.ID})
	return nil
}

// rollBack makes the source roll back for good. request is the ID under which the Start of the
// rollback plan is recorded.
func (w *command) rollBack(id, request string) error {
	ref := w.c.Rollback
	if !ref.is(id) {
		return w.refuse("plan " + id + " is not its rollback plan any more")
	}
	if ref.Started != nil || !ref.Done.IsZero() {
		return nil
	}
	started := *ref
	started.Started = &planStop{Audit: w.audit(), Interrupt: ref.Spec.Interrupt}
	started.Request = request
	w.c.RolledBackBreach = w.row.Progress.LastBreach
	w.c.Rollback = &started
	w.event(Event{Kind: EventRollback, Batch: -1, Text: id})
	return nil
}

// callOff cancels a rollback, or the wish for one.
func (w *command) callOff(why string) {
	since := pausedSince(&w.c, &w.row.Progress)
	if ref := w.c.Rollback; ref != nil {
		w.c.Rollback = nil
		w.c.Rollbacks++
		why = ref.ID + ": " + why
	}
	w.c.RolledBackBreach = w.row.Progress.LastBreach
	// The plan stays paused for another reason, which may be younger.
	until := pausedSince(&w.c, &w.row.Progress)
	if until.IsZero() {
		until = w.now
	}
	w.c.endPause(since, until)
	w.event(Event{Kind: EventRollbackOff, Batch: -1, Text: string(cleanMessage(why))})
}
