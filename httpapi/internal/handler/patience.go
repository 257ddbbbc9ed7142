package handler

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/benbjohnson/clock"
)

// ErrPatience is the cause of the end of a request's context once it has waited long enough for the
// Store.
var ErrPatience = errors.New("the store has not answered in time")

// Patience ends the context of a request that waits too long for the Store. It runs by the Engine's
// clock.
type Patience struct {
	timer  *clock.Timer
	limit  time.Duration
	cancel context.CancelCauseFunc
}

// Wait returns the request with a context that ends when Limits.Wait is over, and its Patience. The
// caller calls Done when the request has been served.
func (b *Base) Wait(r *http.Request) (*http.Request, *Patience) {
	ctx, cancel := context.WithCancelCause(r.Context())
	p := &Patience{limit: b.Limits.Wait, cancel: cancel}
	p.timer = b.Clock.AfterFunc(p.limit, func() { cancel(ErrPatience) })
	return r.WithContext(ctx), p
}

// For begins the wait anew. It may take each longer for each of n agents.
func (p *Patience) For(n int, each time.Duration) { p.timer.Reset(p.limit + time.Duration(n)*each) }

// Again begins the wait anew, after an answer of the Store.
func (p *Patience) Again() { p.timer.Reset(p.limit) }

// Suspend stops the wait until For or Again is called.
func (p *Patience) Suspend() { p.timer.Stop() }

// Done frees what the Patience has.
func (p *Patience) Done() {
	p.timer.Stop()
	p.cancel(nil)
}

// GaveUp reports whether the Patience of a request has ended its context.
func GaveUp(ctx context.Context) bool { return errors.Is(context.Cause(ctx), ErrPatience) }
