package ota

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// With ToEnd an agent that turns unhealthy batches later counts, and the breach names its batch; without it is an event only.
func TestObserveToTheEnd(t *testing.T) {
	for _, toEnd := range []bool{true, false} {
		inScene(t, func(s *scene) {
			policy := Policy{Concurrency: 2, Soak: Soak{Duration: time.Minute, Grace: time.Hour, ToEnd: toEnd}}
			id := s.start(policy, Shape{Size: 2}, names("ok", 8)...)
			s.run(s.e)
			s.after(150 * time.Second)
			require.Equal(s, 2, s.plan(id).Batch)
			require.NoError(s, s.e.ReportHealth(s.ctx, id, []HealthReport{{Agent: "ok-000", Reason: "it leaks"}}))
			s.after(time.Second)
			if !toEnd {
				s.status(id, StatusRunning)
				require.Len(s, s.events(id, EventLate), 1)
				return
			}
			p := s.plan(id)
			require.Equal(s, StatusPaused, p.Status)
			require.Equal(s, "Failure threshold exceeded: 1 of 2 failed in batch 0, tolerates 0", p.Breaches[0].String())
			s.said(s.e.Resume(s.ctx, id, Accept(1), Request{}))
			s.after(10 * time.Minute)
			s.status(id, StatusCompleted)
			require.NoError(s, s.e.ReportHealth(s.ctx, id, []HealthReport{{Agent: "ok-001"}}))
			require.Equal(s, 1, s.plan(id).Counts.Failed, "the plan has ended")
		})
	}
}

// A batch that would not be observed does not close over an agent that is unhealthy: it recovers first, or it fails.
func TestABatchDoesNotCloseOverAnUnhealthyAgent(t *testing.T) {
	for _, recovers := range []bool{true, false} {
		inScene(t, func(s *scene) {
			policy := Policy{Concurrency: 2, FailureThreshold: ptr(0.0), Soak: Soak{Grace: time.Minute}}
			id := s.start(policy, Shape{Size: 2}, "ok-0", "slow-1", "ok-2", "ok-3")
			s.run(s.e)
			s.after(3 * time.Second)
			require.NoError(s, s.e.ReportHealth(s.ctx, id, []HealthReport{{Agent: "ok-0"}}))
			s.after(20 * time.Second)
			require.Equal(s, 0, s.plan(id).Batch, "the last agent of the batch has ended, and one is unhealthy")
			require.Contains(s, s.explain(id).Sentence(), "1 agents of batch 0 are unhealthy")
			if recovers {
				require.NoError(s, s.e.ReportHealth(s.ctx, id, []HealthReport{{Agent: "ok-0", Healthy: true}}))
				s.after(10 * time.Minute)
				s.status(id, StatusCompleted)
				return
			}
			s.after(10 * time.Minute)
			p := s.plan(id)
			require.Equal(s, StatusPaused, p.Status)
			require.Equal(s, "Failure threshold exceeded: 1 of 2 failed in batch 0, tolerates 0", p.Breaches[0].String())
			require.Empty(s, s.fleet.made("ok-2"), "nobody of the next batch was started")
		})
	}
}

// A Prober is asked about earlier batches, too, while a later one is observed.
func TestObserveToTheEndAsks(t *testing.T) {
	inScene(t, func(s *scene) {
		sick := false
		s.fleet.health = func(a Attempt) (Health, error) {
			return Health{Healthy: !sick || !strings.HasSuffix(a.Agent, "000")}, nil
		}
		s.use(probed{s.fleet})
		policy := Policy{Concurrency: 2, FailureThreshold: ptr(0.0), Soak: Soak{Duration: time.Minute, ToEnd: true}}
		id := s.start(policy, Shape{Size: 2}, names("ok", 6)...)
		s.run(s.e)
		s.after(61500 * time.Millisecond)
		s.fleet.mu.Lock()
		sick = true
		s.fleet.mu.Unlock()
		s.after(30 * time.Second)
		p := s.plan(id)
		require.Equal(s, StatusPaused, p.Status)
		require.Equal(s, 0, p.Breaches[0].Batch)
		require.Equal(s, 1, p.Batch, "it was found while the second batch was observed")
	})
}

func TestHalved(t *testing.T) {
	for _, c := range []struct{ before, concurrency, failed, want int }{
		{0, 8, 0, 0},
		{0, 8, 1, 1},
		{2, 8, 3, 3},
		{3, 8, 3, 3}, // 1 is left
		{3, 8, 0, 2},
		{0, 1, 1, 0},
	} {
		require.Equal(t, c.want, halved(c.before, c.concurrency, c.failed), "%+v", c)
	}
	v := someView(func(v *view) { v.c.Policy.Halve, v.p.Halved, v.p.Open = true, 1, 2 })
	r := concurrencyLimit(v)
	require.Equal(t, 0, r.New)
	require.Equal(t, "2 instead of 4, after batches with failures", r.Text)
	v.p.Halved = 60
	require.Equal(t, 1, v.concurrency())
}
