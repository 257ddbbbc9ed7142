package sqlstore

import (
	"context"
	"errors"

	"github.com/seed-19b57ce3/ota"
)

// maxConflicts is how many conflicts Claim lists.
const maxConflicts = 32

// held selects the agents of plan $1 that an active plan other than $2 holds.
var held = ` FROM ota_agents a
	JOIN ota_claims c ON c.agent = a.id
	JOIN ota_plans p ON p.number = c.plan
WHERE a.plan = $1 AND p.number <> $1 AND p.id <> $2 AND p.status NOT IN ` + endedStatuses

// take claims the agents of plan $1. That an agent is claimed once is the table's primary key.
const take = `INSERT INTO ota_claims AS c (agent, plan)
SELECT id, plan FROM ota_agents WHERE plan = $1 ORDER BY id
ON CONFLICT (agent) DO UPDATE SET plan = excluded.plan WHERE c.plan <> excluded.plan`

// errHeld undoes a claim that found conflicts.
var errHeld = errors.New("agents are held")

// Claim implements [ota.Claimer]: in one transaction, one claim after the other. On SQLite other writes wait for it,
// about two seconds for a million agents.
func (s *Store) Claim(ctx context.Context, plan, from string) (conflicts []ota.Conflict, total int, err error) {
	err = s.db.update(ctx, func(tx querier) error {
		conflicts, total = nil, 0
		if err := s.db.lock(ctx, tx, "claims", 0); err != nil {
			return err
		}
		number, err := number(ctx, tx, plan)
		if err != nil {
			return err
		}
		if conflicts, total, err = conflictsOf(ctx, tx, number, from); err != nil {
			return err
		}
		if total > 0 {
			return errHeld
		}
		_, err = tx.exec(ctx, take, number)
		return err
	})
	if errors.Is(err, errHeld) {
		return conflicts, total, nil
	}
	return nil, 0, s.wrote(ctx, "claim the agents of", plan, err)
}

func conflictsOf(ctx context.Context, tx querier, number int64, from string) (list []ota.Conflict, total int, err error) {
	err = tx.query(ctx, `SELECT a.id, p.id`+held+` ORDER BY a.ordinal LIMIT $3`, []any{number, from, maxConflicts},
		func(scan scanFunc) error {
			var c ota.Conflict
			err := scan(&c.Agent, &c.Plan)
			list = append(list, c)
			return err
		})
	if err != nil || len(list) < maxConflicts {
		return list, len(list), err
	}
	_, err = one(ctx, tx, `SELECT count(*)`+held, []any{number, from}, &total)
	return list, total, err
}
