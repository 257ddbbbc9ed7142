package ota

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Page returns the page that q selects of all plans, in any order. It sorts plans.
func (q *PlanQuery) Page(plans []*PlanRow) (Page[PlanRow], error) {
	slices.SortFunc(plans, q.Sort.Compare)
	s := span{offset: q.Offset, limit: q.Limit, total: q.Total}
	if q.Cursor != "" {
		var at planCursor
		if err := at.parse(q.Cursor); err != nil {
			return Page[PlanRow]{}, err
		}
		key := &PlanRow{ID: at.ID, Created: at.Created, Names: Names{Name: at.Name}, Head: Head{Since: at.Since}}
		s.start, s.offset = sort.Search(len(plans), func(i int) bool { return q.Sort.Compare(plans[i], key) >= 0 }), 0
	}
	found, next := paged(plans, func(p **PlanRow) bool { return q.Match(*p) }, s)
	page := Page[PlanRow]{Items: make([]PlanRow, len(found.Items)), More: found.More, Total: found.Total}
	for i, p := range found.Items {
		page.Items[i] = *p
	}
	if next != nil {
		p := *next
		page.Next = planCursor{ID: p.ID, Created: p.Created, Name: p.Names.Name, Since: p.Head.Since}.String()
	}
	return page, nil
}

// Page returns the page that q selects of rows, which are in order of Number: those of a plan of
// q.Kind, or some of them that include all that q selects.
func (q *RowQuery) Page(rows []Row) (Page[Row], error) {
	s := span{limit: q.Limit, total: q.Total}
	if q.Cursor != "" {
		n, err := strconv.Atoi(q.Cursor)
		if err != nil || n < 0 {
			return Page[Row]{}, badCursor(q.Cursor)
		}
		s.start = sort.Search(len(rows), func(i int) bool { return rows[i].Number >= n })
	}
	page, next := paged(rows, q.Match, s)
	if next != nil {
		page.Next = strconv.Itoa(next.Number)
	}
	return page, nil
}

// Page returns the page that q selects of log: the log of one plan in order of Revision, or, with
// all, the logs of all plans in any order.
func (q *LogQuery) Page(log []LogRow, all bool) (Page[LogRow], error) {
	if !all {
		log = slices.Clone(log)
		if q.Before != 0 {
			slices.Reverse(log)
		}
		page, _ := paged(log, q.Match, span{limit: q.Limit})
		return page, nil
	}
	log = slices.DeleteFunc(slices.Clone(log), func(r LogRow) bool { return !r.Notable })
	slices.SortFunc(log, newest)
	s := span{limit: q.Limit}
	if q.Cursor != "" {
		var at logCursor
		if err := at.parse(q.Cursor); err != nil {
			return Page[LogRow]{}, err
		}
		key := LogRow{At: at.At, Plan: at.Plan, Revision: at.Revision}
		s.start = sort.Search(len(log), func(i int) bool { return newest(log[i], key) >= 0 })
	}
	page, next := paged(log, func(*LogRow) bool { return true }, s)
	if next != nil {
		page.Next = logCursor{next.At, next.Plan, next.Revision}.String()
	}
	return page, nil
}

// newest is the order of records over all plans.
func newest(a, b LogRow) int {
	return cmp.Or(b.At.Compare(a.At), strings.Compare(a.Plan, b.Plan), cmp.Compare(b.Revision, a.Revision))
}

// span is where a page begins and ends among the items that match.
type span struct {
	start  int // index of the first item that may be on the page
	offset int // how many of those that match to leave out
	limit  int
	total  bool
}

// paged returns the page of those items that match, in their order, and the first one after it; nil
// when there is none.
func paged[T any](items []T, match func(*T) bool, s span) (page Page[T], next *T) {
	if s.limit <= 0 {
		s.limit = DefaultPage
	}
	seen := 0
	for i := range items {
		item := &items[i]
		if i < s.start && !s.total || !match(item) {
			continue
		}
		if page.Total++; i < s.start {
			continue
		}
		switch seen++; {
		case seen <= s.offset:
		case len(page.Items) < s.limit:
			page.Items = append(page.Items, *item)
		case next == nil:
			page.More, next = true, item
		}
		if next != nil && !s.total {
			break
		}
	}
	if !s.total {
		page.Total = 0
	}
	return page, next
}

// A cursor is the key of the item after the page, so that it stays right when items before it come
// and go.

type planCursor struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Name    string    `json:"name"`
	Since   time.Time `json:"since"`
}

func (c planCursor) String() string { b, _ := json.Marshal(c); return string(b) }

func (c *planCursor) parse(s string) error {
	if json.Unmarshal([]byte(s), c) != nil || c.ID == "" {
		return badCursor(s)
	}
	return nil
}

type logCursor struct {
	At       time.Time
	Plan     string
	Revision uint64
}

func (c logCursor) String() string { b, _ := json.Marshal(c); return string(b) }

func (c *logCursor) parse(s string) error {
	if json.Unmarshal([]byte(s), c) != nil || c.Plan == "" {
		return badCursor(s)
	}
	return nil
}

func badCursor(s string) error {
	return fmt.Errorf("%w: %.64q is no cursor of this query; allowed: the Next of its page before", ErrRefused, s)
}

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
