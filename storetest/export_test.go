package storetest

import (
	"context"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/kit"
)

// CheckBroken is Check of a store that uses up the patience.
func CheckBroken(ctx context.Context, newStore func() (ota.Store, error)) error {
	return check(ctx, newStore, time.Second)
}

// CheckWrapped is Check of the cases about wrappers, through wrap.
func CheckWrapped(ctx context.Context, s ota.Store, wrap func(ota.Store) ota.Store) error {
	wrapped := kit.Suite[*env]{Limit: caseLimit, Themes: []kit.Theme[*env]{
		{Name: "Wrapper", Cases: wrapperCases},
	}}
	return wrapped.Check(ctx, func() (*env, error) {
		return &env{store: wrap(s), bare: s, step: 1, patience: patience}, nil
	})
}
