package ota

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// By says who says a verb, why, and on which condition. The zero value is an unnamed operator.
type By struct {
	Actor  string // who; at most 255 bytes
	Reason string // why; at most 255 bytes
	// Request makes the verb idempotent across lost answers: the same verb with the same request ID is carried out once,
	// and is success after that. The plan remembers its newest 64. At most 255 bytes.
	Request string
	// Control, when not 0, must be the plan's present Control number; otherwise the verb is refused with ErrConflict.
	Control uint64
}

// saying is a verb being said to a plan: what the plan was when it was read, and what it becomes.
type saying struct {
	ctx   context.Context
	store Store
	verb  Verb
	by    By
	row   PlanRow
	now   time.Time

	c      Control // the new half
	exact  bool    // the answer depends on Progress
	loose  bool    // an exact commit was refused once; answer less
	events []Event
}

// prepare returns the commit that carries out a verb, or ok false when the plan is already as wished.
func (w *saying) prepare(say func(*saying) error) (c Commit, ok bool, err error) {
	if w.by.Control != 0 && w.by.Control != w.row.ControlNumber {
		return Commit{}, false, fmt.Errorf("%w: plan %s has control number %d, not %d", ErrConflict, w.row.ID, w.row.ControlNumber, w.by.Control)
	}
	if r := w.by.Request; r != "" && slices.Contains(w.row.Control.Requests, Request{r, w.verb}) {
		return Commit{}, false, nil
	}
	w.c = w.row.Control
	w.exact, w.events = false, nil
	if err := say(w); err != nil || len(w.events) == 0 {
		return Commit{}, false, err
	}
	if r := w.by.Request; r != "" {
		w.c.Requests = append(slices.Clone(w.c.Requests), Request{r, w.verb})
		w.c.Requests = w.c.Requests[max(0, len(w.c.Requests)-64):]
	}
	status := statusOf(&w.c, &w.row.Progress)
	if w.loose && w.exact && w.verb != VerbResume {
		w.exact = false
		status = unsure(status)
	}
	return Commit{
		Plan: w.row.ID, Request: w.by.Request, Control: w.row.ControlNumber, Progress: w.row.ProgressNumber,
		Exact: w.exact, NewControl: &w.c, Status: status, Log: encodeRecord(w.now, status, w.events...),
	}, true, nil
}

// unsure is the status to write when something may be in flight by now.
func unsure(s Status) Status {
	switch s {
	case StatusPaused:
		return StatusPausing
	case StatusCanceled:
		return StatusCanceling
	default:
		return s
	}
}

// done is what the plan is once the commit has landed.
func (w *saying) done(c Commit, revision uint64) {
	w.row.Control, w.row.Status, w.row.Revision = w.c, c.Status, revision
	w.row.ControlNumber++
}

func (w *saying) status() Status { return statusOf(&w.row.Control, &w.row.Progress) }

func (w *saying) stamp() Stamp { return Stamp{At: w.now, Actor: w.by.Actor, Reason: w.by.Reason} }

func (w *saying) event(e Event) {
	e.Actor = w.by.Actor
	if e.Text == "" {
		e.Text = w.by.Reason
	}
	w.events = append(w.events, e)
}

// refuse is the error for a verb that the present status forbids.
func (w *saying) refuse(hint string) error {
	st := w.status()
	legal := slices.DeleteFunc(LegalVerbs(st), func(v Verb) bool {
		switch v {
		case VerbResume, VerbPromote, VerbRetry:
			return w.row.Control.Rollback != nil
		case VerbCreateRollback, VerbRollback:
			return w.row.Source != ""
		default:
			return false
		}
	})
	return &StateError{Plan: w.row.ID, Verb: w.verb, Have: st, Legal: legal, Hint: hint}
}

func (w *saying) legal() error {
	if _, ok := transitions[w.status()][w.verb]; !ok {
		return w.refuse("")
	}
	return nil
}

func (w *saying) frozen() bool { return w.c.Rollback != nil }

func (w *saying) start() error {
	if w.status() == StatusRunning {
		return nil
	}
	if err := w.legal(); err != nil {
		return err
	}
	if p := &w.c.Policy; p.PlanLimit > 0 && neverOpens(p.Windows, w.now, w.now.Add(p.PlanLimit)) {
		return &FieldError{
			Field: "windows", Problem: "do not open before the plan's limit of " + p.PlanLimit.String() + " has passed",
			Allowed: "a window that opens earlier, or a longer planLimit",
		}
	}
	s := w.stamp()
	w.c.Started = &s
	w.event(Event{Kind: EventStarted, Batch: -1})
	return nil
}

func (w *saying) pause() error {
	st := w.status()
	if w.c.Paused != nil && (st == StatusPausing || st == StatusPaused) {
		return nil
	}
	if st != StatusPausing && st != StatusPaused {
		if err := w.legal(); err != nil {
			return err
		}
	}
	s := w.stamp()
	w.c.Paused = &s
	n := w.row.Progress.Counts.Running
	w.exact = n == 0
	w.event(Event{Kind: EventPaused, Batch: -1, Number: n})
	return nil
}

func (w *saying) cancel(interrupt bool) error {
	st := w.status()
	if st == StatusCanceled {
		return nil
	}
	if err := w.legal(); err != nil {
		return err
	}
	if old := w.c.Cancel; old != nil {
		switch {
		case old.Interrupt == interrupt:
			return nil
		case old.Interrupt:
			return w.refuse("its calls are being interrupted already")
		}
	}
	w.c.Cancel = &Stop{Stamp: w.stamp(), Interrupt: interrupt}
	w.exact = w.row.Progress.Counts.Running+w.row.Progress.Counts.Waiting == 0
	e := Event{Kind: EventCanceled, Batch: -1, Number: w.row.Progress.Counts.Running}
	if interrupt {
		e.Reason = ReasonInterrupted
	}
	w.event(e)
	return nil
}

func (w *saying) promote(batch int) error {
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
	if next >= w.row.Spec.Batches {
		return w.refuse("no batch is left that was not begun")
	}
	if batch != next {
		return w.refuse(fmt.Sprintf("batch %d was named, batch %d is the next", batch, next))
	}
	w.c.Promoted = batch
	w.event(Event{Kind: EventPromoted, Batch: batch})
	return nil
}

// order adds an order for the owner.
func (w *saying) order(kind OrderKind, agents []string, batches []int) {
	w.c.OrderCount++
	w.c.Orders = slices.DeleteFunc(slices.Clone(w.c.Orders), func(o Order) bool { return o.Number <= w.row.Progress.Folded })
	w.c.Orders = append(w.c.Orders, Order{Number: w.c.OrderCount, Kind: kind, Agents: agents, Batches: batches, By: w.stamp()})
	w.event(Event{Kind: EventOrdered, Batch: -1, Number: int(w.c.OrderCount), Text: orderText(kind, agents)})
}

func orderText(kind OrderKind, agents []string) string {
	word := map[OrderKind]string{OrderRetry: "retry", OrderSkip: "skip", OrderAccept: "accept"}[kind]
	switch n := len(agents); {
	case kind == OrderAccept:
		return word
	case n == 0:
		return word + " all failed agents"
	case n > 8:
		return fmt.Sprintf("%s %d agents: %s, …", word, n, strings.Join(agents[:8], ", "))
	default:
		return word + " " + strings.Join(agents, ", ")
	}
}

func (w *saying) skip(agents []string) error {
	if err := w.legal(); err != nil {
		return err
	}
	if len(agents) == 0 {
		return &FieldError{Field: "agents", Problem: "are missing", Allowed: "IDs of agents that were not started"}
	}
	some := false
	err := w.each(agents, func(id string, s AgentState) error {
		switch {
		case s.Status == TaskPending, s.Status == TaskWaiting:
			some = true
		case s.Status == TaskSkipped:
		default:
			return &FieldError{
				Field: "agents", Value: id, Problem: "is " + s.Status.String(),
				Allowed: "agents that are pending or waiting",
			}
		}
		return nil
	})
	if err != nil || !some {
		return err
	}
	w.order(OrderSkip, agents, nil)
	return nil
}

func (w *saying) retry(agents []string) error {
	if err := w.legal(); err != nil {
		return err
	}
	if w.frozen() {
		return w.refuse("a rollback plan exists")
	}
	if len(agents) == 0 && w.row.Progress.Counts.Bad() == 0 {
		return w.refuse("no agent has failed")
	}
	err := w.each(agents, func(id string, s AgentState) error {
		if bad(s.Status) {
			return nil
		}
		return &FieldError{Field: "agents", Value: id, Problem: "is " + s.Status.String(), Allowed: "agents that failed"}
	})
	if err != nil {
		return err
	}
	w.order(OrderRetry, agents, nil)
	return nil
}

// each looks at the agents named, as they are now; an ID the plan does not have is ErrNotFound.
func (w *saying) each(ids []string, f func(string, AgentState) error) error {
	for chunk := range slices.Chunk(ids, orderChunk) {
		page, err := w.store.Agents(w.ctx, w.row.ID, RowQuery{IDs: chunk, Limit: len(chunk)})
		if err != nil {
			return err
		}
		found := make(map[string]AgentState, len(page.Items))
		for _, r := range page.Items {
			found[r.Agent.ID] = r.State
		}
		for _, id := range chunk {
			s, ok := found[id]
			if !ok {
				return fmt.Errorf("%w: plan %s has no agent %q", ErrNotFound, w.row.ID, shorten(id))
			}
			if err := f(id, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// Decision is how Resume answers a breach. The zero value is no decision: it suffices when nothing exceeds its limit any
// more.
type Decision struct {
	kind      decisionKind
	failed    int
	threshold float64
}

type decisionKind uint8

const (
	decideNothing decisionKind = iota
	decideAccept
	decideRaise
	decideRetry
)

// Accept accepts the failures there are: failed is the count of the whole plan that the caller has seen. When more have failed by now, Resume
// is refused with the new count. As many agents as the threshold tolerates may then fail on top of them.
func Accept(failed int) Decision { return Decision{kind: decideAccept, failed: failed} }

// Raise edits the plan's failure threshold. Resume is refused when what failed exceeds the new one too.
func Raise(threshold float64) Decision { return Decision{kind: decideRaise, threshold: threshold} }

// RetryFailed puts every failed agent of the plan back, to be upgraded again before anything else goes on.
func RetryFailed() Decision { return Decision{kind: decideRetry} }

func (d Decision) String() string {
	switch d.kind {
	case decideAccept:
		return "accept " + strconv.Itoa(d.failed)
	case decideRaise:
		return "raise the threshold to " + strconv.FormatFloat(d.threshold, 'g', -1, 64)
	case decideRetry:
		return "retry the failed"
	default:
		return ""
	}
}

func (w *saying) resume(d Decision) error {
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
	if d.kind == decideRaise {
		if err := w.raise(d.threshold); err != nil {
			return err
		}
	}
	if err := w.answer(d); err != nil {
		return err
	}
	if since := pausedSince(&w.c, &w.row.Progress); !since.IsZero() {
		w.c.PausedFor += max(0, w.now.Sub(since))
	}
	w.exact = w.c.Cleared < w.row.Progress.Struck || d.kind == decideAccept
	w.c.Cleared, w.c.Paused = w.row.Progress.Struck, nil
	w.event(Event{Kind: EventResumed, Batch: -1, Text: d.String()})
	return nil
}

func (w *saying) raise(threshold float64) error {
	var m mistakes
	p := w.c.Policy
	p.FailureThreshold = &threshold
	p.check(&m, w.row.Spec.Batches)
	if err := m.result(); err != nil {
		return err
	}
	w.c.Policy = p
	return nil
}

// answer checks that d answers every breach that stands.
func (w *saying) answer(d Decision) error {
	p := &w.row.Progress
	var exceeded []int
	for i := range p.Breaches {
		b := p.Breaches[i]
		if b.Number <= w.c.Cleared {
			continue
		}
		if b.Reason != ReasonThreshold {
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
			exceeded = append(exceeded, b.Batch)
			if d.kind == decideNothing || d.kind == decideRaise || d.kind == decideAccept && p.Counts.Bad() > d.failed {
				return &BreachError{Plan: w.row.ID, Breach: b, Failed: p.Counts.Bad()}
			}
		}
	}
	switch {
	case d.kind == decideRetry && p.Counts.Bad() > 0:
		w.order(OrderRetry, nil, nil)
	case d.kind == decideAccept && len(exceeded) > 0:
		w.order(OrderAccept, nil, exceeded)
	}
	return nil
}

// answerOther answers a breach that is no matter of counting: a limit of time needs Edit or Accept, which lifts it; a gate
// is asked again unless Accept passes it; the others need nothing.
func (w *saying) answerOther(d Decision, b Breach) error {
	accept := d.kind == decideAccept
	c := w.c
	c.PausedFor += max(0, w.now.Sub(pausedSince(&w.row.Control, &w.row.Progress)))
	switch b.Reason {
	case ReasonPlanLimit:
		if at := planDeadline(&c); at.IsZero() || w.now.Before(at) {
			return nil
		}
		w.c.LiftedPlan = accept
	case ReasonBatchLimit:
		row, err := w.batch(b.Batch)
		if err != nil {
			return err
		}
		if at := batchDeadline(&c, &row); at.IsZero() || w.now.Before(at) {
			return nil
		}
		if accept {
			w.c.Lifted = b.Batch + 1
		}
	case ReasonGateFailed, ReasonGateUndecided:
		if accept {
			w.c.Gated = b.Batch + 1
		}
		return nil
	default:
		return nil
	}
	if !accept {
		return &BreachError{Plan: w.row.ID, Breach: b, Failed: w.row.Progress.Counts.Bad()}
	}
	return nil
}

// batch reads one batch as it is now.
func (w *saying) batch(i int) (BatchRow, error) {
	page, err := w.store.Batches(w.ctx, w.row.ID, RowQuery{From: i, To: i + 1})
	if err != nil {
		return BatchRow{}, err
	}
	if len(page.Items) == 0 {
		return BatchRow{}, fmt.Errorf("%w: batch %d of plan %s", ErrNotFound, i, w.row.ID)
	}
	return page.Items[0], nil
}

// exceeds reports whether what failed still exceeds what is tolerated, where b struck.
func (w *saying) exceeds(b Breach) (bool, error) {
	threshold := *w.c.Policy.FailureThreshold
	if b.Batch < 0 {
		p := &w.row.Progress
		return p.Counts.Bad()-p.Accepted > Tolerated(threshold, w.row.Spec.Agents), nil
	}
	row, err := w.batch(b.Batch)
	return row.Counts.Bad()-row.Accepted > Tolerated(threshold, row.Size), err
}

// pausedSince is when a plan that is pausing or paused stopped starting; zero for any other.
func pausedSince(c *Control, p *Progress) time.Time {
	var since time.Time
	first := func(t time.Time) {
		if !t.IsZero() && (since.IsZero() || t.Before(since)) {
			since = t
		}
	}
	if c.Paused != nil {
		first(c.Paused.At)
	}
	if b := standing(c, p); b != nil {
		first(b.At)
	}
	if c.Rollback != nil {
		first(c.Rollback.Frozen.At)
	}
	return since
}

func (w *saying) annotate(set map[string]string, remove []string) error {
	if err := w.legal(); err != nil {
		return err
	}
	next := maps.Clone(w.c.Annotations)
	if next == nil {
		next = map[string]string{}
	}
	maps.Copy(next, set)
	for _, k := range remove {
		delete(next, k)
	}
	var m mistakes
	checkMap(&m, "annotations", next, maxAnnotation)
	if err := m.result(); err != nil || maps.Equal(next, w.c.Annotations) {
		return err
	}
	w.c.Annotations = next
	keys := append(slices.Sorted(maps.Keys(set)), remove...)
	w.event(Event{Kind: EventAnnotated, Batch: -1, Text: strings.Join(keys, ", ")})
	return nil
}

// edit replaces the policy. The owner judges the plan by it at once.
func (w *saying) edit(change func(*Policy)) error {
	if err := w.legal(); err != nil {
		return err
	}
	next := w.c.Policy.withDefaults()
	change(&next)
	var m mistakes
	next.check(&m, w.row.Spec.Batches)
	if err := m.result(); err != nil {
		return err
	}
	next = next.withDefaults()
	before, err := json.Marshal(w.c.Policy)
	if err != nil {
		return err
	}
	after, err := json.Marshal(next)
	if err != nil || string(before) == string(after) {
		return err
	}
	w.c.Policy = next
	if err := w.renewWarnings(); err != nil {
		return err
	}
	w.event(Event{Kind: EventEdited, Batch: -1, Text: fmt.Sprintf(`{"before":%s,"after":%s}`, before, after)})
	return nil
}

// renewWarnings says anew what deserves a look about the policy. How many agents lack another label than the one that
// was budgeted before is not known without reading them all, and not told.
func (w *saying) renewWarnings() error {
	if w.c.Policy.Budget.Label != w.row.Control.Policy.Budget.Label {
		w.c.Bare = 0
	}
	var batches []BatchRow
	for from := 0; w.c.Policy.Scope == ScopeBatch; {
		page, err := w.store.Batches(w.ctx, w.row.ID, RowQuery{From: from})
		if err != nil {
			return err
		}
		batches = append(batches, page.Items...)
		if !page.More || len(page.Items) == 0 {
			break
		}
		from = batches[len(batches)-1].Index + 1
	}
	w.c.Warnings = policyWarnings(w.c.Policy, batches, w.row.Spec.Agents, w.c.Bare)
	return nil
}
