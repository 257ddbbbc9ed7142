package sqlstore

import (
	"context"
	"database/sql"
	"strings"
)

var _ database = (*sqlite)(nil)

// sqliteTx is a transaction of SQLite.
type sqliteTx struct {
	db *sqlite
	tx *sql.Tx
}

func (t *sqliteTx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	r, err := t.tx.ExecContext(ctx, t.db.text(query), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (t *sqliteTx) execMany(ctx context.Context, query string, args [][]any) error {
	if len(args) == 0 {
		return nil
	}
	s, err := t.tx.PrepareContext(ctx, t.db.text(query))
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

func (t *sqliteTx) query(ctx context.Context, query string, args []any, row func(scanFunc) error) error {
	rows, err := t.tx.QueryContext(ctx, t.db.text(query), args...)
	return each(rows, err, row)
}

// insertAgents adds them many rows at a time.
func (d *sqlite) insertAgents(ctx context.Context, tx querier, number int64, rows []agentRecord) error {
	const at, columns = 100, 8
	for len(rows) > 0 {
		n := min(at, len(rows))
		args := make([]any, 0, n*columns)
		for _, r := range rows[:n] {
			args = append(args, number, r.ordinal, r.batch, r.id, r.version, r.target, r.labels, r.tasks)
		}
		query := `INSERT INTO ota_agents (plan, ` + agentColumns + `) VALUES ` +
			strings.Repeat(`(?,?,?,?,?,?,?,?),`, n-1) + `(?,?,?,?,?,?,?,?)`
		if _, err := tx.exec(ctx, query, args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func (d *sqlite) insertStates(ctx context.Context, tx querier, number int64, blocks []blockRecord) error {
	args := make([][]any, len(blocks))
	for i, b := range blocks {
		sizes, states := pack(b.states)
		args[i] = []any{number, b.block, b.statuses, sizes, states}
	}
	return tx.execMany(ctx, `INSERT INTO ota_states (plan, block, statuses, sizes, states) VALUES ($1, $2, $3, $4, $5)`, args)
}

func (d *sqlite) stateColumns() string { return "block, sizes, states" }

func (d *sqlite) scanStates(scan scanFunc) (block int, states [][]byte, err error) {
	var sizes, all []byte
	if err := scan(&block, &sizes, &all); err != nil {
		return 0, nil, err
	}
	states, err = unpack(sizes, all)
	return block, states, err
}
