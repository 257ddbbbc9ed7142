package ota

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// judging is the state of a plan that runs its batch 0 of two.
func judging(change func(*state)) *state {
	s := &state{
		spec: PlanSpec{Agents: 20, Batches: 2}, batches: map[int]*batch{},
		c: Control{Started: &Audit{}, Policy: Policy{FailureThreshold: ptr(0.2)}.withDefaults()},
	}
	s.p.Counts = Counts{Pending: 20}
	s.batches[0] = &batch{BatchRow: BatchRow{Index: 0, Size: 10, Status: BatchRunning, Counts: Counts{Pending: 10}}}
	s.change.step = 1
	change(s)
	return s
}

func TestThresholdVerdict(t *testing.T) {
	fails := func(n int) func(*state) {
		return func(s *state) { s.batches[0].Counts.Failed, s.p.Counts.Failed, s.p.Changed = n, n, n }
	}
	and := func(fs ...func(*state)) func(*state) {
		return func(s *state) {
			for _, f := range fs {
				f(s)
			}
		}
	}
	for _, c := range []struct {
		name   string
		change func(*state)
		want   string // of the breach that stands; empty: none
		action Action
		bumps  bool
	}{
		{"tolerated", fails(2), "", 0, false},
		{"exceeded", fails(3), "Failure threshold exceeded: 3 of 10 failed in batch 0, tolerates 2", ActionPause, true},
		{"unknown ones count", and(fails(2), func(s *state) { s.batches[0].Counts.Unknown = 1 }), "Failure threshold exceeded: 3 of 10 failed in batch 0, tolerates 2", ActionPause, true},
		{"accepted", and(fails(3), func(s *state) { s.batches[0].Accepted = 1 }), "", 0, false},
		{"accepted, and more", and(fails(4), func(s *state) { s.batches[0].Accepted = 1 }), "Failure threshold exceeded: 4 of 10 failed in batch 0, tolerates 2", ActionPause, true},
		{"of the plan, tolerated", and(fails(4), func(s *state) { s.c.Policy.Scope = ScopePlan }), "", 0, false},
		{"of the plan", and(fails(5), func(s *state) { s.c.Policy.Scope = ScopePlan }), "Failure threshold exceeded: 5 of 20 failed, tolerates 4", ActionPause, true},
		{"rolls back", and(fails(3), func(s *state) { s.c.Policy.OnBreach = ActionRollback }), "Failure threshold exceeded: 3 of 10 failed in batch 0, tolerates 2", ActionRollback, true},
		{"rolls back nothing", and(fails(3), func(s *state) { s.c.Policy.OnBreach, s.p.Changed = ActionRollback, 0 }), "Failure threshold exceeded: 3 of 10 failed in batch 0, tolerates 2", ActionPause, true},
		{"of a rollback never rolls back", and(fails(3), func(s *state) { s.c.Policy.OnBreach, s.spec.Source = ActionRollback, "x" }), "Failure threshold exceeded: 3 of 10 failed in batch 0, tolerates 2", ActionPause, true},
		{"continues", and(fails(3), func(s *state) { s.c.Policy.OnBreach = ActionContinue }), "", 0, false},
	} {
		s := judging(c.change)
		s.thresholdVerdict(s.batches[0], stamp(noon))
		br := standing(&s.c, &s.p)
		if c.want == "" {
			require.Nil(t, br, c.name)
		} else {
			require.NotNil(t, br, c.name)
			require.Equal(t, c.want, br.String(), c.name)
			require.Equal(t, c.action, br.Action, c.name)
		}
		require.Equal(t, c.bumps, s.change.bump, c.name)
	}
}

func TestVerdictStrikesOnce(t *testing.T) {
	s := judging(func(s *state) { s.batches[0].Counts.Failed, s.p.Counts.Failed = 3, 3 })
	s.thresholdVerdict(s.batches[0], stamp(noon))
	events := s.change.log.events
	s.thresholdVerdict(s.batches[0], stamp(noon))
	require.Equal(t, events, s.change.log.events)
	require.Len(t, s.p.Breaches, 1)
	s.batches[0].Counts.Failed = 4 // a late failure updates the record
	s.thresholdVerdict(s.batches[0], stamp(noon))
	require.Len(t, s.p.Breaches, 1)
	require.Equal(t, 4, s.p.Breaches[0].Failed)
	require.Equal(t, events+1, s.change.log.events)
	s.c.AnsweredBreach = 1 // answered, and exceeded anew
	s.thresholdVerdict(s.batches[0], stamp(noon))
	require.Len(t, s.p.Breaches, 1)
	require.Equal(t, uint64(2), s.p.Breaches[0].Number)
}

func TestContinueIsRecordedOnceABatch(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(Policy{OnBreach: ActionContinue, FailureThreshold: ptr(0.0)}, Shape{Size: 3}, "fail-1", "fail-2", "ok-3", "ok-4", "fail-5", "fail-6")
		require.Equal(s, StatusCompleted, s.drive(id).Status)
		e := s.events(id, EventBreach)
		require.Len(s, e, 2)
		require.Equal(s, []int{0, 1}, []int{e[0].Batch, e[1].Batch})
		s.stays(id, StatusCompleted)
	})
}

func TestScopePlan(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(Policy{Scope: ScopePlan, FailureThreshold: ptr(0.5), Concurrency: 1}, Shape{Size: 2}, "fail-1", "fail-2", "ok-3", "fail-4", "ok-5", "ok-6")
		require.Equal(s, StatusCompleted, s.drive(id).Status, "3 of 6")
	})
	inScene(t, func(s *scene) {
		id := s.start(Policy{Scope: ScopePlan, FailureThreshold: ptr(0.5), Concurrency: 1}, Shape{Size: 2}, "fail-1", "fail-2", "ok-3", "fail-4", "ok-5", "fail-6", "ok-7")
		p := s.drive(id)
		require.Equal(s, StatusPaused, p.Status, "4 of 7")
		require.Equal(s, -1, p.Breaches[0].Batch)
		s.said(s.e.Resume(s.ctx, id, Accept(4), Request{}))
		require.Equal(s, StatusCompleted, s.drive(id).Status)
	})
}

func TestSecondBreachLosesNothing(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(Policy{Concurrency: 2, FailureThreshold: ptr(0.0), AttemptTimeout: time.Minute, MaxAbandoned: 1}, Shape{}, "stuck-1", "stuck-2", "ok-3")
		s.run(s.e)
		s.after(2 * time.Minute)
		p := s.plan(id)
		require.Equal(s, StatusPaused, p.Status)
		require.Len(s, p.Breaches, 2, "the threshold's, and that of the abandoned")
		s.said(s.e.Pause(s.ctx, id, Request{}))
		require.Len(s, s.plan(id).Breaches, 2, "neither overwrites the other")
		require.NotNil(s, s.plan(id).Paused)
		s.said(s.e.Resume(s.ctx, id, Accept(2), Request{}))
		s.fleet.free()
		s.after(5 * time.Second)
		s.status(id, StatusCompleted)
	})
}
