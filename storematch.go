package ota

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// What follows helps a Store that has no better way: it looks at every plan, row or record.

// Refuse compares the numbers of a commit, c.If, with the stored ones, n. Those that are 0 are not
// compared. A wrong epoch is ErrFenced, another wrong number ErrConflict; the epoch comes first.
func (n Numbers) Refuse(want Numbers) error {
	wrong := func(want, have uint64) bool { return want != 0 && want != have }
	switch {
	case wrong(want.Epoch, n.Epoch):
		return fmt.Errorf("%w: epoch %d, the commit has %d", ErrFenced, n.Epoch, want.Epoch)
	case wrong(want.Control, n.Control):
		return fmt.Errorf("%w: control %d, the commit has %d", ErrConflict, n.Control, want.Control)
	case wrong(want.Progress, n.Progress):
		return fmt.Errorf("%w: progress %d, the commit has %d", ErrConflict, n.Progress, want.Progress)
	}
	return nil
}

// With returns n with those numbers of then that are not 0.
func (n Numbers) With(then Numbers) Numbers {
	return Numbers{cmp.Or(then.Epoch, n.Epoch), cmp.Or(then.Control, n.Control), cmp.Or(then.Progress, n.Progress)}
}

// Match reports whether q selects p, but for Cursor, Offset and Limit.
func (q *PlanQuery) Match(p *PlanRow) bool {
	for name, want := range q.Labels {
		if have, ok := p.Names.Labels[name]; !ok || have != want {
			return false
		}
	}
	return anyOf(q.Status, p.Head.Status) && anyOf(q.Hold, p.Head.Hold) && anyOf(q.Coverage, p.Head.Coverage) &&
		anyOf(q.Owners, p.Head.Owner) && (q.Source == "" || p.Source == q.Source) && (q.Key == "" || p.Key == q.Key) &&
		(!q.Person || p.Head.Person) && (q.After.IsZero() || !p.Created.Before(q.After)) &&
		(q.Before.IsZero() || p.Created.Before(q.Before)) &&
		(strings.HasPrefix(p.ID, q.Search) || strings.Contains(lower(p.Names.Name), lower(q.Search)))
}

// anyOf reports whether v is one of those that are wanted; none means any.
func anyOf[T comparable](want []T, v T) bool { return len(want) == 0 || slices.Contains(want, v) }

// lower changes ASCII letters only, as databases do in every locale.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// Compare orders plans as s says: negative when a comes before b.
func (s Sort) Compare(a, b *PlanRow) int {
	order := 0
	switch s {
	case SortNewest:
		order = b.Created.Compare(a.Created)
	case SortOldest:
		order = a.Created.Compare(b.Created)
	case SortName:
		order = strings.Compare(a.Names.Name, b.Names.Name)
	case SortSince:
		if order = a.Head.Since.Compare(b.Head.Since); a.Head.Since.IsZero() != b.Head.Since.IsZero() {
			order = -order
		}
	}
	return cmp.Or(order, strings.Compare(a.ID, b.ID))
}

// Match reports whether q selects r, but for Cursor and Limit.
func (q *RowQuery) Match(r *Row) bool {
	return r.Kind == q.Kind && r.Number >= q.From && (q.To <= 0 || r.Number < q.To) && anyOf(q.IDs, r.ID) &&
		anyOf(q.Status, r.Status) && anyOf(q.Reason, r.Reason) && strings.HasPrefix(r.ID, q.Prefix) &&
		(q.Label.Name == "" || r.Labels[q.Label.Name] == q.Label.Value)
}

// Match reports whether q selects r, but for Cursor and Limit. Over all plans only notable records
// are selected.
func (q *LogQuery) Match(r *LogRow) bool {
	return r.Revision > q.After && (q.Before == 0 || r.Revision < q.Before) && (!q.Notable || r.Notable)
}
