// Package feed notifies subscribers of plans that changed. It loses nothing. Changes of one plan
// that a subscriber has not read yet are merged: a slow subscriber costs one ID per plan, and a
// sender never waits for it.
package feed

import (
	"context"
	"sync"
	"sync/atomic"
)

// Feed notifies all its subscribers. Its zero value is ready to use; it is safe for concurrent use.
type Feed struct {
	many        atomic.Int32 // number of subscribers; with none, Tell costs one load
	mu          sync.Mutex
	subscribers map[*Subscriber]struct{}
}

// Tell notifies the subscribers that a plan changed. It does not wait.
func (f *Feed) Tell(plan string) {
	if f.many.Load() == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.subscribers {
		s.Add(plan)
	}
}

// Subscribe returns a channel of the IDs of plans that change from now on. The channel is closed
// when ctx ends.
func (f *Feed) Subscribe(ctx context.Context) <-chan string {
	s := NewSubscriber()
	f.mu.Lock()
	if f.subscribers == nil {
		f.subscribers = map[*Subscriber]struct{}{}
	}
	f.subscribers[s] = struct{}{}
	f.many.Add(1)
	f.mu.Unlock()
	out := make(chan string)
	go func() {
		s.Forward(ctx, out)
		f.mu.Lock()
		delete(f.subscribers, s)
		f.many.Add(-1)
		f.mu.Unlock()
	}()
	return out
}
