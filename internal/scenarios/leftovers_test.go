package scenarios

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// A Start that is refused claims nothing: another plan may start with the agents.
func TestARefusedStartClaimsNothing(t *testing.T) {
	for name, refuse := range map[string]func(*scene, *ota.Policy, *ota.Request){
		"no window opens": func(_ *scene, p *ota.Policy, _ *ota.Request) { p.Windows, p.PlanTimeout = shut, time.Hour },
		"a generation":    func(_ *scene, _ *ota.Policy, by *ota.Request) { by.Generation = 99 },
		"a bad text":      func(_ *scene, _ *ota.Policy, by *ota.Request) { by.Actor = "\x00" },
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				p, by := ota.Policy{}, ota.Request{}
				refuse(s, &p, &by)
				_, err := s.e.Start(s.ctx, s.create(p, ota.Shape{}, "ok-1").ID, by)
				require.Error(s, err)
				s.start(ota.Policy{}, ota.Shape{}, "ok-1")
			})
		})
	}
}

// The function of Edit belongs to the caller: its panic is an error for the caller, and the plan's owner goes on.
func TestEditsFunctionCannotHarmTheOwner(t *testing.T) {
	for name, change := range map[string]func(*ota.Policy){
		"panics":             func(*ota.Policy) { panic("mine") },
		"ends its goroutine": func(*ota.Policy) { runtime.Goexit() },
		"panics by mistake":  func(p *ota.Policy) { p.Hold.Batches[p.Concurrency+100] = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				id := s.start(ota.Policy{}, ota.Shape{}, "slow-1", "ok-2")
				s.run(s.e)
				s.after(time.Second)
				_, err := s.e.Edit(s.ctx, id, change, ota.Request{})
				require.Error(s, err)
				if name == "panics" {
					var p *ota.PanicError
					require.ErrorAs(s, err, &p)
				}
				s.after(time.Minute)
				s.status(id, ota.StatusCompleted)
			})
		})
	}
}

// Two Runs of one engine leave a plan at rest alone.
func TestTwoRunsLeaveAPlanAtRestAlone(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Soak: ota.Soak{Duration: time.Minute}}, ota.Shape{Size: 1}, "fail-1", "ok-2")
		s.run(s.e)
		s.run(s.e)
		s.after(10 * time.Minute) // the batch has soaked
		s.status(id, ota.StatusPaused)
		before := s.plan(id).Revision
		s.after(time.Hour)
		require.Equal(s, before, s.plan(id).Revision)
		s.said(s.e.Resume(s.ctx, id, ota.Accept(1), ota.Request{}))
		s.after(time.Hour)
		s.status(id, ota.StatusCompleted)
	})
}

// A rollback plan has the warnings about its policy when it is made, and the same ones after an Edit that changes nothing of that.
func TestARollbackPlanHasPolicyWarnings(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{}, "ok-1", "ok-2")
		s.drive(id)
		back := s.said(s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{}))
		require.Contains(s, back.Warnings, "failureThreshold 0.1 tolerates 0 of 2 agents: the first failure is a breach")
		edited := s.said(s.e.Edit(s.ctx, back.ID, func(p *ota.Policy) { p.Concurrency++ }, ota.Request{}))
		require.Equal(s, back.Warnings, edited.Warnings)
	})
}

// A Preview names agents with a call of this engine that has not returned, although its plan has ended.
func TestPreviewNamesAgentsWithACall(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{FailureThreshold: ptr(1.0)}, ota.Shape{}, "stuck-1")
		s.run(s.e)
		s.after(time.Minute)
		s.said(s.e.GiveUp(s.ctx, id, []string{"stuck-1"}, ota.Request{}))
		s.after(time.Minute)
		s.status(id, ota.StatusCompleted)
		spec := ota.Spec{Name: "n", ToVersion: "3", Agents: ota.AgentIDs("stuck-1", "ok-2")}
		p, err := s.e.Preview(s.ctx, spec, ota.PreviewOptions{})
		require.NoError(s, err)
		require.Equal(s, 1, p.Readiness.ConflictCount)
		require.Equal(s, "stuck-1", p.Readiness.Conflicts[0].Agent)
		s.fleet.free()
		s.after(time.Minute)
		p, err = s.e.Preview(context.Background(), spec, ota.PreviewOptions{})
		require.NoError(s, err)
		require.Zero(s, p.Readiness.ConflictCount)
	})
}
