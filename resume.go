package ota

import (
	"fmt"
	"slices"
	"strconv"
)

// Decision is how Resume answers a breach. The zero value is no decision. It suffices for every
// breach except a threshold that is still exceeded, a time limit that is still exceeded, and a
// value that is still starved.
type Decision struct {
	kind      answerKind
	failed    int
	threshold float64
}

type answerKind uint8

const (
	answerNone answerKind = iota
	answerAccept
	answerRaise
	answerRetry
)

// Accept accepts the failures so far. failed is how many agents of the whole plan, not of one
// batch, the caller has seen failed: Plan.Counts.Bad. If more have failed by now, Resume is
// refused with the new count. As many agents as the threshold tolerates may then fail in addition,
// and Expect begins anew.
// Accept also removes a time limit that was exceeded, and passes the batch whose gate paused the
// plan, whatever the count. A negative count is refused.
func Accept(failed int) Decision { return Decision{kind: answerAccept, failed: failed} }

// Raise sets the plan's failure threshold, or that of the breached batch if its Stage has one. Resume is refused if the failures exceed the new
// threshold too. It does not answer a breach with the reason expect: use Edit of Policy.Expect.
func Raise(threshold float64) Decision { return Decision{kind: answerRaise, threshold: threshold} }

// RetryFailed resets every failed agent of the plan, including those whose failure was accepted.
// They are upgraded again before anything else continues. RetryFailed does not answer an exceeded
// time limit.
func RetryFailed() Decision { return Decision{kind: answerRetry} }

func (d Decision) String() string {
	switch d.kind {
	case answerAccept:
		return "accept " + strconv.Itoa(d.failed)
	case answerRaise:
		return "raise the threshold to " + strconv.FormatFloat(d.threshold, 'g', -1, 64)
	case answerRetry:
		return "retry the failed"
	default:
		return ""
	}
}

func (w *command) resume(d Decision) error {
	if d.failed < 0 {
		return &FieldError{Field: "accept", Value: strconv.Itoa(d.failed), Problem: "is negative", Allowed: "0 or more: how many agents of the whole plan have failed"}
	}
	st := w.status()
	if st == StatusRunning {
		return nil
	}
	if err := w.legal(); err != nil {
		return err
	}
	if w.frozen() {
		return w.refuse("rollback plan " + w.c.Rollback.ID + " exists; cancel it first")
	}
	if d.kind == answerRaise {
		if err := w.raise(d.threshold); err != nil {
			return err
		}
	}
	if err := w.answer(d); err != nil {
		return err
	}
	w.c.endPause(pausedSince(&w.c, &w.row.Progress), w.now)
	w.exact = w.c.AnsweredBreach < w.row.Progress.LastBreach || d.kind == answerAccept
	w.c.AnsweredBreach, w.c.Paused = w.row.Progress.LastBreach, nil
	w.event(Event{Kind: EventResumed, Batch: -1, Text: d.String()})
	return nil
}

func (w *command) raise(threshold float64) error {
	var m mistakes
	p := w.c.Policy
	p.Stages = cloneStages(p.Stages)
	batches := w.breached()
	for _, batch := range batches {
		p.raise(batch, threshold)
	}
	if len(batches) == 0 {
		p.raise(-1, threshold)
	}
	p.check(&m, w.row.Spec.Batches)
	if err := m.result(); err != nil {
		return err
	}
	w.c.Policy = p
	return nil
}

// breached returns the batches, -1 for the plan, whose threshold is exceeded by an open breach.
func (w *command) breached() (batches []int) {
	for _, b := range w.row.Progress.Breaches {
		if b.Number > w.c.AnsweredBreach && b.Reason == ReasonThreshold {
			batches = append(batches, b.Batch)
		}
	}
	return batches
}

// answer checks that d answers every unanswered breach.
func (w *command) answer(d Decision) error {
	p := &w.row.Progress
	var exceeded []int
	for i := range p.Breaches {
		b := p.Breaches[i]
		if b.Number <= w.c.AnsweredBreach {
			continue
		}
		if b.Reason != ReasonThreshold && b.Reason != ReasonExpect {
			if err := w.answerOther(d, b); err != nil {
				return err
			}
			continue
		}
		over, err := w.exceeds(b)
		if err != nil {
			return err
		}
		if over {
			if !slices.Contains(exceeded, b.Batch) {
				exceeded = append(exceeded, b.Batch)
			}
			if d.kind == answerNone || d.kind == answerRaise || d.kind == answerAccept && p.Counts.Bad() > d.failed {
				return &BreachError{Plan: w.row.ID, Breach: b, Failed: p.Counts.Bad()}
			}
		}
	}
	switch {
	case d.kind == answerRetry && p.Counts.Bad() > 0:
		w.order(orderRetry, nil, nil)
	case d.kind == answerAccept && len(exceeded) > 0:
		w.order(orderAccept, nil, exceeded)
	}
	return nil
}

// answerOther answers a breach other than a threshold. A time limit needs Edit, or Accept, which
// lifts it. A gate is asked again unless Accept passes it. A starved value needs a Skip, a Retry or
// an Edit of the budgets. Other breaches need no answer.
func (w *command) answerOther(d Decision, b Breach) error {
	accept := d.kind == answerAccept
	c := w.c
	c.endPause(pausedSince(&w.row.Control, &w.row.Progress), w.now)
	switch b.Reason {
	case ReasonPlanTimeout:
		if at := planDeadline(&c); at.IsZero() || w.now.Before(at) {
			return nil
		}
		w.c.PlanTimeoutAccepted = accept
	case ReasonBatchTimeout:
		row, err := w.batch(b.Batch)
		if err != nil {
			return err
		}
		if at := batchDeadline(&c, &row); at.IsZero() || w.now.Before(at) {
			return nil
		}
		if accept {
			w.c.BatchTimeoutAccepted = b.Batch + 1
		}
	case ReasonGateFailed, ReasonGateUndecided:
		if accept {
			w.c.GateAccepted = b.Batch + 1
		}
		return nil
	case ReasonStarved:
		if d.kind == answerRetry && w.row.Progress.Counts.Bad() > 0 || b.Number <= w.c.StarvedAnswered || !w.c.Policy.starves(w.row.Progress.Starved) {
			return nil
		}
		accept = false
	default:
		return nil
	}
	if !accept {
		return &BreachError{Plan: w.row.ID, Breach: b, Failed: w.row.Progress.Counts.Bad()}
	}
	return nil
}

// batch reads one batch as it is now.
func (w *command) batch(i int) (batchRow, error) {
	page, err := w.store.Batches(w.ctx, w.row.ID, rowQuery{From: i, To: i + 1})
	if err != nil {
		return batchRow{}, err
	}
	if len(page.Items) == 0 {
		return batchRow{}, fmt.Errorf("%w: batch %d of plan %s", ErrNotFound, i, w.row.ID)
	}
	return page.Items[0], nil
}

// exceeds reports whether the failures still are a breach where the breach occurred: by the
// threshold or by Expect.
func (w *command) exceeds(b Breach) (bool, error) {
	p, row, r := &w.row.Progress, batchRow{}, w.c.Policy.at(b.Batch)
	if b.Batch >= 0 {
		var err error
		if row, err = w.batch(b.Batch); err != nil {
			return false, err
		}
	}
	switch {
	case b.Reason == ReasonExpect:
		tests := w.c.expectTests(&w.row.Spec, p, &row)
		return w.c.Policy.Expect != nil && tests[min(b.Batch+1, 1)].exceeded(), nil
	case b.Batch < 0:
		return p.Counts.Bad()-p.Accepted > Tolerated(*r.threshold, w.row.Spec.Agents), nil
	}
	r.judges = r.judges || w.c.Policy.Scope == ScopePlan // an Edit has changed the scope since
	return row.Counts.Bad()-row.Accepted > r.tolerated(row.Size), nil
}
