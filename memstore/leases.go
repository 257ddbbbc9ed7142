package memstore

import (
	"context"
	"slices"
	"sync"
	"time"
)

// leases says which engines are alive.
type leases struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// Renew implements Leaser.
func (s *Store) Renew(ctx context.Context, engine string, ttl time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l := &s.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	if ttl <= 0 {
		delete(l.until, engine)
		return nil
	}
	if l.until == nil {
		l.until = map[string]time.Time{}
	}
	l.until[engine] = time.Now().Add(ttl)
	return nil
}

// alive reports whether the lease of an engine has not ended.
func (l *leases) alive(engine string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Before(l.until[engine])
}

// Owners implements Leaser. The engines come in order of their names.
func (s *Store) Owners(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := &s.leases
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	owners := []string{}
	for engine, until := range l.until {
		if now.Before(until) {
			owners = append(owners, engine)
		} else {
			delete(l.until, engine)
		}
	}
	slices.Sort(owners)
	return owners, nil
}
