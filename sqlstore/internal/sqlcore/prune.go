package sqlcore

import (
	"context"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// Prune implements [ota.Pruner]. A plan disappears in one small transaction. Its rows are then
// deleted in chunks, so that commits of other plans do not wait. If ctx ends or the process dies,
// the next Prune deletes the rest, or opening a Store an hour later. The number of plans is also
// valid with an error.
func (s *Store) Prune(ctx context.Context, before time.Time) (plans int, err error) {
	type candidate struct {
		number, revision int64
		id               string
	}
	var old []candidate
	err = s.db.Query(ctx, `SELECT p.number, p.id, p.revision FROM ota_plans p WHERE p.status IN `+EndedStatuses, nil,
		func(scan ScanFunc) error {
			var c candidate
			err := scan(&c.number, &c.id, &c.revision)
			old = append(old, c)
			return err
		})
	for _, c := range old {
		if err != nil {
			break
		}
		var row ota.PlanRow
		if row, err = s.Plan(ctx, c.id); err != nil {
			if Definite(err) { // another process pruned it
				err = nil
			}
			continue
		}
		if at := row.EndedAt(); at.IsZero() || !at.Before(before) {
			continue
		}
		var gone bool
		if gone, err = s.retire(ctx, c.number, int64(row.Revision), c.id); gone {
			plans++
		}
	}
	if err == nil {
		err = s.sweepCondemned(ctx)
	}
	return plans, wrap(ctx, "prune", "", err)
}

// retire makes a plan disappear, unless it has a commit that is newer than the read. Its rows
// become those of a dead draft.
func (s *Store) retire(ctx context.Context, number, revision int64, id string) (gone bool, err error) {
	err = s.db.Update(ctx, func(tx Querier) error {
		n, err := tx.Exec(ctx, `DELETE FROM ota_plans WHERE number = $1 AND revision = $2`, number, revision)
		gone = n == 1
		if err != nil || !gone {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO ota_drafts (number, plan, touched_at) VALUES ($1, $2, 0)`, number, id)
		return err
	})
	return gone && err == nil, err
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
