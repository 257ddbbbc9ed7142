package sqlcore

import (
	"context"
	"time"
)

// Prune implements [ota.Pruner]. The plans disappear with one statement. Their rows are then
// deleted in chunks, so that commits of other plans do not wait. If ctx ends or the process dies,
// the next Prune deletes the rest, or opening a Store an hour later. The number of plans is also
// valid with an error.
func (s *Store) Prune(ctx context.Context, before time.Time) (plans int, err error) {
	err = s.db.Update(ctx, func(tx Querier) error {
		var gone [][]any
		err := tx.Query(ctx, `DELETE FROM ota_plans WHERE ended_at < $1 RETURNING number, id`, []any{before.UnixNano()},
			func(scan ScanFunc) error {
				var number int64
				var id string
				err := scan(&number, &id)
				gone = append(gone, []any{number, id})
				return err
			})
		if err != nil {
			return err
		}
		plans = len(gone) // their rows become those of dead drafts
		return tx.ExecMany(ctx, `INSERT INTO ota_drafts (number, plan, touched_at) VALUES ($1, $2, 0)`, gone)
	})
	if err != nil {
		plans = 0
	} else {
		err = s.sweepCondemned(ctx)
	}
	return plans, wrap(ctx, "prune", "", err)
}

// sweepCondemned finishes deletions, also those that other processes began.
func (s *Store) sweepCondemned(ctx context.Context) error {
	var condemned []int64
	err := s.db.Query(ctx, `SELECT number FROM ota_drafts WHERE touched_at = 0`, nil, func(scan ScanFunc) error {
		var n int64
		err := scan(&n)
		condemned = append(condemned, n)
		return err
	})
	for _, n := range condemned {
		if err == nil {
			err = s.sweep(ctx, n)
		}
	}
	return err
}
