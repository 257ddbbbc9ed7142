package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// CheckBroken is Check of a store that uses up the patience.
func CheckBroken(ctx context.Context, newStore func() (ota.Store, error)) error {
	return check(ctx, newStore, time.Second)
}

// CheckWrapped is Check of the cases about wrappers, through wrap.
func CheckWrapped(ctx context.Context, s ota.Store, wrap func(ota.Store) ota.Store) error {
	var failures []error
	for _, c := range wrapperCases {
		failures = append(failures, (&env{ctx: ctx, store: wrap(s), bare: s, step: 1, patience: patience}).run(c))
	}
	return errors.Join(failures...)
}
