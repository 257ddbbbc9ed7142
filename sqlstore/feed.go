package sqlstore

import (
	"context"
	"sync"
	"sync/atomic"
)

// feed tells the subscribers of one process which plans changed. To tell nobody costs one load.
type feed struct {
	many        atomic.Int32
	mu          sync.Mutex
	subscribers map[*subscriber]struct{}
}

// subscriber collects the IDs that its reader has not had yet: each at most once, however slow the reader is.
type subscriber struct {
	mu   sync.Mutex
	ids  map[string]struct{}
	wake chan struct{} // capacity 1: full means that there is something
}

func newSubscriber() *subscriber {
	return &subscriber{ids: map[string]struct{}{}, wake: make(chan struct{}, 1)}
}

func (s *subscriber) add(plan string) {
	s.mu.Lock()
	s.ids[plan] = struct{}{}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *subscriber) take() map[string]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := s.ids
	s.ids = map[string]struct{}{}
	return ids
}

// forward hands the collected IDs on until ctx ends.
func (s *subscriber) forward(ctx context.Context, out chan<- string) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		for id := range s.take() {
			select {
			case <-ctx.Done():
				return
			case out <- id:
			}
		}
	}
}

func (f *feed) tell(plan string) {
	if f.many.Load() == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.subscribers {
		s.add(plan)
	}
}

func (f *feed) subscribe(ctx context.Context) <-chan string {
	s := newSubscriber()
	f.mu.Lock()
	if f.subscribers == nil {
		f.subscribers = map[*subscriber]struct{}{}
	}
	f.subscribers[s] = struct{}{}
	f.many.Add(1)
	f.mu.Unlock()
	out := make(chan string)
	go func() {
		defer close(out)
		s.forward(ctx, out)
		f.mu.Lock()
		delete(f.subscribers, s)
		f.many.Add(-1)
		f.mu.Unlock()
	}()
	return out
}
