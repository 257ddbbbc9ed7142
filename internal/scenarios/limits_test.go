package scenarios

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// Nomad 7058, 10465: a limit of time is absolute, stands still while the plan is paused, and can be answered.
func TestLimitsOfTime(t *testing.T) {
	t.Run("the plan's", func(t *testing.T) {
		inScene(t, func(s *scene) {
			id := s.start(ota.Policy{Concurrency: 1, PlanTimeout: 3500 * time.Millisecond}, ota.Shape{}, names("ok", 10)...)
			s.run(s.e)
			s.after(3200 * time.Millisecond)
			s.said(s.e.Pause(s.ctx, id, ota.Request{}))
			s.after(time.Hour)
			s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
			s.after(200 * time.Millisecond)
			s.status(id, ota.StatusRunning)
			s.after(2 * time.Second)
			p := s.plan(id)
			require.Equal(s, ota.StatusPaused, p.Status)
			require.Equal(s, ota.ReasonPlanTimeout, p.Breaches[0].Reason)
			require.Equal(s, "The plan took longer than its limit: 3.5s", p.Breaches[0].String())
			_, err := s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{})
			require.ErrorIs(s, err, ota.ErrBreach)
			s.stays(id, ota.StatusPaused)
			s.said(s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.PlanTimeout = 6 * time.Second }, ota.Request{}))
			s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
			s.after(10 * time.Second)
			require.Equal(s, ota.ReasonPlanTimeout, s.plan(id).Breaches[0].Reason, "the new limit counts too")
			s.said(s.e.Resume(s.ctx, id, ota.Accept(0), ota.Request{}))
			s.after(time.Minute)
			s.stays(id, ota.StatusCompleted)
		})
	})
	t.Run("a batch's, over its observation", func(t *testing.T) {
		inScene(t, func(s *scene) {
			id := s.start(ota.Policy{BatchTimeout: 5 * time.Second, Soak: ota.Soak{Duration: 10 * time.Second}}, ota.Shape{Size: 2}, names("ok", 4)...)
			s.run(s.e)
			s.after(8 * time.Second)
			p := s.plan(id)
			require.Equal(s, ota.ReasonBatchTimeout, p.Breaches[0].Reason)
			require.Equal(s, 0, p.Breaches[0].Batch)
			s.said(s.e.Resume(s.ctx, id, ota.Accept(0), ota.Request{}))
			s.after(10 * time.Second)
			require.Equal(s, 1, s.plan(id).Breaches[0].Batch, "the next batch has the limit again")
		})
	})
	t.Run("told once where the plan goes on", func(t *testing.T) {
		inScene(t, func(s *scene) {
			id := s.start(ota.Policy{Concurrency: 1, PlanTimeout: time.Second, OnBreach: ota.ActionContinue}, ota.Shape{}, names("ok", 5)...)
			s.run(s.e)
			s.after(time.Minute)
			s.status(id, ota.StatusCompleted)
			require.Len(s, s.events(id, ota.EventBreach), 1)
		})
	})
}

// argo-rollouts#222: a failing trend pauses, although no share of any batch is exceeded.
func TestConsecutiveFailures(t *testing.T) {
	inScene(t, func(s *scene) {
		one := 1.0
		agents := append(append([]string{"fail-1", "fail-2", "ok-3"}, names("fail", 3)...), "ok-7", "ok-8")
		agents[3], agents[4], agents[5] = "fail-4", "fail-5", "fail-6"
		id := s.start(ota.Policy{Concurrency: 1, FailureThreshold: &one, MaxConsecutive: 2}, ota.Shape{}, agents...)
		s.run(s.e)
		s.after(time.Minute)
		p := s.plan(id)
		require.Equal(s, ota.StatusPaused, p.Status)
		require.Equal(s, ota.ReasonConsecutive, p.Breaches[0].Reason)
		require.Equal(s, 5, p.Counts.Failed, "two, a success, then three in a row")
		s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
		s.after(time.Minute)
		s.stays(id, ota.StatusCompleted)
	})
}

// An agent whose outcome is unknown has failed too, so it counts among those in a row.
func TestUnknownOutcomesInARow(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 1, FailureThreshold: ptr(1.0), MaxConsecutive: 1}, ota.Shape{}, "hang-1", "hang-2", "ok-3")
		s.run(s.e)
		s.after(time.Minute)
		s.said(s.e.GiveUp(s.ctx, id, []string{"hang-1"}, ota.Request{}))
		s.after(time.Minute)
		s.status(id, ota.StatusRunning)
		s.said(s.e.GiveUp(s.ctx, id, []string{"hang-2"}, ota.Request{}))
		s.after(time.Minute)
		s.stays(id, ota.StatusPaused)
		p := s.plan(id)
		require.Equal(s, ota.ReasonConsecutive, p.Breaches[0].Reason)
		require.Equal(s, 2, p.Counts.Unknown)
	})
}

// A rate spreads starts evenly, also after an engine has died.
func TestRate(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 10, Rate: ota.Rate{Starts: 6}}, ota.Shape{Size: 100}, names("ok", 8)...)
		stop := s.run(s.e)
		s.after(35 * time.Second)
		require.Len(s, s.fleet.made(""), 4, "at 0, 10, 20 and 30 seconds")
		require.Contains(s, s.reasons(id), "rate")
		require.NoError(s, stop())
		s.run(s.engine(s.store, s.fleet, "two"))
		s.after(4 * time.Second)
		require.Len(s, s.fleet.made(""), 4, "no burst after a restart")
		s.after(5 * time.Second)
		require.Len(s, s.fleet.made(""), 5)
		s.after(time.Minute)
		s.status(id, ota.StatusCompleted)
		calls := s.fleet.made("")
		for i := 1; i < len(calls); i++ {
			require.GreaterOrEqual(s, calls[i].at.Sub(calls[i-1].at), 9*time.Second)
		}
	})
}

// gated is scripted with a Gater.
type gated struct {
	*scripted
	answers []ota.GateVerdict
	asked   []ota.Batch
}

func (g *gated) Gate(_ context.Context, _ ota.Plan, b ota.Batch) (ota.GateVerdict, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, b)
	v := ota.GatePass
	if len(g.answers) > 0 {
		v, g.answers = g.answers[0], g.answers[1:]
	}
	if v == ota.GateNone {
		return v, errors.New("the metrics do not answer")
	}
	return v, nil
}

// questions are the batches that the gate was asked about.
func (g *gated) questions() []ota.Batch {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.asked)
}

// argo-rollouts#261: what nobody can tell has limits of its own and never passes.
func TestGate(t *testing.T) {
	play := func(t *testing.T, p ota.Policy, answers []ota.GateVerdict, f func(*scene, *gated, string)) {
		t.Helper()
		inScene(t, func(s *scene) {
			g := &gated{scripted: s.fleet, answers: answers}
			s.use(g)
			id := s.start(p, ota.Shape{Size: 2}, names("ok", 4)...)
			s.run(s.e)
			f(s, g, id)
		})
	}
	t.Run("passes", func(t *testing.T) {
		play(t, ota.Policy{Soak: ota.Soak{Duration: time.Minute}}, nil, func(s *scene, g *gated, id string) {
			s.after(30 * time.Second)
			require.Empty(s, g.questions(), "first it is observed")
			s.after(5 * time.Minute)
			s.stays(id, ota.StatusCompleted)
			require.Len(s, g.questions(), 2, "the last batch too")
			require.Equal(s, 2, g.questions()[0].Counts.Succeeded)
		})
	})
	t.Run("fails", func(t *testing.T) {
		play(t, ota.Policy{}, []ota.GateVerdict{ota.GateFail, ota.GateFail}, func(s *scene, g *gated, id string) {
			s.after(time.Minute)
			require.Equal(s, ota.ReasonGateFailed, s.plan(id).Breaches[0].Reason)
			s.stays(id, ota.StatusPaused)
			require.Len(s, g.questions(), 1, "a paused plan asks nothing")
			s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
			s.after(time.Minute)
			require.Len(s, g.questions(), 2, "Resume asks again")
			s.status(id, ota.StatusPaused)
			s.said(s.e.Resume(s.ctx, id, ota.Accept(0), ota.Request{}))
			s.after(time.Minute)
			s.status(id, ota.StatusCompleted)
		})
	})
	t.Run("rolls back", func(t *testing.T) {
		play(t, ota.Policy{OnBreach: ota.ActionRollback}, []ota.GateVerdict{ota.GateFail}, func(s *scene, _ *gated, id string) {
			s.after(time.Minute)
			s.status(id, ota.StatusRolledBack)
		})
	})
	t.Run("inconclusive", func(t *testing.T) {
		i := ota.GateInconclusive
		play(t, ota.Policy{Gate: ota.Gate{Interval: 10 * time.Second, MaxInconclusive: 2}}, []ota.GateVerdict{i, i, i}, func(s *scene, g *gated, id string) {
			s.after(15 * time.Second)
			require.Len(s, g.questions(), 2)
			require.Contains(s, s.reasons(id), "gate")
			s.after(time.Minute)
			p := s.plan(id)
			require.Equal(s, ota.StatusPaused, p.Status)
			require.Equal(s, "The gate after the batch came to no answer: 3 inconclusive answers, 2 are allowed", p.Breaches[0].String())
		})
	})
	t.Run("errors", func(t *testing.T) {
		play(t, ota.Policy{Gate: ota.Gate{Interval: time.Second, MaxErrors: 1}}, []ota.GateVerdict{ota.GateNone, ota.GatePass, ota.GateNone, ota.GateNone}, func(s *scene, g *gated, id string) {
			s.after(time.Minute)
			require.Equal(s, ota.ReasonGateUndecided, s.plan(id).Breaches[0].Reason)
			require.Equal(s, 1, s.plan(id).Breaches[0].Batch, "one error of the first batch was not too many")
		})
	})
}

// hawkBit#735: a canary whose agents all ran the target already proves nothing, and does not fail either.
func TestCanaryWithoutEvidence(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{Canary: 2, Size: 3}, "same-1", "same-2", "ok-3", "ok-4", "ok-5")
		s.run(s.e)
		s.after(time.Hour)
		s.status(id, ota.StatusRunning)
		require.Equal(s, 2, s.plan(id).Counts.AtTarget)
		require.Contains(s, s.reasons(id), "evidence")
		s.said(s.e.Promote(s.ctx, id, 1, ota.Request{}))
		s.after(time.Minute)
		s.stays(id, ota.StatusCompleted)
	})
}

func TestCanRollback(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{Size: 2}, "ok-1", "fail-2", "ok-3", "ok-4")
		_, err := s.e.CanRollback(s.ctx, id)
		require.ErrorIs(s, err, ota.ErrNothing)
		s.drive(id)
		rev := s.plan(id).Revision
		n, err := s.e.CanRollback(s.ctx, id)
		require.NoError(s, err)
		require.Equal(s, 2, n)
		require.Equal(s, rev, s.plan(id).Revision, "it changes nothing")
		_, err = s.e.CanRollback(s.ctx, s.create(ota.Policy{}, ota.Shape{}, "x").ID)
		require.ErrorIs(s, err, ota.ErrState)
	})
}

// A breach rolls back by the plan's own template.
func TestRollbackTemplate(t *testing.T) {
	inScene(t, func(s *scene) {
		zero := 0.0
		p, err := s.e.Create(s.ctx, ota.Spec{
			Name: "t", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("ok-1", "fail-2"),
			Policy:   ota.Policy{OnBreach: ota.ActionRollback, FailureThreshold: &zero, Soak: ota.Soak{Duration: time.Hour}},
			Rollback: &ota.RollbackSpec{Name: "quickly back", Policy: &ota.Policy{Concurrency: 50}},
		})
		require.NoError(s, err)
		s.said(s.e.Start(s.ctx, p.ID, ota.Request{}))
		s.run(s.e)
		s.after(time.Minute)
		s.status(p.ID, ota.StatusRolledBack)
		back := s.plan(s.plan(p.ID).RollbackPlan)
		require.Equal(s, "quickly back", back.Name)
		require.Equal(s, 50, back.Policy.Concurrency)

		shown := s.plan(p.ID).RollbackSpec
		require.Equal(s, "quickly back", shown.Name)
		require.Zero(s, shown.Policy.Gate, "so that a copy of it asks no Gater either")
		shown.Policy.Gate = back.Policy.Gate
		require.Equal(s, back.Policy, *shown.Policy, "its defaults are filled in")
		shown.Name, shown.Policy.Concurrency = "spoilt", 1
		require.Equal(s, 50, s.plan(p.ID).RollbackSpec.Policy.Concurrency, "it is a copy")
	})
}
