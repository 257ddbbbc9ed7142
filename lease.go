package ota

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// lease shows other engines that this one is alive while it drives plans. By its own monotonic
// clock it also knows when it must stop believing that.
type lease struct {
	host *host
	// Base of until, with a monotonic reading. Never reassigned: abandoned calls read it
	// concurrently.
	base  time.Time
	until atomic.Int64 // nanoseconds after base; 0: no lease is needed
	// How often the lease was renewed only after it had expired. Another engine may have taken plans
	// meanwhile.
	lapses atomic.Int64

	mu      sync.Mutex
	holders int // guarded by mu, like the fields below
	cancel  context.CancelFunc
	done    chan struct{}
}

// acquire keeps the lease alive until release is called. It waits for the first renewal.
func (l *lease) acquire(ctx context.Context) (release func(), err error) {
	store := l.host.with.Leaser
	if store == nil {
		return func() {}, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holders == 0 {
		for try := 0; ; try++ {
			if err := l.renew(ctx, store); err == nil {
				break
			}
			if err := l.host.sleep(ctx, backoff(try, 50*time.Millisecond, time.Second)); err != nil {
				return nil, err
			}
		}
		keep, cancel := context.WithCancel(context.WithoutCancel(ctx))
		l.cancel, l.done = cancel, make(chan struct{})
		go l.keep(keep, store, l.done)
	}
	l.holders++
	return func() { l.release(ctx, store) }, nil
}

func (l *lease) release(ctx context.Context, store Leaser) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holders--; l.holders > 0 {
		return
	}
	l.cancel()
	<-l.done
	l.until.Store(0)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.host.opt.Lease)
	defer cancel()
	if err := store.Renew(ctx, l.host.opt.Name, 0); err != nil {
		l.host.opt.Logger.WarnContext(ctx, "lease could not be released", "error", err)
	}
}

// keep renews the lease three times per term.
func (l *lease) keep(ctx context.Context, store Leaser, done chan<- struct{}) {
	defer close(done)
	for l.host.sleep(ctx, l.host.opt.Lease/3) == nil {
		if err := l.renew(ctx, store); err != nil && ctx.Err() == nil {
			l.host.opt.Logger.WarnContext(ctx, "lease was not renewed", "error", err)
		}
	}
}

func (l *lease) renew(ctx context.Context, store Leaser) error {
	ctx, cancel := context.WithTimeout(ctx, l.host.opt.Lease/3)
	defer cancel()
	start := l.host.opt.Clock.Now()
	if err := store.Renew(ctx, l.host.opt.Name, l.host.opt.Lease); err != nil {
		return err
	}
	// Counted from before the call, and an eighth early: the store's lease can only run out later.
	if !l.ok(start) {
		l.lapses.Add(1)
	}
	l.until.Store(int64(start.Sub(l.base) + l.host.opt.Lease*7/8))
	return nil
}

// ok reports whether this engine may still believe that it owns its plans. now is a time of its own
// clock.
func (l *lease) ok(now time.Time) bool {
	until := l.until.Load()
	return until == 0 || int64(now.Sub(l.base)) < until
}

func errOwned(row *PlanRow) error {
	return fmt.Errorf("%w: engine %s drives plan %s, or has died and its lease has not expired yet; "+
		"Run waits for that, and an engine with the same Options.Name continues at once", ErrConflict, row.Progress.Owner, row.ID)
}
