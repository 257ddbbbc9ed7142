package sqlcore

import (
	"context"
	"time"
)

// Renew implements [ota.Leaser]. It uses the clock of PostgreSQL or, for SQLite, that of the
// machine, in milliseconds. On SQLite it also finds that the file was deleted, truncated or
// replaced.
func (s *Store) Renew(ctx context.Context, engine string, ttl time.Duration) error {
	err := keeps(engine)
	if err != nil {
		return wrap(ctx, "renew a lease", "", err)
	}
	if ttl <= 0 {
		_, err = s.db.Exec(ctx, `DELETE FROM ota_leases WHERE engine = $1`, engine)
	} else {
		_, err = s.db.Exec(ctx, `INSERT INTO ota_leases (engine, until) VALUES ($1, {now} + CAST($2 AS bigint))
			ON CONFLICT (engine) DO UPDATE SET until = excluded.until`, engine, int64(ttl))
	}
	return s.wrote(ctx, "renew the lease of "+engine, "", err)
}

// Owners implements [ota.Leaser]. The engines come in order of their names.
func (s *Store) Owners(ctx context.Context) ([]string, error) {
	engines := []string{}
	err := s.db.Query(ctx, `SELECT engine FROM ota_leases WHERE until > {now} ORDER BY engine`, nil, func(scan ScanFunc) error {
		var e string
		err := scan(&e)
		engines = append(engines, e)
		return err
	})
	if err != nil {
		return nil, wrap(ctx, "read the leases", "", err)
	}
	return engines, nil
}
