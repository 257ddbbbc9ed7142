package ota

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/google/uuid"

	"github.com/seed-19b57ce3/ota/internal/feed"
)

// host is everything that the driver of a plan needs of the engine.
type host struct {
	store     rowStore
	exec      Executor
	with      companions
	opt       Options
	clock     callClock // of opt, for the contexts of calls
	instance  string    // unique, even among engines of the same name
	hub       feed.Hub  // wakes those who wait for a plan
	lease     lease
	abandoned abandonedCalls
	observer  *observer // nil: none

	storeErrors storeErrors
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

// Options are the settings of an Engine. The zero value is right for one process.
type Options struct {
	// Name identifies this engine among those that share the Store. Two engines that run at the
	// same time must not share a name. An engine that comes back under its old name, for example
	// after a crash, takes its plans back at once. If the old engine is alive after all, it logs an
	// error, and leaves these plans alone for at least twice the Lease. At most 255 bytes; empty
	// means a random name.
	Name string
	// Resolver returns the tasks of agents of new plans. Nil means one task for each agent whose
	// Tasks the Spec does not set.
	Resolver Resolver
	// SameVersion reports whether two texts name the same version, for example "v1.3.0" and
	// "1.3.0". An agent that reports one is then at its target if the other is the target. Nil
	// means that only equal texts do; it is never called for equal texts. SameVersion must be a
	// pure function, the same in every engine on the Store, and fast: the engine calls it while it
	// decides. A panic counts as false.
	SameVersion func(a, b string) bool
	// Logger receives what operators should see. Of the plans that this engine drives, it receives
	// breaches and pauses as warnings, and every other change of status. It also receives failures
	// of the Store and of the lease, and the stack of a panic in user code. Nil means no log.
	Logger *slog.Logger
	// Observer is notified of each commit and each call of this engine, for metrics and traces. Nil
	// means that nothing is observed, which costs nothing.
	Observer Observer
	// Clock is the source of time. Nil means the real clock.
	Clock clock.Clock
	// Lease is how long this engine counts as alive after its last renewal, if the Store is a
	// Leaser. It is renewed three times in that period. 100 ms or more; 0 means 5 s.
	Lease time.Duration
	// Poll is how often the engine looks for changes of which the Store sends no notice. 1 ms or
	// more; 0 means 1 s.
	Poll time.Duration
	// DrainTimeout is how long calls may continue after the context of Run or RunPlan has ended.
	// Nothing starts in that time, and each outcome is recorded. Then the contexts of the calls end
	// too, and the next owner repeats these attempts under the same Key. 1 ms or more; 0 means 20
	// s; a negative value ends the contexts at once. The engine does not wait longer than
	// AbandonAfter for a call whose context has ended. Give it less time than your platform gives
	// the process.
	DrainTimeout time.Duration
	// AbandonAfter is how long a call may continue after its context has ended, before it is
	// abandoned. 1 ms or more; 0 means 5 s.
	AbandonAfter time.Duration
}

func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = "engine-" + uuid.NewString()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = clock.New()
	}
	for _, d := range []struct {
		value *time.Duration
		zero  time.Duration
	}{
		{&o.Lease, 5 * time.Second},
		{&o.Poll, time.Second},
		{&o.DrainTimeout, 20 * time.Second},
		{&o.AbandonAfter, 5 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.zero
		}
	}
	return o
}

func (o Options) check() error {
	var m mistakes
	checkText(&m, "name", o.Name, maxText)
	if !checkUnit(&m, "lease", o.Lease, leaseAllowed) && o.Lease != 0 && o.Lease < minLease {
		m.add("lease", o.Lease.String(), "is too short", leaseAllowed)
	}
	m.durations(
		durationRule{"poll", o.Poll, NoTimeout, "1ms or more; 0 means 1s"},
		durationRule{"drainTimeout", max(o.DrainTimeout, 0), NoTimeout, "1ms or more; 0 means 20s; negative means not at all"},
		durationRule{"abandonAfter", o.AbandonAfter, NoTimeout, "1ms or more; 0 means 5s"},
	)
	return m.result()
}

const (
	minLease     = 100 * time.Millisecond
	leaseAllowed = "100ms or more; 0 means 5s"
)

// backoff returns a time that doubles with each try, from least to most. Up to half of it is cut
// off at random, so that competing engines do not retry together.
func backoff(try int, least, most time.Duration) time.Duration {
	d := min(least<<min(try, 20), most)
	return d/2 + rand.N(d/2+1)
}

// lease shows other engines that this one is alive while it drives plans. By its own monotonic
// clock it also knows when it must stop believing that.
type lease struct {
	host *host
	// Base of until, with a monotonic reading. Never reassigned: abandoned calls read it
	// concurrently.
	base  time.Time
	until atomic.Int64 // nanoseconds after base; 0: no lease is needed
	// How often the lease was renewed only after it had expired. Another engine may have taken
	// plans meanwhile.
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

func errOwned(row *planRow) error {
	return fmt.Errorf("%w: engine %s drives plan %s, or has died and its lease has not expired yet; "+
		"Run waits for that, and an engine with the same Options.Name continues at once", ErrConflict, row.Progress.Owner, row.ID)
}
