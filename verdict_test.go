package ota

import (
	"testing"

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
