package sqlcore

import (
	"context"
	"fmt"
	"math"

	"github.com/seed-19b57ce3/ota"
)

// Commit implements [ota.Store]: one transaction and one flush. On PostgreSQL it is one round trip.
// On SQLite commits that wait for the file at the same time share a transaction. If ctx ends while
// PostgreSQL works, the result is unknown; Commit waits for SQLite.
func (s *Store) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, wrap(ctx, "commit", c.Plan, err)
	}
	c.Agents = lastOfEach(c.Agents, func(a ota.AgentRow) int { return a.Ordinal })
	c.Batches = lastOfEach(c.Batches, func(b ota.BatchRow) int { return b.Index })
	revision, err := s.db.Commit(ctx, &c)
	if err != nil {
		return 0, s.wrote(ctx, "commit", c.Plan, err)
	}
	s.db.Announced(c.Plan, c.Owner)
	return revision, nil
}

// Mistakes in a commit. They are reported only if its numbers are right.
var (
	errRaise = fmt.Errorf("%w: the commit raises the epoch, but is no owner's", ota.ErrRefused)
	errLog   = fmt.Errorf("%w: there is no log record", ota.ErrRefused)
	ErrRows  = fmt.Errorf("%w: the commit has a row that the plan does not have", ota.ErrRefused)
)

// Mistake returns the mistake in a commit that shows without the database, or nil.
func Mistake(c *ota.Commit) error {
	switch {
	case c.Raise && !c.Owner:
		return errRaise
	case len(c.Log) == 0:
		return errLog
	}
	for i := range c.Agents {
		if n := c.Agents[i].Ordinal; n < 0 || n > math.MaxInt32 {
			return ErrRows
		}
	}
	for i := range c.Batches {
		if n := c.Batches[i].Index; n < 0 || n > math.MaxInt32 {
			return ErrRows
		}
		if err := keeps(c.Batches[i].Name); err != nil {
			return err
		}
	}
	if c.Head != nil {
		if err := keeps(c.Head.Owner, string(c.Head.Show)); err != nil {
			return err
		}
	}
	return keeps(c.Plan, c.Request)
}

// numbers are those of a plan that a commit is compared with.
type numbers struct {
	control, progress, epoch uint64
}

// refuse returns why the numbers of a plan forbid c, or nil.
func (n numbers) refuse(c *ota.Commit) error {
	switch {
	case c.Owner && c.Epoch != n.epoch:
		return fmt.Errorf("%w: it is at epoch %d, the commit at %d", ota.ErrFenced, n.epoch, c.Epoch)
	case c.Control != n.control:
		return fmt.Errorf("%w: it is at control number %d, the commit at %d", ota.ErrConflict, n.control, c.Control)
	case (c.Owner || c.Exact) && c.Progress != n.progress:
		return fmt.Errorf("%w: it is at progress number %d, the commit at %d", ota.ErrConflict, n.progress, c.Progress)
	}
	return nil
}

// Refusal returns why a commit changed nothing.
func Refusal(ctx context.Context, q Querier, c *ota.Commit) error {
	var n numbers
	found, err := One(ctx, q, `SELECT control_number, progress_number, epoch FROM ota_plans WHERE id = $1`,
		[]any{c.Plan}, &n.control, &n.progress, &n.epoch)
	switch {
	case err != nil:
		return err
	case !found:
		return ota.ErrNotFound
	}
	if err := n.refuse(c); err != nil {
		return err
	}
	if err := Mistake(c); err != nil {
		return err
	}
	// The numbers only rise, so the plan was at others when the commit was compared.
	return ota.ErrConflict
}

// PlanUpdate compares the numbers and raises them. Its parameters are those of PlanArgs.
const PlanUpdate = `UPDATE ota_plans SET
	revision = revision + 1,
	control_number = control_number + CAST($2 AS bigint),
	progress_number = progress_number + CAST($6 AS bigint),
	epoch = epoch + CAST($4 AS bigint),
	status = coalesce($5, status),
	progress = coalesce($3, progress),
	hold = CASE CAST($10 AS bigint) WHEN 0 THEN hold ELSE $11 END,
	since = CASE CAST($10 AS bigint) WHEN 0 THEN since ELSE $12 END,
	person = CASE CAST($10 AS bigint) WHEN 0 THEN person ELSE $13 END,
	ended_at = CASE CAST($10 AS bigint) WHEN 0 THEN ended_at ELSE $14 END,
	owner = CASE CAST($10 AS bigint) WHEN 0 THEN owner ELSE $15 END,
	coverage = CASE CAST($10 AS bigint) WHEN 0 THEN coverage ELSE $16 END,
	show = CASE CAST($10 AS bigint) WHEN 0 THEN show ELSE $17 END
WHERE id = $1 AND control_number = $7
	AND progress_number = coalesce($8, progress_number)
	AND epoch = coalesce($9, epoch)
RETURNING number, revision`

// PlanArgs are the arguments of PlanUpdate for a commit.
func PlanArgs(c *ota.Commit) ([]any, error) {
	var progress, status, at, epoch any
	if c.NewProgress != nil {
		text, err := Encode(c.NewProgress)
		if err != nil {
			return nil, err
		}
		progress = text
	}
	if c.Status != ota.StatusUnknown {
		status = int64(c.Status)
	}
	if c.Owner || c.Exact {
		at = int64(c.Progress)
	}
	if c.Owner {
		epoch = int64(c.Epoch)
	}
	head := ota.Head{}
	if c.Head != nil {
		head = *c.Head
	}
	args := []any{
		c.Plan, asInt(c.NewControl != nil || c.BumpControl), progress, asInt(c.Raise), status, asInt(c.NewProgress != nil),
		int64(c.Control), at, epoch, asInt(c.Head != nil),
	}
	return append(args, headValues(&head)...), nil
}

// headColumns are the columns of ota_plans that have a Head, in the order of headValues and
// headScan.
const headColumns = `hold, since, person, ended_at, owner, coverage, show`

func headValues(h *ota.Head) []any {
	var show any
	if len(h.Show) > 0 {
		show = string(h.Show)
	}
	return []any{int64(h.Hold), nanos(h.Since), asInt(h.Person), nanos(h.Ended), h.Owner, int64(h.Coverage), show}
}

// headScan has room for the columns of a Head.
type headScan struct {
	hold, person, coverage int64
	since, ended           *int64
	owner                  string
	show                   []byte
}

func (r *headScan) dest() []any {
	return []any{&r.hold, &r.since, &r.person, &r.ended, &r.owner, &r.coverage, &r.show}
}

func (r *headScan) head(status ota.Status) ota.Head {
	return ota.Head{
		Status: status, Hold: ota.Reason(r.hold), Since: fromNanos(r.since), Person: r.person != 0,
		Ended: fromNanos(r.ended), Owner: r.owner, Coverage: ota.Coverage(r.coverage), Show: r.show,
	}
}

func asInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// lastOfEach returns rows without those that a later row replaces. Rows in ascending order, as an
// engine gives them, cost one pass.
func lastOfEach[T any](rows []T, key func(T) int) []T {
	ascending := true
	for i := 1; i < len(rows) && ascending; i++ {
		ascending = key(rows[i-1]) < key(rows[i])
	}
	if ascending {
		return rows
	}
	last := make(map[int]int, len(rows))
	for i, r := range rows {
		last[key(r)] = i
	}
	out := make([]T, 0, len(last))
	for i, r := range rows {
		if last[key(r)] == i {
			out = append(out, r)
		}
	}
	return out
}
