package ota

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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
	w.notes = editNotes(&w.row.Control.Policy, &next, &w.row)
	w.event(Event{Kind: EventEdited, Batch: -1, Text: fmt.Sprintf(`{"before":%s,"after":%s}`, before, after)})
	return nil
}

// apart runs a function of the caller in a goroutine of its own, and waits for it. The verb may run in
// the goroutine of the plan's owner, which must survive a panic and runtime.Goexit.
func apart(f func()) error {
	ended := make(chan error, 1)
	go func() {
		returned := false
		defer func() {
			switch p := recover(); {
			case p != nil:
				ended <- fmt.Errorf("ota: the function of Edit panicked: %w", newPanicError(p))
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

// renewWarnings computes the warnings about the new policy. After a change of the budget's label,
// the number of agents without it is unknown, since that would need a read of all agents. So this
// warning is omitted.
func (w *command) renewWarnings() error {
	if w.c.Policy.Budget.Label != w.row.Control.Policy.Budget.Label {
		w.c.Unlabeled = 0
	}
	var batches []batchRow
	for from := 0; w.c.Policy.Scope == ScopeBatch; {
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
