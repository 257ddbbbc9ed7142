package scenarios

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/harness"
	"github.com/stretchr/testify/require"
)

// Two engines whose leases both ran out do not take a plan from each other. Once leases are renewed, the plan ends.
func TestEnginesWithoutALeaseTakeNothing(t *testing.T) {
	for _, paused := range []bool{false, true} {
		inScene(t, func(s *scene) {
			var down atomic.Bool
			s.store.BeforeRenew.Set(func(context.Context, string) error {
				if down.Load() {
					return harness.ErrDown
				}
				return nil
			})
			s.fleet.latency = 30 * time.Second
			id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{}, names("ok", 3)...)
			s.run(s.engine(s.store, s.fleet, "one"))
			s.after(time.Second)
			s.run(s.engine(s.store, s.fleet, "two"))
			s.after(time.Second)
			if paused {
				s.said(s.e.Pause(s.ctx, id, ota.Request{}))
			}
			down.Store(true)
			s.after(10 * time.Minute)
			row, err := s.store.Plan(s.ctx, id)
			require.NoError(s, err)
			require.LessOrEqual(s, row.Numbers.Epoch-1, uint64(2))
			down.Store(false)
			s.after(time.Minute)
			if paused {
				s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
			}
			s.after(10 * time.Minute)
			s.status(id, ota.StatusCompleted)
		})
	}
}
