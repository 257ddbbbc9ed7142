package ota

import (
	"context"
	"errors"
	"time"
)

func (e *Engine) now() time.Time { return e.opt.Clock.Now().UTC() }

// sleep waits for d or until ctx ends.
func (e *Engine) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	t := e.opt.Clock.Timer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

func (e *Engine) changed(id string) { e.hub.tell(id) }

// logPanic gives the stack of a panic in user code to the host. Every other error is none of its business.
func (e *Engine) logPanic(ctx context.Context, err error, about ...any) {
	defer func() { _ = recover() }() // a method of the error may be what panics
	var p *PanicError
	if errors.As(err, &p) {
		about = append(about, "error", p.Error(), "stack", string(p.Stack))
		e.opt.Logger.ErrorContext(ctx, "user code panicked", about...)
	}
}
