package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"

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
	plan, err := sqlcore.PlanArgs(c)
	if err != nil {
		return 0, err
	}
	revision, err := d.queue(ctx, &waiting{commit: c, plan: plan, done: make(chan struct{})})
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
	if err := t.hot(ctx, sqliteLog, []any{number, w.revision, w.commit.Request, w.commit.Log}); err != nil {
		return err
	}
	return t.commitRows(ctx, number, w.commit)
}

const (
	sqliteLog     = `INSERT INTO ota_log (plan, revision, request, data) VALUES ($1, $2, $3, $4)`
	sqliteControl = `UPDATE ota_plan_controls SET control = $2 WHERE plan = $1`
	sqliteRead    = `SELECT sizes, states FROM ota_states WHERE plan = $1 AND block = $2`
	sqliteWrite   = `UPDATE ota_states SET statuses = $3, reasons = $4, sizes = $5, states = $6 WHERE plan = $1 AND block = $2`
)

// sqliteBatch has the columns of a batch as its parameters, and the plan as the first.
var sqliteBatch = `UPDATE ota_batches SET (` + strings.Join(sqlcore.BatchColumns[1:], ", ") + `) = (?` +
	strings.Repeat(", ?", len(sqlcore.BatchColumns)-2) + `) WHERE plan = ? AND idx = ?`

func (t *sqliteTx) commitRows(ctx context.Context, number int64, c *ota.Commit) error {
	if c.NewControl != nil {
		control, err := sqlcore.Encode(c.NewControl)
		if err != nil {
			return err
		}
		if err := t.hot(ctx, sqliteControl, []any{number, control}); err != nil {
			return err
		}
	}
	for i := range c.Batches {
		v := sqlcore.BatchValues(&c.Batches[i])
		if err := t.hot(ctx, sqliteBatch, append(v[1:], number, v[0])); err != nil {
			return err
		}
	}
	changes, err := sqlcore.BlockChanges(c.Agents)
	if err != nil {
		return err
	}
	for i := range changes {
		if err := t.commitBlock(ctx, number, &changes[i]); err != nil {
			return err
		}
	}
	return nil
}

// commitBlock reads a block, and writes it with its changes.
func (t *sqliteTx) commitBlock(ctx context.Context, number int64, c *sqlcore.BlockChange) error {
	var sizes, all []byte
	err := t.hotRow(ctx, sqliteRead, []any{number, c.Block}, &sizes, &all)
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
	return t.hot(ctx, sqliteWrite, []any{number, c.Block, sqlcore.StatusesOf(states), sqlcore.ReasonsOf(states), newSizes, newAll})
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
