package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
)

// errNothing means that the numbers of the plan differ from the commit's, and nothing was changed.
var errNothing = errors.New("nothing changed")

func (d *database) Commit(ctx context.Context, c *ota.Commit) (uint64, error) {
	if sqlcore.Mistake(c) != nil {
		return 0, sqlcore.Refusal(ctx, d, c)
	}
	if err := d.prepare(ctx); err != nil {
		return 0, err
	}
	revision, err := d.queue(ctx, &waiting{commit: c, plan: sqlcore.PlanArgs(c), done: make(chan struct{})})
	if errors.Is(err, errNothing) {
		err = sqlcore.Refusal(ctx, d, c)
	}
	return revision, err
}

// commit makes one commit of a transaction. After errNothing, and no other error, the transaction
// is as it was.
func (t *sqliteTx) commit(ctx context.Context, w *waiting) error {
	var number int64
	if err := t.hotRow(ctx, sqlcore.PlanUpdate, w.plan, &number, &w.revision); err != nil {
		return err
	}
	if err := t.hot(ctx, sqlcore.InsertLog, append([]any{number, w.revision}, sqlcore.LogValues(&w.commit.Log)...)); err != nil {
		return err
	}
	return t.commitRows(ctx, number, w.commit)
}

const (
	sqliteSpec    = `UPDATE ota_plan_specs SET spec = $2 WHERE plan = $1`
	sqliteControl = `UPDATE ota_plan_controls SET control = $2 WHERE plan = $1`
	sqliteRow     = `UPDATE ota_rows SET status = $4, reason = $5, state = $6, show = $7 WHERE plan = $1 AND kind = $2 AND number = $3`
	sqliteShow    = `INSERT INTO ota_agent_shows (plan, number, show) VALUES ($1, $2, $3) ON CONFLICT (plan, number) DO UPDATE SET show = excluded.show`
	sqliteRead    = `SELECT statuses, reasons, sizes, states FROM ota_states WHERE plan = $1 AND block = $2`
	sqliteWrite   = `UPDATE ota_states SET statuses = $3, reasons = $4, sizes = $5, states = $6 WHERE plan = $1 AND block = $2`
)

func (t *sqliteTx) commitRows(ctx context.Context, number int64, c *ota.Commit) error {
	if c.Names != nil {
		if err := t.commitLabels(ctx, number, c.Names.Labels); err != nil {
			return err
		}
	}
	for query, part := range map[string][]byte{sqliteSpec: c.Parts.Spec, sqliteControl: c.Parts.Control} {
		if len(part) == 0 {
			continue
		}
		if err := t.hot(ctx, query, []any{number, part}); err != nil {
			return err
		}
	}
	for i := range c.Rows {
		r := &c.Rows[i]
		if r.Kind == ota.KindAgent {
			if err := t.commitShow(ctx, number, r); err != nil {
				return err
			}
			continue
		}
		args := []any{number, int64(r.Kind), r.Number, int64(r.Status), int64(r.Reason), sqlcore.Bytes(r.State), sqlcore.Show(r.Show)}
		if err := t.hot(ctx, sqliteRow, args); err != nil {
			return err
		}
	}
	changes := sqlcore.BlockChanges(c.Rows)
	for i := range changes {
		if err := t.commitBlock(ctx, number, &changes[i]); err != nil {
			return err
		}
	}
	return nil
}

// commitShow writes the error of an agent, if it has one.
func (t *sqliteTx) commitShow(ctx context.Context, number int64, r *ota.Row) error {
	if len(r.Show) == 0 {
		return nil
	}
	return t.hot(ctx, sqliteShow, []any{number, r.Number, sqlcore.Show(r.Show)})
}

// commitLabels replaces the labels of a plan.
func (t *sqliteTx) commitLabels(ctx context.Context, number int64, labels map[string]string) error {
	if _, err := t.Exec(ctx, `DELETE FROM ota_plan_labels WHERE plan = $1`, number); err != nil {
		return err
	}
	for name, value := range labels {
		if _, err := t.Exec(ctx, `INSERT INTO ota_plan_labels (plan, name, value) VALUES ($1, $2, $3)`, number, name, value); err != nil {
			return err
		}
	}
	return nil
}

// commitBlock reads a block, and writes it with its changes.
func (t *sqliteTx) commitBlock(ctx context.Context, number int64, c *sqlcore.BlockChange) error {
	var statuses, reasons string
	var sizes, all []byte
	err := t.hotRow(ctx, sqliteRead, []any{number, c.Block}, &statuses, &reasons, &sizes, &all)
	if errors.Is(err, errNothing) {
		return sqlcore.ErrRows
	}
	if err != nil {
		return err
	}
	states, err := unpack(sizes, all)
	if err != nil {
		return err
	}
	if c.Last >= len(states) {
		return sqlcore.ErrRows
	}
	for i, s := range c.States {
		if s != nil {
			states[i] = s
		}
	}
	newSizes, newAll := pack(states)
	return t.hot(ctx, sqliteWrite, []any{
		number, c.Block, sqlcore.Merge(statuses, c.Statuses[:]), sqlcore.Merge(reasons, c.Reasons[:]), newSizes, newAll,
	})
}

// hot runs a statement that stays prepared, and must change one row.
func (t *sqliteTx) hot(ctx context.Context, query string, args []any) error {
	r, err := t.tx.StmtContext(ctx, t.db.statements[query]).ExecContext(ctx, args...)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		return errors.Join(sqlcore.ErrRows, err)
	}
	return nil
}

// hotRow runs a statement that stays prepared, and returns one row or errNothing.
func (t *sqliteTx) hotRow(ctx context.Context, query string, args []any, dest ...any) error {
	err := t.tx.StmtContext(ctx, t.db.statements[query]).QueryRowContext(ctx, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return errNothing
	}
	return err
}
