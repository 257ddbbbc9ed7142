// Package planstore opens the Store in which the programs of this module keep their plans, as their
// flag -db says.
package planstore

import (
	"context"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/sqlstore"
)

// Usage describes the flag.
const Usage = "keep the plans in this SQLite `file`, or in PostgreSQL at postgres://… (default in memory)"

// Open opens PostgreSQL for a postgres:// URL, and memory for an empty name. Otherwise it opens a
// SQLite file, which it creates if it is missing. The caller closes the Store.
func Open(ctx context.Context, db string) (store ota.Store, closeStore func() error, err error) {
	if db == "" {
		return memstore.New(), func() error { return nil }, nil
	}
	s, err := sqlstore.Open(ctx, db, sqlstore.Options{})
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}
