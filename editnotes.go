package ota

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// editNotes say what an edit does not affect: attempts, batches and breaches from before it. They
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
	add(after.Concurrency < before.Concurrency && p.Open > after.Concurrency,
		"concurrency ends no call: %s open, and the next agent starts once fewer than %d are",
		plural.Are(p.Open, "agent"), after.Concurrency)
	add(changed(before.Budget, after.Budget) && p.Open > 0,
		"budget ends no call: %s open, and it limits those that start from now on",
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

// holdsBegun reports whether a hold names a batch that has begun.
func holdsBegun(h *Hold, reached int) bool {
	return h.All && reached > 0 || slices.ContainsFunc(h.Batches, func(k int) bool { return k <= reached })
}
