package scenarios

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// staged starts a plan of three batches of four agents each, of which batch 1 has this stage.
func (s *scene) staged(p ota.Policy, stage ota.Stage, agents ...string) string {
	s.Helper()
	if stage.Batch = 1; len(agents) == 0 {
		agents = names("ok", 12)
	}
	p.Stages = []ota.Stage{stage}
	return s.start(p, ota.Shape{Size: 4}, agents...)
}

// restage changes the stage of batch 1; nil removes it.
func (s *scene) restage(id string, change func(*ota.Stage)) {
	s.Helper()
	_, err := s.e.Edit(s.ctx, id, func(p *ota.Policy) {
		if change == nil {
			p.Stages = nil
		} else {
			change(&p.Stages[0])
		}
	}, ota.Request{})
	require.NoError(s, err)
}

// mostOpen is the most calls that were out at once in each batch of four.
func (s *scene) mostOpen(id string) (most [3]int) {
	s.Helper()
	of := s.agents(id)
	for _, c := range s.fleet.made("") {
		b, out := of[c.Agent].Batch, 0
		for _, x := range s.fleet.made("") {
			if of[x.Agent].Batch == b && !x.at.After(c.at) && c.at.Before(x.at.Add(s.fleet.latency)) {
				out++
			}
		}
		most[b] = max(most[b], out)
	}
	return most
}

// A stage's concurrency counts in its batch only, with one engine and after a takeover. An Edit counts
// while the batch runs.
func TestStageConcurrency(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.staged(ota.Policy{Concurrency: 3}, ota.Stage{Concurrency: 1})
		stop := s.run(s.e)
		s.after(4 * time.Second) // batch 0 took two, the third agent of batch 1 is next
		require.Equal(s, []string{"concurrency", "in_flight"}, s.reasons(id))
		require.NoError(s, stop())
		s.e = s.engine(s.store, s.fleet, "two")
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
		require.Equal(s, [3]int{3, 1, 3}, s.mostOpen(id))
	})
	inScene(t, func(s *scene) {
		id := s.staged(ota.Policy{Concurrency: 1}, ota.Stage{Concurrency: 4})
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
		require.Equal(s, [3]int{1, 4, 1}, s.mostOpen(id))
	})
	inScene(t, func(s *scene) { // lowered while it runs: no call ends
		s.fleet.latency = time.Minute
		id := s.staged(ota.Policy{Concurrency: 4}, ota.Stage{Concurrency: 2})
		s.run(s.e)
		s.after(90 * time.Second)
		require.Equal(s, 2, s.plan(id).InFlight())
		s.restage(id, func(x *ota.Stage) { x.Concurrency = 3 })
		s.after(time.Second)
		require.Equal(s, 3, s.plan(id).InFlight())
		s.restage(id, func(x *ota.Stage) { x.Concurrency = 1 })
		s.after(time.Second)
		require.Equal(s, 3, s.plan(id).InFlight())
		s.after(time.Minute)
		require.Equal(s, 1, s.plan(id).InFlight())
		s.after(5 * time.Minute)
		s.stays(id, ota.StatusCompleted)
	})
}

// A stage's soak counts for its batch only. An Edit counts while the batch soaks, and while its plan is
// paused nothing begins.
func TestStageSoak(t *testing.T) {
	hour, none := time.Hour, time.Duration(0)
	for name, c := range map[string]struct {
		policy, stage time.Duration
		took          time.Duration
	}{
		"longer": {0, hour, hour}, "shorter": {hour, none, 2 * hour},
	} {
		inScene(t, func(s *scene) {
			begin := time.Now()
			id := s.staged(ota.Policy{Concurrency: 4, Soak: ota.Soak{Duration: c.policy}}, ota.Stage{Soak: &c.stage})
			require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
			require.Equal(s, c.took+3*time.Second, time.Since(begin).Round(time.Second), name)
		})
	}
	inScene(t, func(s *scene) {
		id := s.staged(ota.Policy{Concurrency: 4}, ota.Stage{Soak: &hour})
		s.run(s.e)
		s.after(59 * time.Minute)
		require.Equal(s, ota.BatchSoaking, s.batch(id, 1).Status)
		s.restage(id, func(x *ota.Stage) { x.Soak = ptr(2 * time.Hour) })
		s.after(30 * time.Minute)
		require.Equal(s, ota.BatchSoaking, s.batch(id, 1).Status)
		s.restage(id, func(x *ota.Stage) { x.Soak = ptr(time.Minute) })
		s.after(5 * time.Second)
		s.stays(id, ota.StatusCompleted)
	})
	inScene(t, func(s *scene) { // an agent that turns unhealthy in the batch that soaks fails there
		var sick atomic.Bool
		s.fleet.health = func(a ota.Attempt) (ota.Health, error) {
			return ota.Health{Healthy: a.Agent != "ok-005" || !sick.Load()}, nil
		}
		s.use(probed{s.fleet})
		id := s.staged(ota.Policy{Concurrency: 4, FailureThreshold: ptr(0.0)}, ota.Stage{Soak: &hour})
		s.run(s.e)
		s.after(30 * time.Minute)
		sick.Store(true)
		s.after(time.Minute)
		s.stays(id, ota.StatusPaused)
		require.Equal(s, 1, s.plan(id).Breaches[0].Batch)
	})
}

// A stage's threshold judges its batch only. An Edit judges the batch that runs at once. Raise changes
// the stage's, and not the plan's.
func TestStageThreshold(t *testing.T) {
	one := append(names("ok", 4), append(append([]string{"fail-x"}, names("ok", 11)[4:]...), "ok-x")...)
	inScene(t, func(s *scene) {
		id := s.staged(ota.Policy{FailureThreshold: ptr(0.5)}, ota.Stage{FailureThreshold: ptr(0.0)}, one[:12]...)
		p := s.drive(id)
		require.Equal(s, ota.StatusPaused, p.Status)
		require.Equal(s, []int{1, 0, 1}, []int{p.Breaches[0].Batch, p.Breaches[0].Tolerated, p.Breaches[0].Failed})
		require.Equal(s, []int{2, 0, 2}, []int{s.batch(id, 0).Tolerated, s.batch(id, 1).Tolerated, s.batch(id, 2).Tolerated})
		s.stays(id, ota.StatusPaused)
		_, err := s.e.Resume(s.ctx, id, ota.Raise(0.1), ota.Request{})
		var breach *ota.BreachError
		require.ErrorAs(s, err, &breach, "one of four is still too many")
		p, err = s.e.Resume(s.ctx, id, ota.Raise(0.25), ota.Request{})
		require.NoError(s, err)
		require.InDelta(s, 0.5, *p.Policy.FailureThreshold, 0)
		require.InDelta(s, 0.25, *p.Policy.Stages[0].FailureThreshold, 0)
		s.drive(id)
		s.stays(id, ota.StatusCompleted)
	})
	inScene(t, func(s *scene) { // tolerated, until an Edit while the batch runs
		s.fleet.latency = time.Minute
		id := s.staged(ota.Policy{Concurrency: 1, FailureThreshold: ptr(0.0)}, ota.Stage{FailureThreshold: ptr(0.5)}, one[:12]...)
		s.run(s.e)
		s.after(6 * time.Minute)
		require.Equal(s, 1, s.plan(id).Counts.Failed)
		s.status(id, ota.StatusRunning)
		s.restage(id, nil)
		s.after(2 * time.Minute)
		s.stays(id, ota.StatusPaused)
		require.Equal(s, 0, s.plan(id).Breaches[0].Tolerated)
		p, err := s.e.Resume(s.ctx, id, ota.Raise(0.25), ota.Request{})
		require.NoError(s, err)
		require.InDelta(s, 0.25, *p.Policy.FailureThreshold, 0, "the stage has none of its own")
		s.after(10 * time.Minute)
		s.stays(id, ota.StatusCompleted)
	})
	inScene(t, func(s *scene) { // by default only the first batch is judged, and the one that says so
		id := s.staged(ota.Policy{}, ota.Stage{FailureThreshold: ptr(0.0)}, one[:12]...)
		require.Equal(s, ota.StatusPaused, s.drive(id).Status)
		require.Equal(s, ota.ReasonThreshold, s.plan(id).Breaches[0].Reason)
		s.stays(id, ota.StatusPaused)
	})
	inScene(t, func(s *scene) { // Reserve keeps room by the stage's threshold
		id := s.staged(ota.Policy{Concurrency: 4, Reserve: true, FailureThreshold: ptr(0.5)}, ota.Stage{FailureThreshold: ptr(0.0)})
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
		require.Equal(s, [3]int{3, 1, 3}, s.mostOpen(id))
	})
}

// A stage holds its batch, or lets it go although the policy holds every batch. An Edit lets a batch go
// that is held.
func TestStageHold(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.staged(ota.Policy{Concurrency: 4}, ota.Stage{Hold: ptr(true)})
		s.run(s.e)
		s.after(time.Minute)
		s.stays(id, ota.StatusRunning)
		require.Equal(s, []string{"held"}, s.reasons(id))
		require.Contains(s, s.explain(id).Legal, ota.VerbPromote)
		_, err := s.e.Promote(s.ctx, id, 1, ota.Request{})
		require.NoError(s, err)
		s.after(time.Minute)
		s.stays(id, ota.StatusCompleted)
	})
	inScene(t, func(s *scene) {
		id := s.staged(ota.Policy{Concurrency: 4, Hold: ota.Hold{All: true}}, ota.Stage{Hold: ptr(false)})
		s.run(s.e)
		s.after(time.Minute)
		require.Equal(s, ota.BatchCompleted, s.batch(id, 1).Status, "it was not held, and batch 2 is")
		s.stays(id, ota.StatusRunning)
		require.Equal(s, []string{"held"}, s.reasons(id))
	})
	inScene(t, func(s *scene) {
		id := s.staged(ota.Policy{Concurrency: 4}, ota.Stage{Hold: ptr(true)})
		s.run(s.e)
		s.after(time.Minute)
		s.restage(id, nil)
		s.after(time.Minute)
		s.stays(id, ota.StatusCompleted)
	})
}

// A rollback has no stages, whatever it inherits, and refuses them.
func TestRollbackHasNoStages(t *testing.T) {
	stage := []ota.Stage{{Batch: 1, Soak: ptr(time.Hour)}}
	for _, inherit := range []ota.Inherit{ota.InheritLimits, ota.InheritBatches, ota.InheritAll} {
		inScene(t, func(s *scene) {
			id := s.staged(ota.Policy{Concurrency: 4}, stage[0])
			s.drive(id)
			p, err := s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{Inherit: inherit}, ota.Request{})
			require.NoError(s, err)
			require.Empty(s, p.Policy.Stages)
			_, err = s.e.Edit(s.ctx, p.ID, func(p *ota.Policy) { p.Stages = stage }, ota.Request{})
			require.ErrorContains(s, err, "stages do not apply to a rollback")
		})
	}
}

// Create and Edit refuse a stage of a batch that the plan does not have, and a budget that contradicts
// the labels that its batches represent.
func TestStagesOfOtherBatches(t *testing.T) {
	inScene(t, func(s *scene) {
		p := ota.Policy{Stages: []ota.Stage{{Batch: 3, Concurrency: 1}}}
		_, err := s.e.Create(s.ctx, ota.Spec{Name: "n", ToVersion: "2", Agents: ota.AgentIDs(names("ok", 12)...), Shape: ota.Shape{Size: 4}, Policy: p})
		require.ErrorContains(s, err, "stages[0].batch (3) names no batch of the plan")
		id := s.create(ota.Policy{}, ota.Shape{Size: 4, Represent: []string{"zone"}}, names("ok", 12)...).ID
		_, err = s.e.Edit(s.ctx, id, func(x *ota.Policy) { x.Stages = p.Stages }, ota.Request{})
		require.ErrorContains(s, err, "stages[0].batch (3) names no batch of the plan")
		_, err = s.e.Edit(s.ctx, id, func(x *ota.Policy) { x.Budgets = []ota.Budget{{Label: "zone", Values: 1}} }, ota.Request{})
		require.ErrorContains(s, err, "budgets[0].values")
		require.Empty(s, s.plan(id).Policy.Stages)
	})
}
