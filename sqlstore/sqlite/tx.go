package sqlite

import (
	"context"
	"database/sql"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
)

var _ sqlcore.Database = (*database)(nil)

// sqliteTx is a transaction of SQLite.
type sqliteTx struct {
	db *database
	tx *sql.Tx
}

func (t *sqliteTx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	r, err := t.tx.ExecContext(ctx, t.db.Text(query), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (t *sqliteTx) ExecMany(ctx context.Context, query string, args [][]any) error {
	if len(args) == 0 {
		return nil
	}
	s, err := t.tx.PrepareContext(ctx, t.db.Text(query))
	if err != nil {
		return err
	}
	defer s.Close()
	for _, a := range args {
		if _, err := s.ExecContext(ctx, a...); err != nil {
			return err
		}
	}
	return nil
}

func (t *sqliteTx) Query(ctx context.Context, query string, args []any, row func(sqlcore.ScanFunc) error) error {
	rows, err := t.tx.QueryContext(ctx, t.db.Text(query), args...)
	return each(rows, err, row)
}

// InsertAgents adds them many rows at a time.
func (d *database) InsertAgents(ctx context.Context, tx sqlcore.Querier, number int64, rows []sqlcore.AgentRecord) error {
	const at, columns = 100, 6
	for len(rows) > 0 {
		n := min(at, len(rows))
		args := make([]any, 0, n*columns)
		for _, r := range rows[:n] {
			args = append(args, number, r.Ordinal, r.Batch, r.ID, r.Labels, orNull(r.Fixed))
		}
		query := `INSERT INTO ota_agents (plan, ` + sqlcore.AgentColumns + `) VALUES ` +
			strings.Repeat(`(?,?,?,?,?,?),`, n-1) + `(?,?,?,?,?,?)`
		if _, err := tx.Exec(ctx, query, args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func (d *database) InsertStates(ctx context.Context, tx sqlcore.Querier, number int64, blocks []sqlcore.BlockRecord) error {
	args := make([][]any, len(blocks))
	for i, b := range blocks {
		sizes, states := pack(b.States)
		args[i] = []any{number, b.Block, b.Statuses, b.Reasons, sizes, states}
	}
	return tx.ExecMany(ctx, `INSERT INTO ota_states (plan, block, statuses, reasons, sizes, states) VALUES ($1, $2, $3, $4, $5, $6)`, args)
}

func orNull(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

const stateColumns = "statuses, reasons, sizes, states"

func (d *database) StateOf() string { return "s.block, s.statuses, s.reasons, s.sizes, s.states" }

func (d *database) StateInto() (dest []any, state func(*ota.Row) error) {
	var b sqlcore.BlockRow
	var sizes, all []byte
	return []any{&b.Block, &b.Statuses, &b.Reasons, &sizes, &all}, func(a *ota.Row) (err error) {
		if b.States, err = unpack(sizes, all); err != nil {
			return err
		}
		return b.Set(a)
	}
}

func (d *database) StateColumns() string { return "block, " + stateColumns }

func (d *database) ScanStates(scan sqlcore.ScanFunc) (b sqlcore.BlockRow, err error) {
	var sizes, all []byte
	if err := scan(&b.Block, &b.Statuses, &b.Reasons, &sizes, &all); err != nil {
		return b, err
	}
	b.States, err = unpack(sizes, all)
	return b, err
}
