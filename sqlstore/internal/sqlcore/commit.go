package sqlcore

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/seed-19b57ce3/ota"
)

// Commit implements [ota.Store]: one transaction and one flush. On PostgreSQL it is one round trip.
// On SQLite commits that wait for the file at the same time share a transaction. If ctx ends while
// PostgreSQL works, the result is unknown; Commit waits for SQLite.
func (s *Store) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, wrap(ctx, "commit", c.Plan, err)
	}
	revision, err := s.db.Commit(ctx, &c)
	if err != nil {
		return 0, s.wrote(ctx, "commit", c.Plan, err)
	}
	s.db.Announced(c.Plan, c.If.Epoch != 0)
	return revision, nil
}

// Mistakes in a commit. They are reported only if its numbers are right.
var (
	errLog  = fmt.Errorf("%w: there is no log record", ota.ErrRefused)
	ErrRows = fmt.Errorf("%w: the commit has a row that the plan does not have", ota.ErrRefused)
)

// Mistake returns the mistake in a commit that shows without the database, or nil.
func Mistake(c *ota.Commit) error {
	if len(c.Log.Data) == 0 {
		return errLog
	}
	for i := range c.Rows {
		if n := c.Rows[i].Number; n < 0 || n > math.MaxInt32 {
			return ErrRows
		}
		if s := c.Rows[i].Status; c.Rows[i].Kind == ota.KindAgent && s > 15 {
			return fmt.Errorf("%w: the status %d of agent %d is above 15", ota.ErrRefused, s, c.Rows[i].Number)
		}
	}
	if c.Names != nil {
		if err := keeps(c.Names.Name); err != nil {
			return err
		}
		if err := keepsMap(c.Names.Labels); err != nil {
			return err
		}
	}
	if c.Head != nil {
		if err := keeps(c.Head.Owner, string(c.Head.Show)); err != nil {
			return err
		}
	}
	return keeps(c.Plan)
}

// Refusal returns why a commit changed nothing.
func Refusal(ctx context.Context, q Querier, c *ota.Commit) error {
	var n ota.Numbers
	found, err := One(ctx, q, `SELECT epoch, control_number, progress_number FROM ota_plans WHERE id = $1`,
		[]any{c.Plan}, &n.Epoch, &n.Control, &n.Progress)
	switch {
	case err != nil:
		return err
	case !found:
		return ota.ErrNotFound
	}
	if err := n.Refuse(c.If); err != nil {
		return err
	}
	if err := Mistake(c); err != nil {
		return err
	}
	// The numbers only rise, so the plan was at others when the commit was compared.
	return ota.ErrConflict
}

// PlanUpdate compares the numbers and replaces them. Its parameters are those of PlanArgs.
const PlanUpdate = `UPDATE ota_plans SET
	revision = revision + 1,
	epoch = coalesce($5, epoch),
	control_number = coalesce($6, control_number),
	progress_number = coalesce($7, progress_number),
	progress = coalesce($8, progress),
	name = coalesce($9, name),
	status = coalesce($10, status),
	hold = coalesce($11, hold),
	since = CASE WHEN CAST($10 AS bigint) IS NULL THEN since ELSE $12 END,
	person = coalesce($13, person),
	ended_at = CASE WHEN CAST($10 AS bigint) IS NULL THEN ended_at ELSE $14 END,
	owner = coalesce($15, owner),
	coverage = coalesce($16, coverage),
	show = CASE WHEN CAST($10 AS bigint) IS NULL THEN show ELSE $17 END
WHERE id = $1
	AND epoch = coalesce($2, epoch)
	AND control_number = coalesce($3, control_number)
	AND progress_number = coalesce($4, progress_number)
RETURNING number, revision`

// PlanArgs are the arguments of PlanUpdate for a commit.
func PlanArgs(c *ota.Commit) []any {
	args := []any{
		c.Plan, number0(c.If.Epoch), number0(c.If.Control), number0(c.If.Progress),
		number0(c.Then.Epoch), number0(c.Then.Control), number0(c.Then.Progress), orNull(c.Parts.Progress), nil,
	}
	if c.Names != nil {
		args[8] = c.Names.Name
	}
	if c.Head == nil {
		return append(args, make([]any, 8)...)
	}
	return append(args, headValues(c.Head)...)
}

// number0 is a number of which 0 means none.
func number0(n uint64) any {
	if n == 0 {
		return nil
	}
	return int64(min(n, math.MaxInt64))
}

// OtherRows returns the rows of a commit that are no agents, in order of kind and number.
func OtherRows(c *ota.Commit) (rows []ota.Row) {
	for i := range c.Rows {
		if c.Rows[i].Kind != ota.KindAgent {
			rows = append(rows, c.Rows[i])
		}
	}
	slices.SortStableFunc(rows, func(a, b ota.Row) int {
		if a.Kind != b.Kind {
			return int(a.Kind) - int(b.Kind)
		}
		return a.Number - b.Number
	})
	return rows
}
