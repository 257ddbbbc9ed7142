package ota

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stepped is a plan that a test drives by hand.
type stepped struct {
	*testing.T
	e     *Engine
	s     *Stepper
	store Store
	id    string
	now   time.Time
}

// stepping makes and starts a plan.
func stepping(t *testing.T, store Store, can Answers, spec Spec) *stepped {
	t.Helper()
	e, err := New(store, nil, Options{Name: "one"})
	require.NoError(t, err)
	spec.Name, spec.FromVersion, spec.ToVersion = "x", "1", "2"
	p, err := e.Create(t.Context(), spec)
	require.NoError(t, err)
	_, err = e.Start(t.Context(), p.ID, Request{})
	require.NoError(t, err)
	return &stepped{T: t, e: e, s: e.Stepper(p.ID, can), store: store, id: p.ID, now: time.Unix(1e9, 0).UTC()}
}

// step steps until nothing more is due at once, and returns everything that is to be done.
func (s *stepped) step() (all Step) {
	s.Helper()
	for again := true; again; {
		step, err := s.s.Step(s.Context(), s.now)
		require.NoError(s, err)
		all.Calls = append(all.Calls, step.Calls...)
		all.Ended = append(all.Ended, step.Ended...)
		all.Questions = append(all.Questions, step.Questions...)
		all.Wake, all.Interrupt, all.Committed = step.Wake, step.Interrupt, all.Committed || step.Committed
		again = step.Again
	}
	return all
}

// only steps, and returns the one call that is to be made.
func (s *stepped) only() Call {
	s.Helper()
	step := s.step()
	require.Len(s, step.Calls, 1)
	return step.Calls[0]
}

// asked steps, and returns the one question that is to be asked.
func (s *stepped) asked(kind QuestionKind) Question {
	s.Helper()
	step := s.step()
	require.Len(s, step.Questions, 1)
	require.Equal(s, kind, step.Questions[0].Kind)
	require.Equal(s, s.now.Add(30*time.Second), step.Questions[0].Deadline)
	return step.Questions[0]
}

func (s *stepped) task() Task {
	s.Helper()
	page, err := s.e.Agents(s.Context(), s.id, AgentQuery{})
	require.NoError(s, err)
	return page.Items[0].Tasks[0]
}

func (s *stepped) plan() Plan {
	s.Helper()
	p, err := s.s.Plan(s.Context())
	require.NoError(s, err)
	stored, err := s.e.Plan(s.Context(), s.id)
	require.NoError(s, err)
	require.Equal(s, stored.Status, p.Status, "the plan in memory is the stored one")
	require.Equal(s, stored.Counts, p.Counts)
	return p
}

func one(agents ...string) Spec {
	return Spec{Agents: AgentIDs(agents...), Policy: Policy{Concurrency: 4, FailureThreshold: ptr(1.0)}}
}

// Each way in which a call can end, and what becomes of its task.
func TestStepperTakesEveryEndOfACall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end    func(s *Stepper, c Call, at time.Time)
		status TaskStatus
		why    Reason
	}{
		"returns": {func(s *Stepper, c Call, at time.Time) { s.Returned(c, at, Result{Version: "2"}, nil) }, TaskSucceeded, ReasonSucceeded},
		"fails":   {func(s *Stepper, c Call, at time.Time) { s.Returned(c, at, Result{}, errors.New("no")) }, TaskFailed, ReasonError},
		"is rejected": {func(s *Stepper, c Call, at time.Time) {
			s.Returned(c, at, Result{}, Rejected(errors.New("no")))
		}, TaskFailed, ReasonRejected},
		"panics": {func(s *Stepper, c Call, at time.Time) { s.Returned(c, at, Result{}, &PanicError{Value: "x"}) }, TaskFailed, ReasonPanic},
		"times out": {func(s *Stepper, c Call, _ time.Time) {
			s.Returned(c, c.Attempt().Deadline, Result{}, context.DeadlineExceeded)
		}, TaskFailed, ReasonTimeout},
		"is abandoned": {func(s *Stepper, c Call, at time.Time) { s.Abandoned(c, at) }, TaskFailed, ReasonAbandoned},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stepping(t, newTestStore(), Answers{}, one("a"))
			call := s.only()
			require.False(t, s.s.Resting(), "a call is out")
			c.end(s.s, call, s.now.Add(time.Minute))
			require.False(t, s.s.Resting(), "an answer waits for its commit")
			s.step()
			got := s.task()
			require.Equal(t, []any{c.status, c.why}, []any{got.Status, got.Reason})
			require.True(t, s.s.Resting())
			revision := s.plan().Revision
			c.end(s.s, call, s.now.Add(2*time.Minute)) // given twice
			step := s.step()
			require.False(t, step.Committed)
			require.Equal(t, revision, s.plan().Revision)
			require.Equal(t, got, s.task(), "a call is handed in once")
		})
	}
}

// A call of another Stepper, and one whose slot has another call by now, change nothing.
func TestStepperIgnoresCallsThatAreNotOut(t *testing.T) {
	t.Parallel()
	s := stepping(t, newTestStore(), Answers{}, Spec{Agents: AgentIDs("a", "b"), Policy: Policy{Concurrency: 1}})
	other := stepping(t, newTestStore(), Answers{}, one("a"))
	first := s.only()
	s.s.Returned(Call{}, s.now, Result{}, nil)
	s.s.Abandoned(Call{}, s.now)
	s.s.Returned(first, s.now, Result{Version: "2"}, nil)
	second := s.only()
	require.Equal(t, "b", second.Attempt().Agent)
	require.Equal(t, first.slot, second.slot)
	s.s.Returned(first, s.now, Result{}, errors.New("old"))
	s.s.Abandoned(first, s.now)
	require.Empty(t, s.step().Calls)
	require.Equal(t, 1, s.plan().Counts.Running)
	for kind, answer := range answersOf(other.s, s.now) {
		answer(Question{Kind: kind})
	}
	require.Len(t, other.step().Calls, 1)
}

// answersOf has the method for each kind of question.
func answersOf(s *Stepper, at time.Time) map[QuestionKind]func(Question) {
	return map[QuestionKind]func(Question){
		QuestionHealth:   func(q Question) { s.AnswerHealth(q, at, Health{Healthy: true}, nil) },
		QuestionPrecheck: func(q Question) { s.AnswerPrecheck(q, at, Precheck{}, nil) },
		QuestionInspect: func(q Question) {
			s.AnswerInspect(q, at, Inspection{State: InspectDone, Result: Result{Version: "2"}}, nil)
		},
		QuestionGate: func(q Question) { s.AnswerGate(q, GatePass, nil) },
	}
}

// Each kind of question is asked once, takes only the answer of its kind, and that once.
func TestStepperTakesEveryAnswer(t *testing.T) {
	t.Parallel()
	done := func(s *stepped) {
		s.s.Returned(s.only(), s.now, Result{Version: "2"}, nil)
		s.now = s.now.Add(time.Second)
	}
	for kind, c := range map[QuestionKind]struct {
		can    Answers
		soak   Soak
		before func(s *stepped)
		after  func(s *stepped)
	}{
		QuestionPrecheck: {Answers{Precheck: true}, Soak{}, func(*stepped) {}, func(s *stepped) { s.only() }},
		QuestionHealth: {Answers{Health: true}, Soak{Duration: time.Minute, Interval: time.Hour}, done, func(s *stepped) {
			s.now = s.step().Wake
			s.step()
			require.Equal(s, StatusCompleted, s.plan().Status)
		}},
		QuestionGate: {Answers{Gate: true}, Soak{}, done, func(s *stepped) {
			s.step()
			require.Equal(s, StatusCompleted, s.plan().Status)
		}},
		QuestionInspect: {Answers{Inspect: true}, Soak{}, func(s *stepped) {
			s.only()
			s.s = s.e.Stepper(s.id, Answers{Inspect: true}) // as after a crash
		}, func(s *stepped) {
			require.Empty(s, s.step().Calls, "it is not called again")
			require.Equal(s, StatusCompleted, s.plan().Status)
		}},
	} {
		t.Run([]string{"", "health", "inspect", "gate", "precheck"}[kind], func(t *testing.T) {
			t.Parallel()
			spec := one("a")
			spec.Policy.Soak = c.soak
			s := stepping(t, newTestStore(), c.can, spec)
			c.before(s)
			q := s.asked(kind)
			require.Empty(t, s.step().Questions, "it is asked once")
			s.s.session.drop() // as after a commit that failed
			require.Empty(t, s.step().Questions, "also after the plan was read again")
			all := answersOf(s.s, s.now)
			for other, answer := range all {
				if other != kind {
					answer(q)
				}
			}
			require.True(t, s.s.in.empty(), "an answer of another kind")
			all[kind](q)
			require.False(t, s.s.in.empty())
			before := s.s.in
			all[kind](q)
			require.Equal(t, before, s.s.in, "a second answer")
			c.after(s)
		})
	}
}

// Without the answer, a question is not asked: the plan goes on as with an Executor that lacks the
// interface.
func TestStepperAsksOnlyWhatCanBeAnswered(t *testing.T) {
	t.Parallel()
	spec := one("a")
	spec.Policy.Soak = Soak{Duration: time.Minute}
	s := stepping(t, newTestStore(), Answers{}, spec)
	s.only()
	s.s = s.e.Stepper(s.id, Answers{})
	step := s.step()
	require.Empty(t, step.Questions)
	require.Len(t, step.Calls, 1, "repeated, not inspected")
	s.s.Returned(step.Calls[0], s.now, Result{Version: "2"}, nil)
	step = s.step()
	require.Empty(t, step.Questions)
	require.Equal(t, s.now.Add(time.Minute), step.Wake)
}

// A second Stepper takes over: the first one writes nothing more, and what was out is repeated under
// the same key and a higher epoch.
func TestASecondStepperTakesOver(t *testing.T) {
	t.Parallel()
	store := newTestStore()
	s := stepping(t, store, Answers{}, one("a"))
	first := s.only()
	e, err := New(store, nil, Options{Name: "two"})
	require.NoError(t, err)
	second := e.Stepper(s.id, Answers{})
	step, err := second.Step(t.Context(), s.now)
	require.NoError(t, err)
	require.Len(t, step.Calls, 1)
	a, b := first.Attempt(), step.Calls[0].Attempt()
	require.Equal(t, a.Key(), b.Key())
	require.True(t, b.Repeat)
	require.Greater(t, b.Epoch, a.Epoch)

	s.s.Returned(first, s.now, Result{}, errors.New("no"))
	for range 2 {
		_, err = s.s.Step(t.Context(), s.now)
		require.ErrorIs(t, err, ErrFenced)
	}
	_, err = s.s.Refresh(t.Context())
	require.ErrorIs(t, err, ErrFenced)
	second.Returned(step.Calls[0], s.now, Result{Version: "2"}, nil)
	_, err = second.Step(t.Context(), s.now)
	require.NoError(t, err)
	p, err := second.Plan(t.Context())
	require.NoError(t, err)
	require.Equal(t, StatusCompleted, p.Status)
	require.Equal(t, 1, p.Counts.Succeeded)
}

// While an engine that is alive drives the plan, no Stepper takes it.
func TestStepperLeavesAPlanThatIsDriven(t *testing.T) {
	t.Parallel()
	store := newTestStore()
	s := stepping(t, store, Answers{}, one("a"))
	s.only()
	require.NoError(t, store.Renew(t.Context(), "one", time.Hour))
	e, err := New(store, nil, Options{Name: "two"})
	require.NoError(t, err)
	other := e.Stepper(s.id, Answers{})
	_, err = other.Step(t.Context(), s.now)
	require.ErrorIs(t, err, ErrConflict)
	require.False(t, other.Resting())
	require.NoError(t, store.Renew(t.Context(), "one", 0))
	step, err := other.Step(t.Context(), s.now)
	require.NoError(t, err)
	require.Len(t, step.Calls, 1)
	_, err = e.Stepper("none", Answers{}).Step(t.Context(), s.now)
	require.ErrorIs(t, err, ErrNotFound)
}
