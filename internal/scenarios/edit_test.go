package scenarios

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// edits change each field of a policy, and say what the answer names that the edit does not affect. Empty: it affects everything.
var edits = map[string]struct {
	change func(*ota.Policy)
	note   string
}{
	"Concurrency":        {func(p *ota.Policy) { p.Concurrency = 1 }, "concurrency ends no call: 2 agents are open"},
	"FailureThreshold":   {func(p *ota.Policy) { p.FailureThreshold = ptr(0.9) }, ""},
	"Scope":              {func(p *ota.Policy) { p.Scope = ota.ScopePlan }, ""},
	"OnBreach":           {func(p *ota.Policy) { p.OnBreach = ota.ActionContinue }, ""},
	"Halve":              {func(p *ota.Policy) { p.Halve = true }, ""},
	"Reserve":            {func(p *ota.Policy) { p.Reserve = true }, "reserve ends no call: 2 agents are open"},
	"Budgets":            {func(p *ota.Policy) { p.Budgets = []ota.Budget{{Label: "rack", Max: 1}} }, "budgets end no call: 2 agents are open"},
	"Hold":               {func(p *ota.Policy) { p.Hold = ota.Hold{Batches: []int{1}} }, "hold applies to batches that have not begun: batch 1 is the last"},
	"Windows":            {func(p *ota.Policy) { p.Windows = []ota.Window{{Start: 12 * time.Hour, Length: time.Hour}} }, "windows end no call: 1 call in flight goes on"},
	"Soak":               {func(p *ota.Policy) { p.Soak = ota.Soak{Duration: time.Hour} }, "observe applies to batches that are not completed: 1 batch is completed"},
	"Stages":             {func(p *ota.Policy) { p.Stages = []ota.Stage{{Batch: 0, Soak: ptr(time.Hour)}} }, "stages apply to batches that are not completed: 1 batch is completed"},
	"Retry":              {func(p *ota.Policy) { p.Retry.Backoff = time.Minute }, "retry applies to the next outcome of an agent: 1 agent is waiting, and keeps the time"},
	"Expect":             {func(p *ota.Policy) { p.Expect, p.FailureThreshold = &ota.Expect{Normal: 0.1}, ptr(0.01) }, "expect judges all agents that have finished since the last accept: 0 of 2 failed"},
	"AttemptTimeout":     {func(p *ota.Policy) { p.AttemptTimeout = time.Minute }, "attemptLimit applies to attempts that start from now on: 1 call in flight keeps the old limit; give_up ends one"},
	"UnreachableTimeout": {func(p *ota.Policy) { p.UnreachableTimeout = time.Minute }, "queueLimit and onAway apply to the next answer"},
	"OnUnreachable":      {func(p *ota.Policy) { p.OnUnreachable = ota.UnreachableSkipped }, "queueLimit and onAway apply to the next answer"},
	"BatchTimeout":       {func(p *ota.Policy) { p.BatchTimeout = 100 * time.Hour }, ""},
	"PlanTimeout":        {func(p *ota.Policy) { p.PlanTimeout = 100 * time.Hour }, ""},
	"MaxConsecutive":     {func(p *ota.Policy) { p.MaxConsecutive = 3 }, ""},
	"Rate":               {func(p *ota.Policy) { p.Rate = ota.Rate{Starts: 1} }, ""},
	"Gate":               {func(p *ota.Policy) { p.Gate.Interval = time.Hour }, ""},
	"Complete":           {func(p *ota.Policy) { p.Complete.Min = 0.5 }, ""},
	"Stragglers":         {func(p *ota.Policy) { p.Stragglers = ota.Stragglers{Share: 1, After: time.Hour} }, ""},
	"MaxAbandoned":       {func(p *ota.Policy) { p.MaxAbandoned = 1 }, "maxAbandoned is compared when the next call is abandoned"},
}

// A plan whose first batch is completed has one agent in flight and one that waits for a retry. The answer of each edit names what it
// does not affect, and only the answer does.
func TestEditNamesWhatItDoesNotAffect(t *testing.T) {
	for f := range reflect.TypeFor[ota.Policy]().Fields() {
		edit, ok := edits[f.Name]
		require.True(t, ok, "edits has no row for %s", f.Name)
		t.Run(f.Name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				p := ota.Policy{
					FailureThreshold: ptr(1.0), Concurrency: 2, MaxAbandoned: 2, AttemptTimeout: ota.NoTimeout,
					Retry: ota.RetryPolicy{Max: 1, Backoff: 24 * time.Hour},
				}
				id := s.start(p, ota.Shape{Size: 2}, "ok-1", "ok-2", "fail-3", "hang-4")
				s.run(s.e)
				s.after(time.Minute)
				before := s.plan(id)
				got := s.said(s.e.Edit(s.ctx, id, edit.change, ota.Request{}))
				require.NotEqual(s, before.Policy, got.Policy)
				after := s.plan(id).Warnings
				notes := got.Warnings[len(after):]
				require.Equal(s, after, got.Warnings[:len(after)], "the notes come last")
				if edit.note == "" {
					require.Empty(s, notes)
					return
				}
				require.Len(s, notes, 1)
				require.Contains(s, notes[0], edit.note)
			})
		})
	}
}

func TestEditNamesTheOpenBreach(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{}, "fail-1", "ok-2")
		s.drive(id)
		got := s.said(s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.FailureThreshold, p.OnBreach = ptr(1.0), ota.ActionRollback }, ota.Request{}))
		require.Contains(s, got.Warnings[len(got.Warnings)-1], "an open breach stays open until resume, and keeps the action pause")
	})
}

// While an agent of a batch has not begun, a Promote of the next batch that is not held would change nothing. It is refused, and names
// what helps.
func TestPromoteWaitsForEveryStart(t *testing.T) {
	for _, straggler := range []string{"hang-2", "fail-2"} {
		inScene(t, func(s *scene) {
			p := ota.Policy{Concurrency: 1, FailureThreshold: ptr(1.0), Retry: ota.RetryPolicy{Max: 1, Backoff: time.Hour}, AttemptTimeout: ota.NoTimeout}
			id := s.start(p, ota.Shape{Size: 2}, straggler, "ok-1", "ok-3")
			s.run(s.e)
			s.after(time.Minute)
			before := s.plan(id)
			_, err := s.e.Promote(s.ctx, id, 1, ota.Request{})
			require.ErrorIs(s, err, ota.ErrState)
			require.ErrorContains(s, err, "batch 1 is not held, and begins once batch 0 has passed; 1 agent has not ended; give_up ends")
			require.Equal(s, before, s.plan(id))
			require.NotContains(s, s.explain(id).Legal, ota.VerbPromote)
			s.said(s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.Hold.All = true }, ota.Request{}))
			s.said(s.e.Promote(s.ctx, id, 1, ota.Request{}))
		})
	}
}

// A refusal never offers the verb that it refuses.
func TestRefusalDoesNotOfferItsVerb(t *testing.T) {
	for name, put := range standings() {
		for verb, f := range say {
			t.Run(name+"/"+verb.String(), func(t *testing.T) {
				inScene(t, func(s *scene) {
					_, err := f(s, put(s))
					var state *ota.StateError
					if errors.As(err, &state) {
						require.NotContains(s, state.Legal, state.Verb)
					}
				})
			})
		}
	}
	inScene(t, func(s *scene) {
		id := s.create(ota.Policy{Hold: ota.Hold{All: true}}, ota.Shape{Size: 1}, "ok-1", "ok-2", "ok-3").ID
		_, err := s.e.Promote(s.ctx, id, 2, ota.Request{})
		var state *ota.StateError
		require.ErrorAs(s, err, &state)
		require.NotContains(s, state.Legal, ota.VerbPromote)
	})
}
