package sqlcore

import (
	"context"

	"github.com/seed-19b57ce3/ota"
)

const insertMessage = `INSERT INTO ota_inbox (plan, number, id, body)
SELECT CAST($1 AS bigint), coalesce(max(number), 0) + 1, $2, $3 FROM ota_inbox WHERE plan = $1
ON CONFLICT (plan, id) DO NOTHING`

// Post implements [ota.Inbox]. It posts messages of one plan one transaction after the other, so
// that no reader sees a number before a lower one.
func (s *Store) Post(ctx context.Context, plan string, messages []ota.Message) error {
	err := s.db.Update(ctx, func(tx Querier) error {
		n, err := number(ctx, tx, plan)
		if err != nil {
			return err
		}
		if err := s.db.Lock(ctx, tx, "inbox", n); err != nil {
			return err
		}
		args := make([][]any, len(messages))
		for i, m := range messages {
			if err := keeps(m.ID); err != nil {
				return err
			}
			args[i] = []any{n, m.ID, append([]byte{}, m.Body...)} // an empty body, not NULL
		}
		if err := tx.ExecMany(ctx, insertMessage, args); err != nil {
			return err
		}
		return s.db.Announce(ctx, tx, plan)
	})
	if err == nil {
		s.db.Announced(plan, false)
	}
	return s.wrote(ctx, "post to", plan, err)
}

// Read implements [ota.Inbox].
func (s *Store) Read(ctx context.Context, plan string, after uint64, limit int) ([]ota.Message, error) {
	messages := []ota.Message{}
	err := s.db.Query(ctx, `SELECT number, id, body FROM ota_inbox`+ofPlan+` AND number > $2 ORDER BY number LIMIT $3`,
		[]any{plan, clamp(after), pageLimit(limit)}, func(scan ScanFunc) error {
			var m ota.Message
			err := scan(&m.Number, &m.ID, &m.Body)
			nilIfEmpty(&m.Body)
			messages = append(messages, m)
			return err
		})
	if err == nil && len(messages) == 0 {
		err = s.there(ctx, plan)
	}
	if err != nil {
		return nil, wrap(ctx, "read the inbox of", plan, err)
	}
	return messages, nil
}
