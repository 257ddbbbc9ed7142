package sqlcore

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/seed-19b57ce3/ota"
)

// ofPlan selects the rows of the plan whose ID is $1.
const ofPlan = ` WHERE plan = (SELECT number FROM ota_plans WHERE id = $1)`

// Batches implements [ota.Store].
func (s *Store) Batches(ctx context.Context, plan string, q ota.RowQuery) (page ota.Page[ota.BatchRow], err error) {
	limit := pageLimit(q.Limit)
	from, to := bounds(q)
	where, args := ofPlan+` AND idx >= $2 AND idx < $3`, []any{plan, from, to}
	query := fmt.Sprintf(`SELECT %s FROM ota_batches%s ORDER BY idx LIMIT %d`, strings.Join(BatchColumns, ", "), where, limit+1)
	err = s.db.Query(ctx, query, args, func(scan ScanFunc) error {
		row, err := scanBatch(scan)
		page.Items = append(page.Items, row)
		return err
	})
	cut(&page, limit)
	if err == nil && len(page.Items) == 0 {
		err = s.there(ctx, plan)
	}
	if err == nil {
		err = s.total(ctx, "ota_batches", where, args, q.Total, &page.Total)
	}
	return page, wrap(ctx, "read batches of", plan, err)
}

// total counts the rows of a table that match, when that is asked for.
func (s *Store) total(ctx context.Context, table, where string, args []any, asked bool, total *int) error {
	if !asked {
		return nil
	}
	_, err := One(ctx, s.db, `SELECT count(*) FROM `+table+where, args, total)
	return err
}

// bounds returns a query's bounds as parameters.
func bounds(q ota.RowQuery) (from, to int) {
	to = q.To
	if to <= 0 || to > math.MaxInt32 {
		to = math.MaxInt32
	}
	return min(max(q.From, 0), math.MaxInt32), to
}

// Log implements [ota.Store].
func (s *Store) Log(ctx context.Context, plan string, after uint64, limit int) ([]ota.LogRow, error) {
	rows := []ota.LogRow{}
	err := s.db.Query(ctx, `SELECT revision, request, data FROM ota_log`+ofPlan+` AND revision > $2 ORDER BY revision LIMIT $3`,
		[]any{plan, clamp(after), pageLimit(limit)}, func(scan ScanFunc) error {
			var r ota.LogRow
			err := scan(&r.Revision, &r.Request, &r.Data)
			rows = append(rows, r)
			return err
		})
	if err == nil && len(rows) == 0 {
		err = s.there(ctx, plan)
	}
	if err != nil {
		return nil, wrap(ctx, "read the log of", plan, err)
	}
	return rows, nil
}

// clamp keeps a number within what a database can hold.
func clamp(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
