package ota

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/seed-19b57ce3/ota/internal/plural"
)

// Request names the actor of a verb, the reason, and a condition. The zero value is an anonymous
// operator.
type Request struct {
	Actor  string // who; at most 255 bytes
	Reason string // why; at most 255 bytes
	// ID makes the verb idempotent across lost answers: the same verb with the same ID is carried
	// out once. A repetition succeeds, changes nothing, and returns the plan as it is now; it
	// ignores Generation. Repeat the verb after an error too: it finishes what was begun. The plan
	// remembers its newest 64 IDs. At most 255 bytes; empty means none.
	ID string
	// Generation, if not 0, must be the plan's current generation. Otherwise the verb is refused
	// with ErrConflict.
	Generation uint64
}

// check checks the texts of the request.
func (b Request) check() error {
	var m mistakes
	checkText(&m, "by.actor", b.Actor, maxText)
	checkText(&m, "by.reason", b.Reason, maxText)
	checkText(&m, "by.request", b.ID, maxText)
	return m.result()
}

// checkGeneration compares the request's generation with that of the plan.
func (b Request) checkGeneration(row *planRow) error {
	if b.Generation == 0 || b.Generation == row.ControlNumber {
		return nil
	}
	return &generationError{plan: row.ID, is: row.ControlNumber, wanted: b.Generation}
}

// generationError is the conflict that a request has asked for. The engine repeats a verb after
// every other conflict.
type generationError struct {
	plan       string
	is, wanted uint64
}

func (e *generationError) Error() string {
	return fmt.Sprintf("%v: plan %s has generation %d, not %d", ErrConflict, e.plan, e.is, e.wanted)
}

func (e *generationError) Is(target error) bool { return target == ErrConflict }

// command is a verb that is being applied to a plan: the plan as it was read, and as it will be.
type command struct {
	ctx     context.Context
	store   rowStore
	verb    Verb
	request Request
	// The verb under which the request's ID is recorded: verb, or zero for Precheck.
	recordAs Verb
	row      planRow
	now      time.Time

	c       planControl // the new half
	exact   bool        // the result depends on Progress, so the commit compares its number
	inexact bool        // an exact commit was refused once; do not depend on Progress
	// The verb returns the status of its commit, not that of the plan as it was read.
	weaker bool
	wrote  bool // it has changed the plan
	events []Event
	notes  []string // warnings about this verb, part of its answer only
}

// prepare returns the commit that applies a verb. ok is false if the plan is already as wished, or
// the request was carried out before.
func (w *command) prepare(apply func(*command) error) (c planCommit, ok bool, err error) {
	w.c = w.row.Control
	if _, ok := w.c.known(w.request.ID, w.recordAs); ok {
		return planCommit{}, false, nil
	}
	if err := w.request.checkGeneration(&w.row); err != nil {
		return planCommit{}, false, err
	}
	w.exact, w.weaker, w.events, w.notes = false, false, nil, nil
	if err := apply(w); err != nil || len(w.events) == 0 && w.request.ID == "" {
		return planCommit{}, false, err
	}
	// An ID is recorded even if the verb changes nothing. A repetition may find another state, and
	// must change nothing then either.
	if len(w.events) == 0 {
		w.event(Event{Kind: EventFulfilled, Batch: -1, Text: w.verb.String()})
	}
	if id := w.request.ID; id != "" {
		r := pastRequest{ID: id, Verb: w.recordAs}
		if ref := w.c.Rollback; ref != nil && (w.recordAs == VerbRollback || w.recordAs == VerbCreateRollback) {
			r.Plan = ref.ID
		}
		w.c.remember(r)
	}
	status := statusOf(&w.c, &w.row.Progress)
	if w.inexact && w.exact && w.verb != VerbResume {
		w.exact, w.weaker = false, true
		status = inFlightStatus(status)
	}
	v := headView(&w.row.Spec, &w.c, &w.row.Progress, status, w.now)
	head := v.headAfter(&w.row.Head, nil)
	c = planCommit{
		Plan: w.row.ID, Control: w.row.ControlNumber, Progress: w.row.ProgressNumber,
		Exact: w.exact, NewControl: &w.c, Head: &head, At: w.now,
		Name: w.row.Spec.Name, Was: w.row.Head.Status, Counts: &w.row.Progress.Counts,
	}
	c.Log, c.Notable = encodeRecord(w.now, status, w.request.ID, w.events...)
	return c, true, nil
}

// inFlightStatus is the status to write when a call may be in flight by now.
func inFlightStatus(s Status) Status {
	switch s {
	case StatusPaused:
		return StatusPausing
	case StatusCanceled:
		return StatusCanceling
	default:
		return s
	}
}

// committed updates the plan after the commit.
func (w *command) committed(c planCommit, revision uint64) {
	w.row.Control, w.row.Status, w.row.Head, w.row.Revision = w.c, c.Head.Status, *c.Head, revision
	w.row.ControlNumber++
	w.wrote = true
}

// plan is the answer: row as the verb has found or made it.
func (w *command) plan(row *planRow) Plan {
	p := planOf(row)
	if w.weaker {
		p = planAs(row, row.Status)
	}
	p.Warnings = append(slices.Clip(p.Warnings), w.notes...)
	return p
}

func (w *command) status() Status { return statusOf(&w.row.Control, &w.row.Progress) }

func (w *command) audit() Audit {
	return Audit{At: w.now, Actor: w.request.Actor, Reason: w.request.Reason}
}

func (w *command) event(e Event) {
	e.Actor = w.request.Actor
	if e.Text == "" {
		e.Text = w.request.Reason
	}
	w.events = append(w.events, e)
}

// refuse is the error for a verb that the current status forbids.
func (w *command) refuse(hint string) error {
	legal := legalNow(&w.row.Spec, &w.row.Control, &w.row.Progress, nil)
	legal = slices.DeleteFunc(legal, func(v Verb) bool { return v == w.verb })
	return &StateError{Plan: w.row.ID, Verb: w.verb, Have: w.status(), Legal: legal, Hint: hint}
}

func (w *command) legal() error {
	if _, ok := transitions[w.status()][w.verb]; !ok {
		return w.refuse("")
	}
	return nil
}

func (w *command) frozen() bool { return w.c.Rollback != nil }

func (w *command) start() error {
	if w.status() == StatusRunning {
		return nil
	}
	if err := w.legal(); err != nil {
		return err
	}
	if p := &w.c.Policy; p.PlanTimeout > 0 && neverOpens(p.Windows, w.now, w.now.Add(p.PlanTimeout)) {
		return &FieldError{
			Field: "windows", Problem: "do not open before the plan's timeout of " + p.PlanTimeout.String() + " expires",
			Allowed: "a window that opens earlier, or a longer planLimit",
		}
	}
	s := w.audit()
	w.c.Started = &s
	w.event(Event{Kind: EventStarted, Batch: -1})
	return nil
}

func (w *command) pause() error {
	st := w.status()
	if w.c.Paused != nil && (st == StatusPausing || st == StatusPaused) {
		return nil
	}
	if st != StatusPausing && st != StatusPaused {
		if err := w.legal(); err != nil {
			return err
		}
	}
	s := w.audit()
	w.c.Paused = &s
	n := w.row.Progress.Counts.Running
	w.exact = n == 0
	w.event(Event{Kind: EventPaused, Batch: -1, Number: n})
	return nil
}

func (w *command) cancel(interrupt bool) error {
	st := w.status()
	if st == StatusCanceled {
		return nil
	}
	if err := w.legal(); err != nil {
		return err
	}
	switch {
	case !cancelable(&w.c, &w.row.Progress):
		return w.refuse("rollback plan " + w.c.Rollback.ID + " was started; cancel that one")
	case st == StatusRollingBack:
		w.callOff("the plan is canceled")
	}
	if old := w.c.Cancel; old != nil {
		switch {
		case old.Interrupt == interrupt:
			return nil
		case old.Interrupt:
			return w.refuse("its calls are already being interrupted")
		}
	}
	w.c.Cancel = &planStop{Audit: w.audit(), Interrupt: interrupt}
	w.exact = w.row.Progress.Counts.Running+w.row.Progress.Counts.Waiting == 0
	e := Event{Kind: EventCanceled, Batch: -1, Number: w.row.Progress.Counts.Running}
	if interrupt {
		e.Reason = ReasonInterrupted
	}
	w.event(e)
	return nil
}

func (w *command) promote(batch int) error {
	if err := w.legal(); err != nil {
		return err
	}
	if w.frozen() {
		return w.refuse("a rollback plan exists")
	}
	next := w.row.Progress.Reached + 1
	if batch <= w.c.Promoted && batch > 0 {
		return nil
	}
	if next >= w.row.Spec.Batches && !short(&w.row.Spec, &w.c, &w.row.Progress) {
		return w.refuse("every batch has begun already")
	}
	if batch != next {
		return w.refuse(fmt.Sprintf("batch %d was named, batch %d is the next", batch, next))
	}
	if n := openAgents(&w.row.Progress); n > 0 && !w.c.Policy.at(next).held {
		page, err := w.store.Batches(w.ctx, w.row.ID, rowQuery{From: next - 1, To: next})
		if err != nil {
			return err
		}
		if len(page.Items) == 0 || !mayStraggle(&w.row.Spec, &w.row.Progress, &page.Items[0]) {
			return w.refuse(fmt.Sprintf("batch %d is not held, and begins once batch %d has passed; %s not ended; "+
				"give_up ends the attempt of one that is running, skip ends one that is waiting",
				next, next-1, plural.Count(n, "agent")+" "+plural.Verb(n, "has", "have")))
		}
		w.c.StragglersAccepted, w.exact = batch, true
	}
	w.c.Promoted = batch
	w.event(Event{Kind: EventPromoted, Batch: batch})
	return nil
}

// commit prepares and commits once.
func (w *command) commit(f func(*command) error) (planRow, error) {
	c, ok, err := w.prepare(f)
	if err != nil || !ok {
		return w.row, err
	}
	rev, err := w.store.Commit(w.ctx, c)
	if err != nil {
		return planRow{}, wrapError(err, "%s plan %s", w.verb, w.row.ID)
	}
	w.committed(c, rev)
	return w.row, nil
}

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
