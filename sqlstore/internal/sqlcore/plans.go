package sqlcore

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota"
)

const selectPlan = `SELECT p.id, p.source, p.request_key, p.fingerprint, s.spec, c.control, p.progress,
	p.control_number, p.progress_number, p.epoch, p.revision, p.status, ` + headColumns + `
FROM ota_plans p JOIN ota_plan_specs s ON s.plan = p.number JOIN ota_plan_controls c ON c.plan = p.number`

// EndedStatuses is the set of statuses for which ota.Status.Ended is true.
var EndedStatuses = codes([]ota.Status{ota.StatusCanceled, ota.StatusRolledBack, ota.StatusCompleted})

func scanPlan(scan ScanFunc) (p ota.PlanRow, err error) {
	var key *string
	var spec, control, progress []byte
	var status int64
	var head headScan
	err = scan(append([]any{
		&p.ID, &p.Source, &key, &p.Fingerprint, &spec, &control, &progress,
		&p.ControlNumber, &p.ProgressNumber, &p.Epoch, &p.Revision, &status,
	}, head.dest()...)...)
	if err != nil {
		return p, err
	}
	if key != nil {
		p.RequestKey = *key
	}
	p.Status = ota.Status(status)
	p.Head = head.head(p.Status)
	if err := decode(spec, &p.Spec); err != nil {
		return p, err
	}
	if err := decode(control, &p.Control); err != nil {
		return p, err
	}
	return p, decode(progress, &p.Progress)
}

// Plan implements [ota.Store].
func (s *Store) Plan(ctx context.Context, id string) (row ota.PlanRow, err error) {
	err = ota.ErrNotFound
	failed := s.db.Query(ctx, selectPlan+` WHERE p.id = $1`, []any{id}, func(scan ScanFunc) error {
		row, err = scanPlan(scan)
		return err
	})
	if failed != nil {
		err = failed
	}
	return row, wrap(ctx, "read", id, err)
}

// Plans implements [ota.Store].
func (s *Store) Plans(ctx context.Context, q ota.PlanQuery) (page ota.Page[ota.PlanRow], err error) {
	where, args := planFilter(q)
	limit := pageLimit(q.Limit)
	query := fmt.Sprintf(`%s%s ORDER BY p.created_at DESC, p.number DESC LIMIT %d OFFSET %d`,
		selectPlan, where, limit+1, max(q.Offset, 0))
	err = s.db.Query(ctx, query, args, func(scan ScanFunc) error {
		row, err := scanPlan(scan)
		page.Items = append(page.Items, row)
		return err
	})
	cut(&page, limit)
	if err == nil && q.Total {
		_, err = One(ctx, s.db, `SELECT count(*) FROM ota_plans p`+where, args, &page.Total)
	}
	return page, wrap(ctx, "list plans", "", err)
}

func planFilter(q ota.PlanQuery) (where string, args []any) {
	var conditions []string
	mark := func(v string) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	if len(q.Status) > 0 {
		conditions = append(conditions, `p.status IN `+codes(q.Status))
	}
	if q.Source != "" {
		conditions = append(conditions, `p.source = `+mark(q.Source))
	}
	if q.Key != "" {
		conditions = append(conditions, `p.request_key = `+mark(q.Key))
	}
	for name, value := range q.Labels {
		conditions = append(conditions, fmt.Sprintf(
			`p.number IN (SELECT plan FROM ota_plan_labels WHERE name = %s AND value = %s)`, mark(name), mark(value)))
	}
	if len(conditions) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(conditions, " AND "), args
}

// codes returns the set of some statuses as SQL.
func codes[T ~uint8](statuses []T) string {
	b := []byte{'('}
	for i, s := range statuses {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(s), 10)
	}
	return string(append(b, ')'))
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
