package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/examples/internal/planstore"
)

// openStore opens the Store of the plans: SQLite or PostgreSQL as -db says, or memory.
func openStore(ctx context.Context, c config) (store ota.Store, closeStore func(), err error) {
	store, done, err := planstore.Open(ctx, c.db)
	if err != nil {
		return nil, nil, err
	}
	if _, err = store.Plan(ctx, planID("1.3.0")); err == nil && !c.resume {
		err = fmt.Errorf("%s has this story already: go on with -resume, or name another database", c.db)
	}
	if err != nil && !errors.Is(err, ota.ErrNotFound) {
		return nil, nil, errors.Join(err, done())
	}
	return store, func() { _ = done() }, nil
}
