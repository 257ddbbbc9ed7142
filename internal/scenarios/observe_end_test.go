package scenarios

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// With ToEnd an agent that turns unhealthy batches later counts, and the breach names its batch; without it is an event only.
func TestObserveToTheEnd(t *testing.T) {
	for _, toEnd := range []bool{true, false} {
		inScene(t, func(s *scene) {
			policy := ota.Policy{Concurrency: 2, Soak: ota.Soak{Duration: time.Minute, Grace: time.Hour, ToEnd: toEnd}}
			id := s.start(policy, ota.Shape{Size: 2}, names("ok", 8)...)
			s.run(s.e)
			s.after(150 * time.Second)
			require.Equal(s, 2, s.plan(id).Batch)
			require.NoError(s, s.e.ReportHealth(s.ctx, id, []ota.HealthReport{{Agent: "ok-000", Reason: "it leaks"}}))
			s.after(time.Second)
			if !toEnd {
				s.status(id, ota.StatusRunning)
				require.Len(s, s.events(id, ota.EventLate), 1)
				return
			}
			p := s.plan(id)
			require.Equal(s, ota.StatusPaused, p.Status)
			require.Equal(s, "Failure threshold exceeded: 1 of the 2 agents of batch 0 failed, none is tolerated", p.Breaches[0].String())
			s.said(s.e.Resume(s.ctx, id, ota.Accept(1), ota.Request{}))
			s.after(10 * time.Minute)
			s.status(id, ota.StatusCompleted)
			require.NoError(s, s.e.ReportHealth(s.ctx, id, []ota.HealthReport{{Agent: "ok-001"}}))
			require.Equal(s, 1, s.plan(id).Counts.Failed, "the plan has ended")
		})
	}
}

// A batch that would not be observed does not close over an agent that is unhealthy: it recovers first, or it fails.
func TestABatchDoesNotCloseOverAnUnhealthyAgent(t *testing.T) {
	for _, recovers := range []bool{true, false} {
		inScene(t, func(s *scene) {
			policy := ota.Policy{Concurrency: 2, FailureThreshold: ptr(0.0), Soak: ota.Soak{Grace: time.Minute}}
			id := s.start(policy, ota.Shape{Size: 2}, "ok-0", "slow-1", "ok-2", "ok-3")
			s.run(s.e)
			s.after(3 * time.Second)
			require.NoError(s, s.e.ReportHealth(s.ctx, id, []ota.HealthReport{{Agent: "ok-0"}}))
			s.after(20 * time.Second)
			require.Equal(s, 0, s.plan(id).Batch, "the last agent of the batch has ended, and one is unhealthy")
			require.Contains(s, s.explain(id).Sentence(), "1 agent of batch 0 is unhealthy")
			if recovers {
				require.NoError(s, s.e.ReportHealth(s.ctx, id, []ota.HealthReport{{Agent: "ok-0", Healthy: true}}))
				s.after(10 * time.Minute)
				s.status(id, ota.StatusCompleted)
				return
			}
			s.after(10 * time.Minute)
			p := s.plan(id)
			require.Equal(s, ota.StatusPaused, p.Status)
			require.Equal(s, "Failure threshold exceeded: 1 of the 2 agents of batch 0 failed, none is tolerated", p.Breaches[0].String())
			require.Empty(s, s.fleet.made("ok-2"), "nobody of the next batch was started")
		})
	}
}

// A Prober is asked about earlier batches, too, while a later one is observed.
func TestObserveToTheEndAsks(t *testing.T) {
	inScene(t, func(s *scene) {
		sick := false
		s.fleet.health = func(a ota.Attempt) (ota.Health, error) {
			return ota.Health{Healthy: !sick || !strings.HasSuffix(a.Agent, "000")}, nil
		}
		s.use(probed{s.fleet})
		policy := ota.Policy{Concurrency: 2, FailureThreshold: ptr(0.0), Soak: ota.Soak{Duration: time.Minute, ToEnd: true}}
		id := s.start(policy, ota.Shape{Size: 2}, names("ok", 6)...)
		s.run(s.e)
		s.after(61500 * time.Millisecond)
		s.fleet.mu.Lock()
		sick = true
		s.fleet.mu.Unlock()
		s.after(30 * time.Second)
		p := s.plan(id)
		require.Equal(s, ota.StatusPaused, p.Status)
		require.Equal(s, 0, p.Breaches[0].Batch)
		require.Equal(s, 1, p.Batch, "it was found while the second batch was observed")
	})
}
