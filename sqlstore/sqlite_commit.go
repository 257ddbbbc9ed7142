package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/seed-19b57ce3/ota"
)

// errNothing says that a commit found the numbers of its plan changed, and changed nothing.
var errNothing = errors.New("nothing changed")

func (d *sqlite) commit(ctx context.Context, c *ota.Commit) (uint64, error) {
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
	revision, err := d.queue(ctx, &waiting{commit: c, plan: plan, done: make(chan struct{})})
	if errors.Is(err, errNothing) {
		err = refusal(ctx, d, c)
	}
	return revision, err
}

// commit makes one commit of a transaction. After errNothing, and no other error, the transaction is as it was.
func (t *sqliteTx) commit(ctx context.Context, w *waiting) error {
	var number int64
	if err := t.hotRow(ctx, planUpdate, w.plan, &number, &w.revision); err != nil {
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
