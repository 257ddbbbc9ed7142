package scenarios

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// TestShellSchedules plays random plans through the whole engine: goroutines, workers, contexts, leases, engines that
// are shut down and started again, acknowledgements that get lost, verbs at random moments. The court judges every commit. It is
// the shell's counterpart of TestSimulation, and not repeatable to the letter: the scheduler has its say.
func TestShellSchedules(t *testing.T) {
	n := uint64(500) // of each of four hands
	if raceEnabled {
		n = 2_500
	}
	for hand := range uint64(4) {
		t.Run(fmt.Sprint("hand ", hand), func(t *testing.T) {
			t.Parallel()
			for i := range n {
				seed := hand*n + i
				inScene(t, func(s *scene) { playShell(s, rand.New(rand.NewPCG(seed, 2))) })
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

func playShell(s *scene, r *rand.Rand) {
	threshold := []float64{0, 0.2, 0.5, 1}[r.IntN(4)]
	p := ota.Policy{
		Concurrency: 1 + r.IntN(4), FailureThreshold: &threshold, OnBreach: []ota.Action{ota.ActionPause, ota.ActionRollback}[r.IntN(2)],
		Reserve: r.IntN(4) == 0, Retry: ota.RetryPolicy{Max: r.IntN(3), Backoff: time.Second}, AttemptTimeout: 20 * time.Second,
		UnreachableTimeout: time.Minute, Soak: ota.Soak{Duration: time.Duration(r.IntN(2)) * 10 * time.Second},
	}
	kinds := []string{"ok", "ok", "ok", "fail", "flaky", "busy", "wrong", "same", "slow", "hang", "panic", "perm", "away", "exit"}
	agents := make([]string, 1+r.IntN(8))
	for i := range agents {
		agents[i] = fmt.Sprintf("%s-%d", kinds[r.IntN(len(kinds))], i)
	}
	id := s.start(p, ota.Shape{Size: 1 + r.IntN(4)}, agents...)
	stop := s.run(s.patient("one"))
	for i := range r.IntN(8) {
		s.after(time.Duration(r.IntN(5000)) * time.Millisecond)
		switch r.IntN(8) {
		case 0:
			s.store.LostAcks.Store(int64(1 + r.IntN(2)))
		case 1:
			err := stop()
			require.True(s, err == nil || errors.Is(err, ota.ErrAbandoned), err)
			stop = s.run(s.patient(fmt.Sprint("again-", i)))
		default:
			s.say(r, id, agents)
		}
	}
	s.after(15 * time.Minute)
	plan := s.plan(id)
	require.True(s, plan.Status.Ended() || plan.Status == ota.StatusPaused || plan.Status == ota.StatusRollingBack, "%s at rest", plan.Status)
	require.Zero(s, plan.InFlight())
	if plan.Status == ota.StatusRollingBack {
		require.Equal(s, ota.StatusPaused, s.plan(plan.RollbackPlan).Status, "only a rollback that paused rests")
	}
	require.NotEmpty(s, s.explain(id).Blockers)
}

// patient is an engine that polls seldom: most of these schedules is waiting.
func (s *scene) patient(name string) *ota.Engine {
	e, err := ota.New(s.store, s.fleet, ota.Options{Name: name, Poll: 20 * time.Second, Lease: time.Minute})
	require.NoError(s, err)
	return e
}

// say says something; a refusal is as good an answer as any.
func (s *scene) say(r *rand.Rand, id string, agents []string) {
	by := ota.Request{Actor: "ann"}
	switch r.IntN(8) {
	case 0:
		_, _ = s.e.Pause(s.ctx, id, by)
	case 1, 2:
		_, _ = s.e.Resume(s.ctx, id, ota.Accept(s.plan(id).Counts.Bad()), by)
	case 3:
		_, _ = s.e.Resume(s.ctx, id, ota.RetryFailed(), by)
	case 4:
		_, _ = s.e.Skip(s.ctx, id, agents[:1], by)
	case 5:
		_, _ = s.e.Cancel(s.ctx, id, r.IntN(2) == 0, by)
	case 6:
		_, _ = s.e.Rollback(s.ctx, id, ota.RollbackSpec{Interrupt: r.IntN(2) == 0}, by)
	case 7:
		_ = s.e.ReportHealth(s.ctx, id, []ota.HealthReport{{Agent: agents[0]}})
	}
}
