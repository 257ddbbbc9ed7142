package harness

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// The part of CheckedStore that stands in for a Store that fails.

// Hook is asked before a call of the Store. A test may set it while engines run.
type Hook[T any] struct {
	f atomic.Pointer[func(context.Context, T) error]
}

// Set makes f the hook; nil removes it.
func (h *Hook[T]) Set(f func(context.Context, T) error) {
	if f == nil {
		h.f.Store(nil)
		return
	}
	h.f.Store(&f)
}

func (h *Hook[T]) ask(ctx context.Context, v T) error {
	f := h.f.Load()
	if f == nil {
		return nil
	}
	return (*f)(ctx, v)
}

// ErrDown is the error of a CheckedStore that is down.
var ErrDown = errors.New("the store is down")

// Plan implements ota.Store.
func (c *CheckedStore) Plan(ctx context.Context, id string) (ota.PlanRow, error) {
	if c.Down.Load() {
		return ota.PlanRow{}, ErrDown
	}
	return c.Store.Plan(ctx, id)
}

// Plans implements ota.Store.
func (c *CheckedStore) Plans(ctx context.Context, q ota.PlanQuery) (ota.Page[ota.PlanRow], error) {
	if c.Down.Load() {
		return ota.Page[ota.PlanRow]{}, ErrDown
	}
	return c.Store.Plans(ctx, q)
}

// Rows implements ota.Store.
func (c *CheckedStore) Rows(ctx context.Context, id string, q ota.RowQuery) (ota.Page[ota.Row], error) {
	if c.Down.Load() {
		return ota.Page[ota.Row]{}, ErrDown
	}
	return c.Store.Rows(ctx, id, q)
}

// Renew implements ota.Leaser.
func (c *CheckedStore) Renew(ctx context.Context, engine string, ttl time.Duration) error {
	if c.Down.Load() {
		return ErrDown
	}
	if err := c.BeforeRenew.ask(ctx, engine); err != nil {
		return err
	}
	return c.Store.Renew(ctx, engine, ttl)
}

// Bare hides a store's companions on purpose.
type Bare struct{ ota.Store }

func (Bare) Unwrap() ota.Store { return nil }
