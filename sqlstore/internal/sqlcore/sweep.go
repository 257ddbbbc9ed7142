package sqlcore

import (
	"context"
	"time"
)

// sweepDead deletes the rest of creations and deletions that gave no sign of life for the given
// time. If plans are named, it deletes only theirs.
func (s *Store) sweepDead(ctx context.Context, age time.Duration, plans ...string) error {
	query, args := `SELECT number FROM ota_drafts WHERE touched_at < {now} - $1`, []any{int64(age)}
	if len(plans) > 0 {
		query, args = query+` AND plan IN {texts $2}`, append(args, s.db.TextSet(plans))
	}
	var dead []int64
	err := s.db.Query(ctx, query, args, func(scan ScanFunc) error {
		var n int64
		err := scan(&n)
		dead = append(dead, n)
		return err
	})
	if err != nil {
		return err
	}
	for _, n := range dead {
		if err := s.sweep(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// sweep deletes a draft and the rows under its number, if there is one. It never touches a plan: a
// published plan has no draft. From the first statement on the draft cannot be published any more.
func (s *Store) sweep(ctx context.Context, number int64) error {
	n, err := s.db.Exec(ctx, `UPDATE ota_drafts SET touched_at = 0 WHERE number = $1`, number)
	if err != nil || n == 0 {
		return err
	}
	for _, t := range []struct{ table, key string }{
		{"ota_inbox", "number"}, {"ota_agent_shows", "number"}, {"ota_log", "revision"}, {"ota_rows", "number"}, {"ota_states", "block"},
	} {
		if err := s.sweepTable(ctx, `DELETE FROM `+t.table, t.table, t.key, number); err != nil {
			return err
		}
	}
	if err := s.sweepAgents(ctx, number); err != nil {
		return err
	}
	for _, table := range []string{"ota_agent_labels", "ota_plan_labels", "ota_plan_specs", "ota_plan_controls", "ota_released"} {
		if _, err := s.db.Exec(ctx, `DELETE FROM `+table+` WHERE plan = $1`, number); err != nil {
			return err
		}
	}
	_, err = s.db.Exec(ctx, `DELETE FROM ota_drafts WHERE number = $1`, number)
	return err
}

// sweepTable deletes the rows under a number chunk by chunk, so that no commit waits for long.
func (s *Store) sweepTable(ctx context.Context, verb, table, key string, number int64) error {
	for {
		first, found, err := s.first(ctx, table, key, number)
		if err != nil || !found {
			return err
		}
		_, err = s.db.Exec(ctx, verb+` WHERE plan = $1 AND `+key+` < CAST($2 AS bigint)`, number, first+int64(s.db.Chunk()))
		if err != nil {
			return err
		}
	}
}

// sweepAgents deletes agents, and their claims before them: those are found by the agents.
func (s *Store) sweepAgents(ctx context.Context, number int64) error {
	for {
		first, found, err := s.first(ctx, "ota_agents", "ordinal", number)
		if err != nil || !found {
			return err
		}
		err = s.db.Update(ctx, func(tx Querier) error {
			end := first + int64(s.db.Chunk())
			_, err := tx.Exec(ctx, `DELETE FROM ota_claims WHERE plan = $1 AND agent IN
				(SELECT id FROM ota_agents WHERE plan = $1 AND ordinal < CAST($2 AS bigint))`, number, end)
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `DELETE FROM ota_agents WHERE plan = $1 AND ordinal < CAST($2 AS bigint)`, number, end)
			return err
		})
		if err != nil {
			return err
		}
	}
}

func (s *Store) first(ctx context.Context, table, key string, number int64) (first int64, found bool, err error) {
	found, err = One(ctx, s.db, `SELECT `+key+` FROM `+table+` WHERE plan = $1 ORDER BY `+key+` LIMIT 1`,
		[]any{number}, &first)
	return first, found, err
}
