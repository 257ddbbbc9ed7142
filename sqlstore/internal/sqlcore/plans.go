package sqlcore

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
)

const (
	planColumns = `p.number, p.id, p.source, p.request_key, p.created_at, p.row_index, p.name, ` + headColumns + `,
	p.epoch, p.control_number, p.progress_number, p.revision, s.spec, c.control, p.progress`
	selectPlan = `SELECT ` + planColumns + `
FROM ota_plans p JOIN ota_plan_specs s ON s.plan = p.number JOIN ota_plan_controls c ON c.plan = p.number`
)

func scanPlan(scan ScanFunc) (number int64, p ota.PlanRow, err error) {
	var key *string
	var created int64
	var index []byte
	var head headScan
	dest := []any{&number, &p.ID, &p.Source, &key, &created, &index, &p.Names.Name}
	dest = append(dest, head.dest()...)
	dest = append(dest, &p.Numbers.Epoch, &p.Numbers.Control, &p.Numbers.Progress, &p.Revision,
		&p.Parts.Spec, &p.Parts.Control, &p.Parts.Progress)
	if err := scan(dest...); err != nil {
		return 0, p, err
	}
	if key != nil {
		p.Key = *key
	}
	p.Created, p.Head = fromLogTime(created), head.head()
	return number, p, decodeJSON(index, &p.Index)
}

// readPlans reads plans with their labels.
func (s *Store) readPlans(ctx context.Context, query string, args []any) (rows []ota.PlanRow, err error) {
	var numbers []int
	at := map[int64]int{}
	err = s.db.Query(ctx, query, args, func(scan ScanFunc) error {
		number, row, err := scanPlan(scan)
		at[number] = len(rows)
		numbers, rows = append(numbers, int(number)), append(rows, row)
		return err
	})
	if err != nil || len(rows) == 0 {
		return rows, err
	}
	labels := `SELECT l.plan, l.name, l.value FROM {numbers $1} JOIN ota_plan_labels l ON l.plan = want.value`
	err = s.db.Query(ctx, labels, []any{s.db.NumberSet(numbers)}, func(scan ScanFunc) error {
		var plan int64
		var name, value string
		if err := scan(&plan, &name, &value); err != nil {
			return err
		}
		n := &rows[at[plan]].Names
		if n.Labels == nil {
			n.Labels = map[string]string{}
		}
		n.Labels[name] = value
		return nil
	})
	return rows, err
}

// Plan implements [ota.Store].
func (s *Store) Plan(ctx context.Context, id string) (row ota.PlanRow, err error) {
	rows, err := s.readPlans(ctx, selectPlan+` WHERE p.id = $1`, []any{id})
	if err == nil && len(rows) == 0 {
		err = ota.ErrNotFound
	}
	if err != nil {
		return row, wrap(ctx, "read", id, err)
	}
	return rows[0], nil
}

// planCursor is the plan at which a page begins.
type planCursor struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Name    string    `json:"name"`
	Since   time.Time `json:"since"`
}

func badCursor(cursor string) error {
	return fmt.Errorf("%w: %.64q is no cursor of this query; allowed: the Next of its page before", ota.ErrRefused, cursor)
}

// planOrders are the orders of plans: the columns to sort by, and from which plan on, given its ID
// and its other column.
var planOrders = map[ota.Sort]struct{ by, from string }{
	ota.SortNewest: {`p.created_at DESC, p.id`, `(p.created_at < %[2]s OR p.created_at = %[2]s AND p.id >= %[1]s)`},
	ota.SortOldest: {`p.created_at, p.id`, `(p.created_at > %[2]s OR p.created_at = %[2]s AND p.id >= %[1]s)`},
	ota.SortName:   {`p.name, p.id`, `(p.name > %[2]s OR p.name = %[2]s AND p.id >= %[1]s)`},
	ota.SortSince:  {`p.since IS NULL, p.since, p.id`, `(p.since IS NULL OR p.since > %[2]s OR p.since = %[2]s AND p.id >= %[1]s)`},
}

// Plans implements [ota.Store].
func (s *Store) Plans(ctx context.Context, q ota.PlanQuery) (page ota.Page[ota.PlanRow], err error) {
	f := filterOf(s.db, &q)
	if q.Total {
		if _, err := One(ctx, s.db, `SELECT count(*) FROM ota_plans p`+f.where(), f.args, &page.Total); err != nil {
			return page, wrap(ctx, "list plans", "", err)
		}
	}
	offset := max(q.Offset, 0)
	if q.Cursor != "" {
		offset = 0
		if err := f.from(q.Sort, q.Cursor); err != nil {
			return page, wrap(ctx, "list plans", "", err)
		}
	}
	limit := pageLimit(q.Limit)
	query := fmt.Sprintf(`%s%s ORDER BY %s LIMIT %d OFFSET %d`, selectPlan, f.where(), planOrders[q.Sort].by, limit+1, offset)
	page.Items, err = s.readPlans(ctx, query, f.args)
	if len(page.Items) > limit {
		p := page.Items[limit]
		next, _ := json.Marshal(planCursor{p.ID, p.Created, p.Names.Name, p.Head.Since}) // texts and times cannot fail
		page.Next = string(next)
	}
	cut(&page, limit)
	return page, wrap(ctx, "list plans", "", err)
}

// filter is a WHERE clause that grows.
type filter struct {
	conditions []string
	args       []any
}

func (f *filter) where() string {
	if len(f.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(f.conditions, " AND ")
}

// mark adds an argument, and returns its parameter.
func (f *filter) mark(v any) string {
	f.args = append(f.args, v)
	return "$" + strconv.Itoa(len(f.args))
}

func (f *filter) add(condition string) { f.conditions = append(f.conditions, condition) }

// from begins at the plan of a cursor.
func (f *filter) from(sort ota.Sort, cursor string) error {
	var at planCursor
	if json.Unmarshal([]byte(cursor), &at) != nil || at.ID == "" {
		return badCursor(cursor)
	}
	id := f.mark(at.ID)
	var key any
	switch sort {
	case ota.SortName:
		key = at.Name
	case ota.SortSince:
		key = nanos(at.Since)
	default:
		key = logTime(at.Created)
	}
	if key == nil { // those without it come last
		f.add(`p.since IS NULL AND p.id >= ` + id)
		return nil
	}
	f.add(fmt.Sprintf(planOrders[sort].from, id, f.mark(key)))
	return nil
}

func filterOf(db Database, q *ota.PlanQuery) *filter {
	f := &filter{}
	codes(f, "status", q.Status)
	codes(f, "hold", q.Hold)
	codes(f, "coverage", q.Coverage)
	if len(q.Owners) > 0 {
		f.add(`p.owner IN {texts ` + f.mark(db.TextSet(q.Owners)) + `}`)
	}
	if q.Source != "" {
		f.add(`p.source = ` + f.mark(q.Source))
	}
	if q.Key != "" {
		f.add(`p.request_key = ` + f.mark(q.Key))
	}
	if q.Person {
		f.add(`p.person = 1`)
	}
	if !q.After.IsZero() {
		f.add(`p.created_at >= ` + f.mark(q.After.UnixNano()))
	}
	if !q.Before.IsZero() {
		f.add(`p.created_at < ` + f.mark(q.Before.UnixNano()))
	}
	if q.Search != "" {
		id := f.mark(q.Search)
		f.add(`(substr(p.id, 1, length(CAST(` + id + ` AS text))) = ` + id + ` OR {find p.name ` + f.mark(lower(q.Search)) + `})`)
	}
	for name, value := range q.Labels {
		f.add(fmt.Sprintf(`p.number IN (SELECT plan FROM ota_plan_labels WHERE name = %s AND value = %s)`, f.mark(name), f.mark(value)))
	}
	return f
}

// lower changes ASCII letters only.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// codes selects plans by one of some numbers.
func codes[T ~uint8](f *filter, column string, wanted []T) {
	if len(wanted) == 0 {
		return
	}
	texts := make([]string, len(wanted))
	for i, v := range wanted {
		texts[i] = strconv.Itoa(int(v))
	}
	f.add(`p.` + column + ` IN (` + strings.Join(texts, ",") + `)`)
}

func pageLimit(limit int) int {
	if limit <= 0 {
		return ota.DefaultPage
	}
	return limit
}

// cut removes the item that was read only to see whether there are more.
func cut[T any](page *ota.Page[T], limit int) {
	if len(page.Items) > limit {
		page.Items, page.More = page.Items[:limit], true
	}
}
