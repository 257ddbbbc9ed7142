package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/seed-19b57ce3/ota"
)

// errNothing ends a transaction that found its numbers changed.
var errNothing = errors.New("nothing changed")

func (d *sqlite) commit(ctx context.Context, c *ota.Commit) (revision uint64, err error) {
	if senseless(c) != nil {
		return 0, refusal(ctx, d, c)
	}
	if err := d.prepare(ctx); err != nil {
		return 0, err
	}
	plan, err := planArgs(c)
	if err != nil {
		return 0, err
	}
	inside := context.WithoutCancel(ctx)
	err = d.transact(ctx, inside, func(tx *sqliteTx) error {
		var number int64
		if err := tx.hotRow(inside, planUpdate, plan, &number, &revision); err != nil {
			return err
		}
		if err := tx.hot(inside, sqliteLog, []any{number, revision, c.Request, c.Log}); err != nil {
			return err
		}
		return tx.commitRows(inside, number, c)
	})
	if errors.Is(err, errNothing) {
		err = refusal(ctx, d, c)
	}
	return revision, err
}

const (
	sqliteLog     = `INSERT INTO ota_log (plan, revision, request, data) VALUES ($1, $2, $3, $4)`
	sqliteControl = `UPDATE ota_plan_controls SET control = $2 WHERE plan = $1`
	sqliteAgent   = `UPDATE ota_agents SET status = $3, state = $4 WHERE plan = $1 AND ordinal = $2`
)

// sqliteBatch has the columns of a batch as its parameters, and the plan as the first.
var sqliteBatch = `UPDATE ota_batches SET (` + strings.Join(batchColumns[1:], ", ") + `) = (?` +
	strings.Repeat(", ?", len(batchColumns)-2) + `) WHERE plan = ? AND idx = ?`

func (t *sqliteTx) commitRows(ctx context.Context, number int64, c *ota.Commit) error {
	if c.NewControl != nil {
		control, err := encode(c.NewControl)
		if err != nil {
			return err
		}
		if err := t.hot(ctx, sqliteControl, []any{number, control}); err != nil {
			return err
		}
	}
	for i := range c.Batches {
		v := batchValues(&c.Batches[i])
		if err := t.hot(ctx, sqliteBatch, append(v[1:], number, v[0])); err != nil {
			return err
		}
	}
	args := []any{number, 0, 0, nil}
	var buffer []byte
	for i := range c.Agents {
		a := &c.Agents[i]
		var err error
		if buffer, err = a.State.AppendBinary(buffer[:0]); err != nil {
			return err
		}
		args[1], args[2], args[3] = a.Ordinal, int(a.State.Status), buffer
		if err := t.hot(ctx, sqliteAgent, args); err != nil {
			return err
		}
	}
	return nil
}

// hot runs a statement that stays prepared, and has to change one row.
func (t *sqliteTx) hot(ctx context.Context, query string, args []any) error {
	r, err := t.tx.StmtContext(ctx, t.db.statements[query]).ExecContext(ctx, args...)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		return errors.Join(errRows, err)
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
