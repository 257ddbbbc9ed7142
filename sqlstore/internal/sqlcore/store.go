package sqlcore

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-19b57ce3/ota"
)

// Store keeps plans in a database. It is safe for concurrent use. Any number of Stores, in any
// number of processes, may use the same tables.
type Store struct {
	db Database
}

// DatabaseOf returns the database behind a Store, for tests.
func DatabaseOf(s *Store) Database { return s.db }

// StoreOn returns a Store on a database that is ready, for tests.
func StoreOn(db Database) *Store { return &Store{db: db} }

var (
	_ ota.Store    = (*Store)(nil)
	_ ota.Leaser   = (*Store)(nil)
	_ ota.Notifier = (*Store)(nil)
	_ ota.Claimer  = (*Store)(nil)
	_ ota.Inbox    = (*Store)(nil)
	_ ota.Pruner   = (*Store)(nil)
)

// Close closes the connections that Open made. A pool of the caller's stays open. Calls under way
// end with an error. Close may be called more than once.
func (s *Store) Close() error {
	s.db.Close()
	return nil
}

// Changes implements [ota.Notifier].
//
// On PostgreSQL it listens on a connection of its own, beside the pool, and reports changes made
// through any Store on the same tables. Commits of owners are announced at most every 25 ms,
// merged. If the connection breaks, Changes connects again, with a back-off of at most 5 s. It then
// reports every plan that has not ended, because any may have changed meanwhile.
//
// On SQLite it reports changes made through this Store only. An engine finds changes of other
// processes by polling.
func (s *Store) Changes(ctx context.Context) (<-chan string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, err := s.db.Changes(ctx)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: listen: %w", err)
	}
	return c, nil
}

// wrote is wrap for a write. It adds ErrRefused if the database can never make the write.
func (s *Store) wrote(ctx context.Context, operation, plan string, err error) error {
	if err != nil && !Definite(err) && s.db.Never(err) {
		err = fmt.Errorf("%w: %w", ota.ErrRefused, err)
	}
	return wrap(ctx, operation, plan, err)
}

// wrap adds the operation and the plan to an error. If ctx has ended, the error is that of the
// context.
func wrap(ctx context.Context, operation, plan string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && !Definite(err) {
		err = ctx.Err()
	}
	if plan == "" {
		return fmt.Errorf("sqlstore: %s: %w", operation, err)
	}
	return fmt.Errorf("sqlstore: %s plan %q: %w", operation, plan, err)
}

// Definite reports whether err is an answer, not a failure to get one.
func Definite(err error) bool {
	for _, answer := range []error{ota.ErrNotFound, ota.ErrExists, ota.ErrConflict, ota.ErrFenced, ota.ErrInvalid, ota.ErrRefused} {
		if errors.Is(err, answer) {
			return true
		}
	}
	return false
}

// number returns the number under which a plan's rows are stored, or ErrNotFound. The plan stays
// until tx ends.
func number(ctx context.Context, tx Querier, plan string) (int64, error) {
	if !keepable(plan) {
		return 0, ota.ErrNotFound
	}
	return find(ctx, tx, `SELECT number FROM ota_plans WHERE id = $1 {keep}`, plan)
}

// there returns ErrNotFound if the plan does not exist: for reads that found nothing.
func (s *Store) there(ctx context.Context, plan string) error {
	_, err := find(ctx, s.db, `SELECT number FROM ota_plans WHERE id = $1`, plan)
	return err
}

func find(ctx context.Context, q Querier, query, plan string) (n int64, err error) {
	found, err := One(ctx, q, query, []any{plan}, &n)
	if err == nil && !found {
		err = ota.ErrNotFound
	}
	return n, err
}
