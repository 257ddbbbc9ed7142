package ota

import (
	"context"
	"sync"
	"sync/atomic"
)

// memFeed tells subscribers which plans changed.
type memFeed struct {
	many        atomic.Int32 // how many subscribe, so that a commit that nobody waits for costs one load
	mu          sync.Mutex
	subscribers map[*memSubscriber]struct{}
}

// memSubscriber collects the IDs that its reader has not had yet: at most one of each plan, however slow it is.
type memSubscriber struct {
	mu   sync.Mutex
	ids  map[string]struct{}
	wake chan struct{} // capacity 1: full means that there is something
}

func (f *memFeed) tell(plan string) {
	if f.many.Load() == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.subscribers {
		s.mu.Lock()
		s.ids[plan] = struct{}{}
		s.mu.Unlock()
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// Changes implements Notifier. It loses nothing, but merges changes of one plan that were not read yet.
func (s *MemStore) Changes(ctx context.Context) (<-chan string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sub := &memSubscriber{ids: map[string]struct{}{}, wake: make(chan struct{}, 1)}
	f := &s.feed
	f.mu.Lock()
	if f.subscribers == nil {
		f.subscribers = map[*memSubscriber]struct{}{}
	}
	f.subscribers[sub] = struct{}{}
	f.many.Add(1)
	f.mu.Unlock()
	out := make(chan string)
	go func() {
		defer close(out)
		sub.forward(ctx, out)
		f.mu.Lock()
		delete(f.subscribers, sub)
		f.many.Add(-1)
		f.mu.Unlock()
	}()
	return out, nil
}

// forward hands the collected IDs on until ctx ends.
func (s *memSubscriber) forward(ctx context.Context, out chan<- string) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		s.mu.Lock()
		ids := s.ids
		s.ids = map[string]struct{}{}
		s.mu.Unlock()
		for id := range ids {
			select {
			case <-ctx.Done():
				return
			case out <- id:
			}
		}
	}
}
