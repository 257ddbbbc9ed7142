package ota

import (
	"context"
	"time"
)

// storeLimit is the time limit of the engine's own calls of its Store: one call of a plan's owner,
// or one scan of all plans. A slower answer counts as an error, so a call that never returns blocks
// nothing else. A Store must return once its context has ended.
const storeLimit = time.Minute

// advanceLimit is the time limit of one step between the two plans of a rollback. The step may
// create the rollback plan.
const advanceLimit = 10 * time.Minute

// limited is the Store of one session, with a time limit for each call. Only the owner's goroutine
// uses ctx and timer.
type limited struct {
	store Store

	// The context of the owner's calls, since the owner's own context never ends. It is reused
	// until it ends: one context for each call would be an eighth of the allocations of a plan of a
	// thousand agents.
	ctx   context.Context
	timer *time.Timer
}

// storeCall is a call of a Store that is in progress.
type storeCall struct {
	l      *limited
	cancel func() // of its own context; nil: it uses the context of l
}

// begin returns the context of a call.
func (l *limited) begin(ctx context.Context) (context.Context, storeCall) {
	if ctx.Done() != nil {
		ctx, cancel := context.WithTimeout(ctx, storeLimit)
		return ctx, storeCall{l, cancel}
	}
	if l.ctx == nil {
		var cancel func()
		l.ctx, cancel = context.WithCancel(ctx)
		l.timer = time.AfterFunc(storeLimit, cancel)
	} else {
		l.timer.Reset(storeLimit)
	}
	return l.ctx, storeCall{l, nil}
}

// end must be called when the call has returned.
func (c storeCall) end() {
	if c.cancel != nil {
		c.cancel()
	} else if !c.l.timer.Stop() {
		c.l.ctx = nil // it has ended, or is about to
	}
}

func (l *limited) plan(ctx context.Context, id string) (PlanRow, error) {
	ctx, call := l.begin(ctx)
	defer call.end()
	return l.store.Plan(ctx, id)
}

func (l *limited) batches(ctx context.Context, id string, q RowQuery) (Page[BatchRow], error) {
	ctx, call := l.begin(ctx)
	defer call.end()
	return l.store.Batches(ctx, id, q)
}

func (l *limited) agents(ctx context.Context, id string, q RowQuery) (Page[AgentRow], error) {
	ctx, call := l.begin(ctx)
	defer call.end()
	return l.store.Agents(ctx, id, q)
}

func (l *limited) commit(ctx context.Context, c Commit) (uint64, error) {
	ctx, call := l.begin(ctx)
	defer call.end()
	return l.store.Commit(ctx, c)
}

// turn lets one caller at a time call the Store. Unlike a mutex, it stops waiting when a context
// ends. The caller before may take long.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t turn) give() { <-t }
