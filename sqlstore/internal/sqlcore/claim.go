package sqlcore

import (
	"context"
	"errors"

	"github.com/seed-19b57ce3/ota"
)

// maxConflicts is how many conflicts Claim lists.
const maxConflicts = 32

// conflicting selects the agents of plan $1, which has the ID $3, that it cannot have: those that
// an active plan other than $2 holds, and, unless $2 is named, those that another plan keeps. It is
// one statement: a plan keeps agents before it ends, so what reads the end of a plan reads what it
// keeps.
var conflicting = `(
SELECT a.ordinal, a.id AS agent, p.id AS plan, '' AS engine FROM ota_agents a
	JOIN ota_claims c ON c.agent = a.id
	JOIN ota_plans p ON p.number = c.plan
WHERE a.plan = $1 AND p.number <> $1 AND p.id <> $2 AND p.ended_at IS NULL` + notReleased + `
UNION ALL
SELECT a.ordinal, a.id, k.plan, k.engine FROM ota_kept k
	JOIN ota_leases l ON l.engine = k.engine
	{one ota_agents a: a.plan = $1 AND a.id = k.agent}
WHERE l.until > {now} AND k.plan <> $3 AND CAST($2 AS text) = ''` + notReleased + `
) AS taken`

// notReleased leaves out the agents that plan $1 has released.
const notReleased = ` AND a.id NOT IN (SELECT agent FROM ota_released WHERE plan = $1)`

// take claims the agents of plan $1, but those it has released. That an agent is claimed once is
// the table's primary key.
const take = `INSERT INTO ota_claims AS c (agent, plan)
SELECT id, plan FROM ota_agents WHERE plan = $1 AND id NOT IN (SELECT agent FROM ota_released WHERE plan = $1) ORDER BY id
ON CONFLICT (agent) DO UPDATE SET plan = excluded.plan WHERE c.plan <> excluded.plan`

// errHeld undoes a claim that found conflicts.
var errHeld = errors.New("agents are held")

// Claim implements [ota.Claimer]: in one transaction, one claim after the other. On SQLite other
// writes wait for it, about two seconds for a million agents.
func (s *Store) Claim(ctx context.Context, plan, from string) (conflicts []ota.Conflict, total int, err error) {
	err = s.db.Update(ctx, func(tx Querier) error {
		conflicts, total = nil, 0
		if err := s.db.Lock(ctx, tx, "claims", 0); err != nil {
			return err
		}
		number, err := number(ctx, tx, plan)
		if err != nil {
			return err
		}
		if conflicts, total, err = conflictsOf(ctx, tx, number, from, plan); err != nil {
			return err
		}
		if total > 0 {
			return errHeld
		}
		_, err = tx.Exec(ctx, take, number)
		return err
	})
	if errors.Is(err, errHeld) {
		return conflicts, total, nil
	}
	return nil, 0, s.wrote(ctx, "claim the agents of", plan, err)
}

func conflictsOf(ctx context.Context, tx Querier, number int64, from, plan string) (list []ota.Conflict, total int, err error) {
	const several = 4 * maxConflicts // an agent may be held and kept, too
	query := `SELECT agent, plan, engine FROM ` + conflicting + ` ORDER BY ordinal, engine, plan LIMIT $4`
	if list, err = readConflicts(ctx, tx, query, number, from, plan, several); err != nil || len(list) < maxConflicts {
		return list, len(list), err
	}
	_, err = One(ctx, tx, `SELECT count(DISTINCT ordinal) FROM `+conflicting, []any{number, from, plan}, &total)
	return list[:maxConflicts], total, err
}

// readConflicts returns what a query finds, each agent once: the first.
func readConflicts(ctx context.Context, q Querier, query string, args ...any) ([]ota.Conflict, error) {
	list := []ota.Conflict{}
	err := q.Query(ctx, query, args, func(scan ScanFunc) error {
		var c ota.Conflict
		err := scan(&c.Agent, &c.Plan, &c.Engine)
		if n := len(list); n == 0 || list[n-1].Agent != c.Agent {
			list = append(list, c)
		}
		return err
	})
	return list, err
}

// Release implements [ota.Claimer].
func (s *Store) Release(ctx context.Context, plan string, agents []string) error {
	err := s.db.Update(ctx, func(tx Querier) error {
		if err := s.db.Lock(ctx, tx, "claims", 0); err != nil {
			return err
		}
		number, err := number(ctx, tx, plan)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO ota_released (plan, agent)
			SELECT a.plan, a.id FROM {list $2} {one ota_agents a: a.plan = $1 AND a.id = want.value}
			WHERE true ON CONFLICT DO NOTHING`, number, s.db.TextSet(agents))
		if err != nil {
			return err
		}
		gone := make([][]any, 0, len(agents)) // one statement for each: the planner has no other way than the index
		for _, id := range KeepableOf(agents) {
			gone = append(gone, []any{number, id})
		}
		return tx.ExecMany(ctx, `DELETE FROM ota_claims WHERE plan = $1 AND agent = $2`, gone)
	})
	if errors.Is(err, ota.ErrNotFound) {
		return nil
	}
	return wrap(ctx, "release agents of", plan, err)
}

// Holders implements [ota.Claimer].
func (s *Store) Holders(ctx context.Context, agents []string) (plans []string, err error) {
	query := `SELECT DISTINCT p.id FROM {list $1} {one ota_claims c: c.agent = want.value}
		JOIN ota_plans p ON p.number = c.plan WHERE p.ended_at IS NULL`
	err = s.db.Query(ctx, query, []any{s.db.TextSet(agents)}, func(scan ScanFunc) error {
		var id string
		err := scan(&id)
		plans = append(plans, id)
		return err
	})
	return plans, wrap(ctx, "read the holders of agents", "", err)
}
