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

// stallStore is a database that stands still once: a commit of an owner lands, and its answer comes late, as that of everything else.
type stallStore struct {
	*harness.CheckedStore
	at    int64 // which commit of the owner
	n     atomic.Int64
	until atomic.Int64 // Unix nanoseconds; 0: it does not stand still
	stall time.Duration
}

func (s *stallStore) wait(ctx context.Context) error {
	if until := s.until.Load(); until != 0 {
		return nap(ctx, time.Until(time.Unix(0, until)))
	}
	return nil
}

func (s *stallStore) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	_ = s.wait(context.Background())
	rev, err := s.CheckedStore.Commit(ctx, c)
	if c.If.Epoch != 0 && s.n.Add(1) == s.at {
		s.until.Store(time.Now().Add(s.stall).UnixNano())
	}
	_ = s.wait(context.Background())
	return rev, err
}

func (s *stallStore) Renew(ctx context.Context, engine string, ttl time.Duration) error {
	if err := s.wait(ctx); err != nil {
		return err
	}
	return s.CheckedStore.Renew(ctx, engine, ttl)
}

// A database that stands still for longer than the lease delays a plan, and no more: whichever commit it was, and whatever is said
// to the plan meanwhile.
func TestStallLongerThanTheLease(t *testing.T) {
	verbs := map[string]struct {
		say  func(s *scene, id string) error
		want ota.Status
	}{
		"nothing": {func(*scene, string) error { return nil }, ota.StatusCompleted},
		"pause":   {func(s *scene, id string) error { _, err := s.e.Pause(s.ctx, id, ota.Request{}); return err }, ota.StatusPaused},
		"cancel":  {func(s *scene, id string) error { _, err := s.e.Cancel(s.ctx, id, false, ota.Request{}); return err }, ota.StatusCanceled},
		"interrupt": {
			func(s *scene, id string) error { _, err := s.e.Cancel(s.ctx, id, true, ota.Request{}); return err },
			ota.StatusCanceled,
		},
	}
	for _, stall := range []time.Duration{2 * time.Second, 7 * time.Second, 8 * time.Second, 9300 * time.Millisecond, 21 * time.Second} { // the lease is 5 s
		for at := int64(1); at <= 4; at++ {
			for verb, v := range verbs {
				t.Run(fmt.Sprintf("%s/%d/%s", stall, at, verb), func(t *testing.T) {
					inScene(t, func(s *scene) {
						s.fleet.latency = time.Second
						store := &stallStore{CheckedStore: s.store, at: at, stall: stall}
						s.e = s.engine(store, s.fleet, "one")
						id := s.start(ota.Policy{Concurrency: 2}, ota.Shape{}, names("ok", 8)...)
						s.run(s.e)
						time.Sleep(10 * time.Millisecond)
						for store.n.Load() < at {
							time.Sleep(100 * time.Millisecond)
						}
						require.NoError(s, v.say(s, id))
						s.after(5 * time.Minute)
						s.status(id, v.want)
						require.Zero(s, s.plan(id).InFlight())
					})
				})
			}
		}
	}
}
