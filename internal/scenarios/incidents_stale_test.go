package scenarios

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/harness"
)

// delayed is the Store of an engine that stands still with a commit in its hand, and whose lease
// runs out meanwhile. The commit goes on when the plan has a new owner.
type delayed struct {
	*harness.CheckedStore
	on      atomic.Bool
	release chan struct{}
	tried   atomic.Int64 // commits after the delay
	written atomic.Int64 // those of them that the Store took
}

func (d *delayed) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	if !d.on.Load() {
		return d.CheckedStore.Commit(ctx, c)
	}
	<-d.release
	d.tried.Add(1)
	rev, err := d.CheckedStore.Commit(context.WithoutCancel(ctx), c)
	if err == nil {
		d.written.Add(1)
	}
	return rev, err
}

func (d *delayed) Renew(ctx context.Context, engine string, ttl time.Duration) error {
	if d.on.Load() {
		return harness.ErrDown
	}
	return d.CheckedStore.Renew(ctx, engine, ttl)
}

// staleWrites is how many commits of a delayed owner overwrite those of its successor.
func staleWrites(t *testing.T) (stale int) {
	t.Helper()
	inScene(t, func(s *scene) {
		first := &delayed{CheckedStore: s.store, release: make(chan struct{})}
		s.e = s.engine(first, s.fleet, "one")
		id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{}, names("ok", 30)...)
		s.run(s.e)
		s.after(3500 * time.Millisecond)
		first.on.Store(true)
		s.run(s.engine(s.store, s.fleet, "two"))
		s.after(time.Minute)
		close(first.release)
		s.after(time.Hour)
		require.Equal(s, "two", s.plan(id).Owner)
		require.Positive(s, first.tried.Load(), "the delayed commit was sent")
		s.status(id, ota.StatusCompleted)
		stale = int(first.written.Load())
	})
	return stale
}
