package ota

import (
	"context"
	"errors"
	"time"

	"github.com/seed-19b57ce3/ota/internal/feed"
)

// host is everything that the driver of a plan needs of the engine.
type host struct {
	store     Store
	exec      Executor
	with      companions
	opt       Options
	clock     callClock // of opt, for the contexts of calls
	instance  string    // unique, even among engines of the same name
	hub       feed.Hub  // wakes those who wait for a plan
	lease     lease
	abandoned abandonedCalls
}

// office is what a driver asks of the engine that started it.
type office interface {
	// advanceRollback takes the next step between the two plans of a rollback, from either side.
	advanceRollback(ctx context.Context, id string) (counterpart, error)
	// foldWithoutDriver records what happened to a plan that has no driver.
	foldWithoutDriver(ctx context.Context, id string, in input, blocked []blockedAgent) error
	// driver returns the driver of a plan, or nil.
	driver(id string) *driver
	// moreDriversThanCPUs reports whether the engine drives more plans than there are CPUs.
	moreDriversThanCPUs() bool
}

func (h *host) now() time.Time { return h.opt.Clock.Now().UTC() }

// sleep waits for d or until ctx ends.
func (h *host) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	t := h.opt.Clock.Timer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// changed wakes everything in this process that waits for a change of the plan.
func (h *host) changed(id string) { h.hub.Tell(id) }

// logPanic logs the stack of a panic in user code. It ignores every other error.
func (h *host) logPanic(ctx context.Context, err error, about ...any) {
	defer func() { _ = recover() }() // a method of the error may be what panics
	var p *PanicError
	if errors.As(err, &p) {
		about = append(about, "error", p.Error(), "stack", string(p.Stack))
		h.opt.Logger.ErrorContext(ctx, "user code panicked", about...)
	}
}
