package sqlcore

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/seed-19b57ce3/ota"
)

// ofPlan selects the rows of the plan whose ID is $1.
const ofPlan = ` WHERE plan = (SELECT number FROM ota_plans WHERE id = $1)`

// Rows implements [ota.Store].
func (s *Store) Rows(ctx context.Context, plan string, q ota.RowQuery) (page ota.Page[ota.Row], err error) {
	if len(q.IDs) > maxIDs {
		err = fmt.Errorf("%w: %d rows are asked for by ID, at most %d are possible", ota.ErrRefused, len(q.IDs), maxIDs)
	}
	begin := max(q.From, 0)
	if q.Cursor != "" && err == nil {
		n, bad := strconv.Atoi(q.Cursor)
		if begin = max(begin, n); bad != nil || n < 0 {
			err = badCursor(q.Cursor)
		}
	}
	if err != nil {
		return page, wrap(ctx, "read rows of", plan, err)
	}
	r := reading{s: s, ctx: ctx, plan: plan, q: &q, limit: pageLimit(q.Limit)}
	if r.from, r.to = min(begin, math.MaxInt32), q.To; r.to <= 0 || r.to > math.MaxInt32 {
		r.to = math.MaxInt32
	}
	page, err = r.read()
	if len(page.Items) > r.limit {
		page.Next = strconv.Itoa(page.Items[r.limit].Number)
	}
	cut(&page, r.limit)
	if err == nil && len(page.Items) == 0 {
		err = s.there(ctx, plan)
	}
	return page, wrap(ctx, "read rows of", plan, err)
}

// reading is one query of rows.
type reading struct {
	s        *Store
	ctx      context.Context //nolint:containedctx // of one call
	plan     string
	q        *ota.RowQuery
	from, to int
	limit    int
}

func (r *reading) read() (page ota.Page[ota.Row], err error) {
	q := r.q
	filtered := len(q.Status)+len(q.Reason) > 0 || q.Prefix != "" || q.Label.Name != ""
	switch {
	case q.Kind != ota.KindAgent:
		return r.others()
	case len(q.IDs) > 0:
		return r.agentsNamed()
	case !filtered:
		return r.agentsBetween()
	case len(q.Status) > 0 && len(q.Reason) == 0 && q.Prefix == "" && q.Label.Name == "":
		return r.agentsIn()
	default:
		return r.agentsFiltered()
	}
}

// rowColumns are the columns of ota_rows that scanRow reads.
const rowColumns = `number, id, batch, labels, fixed, status, reason, state, show`

func scanRow(scan ScanFunc, kind ota.Kind) (r ota.Row, err error) {
	r.Kind = kind
	var labels []byte
	var status, reason int64
	if err := scan(&r.Number, &r.ID, &r.Batch, &labels, &r.Fixed, &status, &reason, &r.State, &r.Show); err != nil {
		return r, err
	}
	r.Status, r.Reason = uint8(status), ota.Reason(reason)
	nilIfEmpty(&r.Fixed, &r.State, &r.Show)
	return r, decodeJSON(labels, &r.Labels)
}

// nilIfEmpty makes one of the two ways in which databases return no bytes.
func nilIfEmpty(all ...*[]byte) {
	for _, b := range all {
		if len(*b) == 0 {
			*b = nil
		}
	}
}

// others reads rows that are no agents. There are few of a plan, so a filter looks at all of them.
func (r *reading) others() (page ota.Page[ota.Row], err error) {
	q := r.q
	first := r.from
	if q.Total {
		first = max(q.From, 0)
	}
	query := `SELECT ` + rowColumns + ` FROM ota_rows` + ofPlan + ` AND kind = $2 AND number >= $3 AND number < $4 ORDER BY number`
	err = r.s.db.Query(r.ctx, query, []any{r.plan, int64(q.Kind), first, r.to}, func(scan ScanFunc) error {
		row, err := scanRow(scan, q.Kind)
		if err != nil || !q.Match(&row) {
			return err
		}
		page.Total++
		if row.Number >= r.from && len(page.Items) <= r.limit {
			page.Items = append(page.Items, row)
		} else if row.Number >= r.from && !q.Total {
			return errEnough
		}
		return nil
	})
	if err == errEnough { //nolint:errorlint // it is never wrapped
		err = nil
	}
	if !q.Total {
		page.Total = 0
	}
	return page, err
}

// total counts the rows of a table that match, when that is asked for.
func (s *Store) total(ctx context.Context, table, where string, args []any, asked bool, total *int) error {
	if !asked {
		return nil
	}
	_, err := One(ctx, s.db, `SELECT count(*) FROM `+table+where, args, total)
	return err
}

// logCursor is the record at which a page over all plans begins.
type logCursor struct {
	At       int64
	Plan     string
	Revision uint64
}

// Log implements [ota.Store].
func (s *Store) Log(ctx context.Context, plan string, q ota.LogQuery) (page ota.Page[ota.LogRow], err error) {
	if plan == "" {
		page, err = s.notable(ctx, &q)
		return page, wrap(ctx, "read the notable records", "", err)
	}
	limit := pageLimit(q.Limit)
	query, args := `SELECT revision, at, notable, data FROM ota_log`+ofPlan+` AND revision > $2`, []any{plan, clamp(q.After)}
	if q.Notable {
		query += ` AND notable = 1`
	}
	if q.Before != 0 {
		query, args = query+` AND revision < $4 ORDER BY revision DESC LIMIT $3`, append(args, limit+1, clamp(q.Before))
	} else {
		query, args = query+` ORDER BY revision LIMIT $3`, append(args, limit+1)
	}
	page.Items = []ota.LogRow{}
	err = s.db.Query(ctx, query, args, func(scan ScanFunc) error {
		r := ota.LogRow{Plan: plan}
		var at, notable int64
		err := scan(&r.Revision, &at, &notable, &r.Data)
		nilIfEmpty(&r.Data)
		r.At, r.Notable = fromLogTime(at), notable == 1
		page.Items = append(page.Items, r)
		return err
	})
	cut(&page, limit)
	if err == nil && len(page.Items) == 0 {
		err = s.there(ctx, plan)
	}
	if err != nil {
		return ota.Page[ota.LogRow]{}, wrap(ctx, "read the log of", plan, err)
	}
	return page, nil
}

// notable reads the notable records of all plans, newest first.
func (s *Store) notable(ctx context.Context, q *ota.LogQuery) (page ota.Page[ota.LogRow], err error) {
	limit := pageLimit(q.Limit)
	where, args := ``, []any{limit + 1}
	if q.Cursor != "" {
		var at logCursor
		if json.Unmarshal([]byte(q.Cursor), &at) != nil || at.Plan == "" {
			return page, badCursor(q.Cursor)
		}
		where = ` AND l.at <= $2 AND (l.at < $2 OR p.id > $3 OR p.id = $3 AND l.revision <= $4)`
		args = append(args, at.At, at.Plan, clamp(at.Revision))
	}
	next := logCursor{}
	err = s.db.Query(ctx, `SELECT p.id, l.revision, l.at, l.data FROM ota_log l JOIN ota_plans p ON p.number = l.plan
		WHERE l.notable = 1`+where+` ORDER BY l.at DESC, p.id, l.revision DESC LIMIT $1`, args, func(scan ScanFunc) error {
		r := ota.LogRow{Notable: true}
		var at int64
		err := scan(&r.Plan, &r.Revision, &at, &r.Data)
		nilIfEmpty(&r.Data)
		r.At, next = fromLogTime(at), logCursor{at, r.Plan, r.Revision}
		page.Items = append(page.Items, r)
		return err
	})
	if cut(&page, limit); page.More {
		b, _ := json.Marshal(next) // texts and numbers cannot fail
		page.Next = string(b)
	}
	return page, err
}

// clamp keeps a number within what a database can hold.
func clamp(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
