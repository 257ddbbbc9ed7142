package ota

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// annotate sets and removes annotations.
func (w *command) annotate(set map[string]string, remove []string) error {
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
func (w *command) edit(change func(*Policy)) error {
	if err := w.legal(); err != nil {
		return err
	}
	if change == nil {
		return &FieldError{Field: "change", Problem: "is missing", Allowed: "a function that changes the policy"}
	}
	next := w.c.Policy.withDefaults()
	if err := apart(func() { change(&next) }); err != nil {
		return err
	}
	if len(next.Stages) > 0 && w.row.Source != "" {
		return &FieldError{Field: "stages", Problem: "do not apply to a rollback", Allowed: "none"}
	}
	var m mistakes
	next.check(&m, w.row.Spec.Batches)
	checkRepresented(&m, w.row.Spec.Represent, next.Budgets)
	if err := m.result(); err != nil {
		return err
	}
	if next.Expect != nil && w.row.Source != "" {
		return &FieldError{Field: "expect", Problem: "does not apply to a rollback", Allowed: "none"}
	}
	if next = next.withDefaults(); w.row.Source != "" {
		next = next.judgedAsRollback()
	}
	before, err := json.Marshal(w.c.Policy)
	if err != nil {
		return err
	}
	after, err := json.Marshal(next)
	if err != nil || string(before) == string(after) {
		return err
	}
	w.c.Policy = next
	if err := w.renewPolicy(); err != nil {
		return err
	}
	w.notes = editNotes(&w.row.Control.Policy, &next, &w.row)
	w.event(Event{Kind: EventEdited, Batch: -1, Text: fmt.Sprintf(`{"before":%s,"after":%s}`, before, after)})
	return nil
}

// apart runs a function of the caller in a goroutine of its own, and waits for it. The verb may run
// in the goroutine of the plan's owner, which must survive a panic and runtime.Goexit.
func apart(f func()) error {
	ended := make(chan error, 1)
	go func() {
		returned := false
		defer func() {
			switch p := recover(); {
			case p != nil:
				ended <- wrapError(newPanicError(p), "the function of Edit panicked")
			case !returned:
				ended <- &FieldError{Field: "change", Problem: "ended its goroutine", Allowed: "a function that returns"}
			default:
				ended <- nil
			}
		}()
		f()
		returned = true
	}()
	return <-ended
}

// renewPolicy computes what follows from the new policy: its warnings, and the tables of a new
// Expect. The number of agents without a label that no budget had before is unknown, since that
// would need a read of all agents. So this warning is omitted.
func (w *command) renewPolicy() error {
	before := w.row.Control.Policy.Budgets
	w.c.Unlabeled = make([]int, len(w.c.Policy.Budgets))
	for i, b := range w.c.Policy.Budgets {
		k := slices.IndexFunc(before, func(old Budget) bool { return old.Label == b.Label })
		if k >= 0 && k < len(w.row.Control.Unlabeled) {
			w.c.Unlabeled[i] = w.row.Control.Unlabeled[k]
		}
	}
	old, p := w.row.Control.Policy.Expect, &w.c.Policy
	renew := !reflect.DeepEqual(old, p.Expect)
	var batches []batchRow
	for from := 0; p.Scope != ScopePlan || renew && p.Expect != nil; {
		page, err := w.store.Batches(w.ctx, w.row.ID, rowQuery{From: from})
		if err != nil {
			return err
		}
		batches = append(batches, page.Items...)
		if !page.More || len(page.Items) == 0 {
			break
		}
		from = batches[len(batches)-1].Index + 1
	}
	if renew {
		w.c.Expected = p.expectTables(w.row.Spec.Agents, w.row.Spec.Batches, largestBatch(batches))
	}
	w.c.Warnings = policyWarnings(w.c.Policy, batches, w.row.Spec.Agents, w.c.Unlabeled)
	if w.row.Source == "" {
		return nil
	}
	source, err := w.store.Plan(w.ctx, w.row.Source)
	if err == nil {
		w.c.Warnings = append(w.c.Warnings, slowRollback(&w.c.Policy, &source.Control.Policy)...)
	} else if errors.Is(err, ErrNotFound) { // it was pruned
		err = nil
	}
	return err
}

// editNotes list what an edit does not affect: attempts, batches and breaches from before it. They
// are part of the answer of Edit only, as warnings.
func editNotes(before, after *Policy, row *planRow) (notes []string) {
	p, c := &row.Progress, &row.Control
	changed := func(a, b any) bool { return !reflect.DeepEqual(a, b) }
	add := func(applies bool, format string, args ...any) {
		if applies {
			notes = append(notes, fmt.Sprintf(format, args...))
		}
	}
	add(changed(before.AttemptTimeout, after.AttemptTimeout) && p.Counts.Running > 0,
		"attemptLimit applies to attempts that start from now on: %s in flight %s the old limit; give_up ends one",
		plural.Count(p.Counts.Running, "call"), plural.Verb(p.Counts.Running, "keeps", "keep"))
	add(changed(before.Expect, after.Expect) && after.Expect != nil && p.Evidence.Finished > 0,
		"expect judges all agents that have finished since the last accept: %d of %d failed",
		p.Evidence.Failed-p.Evidence.FailedBefore, p.Evidence.Finished-p.Evidence.FinishedBefore)
	add(changed(before.FailureThreshold, after.FailureThreshold) && after.Scope == ScopeFirst && p.Batch > 0,
		"failureThreshold judges the first batch only, which is completed: its scope is first")
	was, is := before.at(p.Batch), after.at(p.Batch)
	add(is.concurrency < was.concurrency && p.Open > is.concurrency,
		"concurrency ends no call: %s open, and the next agent starts once fewer than %d are",
		plural.Are(p.Open, "agent"), is.concurrency)
	add(changed(before.Budgets, after.Budgets) && p.Open > 0,
		"budgets end no call: %s open, and they limit those that start from now on",
		plural.Are(p.Open, "agent"))
	add(after.Reserve && !before.Reserve && p.Open > 0,
		"reserve ends no call: %s open", plural.Are(p.Open, "agent"))
	add(changed(before.Windows, after.Windows) && p.Counts.Running > 0,
		"windows end no call: %s in flight %s on outside of them",
		plural.Count(p.Counts.Running, "call"), plural.Verb(p.Counts.Running, "goes", "go"))
	add(changed(before.Hold, after.Hold) && c.Started != nil && holdsBegun(&after.Hold, p.Reached),
		"hold applies to batches that have not begun: batch %d is the last that has begun", p.Reached)
	add(changed(before.Soak, after.Soak) && p.Batch > 0,
		"observe applies to batches that are not completed: %s completed", plural.Are(p.Batch, "batch"))
	add(stagesClosed(before, after, p.Batch),
		"stages apply to batches that are not completed: %s completed", plural.Are(p.Batch, "batch"))
	add(changed(before.Retry, after.Retry) && p.Counts.Waiting > 0,
		"retry applies to the next outcome of an agent: %s waiting, and %s the time of the next try",
		plural.Are(p.Counts.Waiting, "agent"), plural.Verb(p.Counts.Waiting, "keeps", "keep"))
	add((before.UnreachableTimeout != after.UnreachableTimeout || before.OnUnreachable != after.OnUnreachable) && p.Counts.Waiting > 0,
		"queueLimit and onAway apply to the next answer of an agent that is away")
	add(after.MaxAbandoned < before.MaxAbandoned && p.Counts.Total() > 0,
		"maxAbandoned is compared when the next call is abandoned")
	if b := standing(c, p); b != nil {
		add(true, "an open breach stays open until resume, and keeps the action %s: %s", b.Action, b.String())
	}
	return notes
}

// stagesClosed reports whether an edit changes the stage of a batch before this one.
func stagesClosed(before, after *Policy, batch int) bool {
	return slices.ContainsFunc(slices.Concat(before.Stages, after.Stages), func(s Stage) bool {
		return s.Batch < batch && !reflect.DeepEqual(before.stage(s.Batch), after.stage(s.Batch))
	})
}

// holdsBegun reports whether a hold names a batch that has begun.
func holdsBegun(h *Hold, reached int) bool {
	return h.All && reached > 0 || slices.ContainsFunc(h.Batches, func(k int) bool { return k <= reached })
}
