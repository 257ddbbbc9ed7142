package sqlcore

import (
	"context"
	"errors"

	"github.com/seed-19b57ce3/ota"
)

// Keep implements [ota.Claimer].
func (s *Store) Keep(ctx context.Context, plan, engine string, agents []string) error {
	err := s.db.Update(ctx, func(tx Querier) error {
		dead := `DELETE FROM ota_kept WHERE engine <> $1 AND engine NOT IN (SELECT engine FROM ota_leases WHERE until > {now})`
		if _, err := tx.Exec(ctx, dead, engine); err != nil {
			return err
		}
		gone := `DELETE FROM ota_kept WHERE plan = $1 AND engine = $2 AND agent NOT IN {texts $3}`
		if _, err := tx.Exec(ctx, gone, plan, engine, s.db.TextSet(agents)); err != nil || len(agents) == 0 {
			return err
		}
		number, err := number(ctx, tx, plan)
		if errors.Is(err, ota.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO ota_kept (agent, plan, engine)
			SELECT a.id, CAST($2 AS text), CAST($3 AS text) FROM {list $4} {one ota_agents a: a.plan = $1 AND a.id = want.value}
			WHERE true ON CONFLICT DO NOTHING`, number, plan, engine, s.db.TextSet(agents))
		return err
	})
	return wrap(ctx, "keep agents of", plan, err)
}

// Kept implements [ota.Claimer].
func (s *Store) Kept(ctx context.Context, plan string) (list []ota.Conflict, err error) {
	number, err := find(ctx, s.db, `SELECT number FROM ota_plans WHERE id = $1`, plan)
	if err == nil {
		list, err = readConflicts(ctx, s.db, `SELECT a.id, k.plan, k.engine FROM ota_kept k
			JOIN ota_leases l ON l.engine = k.engine
			{one ota_agents a: a.plan = $1 AND a.id = k.agent}
		WHERE l.until > {now} ORDER BY a.ordinal, k.plan, k.engine`, number)
	}
	return list, wrap(ctx, "read the kept agents of", plan, err)
}
