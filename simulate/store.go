package simulate

import (
	"context"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// store is the Store of one simulation. It has one engine, one plan, and the rollback plan of that,
// so every claim succeeds and every lease lasts: no result depends on the real time.
type store struct{ ota.Store }

var (
	_ ota.Claimer = store{}
	_ ota.Leaser  = store{}
)

// newStore returns an empty store.
func newStore() ota.Store { return store{memstore.New()} }

// Unwrap returns nil: the optional interfaces of the Store inside do not count.
func (store) Unwrap() ota.Store { return nil }

// Claim implements ota.Claimer.
func (store) Claim(context.Context, string, string) ([]ota.Conflict, int, error) { return nil, 0, nil }

// Keep implements ota.Claimer.
func (store) Keep(context.Context, string, string, []string) error { return nil }

// Kept implements ota.Claimer.
func (store) Kept(context.Context, string) ([]ota.Conflict, error) { return nil, nil }

// Release implements ota.Claimer.
func (store) Release(context.Context, string, []string) error { return nil }

// Holders implements ota.Claimer.
func (store) Holders(context.Context, []string) ([]string, error) { return nil, nil }

// Renew implements ota.Leaser.
func (store) Renew(context.Context, string, time.Duration) error { return nil }

// Owners implements ota.Leaser.
func (store) Owners(context.Context) ([]string, error) { return nil, nil }
