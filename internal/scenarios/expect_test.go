package scenarios

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// breaking makes each agent fail whose number, counted from 1, is a multiple of every.
func breaking(agents, every int) []string {
	ids := make([]string, agents)
	for i := range ids {
		kind := "ok"
		if (i+1)%every == 0 {
			kind = "perm"
		}
		ids[i] = fmt.Sprintf("%s-%05d", kind, i+1)
	}
	return ids
}

// The default stops a release that breaks one agent in fifty, long before it has reached the fleet. The
// plan stays stopped, also for another engine, until a person decides. A tenth of each batch lets it
// pass.
func TestDefaultStopsABadRelease(t *testing.T) {
	shape := ota.Shape{Canary: 20, Growth: ota.Growth{First: 50, Max: 1000}}
	fleet := breaking(2500, 50)
	inScene(t, func(s *scene) {
		s.fleet.latency = time.Second
		id := s.start(ota.Policy{Concurrency: 50}, shape, fleet...)
		p := s.drive(id)
		require.Equal(s, ota.StatusPaused, p.Status)
		require.Len(s, p.Breaches, 1)
		b := p.Breaches[0]
		require.Equal(s, ota.ReasonExpect, b.Reason)
		require.Equal(s, -1, b.Batch)
		require.Equal(s, b.Tolerated+1, b.Failed, "as soon as it is too many")
		require.LessOrEqual(s, p.Counts.Failed, 45)
		require.Less(s, p.Counts.Total()-p.Counts.Pending, 2200)
		require.Contains(s, b.String(), "of the plan that have begun failed")
		require.Contains(s, b.String(), "1 % is usual; if more is usual here, set expect.normal to 0.02")
		s.stays(id, ota.StatusPaused)
		s.e = s.engine(s.store, s.fleet, "two")
		s.stays(id, ota.StatusPaused)
		require.Equal(s, p.Counts, s.plan(id).Counts)
		require.Equal(s, []string{"breached"}, s.reasons(id))
	})
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 50, FailureThreshold: ptr(0.1)}, shape, fleet...)
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
	})
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 50, Expect: &ota.Expect{Normal: 0.02}}, shape, fleet...)
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status, "it is as good as usual")
	})
}

// One agent that fails is no proof, but it is the whole first batch: the default pauses.
func TestDefaultJudgesTheFirstBatchByItself(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{Canary: 1, Size: 10}, "perm-1", "ok-2", "ok-3")
		p := s.drive(id)
		require.Equal(s, ota.StatusPaused, p.Status)
		require.Equal(s, ota.ReasonThreshold, p.Breaches[0].Reason)
		require.Equal(s, 2, p.Counts.Pending)
		s.stays(id, ota.StatusPaused)
	})
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{Canary: 1, Size: 10}, "ok-1", "perm-2", "ok-3")
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status, "the threshold does not judge the second batch")
	})
}

var expects = ota.Policy{Expect: &ota.Expect{Normal: 0.01}, Concurrency: 1}

// Every decision that answers a breach of Expect, and those that do not.
func TestExpectDecisions(t *testing.T) {
	paused := func(s *scene) string {
		id := s.start(expects, ota.Shape{Size: 20}, breaking(20, 3)...)
		p := s.drive(id)
		require.Equal(s, ota.StatusPaused, p.Status)
		require.Equal(s, ota.ReasonExpect, p.Breaches[0].Reason)
		require.Equal(s, 3, p.Counts.Failed, "2 of 9 are tolerated, 3 are not")
		require.Equal(s, "with accept or retry, or after an edit of expect, or by rollback", s.explain(id).Blockers[0].With)
		return id
	}
	for name, d := range map[string]ota.Decision{"plain": {}, "raise": ota.Raise(1), "accept fewer": ota.Accept(2)} {
		inScene(t, func(s *scene) {
			id := paused(s)
			_, err := s.e.Resume(s.ctx, id, d, ota.Request{})
			require.ErrorIs(s, err, ota.ErrBreach, name)
			require.ErrorContains(s, err, "resume with Accept(3), with a retry of the failed, or after an edit of expect")
			s.stays(id, ota.StatusPaused)
			require.InDelta(s, 1, *s.plan(id).Policy.FailureThreshold, 0)
		})
	}
	inScene(t, func(s *scene) { // the test begins anew: three more failures of nine
		id := paused(s)
		s.said(s.e.Resume(s.ctx, id, ota.Accept(3), ota.Request{}))
		p := s.drive(id)
		require.Equal(s, ota.StatusPaused, p.Status)
		require.Equal(s, 6, p.Counts.Failed)
		require.Equal(s, []int{3, 9}, []int{p.Breaches[0].Failed, p.Breaches[0].Size}, "since the last accept")
		s.said(s.e.Resume(s.ctx, id, ota.Accept(6), ota.Request{}))
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status, "the rest is too short to tell")
	})
	inScene(t, func(s *scene) { // what failed is put back, and fails no more
		id := paused(s)
		s.fleet.do = func(_ context.Context, a ota.Attempt) (ota.Result, bool, error) {
			return ota.Result{Version: a.ToVersion}, true, nil
		}
		s.said(s.e.Resume(s.ctx, id, ota.RetryFailed(), ota.Request{}))
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
	})
	inScene(t, func(s *scene) { // the edit alone answers nothing; then a plain Resume does
		id := paused(s)
		s.said(s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.Expect.Normal = 0.2 }, ota.Request{}))
		s.stays(id, ota.StatusPaused)
		s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
	})
}

// An Edit judges at once, by everything since the last accept.
func TestEditOfExpectJudgesAtOnce(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{FailureThreshold: ptr(1.0), Hold: ota.Hold{All: true}}, ota.Shape{Size: 10}, breaking(20, 3)...)
		s.run(s.e)
		s.after(time.Minute)
		s.status(id, ota.StatusRunning)
		p := s.said(s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.Expect = &ota.Expect{Normal: 0.01} }, ota.Request{}))
		require.Contains(s, p.Warnings[len(p.Warnings)-1], "3 of 10 failed")
		s.after(time.Minute)
		s.status(id, ota.StatusPaused)
		require.Equal(s, ota.ReasonExpect, s.plan(id).Breaches[0].Reason)
		require.Equal(s, 10, s.plan(id).Counts.Pending)
	})
}

// With the action continue, a breach is recorded once per batch.
func TestExpectContinuesOncePerBatch(t *testing.T) {
	inScene(t, func(s *scene) {
		p := expects
		p.OnBreach = ota.ActionContinue
		id := s.start(p, ota.Shape{Size: 10}, breaking(40, 2)...)
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
		var batches []int
		for _, rec := range s.log(id) {
			for _, e := range rec.Events {
				if e.Kind == ota.EventBreach {
					require.Equal(s, ota.ReasonExpect, e.Reason)
					batches = append(batches, e.Number)
				}
			}
		}
		require.Len(s, batches, 4)
	})
}

// An agent that is away until its last answer says nothing about the release, whatever happens to it.
func TestAwayAgentsAreNoEvidence(t *testing.T) {
	for _, action := range []ota.UnreachableAction{ota.UnreachableFails, ota.UnreachableSkipped} {
		inScene(t, func(s *scene) {
			p := ota.Policy{Expect: &ota.Expect{Normal: 0.01}, Concurrency: 30, UnreachableTimeout: time.Minute, OnUnreachable: action}
			id := s.start(p, ota.Shape{Size: 30}, append(names("away", 20), append(names("busy", 5), "ok-1")...)...)
			got := s.drive(id)
			require.Equal(s, ota.StatusCompleted, got.Status)
			require.Empty(s, got.Breaches)
			s.stays(id, ota.StatusCompleted)
		})
	}
}

// A kind of agent that comes late is found by its batch, although many good agents came before.
func TestExpectFindsALateKind(t *testing.T) {
	inScene(t, func(s *scene) {
		agents := append(names("ok", 1000), names("perm", 30)...)
		id := s.start(ota.Policy{Expect: &ota.Expect{Normal: 0.01}, Concurrency: 10}, ota.Shape{Size: 100}, agents...)
		p := s.drive(id)
		require.Equal(s, ota.StatusPaused, p.Status)
		require.Equal(s, 10, p.Breaches[0].Batch)
		require.Less(s, p.Counts.Failed, 20, "of the plan, 24 would be tolerated")
	})
}

// What Expect has counted is stored: the next engine judges as the first one would have.
func TestExpectAfterATakeover(t *testing.T) {
	inScene(t, func(s *scene) {
		p := expects
		p.Retry = ota.RetryPolicy{Max: 1, Backoff: time.Second}
		id := s.start(p, ota.Shape{Size: 20}, breaking(40, 4)...)
		stop := s.run(s.e)
		for s.plan(id).Counts.Failed < 2 {
			s.after(time.Second)
		}
		require.NoError(s, stop())
		s.e = s.engine(s.store, s.fleet, "two")
		got := s.drive(id)
		require.Equal(s, ota.StatusPaused, got.Status)
		require.Equal(s, []int{3, 2, 12}, []int{got.Breaches[0].Failed, got.Breaches[0].Tolerated, got.Breaches[0].Size})
	})
}

// A Retry of everything that failed is no breach, however often it fails again; what is final counts.
func TestRetryOfAllNeverBreaches(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Expect: &ota.Expect{Normal: 0.2}, Concurrency: 1}, ota.Shape{Size: 20}, breaking(20, 4)...)
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
		require.Equal(s, 5, s.plan(id).Counts.Failed)
		_, err := s.e.Retry(s.ctx, id, nil, ota.Request{})
		require.Error(s, err, "the plan has ended")
	})
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Expect: &ota.Expect{Normal: 0.2}, Concurrency: 1, Soak: ota.Soak{Duration: time.Hour}}, ota.Shape{Size: 20}, breaking(20, 4)...)
		s.run(s.e)
		for range 10 {
			s.after(2 * time.Minute)
			require.Equal(s, 5, s.plan(id).Counts.Failed)
			s.said(s.e.Retry(s.ctx, id, nil, ota.Request{}))
		}
		s.after(2 * time.Hour)
		s.status(id, ota.StatusCompleted)
		require.Empty(s, s.events(id, ota.EventBreach))
	})
}

// With Reserve, at most one agent more than tolerated fails, whatever Concurrency is. A good release is
// not stalled.
func TestReserveWithExpect(t *testing.T) {
	policy := ota.Policy{Expect: &ota.Expect{Normal: 0.01}, Concurrency: 100, Reserve: true}
	inScene(t, func(s *scene) {
		id := s.start(policy, ota.Shape{Size: 200}, names("perm", 200)...)
		p := s.drive(id)
		require.Equal(s, ota.StatusPaused, p.Status)
		require.Equal(s, []int{2, 1}, []int{p.Counts.Failed, p.Breaches[0].Tolerated})
	})
	inScene(t, func(s *scene) {
		id := s.start(policy, ota.Shape{Size: 200}, breaking(400, 150)...)
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
	})
}

// A breach of Expect rolls back. The rollback plan has no Expect: its threshold judges all of it.
func TestRollbackHasNoExpect(t *testing.T) {
	inScene(t, func(s *scene) {
		p := expects
		p.OnBreach = ota.ActionRollback
		id := s.start(p, ota.Shape{Size: 5}, breaking(20, 3)...)
		s.run(s.e)
		s.after(time.Minute)
		s.status(id, ota.StatusRolledBack)
		back := s.plan(s.plan(id).RollbackPlan)
		require.Nil(s, back.Policy.Expect)
		require.InDelta(s, 0.1, *back.Policy.FailureThreshold, 0)
		require.Equal(s, ota.ScopePlan, back.Policy.Scope)
	})
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{}, "ok-1", "ok-2")
		s.drive(id)
		back := s.said(s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{}))
		_, err := s.e.Edit(s.ctx, back.ID, func(p *ota.Policy) { p.Expect = &ota.Expect{Normal: 0.1} }, ota.Request{})
		var field *ota.FieldError
		require.ErrorAs(s, err, &field)
		require.Equal(s, "expect", field.Field)
	})
}
