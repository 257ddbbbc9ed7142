package feed

import (
	"context"
	"sync"
)

// Subscriber collects the IDs that its reader has not read yet: each at most once, however slow the
// reader is.
type Subscriber struct {
	mu   sync.Mutex
	ids  map[string]struct{}
	wake chan struct{} // capacity 1: full means that IDs are waiting
}

// NewSubscriber returns a Subscriber that belongs to no Feed: the caller adds IDs to it.
func NewSubscriber() *Subscriber {
	return &Subscriber{ids: map[string]struct{}{}, wake: make(chan struct{}, 1)}
}

// Add records that a plan changed. It does not wait.
func (s *Subscriber) Add(plan string) {
	s.mu.Lock()
	s.ids[plan] = struct{}{}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Subscriber) take() map[string]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := s.ids
	s.ids = map[string]struct{}{}
	return ids
}

// Forward sends the collected IDs to out until ctx ends, then closes out.
func (s *Subscriber) Forward(ctx context.Context, out chan<- string) {
	defer close(out)
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
