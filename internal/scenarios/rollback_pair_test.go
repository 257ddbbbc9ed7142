package scenarios

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// inFlight is a plan that runs, with one agent that has succeeded and one, the one named, that is at work or waits.
func (s *scene) inFlight(p ota.Policy, agent string) string {
	p.Concurrency = 1
	id := s.start(p, ota.Shape{Size: 3}, "ok-1", agent, "ok-3", "ok-4")
	s.run(s.e)
	s.after(2500 * time.Millisecond)
	return id
}

// A repeated Rollback or CreateRollback returns the plan that it has made, also when that was canceled since.
func TestRollbackRepeatedAfterItsPlanWasCanceled(t *testing.T) {
	for name, say := range map[string]func(*scene, string) (ota.Plan, error){
		"create": func(s *scene, id string) (ota.Plan, error) {
			return s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{ID: "r"})
		},
		"rollback": func(s *scene, id string) (ota.Plan, error) {
			return s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{ID: "r"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				id := s.inFlight(ota.Policy{}, "slow-2")
				back := s.said(say(s, id))
				s.said(s.e.Cancel(s.ctx, back.ID, false, ota.Request{}))
				s.after(time.Minute)
				s.status(id, ota.StatusPaused)
				before := s.plan(id)
				again := s.said(say(s, id))
				require.Equal(s, back.ID, again.ID)
				require.Equal(s, ota.StatusCanceled, again.Status)
				require.Equal(s, before, s.plan(id))
			})
		})
	}
}

func TestStartOfARollbackPlanComparesControl(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.inFlight(ota.Policy{}, "slow-2")
		back := s.said(s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{}))
		_, err := s.e.Start(s.ctx, back.ID, ota.Request{Generation: back.Generation + 1})
		require.ErrorIs(s, err, ota.ErrConflict)
		s.status(back.ID, ota.StatusPending)
		s.said(s.e.Start(s.ctx, back.ID, ota.Request{Generation: back.Generation, ID: "r"}))
		s.said(s.e.Start(s.ctx, back.ID, ota.Request{Generation: back.Generation, ID: "r"})) // a repetition is recognized first
		s.after(time.Minute)
		s.status(id, ota.StatusRolledBack)
		s.said(s.e.Start(s.ctx, back.ID, ota.Request{Generation: back.Generation, ID: "r"}))
	})
}

// Precheck and Annotate are two operations, also under one request ID.
func TestPrecheckAndAnnotateWithOneRequest(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.create(ota.Policy{}, ota.Shape{}, "ok-1").ID
		by := ota.Request{ID: "r"}
		s.said(s.e.Annotate(s.ctx, id, map[string]string{"a": "b"}, nil, by))
		require.NotNil(s, s.said(s.e.Precheck(s.ctx, id, by)).Readiness)
		before := s.plan(id)
		require.Equal(s, before, s.said(s.e.Precheck(s.ctx, id, by)))
	})
}

// A rollback plan that is as careful, and as slow, as its source warns of that. The default is not.
func TestASlowRollbackWarns(t *testing.T) {
	slow := map[string]struct {
		policy ota.Policy
		says   string
	}{
		"windows": {ota.Policy{Windows: []ota.Window{{Length: 20 * time.Hour}}}, "settings of its source: windows; Edit can change them"},
		"observe": {ota.Policy{Soak: ota.Soak{Duration: time.Minute, Stable: time.Minute}}, "observe (2m0s after each batch)"},
		"hold":    {ota.Policy{Hold: ota.Hold{All: true}}, "hold.every (each batch waits for Promote)"},
		"reserve": {ota.Policy{Reserve: true, FailureThreshold: ptr(0.5)}, "settings of its source: reserve"},
		"gate":    {ota.Policy{}, "the gate after each batch; a Gater may pass a plan that has a Source at once"},
	}
	for name, c := range slow {
		for how, make := range map[string]func(*scene, string) ota.Plan{
			"create": func(s *scene, id string) ota.Plan {
				return s.said(s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{Inherit: ota.InheritAll}, ota.Request{}))
			},
			"start": func(s *scene, id string) ota.Plan {
				return s.said(s.e.Rollback(s.ctx, id, ota.RollbackSpec{Inherit: ota.InheritAll}, ota.Request{}))
			},
			"own policy": func(s *scene, id string) ota.Plan {
				p := s.plan(id).Policy
				return s.said(s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{Policy: &p}, ota.Request{}))
			},
			"default": func(s *scene, id string) ota.Plan {
				return s.said(s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{}))
			},
			"default of a breach": func(s *scene, id string) ota.Plan {
				s.said(s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.OnBreach, p.PlanTimeout = ota.ActionRollback, 10*time.Second }, ota.Request{}))
				s.after(30 * time.Second)
				return s.plan(s.plan(id).RollbackPlan)
			},
			"another policy": func(s *scene, id string) ota.Plan {
				return s.said(s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{Policy: &ota.Policy{}}, ota.Request{}))
			},
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				inScene(t, func(s *scene) {
					if name == "gate" {
						s.use(&gated{scripted: s.fleet})
					}
					back := make(s, s.inFlight(c.policy, "slow-2"))
					if how != "create" && how != "start" && how != "own policy" {
						require.NotContains(s, strings.Join(back.Warnings, "\n"), "the rollback is slowed down by ")
						return
					}
					slow := slices.DeleteFunc(slices.Clone(back.Warnings), func(w string) bool { return !strings.Contains(w, "the rollback is slowed down by ") })
					require.Len(s, slow, 1)
					require.Contains(s, slow[0], c.says)
					require.Contains(s, back.Warnings[len(back.Warnings)-1]+back.Warnings[0], "slowed down", "beside those about the policy")
					if back.Status == ota.StatusPending && name != "gate" {
						back = s.said(s.e.Edit(s.ctx, back.ID, func(p *ota.Policy) { p.Concurrency = 9 }, ota.Request{}))
						require.Contains(s, strings.Join(back.Warnings, "\n"), c.says, "it still is")
						back = s.said(s.e.Edit(s.ctx, back.ID, func(p *ota.Policy) { *p = ota.Policy{} }, ota.Request{}))
						require.NotContains(s, strings.Join(back.Warnings, "\n"), "longer than its work")
					}
				})
			})
		}
	}
}
