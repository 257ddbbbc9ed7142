package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// Broken stores use it up.
func init() { patience = time.Second }

// CheckWrapped is Check of the cases about wrappers, through wrap.
func CheckWrapped(ctx context.Context, s ota.Store, wrap func(ota.Store) ota.Store) error {
	var failures []error
	for _, c := range wrapperCases {
		failures = append(failures, (&env{ctx: ctx, store: wrap(s), bare: s, step: 1}).run(c))
	}
	return errors.Join(failures...)
}
