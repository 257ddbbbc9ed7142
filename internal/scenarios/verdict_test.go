package scenarios

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

func TestContinueIsRecordedOnceABatch(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{OnBreach: ota.ActionContinue, FailureThreshold: ptr(0.0)}, ota.Shape{Size: 3}, "fail-1", "fail-2", "ok-3", "ok-4", "fail-5", "fail-6")
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
		e := s.events(id, ota.EventBreach)
		require.Len(s, e, 2)
		require.Equal(s, []int{0, 1}, []int{e[0].Batch, e[1].Batch})
		s.stays(id, ota.StatusCompleted)
	})
}

func TestScopePlan(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Scope: ota.ScopePlan, FailureThreshold: ptr(0.5), Concurrency: 1}, ota.Shape{Size: 2}, "fail-1", "fail-2", "ok-3", "fail-4", "ok-5", "ok-6")
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status, "3 of 6")
	})
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Scope: ota.ScopePlan, FailureThreshold: ptr(0.5), Concurrency: 1}, ota.Shape{Size: 2}, "fail-1", "fail-2", "ok-3", "fail-4", "ok-5", "fail-6", "ok-7")
		p := s.drive(id)
		require.Equal(s, ota.StatusPaused, p.Status, "4 of 7")
		require.Equal(s, -1, p.Breaches[0].Batch)
		s.said(s.e.Resume(s.ctx, id, ota.Accept(4), ota.Request{}))
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
	})
}

func TestSecondBreachLosesNothing(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 2, FailureThreshold: ptr(0.0), AttemptTimeout: time.Minute, MaxAbandoned: 1}, ota.Shape{}, "stuck-1", "stuck-2", "ok-3")
		s.run(s.e)
		s.after(2 * time.Minute)
		p := s.plan(id)
		require.Equal(s, ota.StatusPaused, p.Status)
		require.Len(s, p.Breaches, 2, "the threshold's, and that of the abandoned")
		s.said(s.e.Pause(s.ctx, id, ota.Request{}))
		require.Len(s, s.plan(id).Breaches, 2, "neither overwrites the other")
		require.NotNil(s, s.plan(id).Paused)
		s.said(s.e.Resume(s.ctx, id, ota.Accept(2), ota.Request{}))
		s.fleet.free()
		s.after(5 * time.Second)
		s.status(id, ota.StatusCompleted)
	})
}
