package scenarios

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/harness"
)

// A plan that another replica has resumed is paused again by the one that drives it, although that
// one still believes it paused.
func TestAVerbSeesWhatOthersSaid(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.latency = time.Minute
		id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{}, names("ok", 9)...)
		stop := s.run(s.e)
		s.after(time.Second)
		other := s.engine(s.store, nil, "two")
		for range 3 {
			s.said(s.e.Pause(s.ctx, id, ota.Request{}))
			s.said(other.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
			s.said(s.e.Pause(s.ctx, id, ota.Request{}))
			row, err := s.store.Plan(s.ctx, id)
			require.NoError(s, err)
			require.NotNil(s, harness.Member(row.Parts.Control, "paused"), "it was told that the plan is paused")
			s.said(other.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
		}
		require.NoError(s, stop())
	})
}

// cutOff is a Store that an engine has lost: it can neither commit nor renew its lease, like one
// whose process was killed.
type cutOff struct {
	*harness.CheckedStore
	lost atomic.Bool
}

func (c *cutOff) Commit(ctx context.Context, x ota.Commit) (uint64, error) {
	if c.lost.Load() {
		return 0, harness.ErrDown
	}
	return c.CheckedStore.Commit(ctx, x)
}

func (c *cutOff) Renew(ctx context.Context, engine string, ttl time.Duration) error {
	if c.lost.Load() {
		return harness.ErrDown
	}
	return c.CheckedStore.Renew(ctx, engine, ttl)
}

// A killed engine's plan goes on at once under the same name, and under another one when the lease
// has run out and the plans were looked at once more.
func TestAPlanIsTakenOverInTime(t *testing.T) {
	for name, within := range map[string]time.Duration{"one": 10 * time.Millisecond, "two": 5*time.Second + time.Second} {
		for _, alive := range []time.Duration{300 * time.Millisecond, 2 * time.Second, 9900 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s/%v", name, alive), func(t *testing.T) {
				inScene(t, func(s *scene) {
					first := &cutOff{CheckedStore: s.store}
					s.e = s.engine(first, s.fleet, "one")
					s.fleet.latency = time.Second
					id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{}, names("ok", 30)...)
					s.run(s.e)
					s.after(alive)
					first.lost.Store(true)
					began := time.Now()
					s.run(s.engineOf(s.store, s.fleet, ota.Options{Name: name, Poll: time.Second}))
					s.after(within)
					owned := s.events(id, ota.EventOwned)
					require.Len(s, owned, 2, "it was not taken over after %v", time.Since(began))
					require.Equal(s, name, owned[1].Text)
					s.after(5 * time.Minute)
					s.status(id, ota.StatusCompleted)
					require.Len(s, s.events(id, ota.EventOwned), 2)
				})
			})
		}
	}
}
