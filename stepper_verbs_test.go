package ota

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What others have done is found by Refresh: a verb, and a report.
func TestStepperRefresh(t *testing.T) {
	t.Parallel()
	s := stepping(t, newTestStore(), Answers{}, Spec{Agents: AgentIDs("a", "b", "c"), Policy: Policy{Concurrency: 1, FailureThreshold: ptr(1.0)}})
	call := s.only()
	changed, err := s.s.Refresh(t.Context())
	require.NoError(t, err)
	require.False(t, changed)

	_, err = s.e.Pause(t.Context(), s.id, Request{})
	require.NoError(t, err)
	changed, err = s.s.Refresh(t.Context())
	require.NoError(t, err)
	require.True(t, changed)
	s.s.Returned(call, s.now, Result{Version: "2"}, nil)
	require.Empty(t, s.step().Calls)
	require.Equal(t, StatusPaused, s.plan().Status)
	require.True(t, s.s.Resting())
	require.Equal(t, VerbResume, s.s.Blockers()[0].Verb)

	_, err = s.e.Resume(t.Context(), s.id, Decision{}, Request{})
	require.NoError(t, err)
	changed, err = s.s.Refresh(t.Context())
	require.NoError(t, err)
	require.True(t, changed)
	call = s.only()
	require.False(t, s.s.Resting())
	report := OutcomeReport{Agent: "b", Number: 1, Reason: ReasonSucceeded, Version: "2"}
	reported := make(chan error, 1)
	go func() { reported <- s.e.ReportOutcomes(t.Context(), s.id, []OutcomeReport{report}) }()
	for changed = false; !changed; {
		changed, err = s.s.Refresh(t.Context())
		require.NoError(t, err)
	}
	step := s.step()
	require.NoError(t, <-reported, "it returns once it is committed")
	require.Len(t, step.Ended, 1, "its outcome was reported")
	require.Equal(t, call, step.Ended[0])
	require.Len(t, step.Calls, 1)
	s.s.Returned(call, s.now, Result{}, errors.New("too late"))
	s.step()
	require.Equal(t, Counts{Succeeded: 2, Running: 1}, s.plan().Counts)
}

// A verb that no Refresh has seen is noticed by the commit.
func TestStepperStartsNothingAfterAPause(t *testing.T) {
	t.Parallel()
	s := stepping(t, newTestStore(), Answers{}, Spec{Agents: AgentIDs("a", "b"), Policy: Policy{Concurrency: 1}})
	call := s.only()
	_, err := s.e.Pause(t.Context(), s.id, Request{})
	require.NoError(t, err)
	s.s.Returned(call, s.now, Result{Version: "2"}, nil)
	require.Empty(t, s.step().Calls)
	require.Equal(t, Counts{Succeeded: 1, Pending: 1}, s.plan().Counts)
}

// A row in flight has its call, also after the plan was read again: it is not called twice.
func TestStepperRepeatsNothingThatIsOut(t *testing.T) {
	t.Parallel()
	spec := Spec{Agents: AgentIDs("a", "b", "c"), Policy: Policy{Concurrency: 2}, Shape: Shape{Size: 3}}
	s := stepping(t, newTestStore(), Answers{}, spec)
	step := s.step()
	require.Len(t, step.Calls, 2)
	out := step.Calls[1]
	s.s.Returned(step.Calls[0], s.now, Result{Version: "2"}, nil)
	_, err := s.e.Annotate(t.Context(), s.id, map[string]string{"k": "v"}, nil, Request{})
	require.NoError(t, err)
	s.s.session.drop() // as after a commit that failed
	call := s.only()
	require.Equal(t, "c", call.Attempt().Agent)
	s.s.Returned(out, s.now, Result{Version: "2"}, nil)
	s.s.Returned(call, s.now, Result{Version: "2"}, nil)
	require.Empty(t, s.step().Calls)
	require.Equal(t, Counts{Succeeded: 3}, s.plan().Counts)
}

// Cancel with Interrupt ends the calls; one that returns because of that is interrupted.
func TestStepperInterrupts(t *testing.T) {
	t.Parallel()
	s := stepping(t, newTestStore(), Answers{}, one("a", "b", "c"))
	step := s.step()
	require.Len(t, step.Calls, 3)
	require.False(t, step.Interrupt)
	_, err := s.e.Cancel(t.Context(), s.id, true, Request{})
	require.NoError(t, err)
	_, err = s.s.Refresh(t.Context())
	require.NoError(t, err)
	require.True(t, s.step().Interrupt)
	s.s.Returned(step.Calls[0], s.now, Result{}, context.Canceled)
	s.s.Returned(step.Calls[1], s.now, Result{}, panics{})
	s.s.Abandoned(step.Calls[2], s.now)
	s.step()
	page, err := s.e.Agents(t.Context(), s.id, AgentQuery{})
	require.NoError(t, err)
	for i, why := range []Reason{ReasonInterrupted, ReasonPanic, ReasonInterrupted} {
		require.Equal(t, why, page.Items[i].Tasks[0].Reason)
	}
	require.Equal(t, StatusCanceled, s.plan().Status)
	require.False(t, s.step().Interrupt, "no call is out")
	require.True(t, s.s.Resting())
}

// panics is an error whose methods panic.
type panics struct{}

func (panics) Error() string { panic("no text") }
func (panics) Is(error) bool { panic("no answer") }

// An agent whose call was abandoned is not called again before the call has returned.
func TestStepperLateReturn(t *testing.T) {
	t.Parallel()
	s := stepping(t, newTestStore(), Answers{}, one("a"))
	call := s.only()
	s.s.Abandoned(call, s.now)
	s.step()
	require.True(t, s.s.Resting(), "abandoned calls do not count")
	require.Equal(t, StatusCompleted, s.plan().Status)
	require.Equal(t, []string{"a"}, s.e.abandoned.agents(s.id, false))

	p, err := s.e.Create(t.Context(), Spec{Name: "next", ToVersion: "3", Agents: AgentIDs("a")})
	require.NoError(t, err)
	_, err = s.e.Start(t.Context(), p.ID, Request{})
	require.ErrorIs(t, err, ErrClaimed, "the Store keeps the agent")
	s.s.Returned(call, s.now.Add(time.Hour), Result{Version: "2"}, nil)
	require.Empty(t, s.e.abandoned.agents(s.id, false))
	s.step()
	_, err = s.e.Start(t.Context(), p.ID, Request{})
	require.NoError(t, err)
}

// Within a plan too: a retry waits for the abandoned call, also in the next Stepper.
func TestStepperRetriesAfterALateReturn(t *testing.T) {
	t.Parallel()
	spec := one("a", "b")
	spec.Policy.Hold, spec.Shape.Size = Hold{All: true}, 1
	s := stepping(t, newTestStore(), Answers{}, spec)
	first := s.s
	call := s.only()
	first.Abandoned(call, s.now)
	s.step()
	_, err := s.e.Retry(t.Context(), s.id, nil, Request{})
	require.NoError(t, err)
	_, err = first.Refresh(t.Context())
	require.NoError(t, err)
	require.Empty(t, s.step().Calls)
	s.s = s.e.Stepper(s.id, Answers{})
	require.Empty(t, s.step().Calls, "the next Stepper of the engine knows")
	first.Returned(call, s.now, Result{Version: "2"}, nil)
	s.s = s.e.Stepper(s.id, Answers{})
	require.Equal(t, 2, s.only().Attempt().Number)
}

// Drain starts nothing more and keeps the status.
func TestStepperDrains(t *testing.T) {
	t.Parallel()
	s := stepping(t, newTestStore(), Answers{}, Spec{Agents: AgentIDs("a", "b"), Policy: Policy{Concurrency: 1}})
	call := s.only()
	s.s.Drain()
	s.s.Returned(call, s.now, Result{Version: "2"}, nil)
	require.Empty(t, s.step().Calls)
	require.Equal(t, StatusRunning, s.plan().Status)
	s.s = s.e.Stepper(s.id, Answers{})
	require.Equal(t, "b", s.only().Attempt().Agent)
}

// A held batch is told, and goes on once it is promoted.
func TestStepperHeld(t *testing.T) {
	t.Parallel()
	spec := one("a", "b")
	spec.Policy.Hold, spec.Shape.Size = Hold{All: true}, 1
	s := stepping(t, newTestStore(), Answers{}, spec)
	_, held := s.s.Held()
	require.False(t, held)
	s.s.Returned(s.only(), s.now, Result{Version: "2"}, nil)
	s.step()
	batch, held := s.s.Held()
	require.True(t, held)
	require.Equal(t, 1, batch)
	require.False(t, s.s.Resting(), "a running plan does not rest")
	_, err := s.e.Promote(t.Context(), s.id, batch, Request{})
	require.NoError(t, err)
	_, err = s.s.Refresh(t.Context())
	require.NoError(t, err)
	_, held = s.s.Held()
	require.False(t, held)
	s.only()
}

// A plan that has come to rest is not taken, and a Stepper of it rests.
func TestStepperOfAPlanAtRest(t *testing.T) {
	t.Parallel()
	e, err := New(newTestStore(), nil, Options{})
	require.NoError(t, err)
	p, err := e.Create(t.Context(), Spec{Name: "x", ToVersion: "2", Agents: AgentIDs("a")})
	require.NoError(t, err)
	s := e.Stepper(p.ID, Answers{})
	require.Nil(t, s.Blockers())
	step, err := s.Step(t.Context(), time.Now())
	require.NoError(t, err)
	require.Equal(t, Step{}, step)
	require.True(t, s.Resting())
	_, err = e.Start(t.Context(), p.ID, Request{})
	require.NoError(t, err)
	changed, err := s.Refresh(t.Context())
	require.NoError(t, err)
	require.True(t, changed)
	step, err = s.Step(t.Context(), time.Now())
	require.NoError(t, err)
	require.Len(t, step.Calls, 1)
	require.False(t, s.Resting())
}

// Two Steppers carry out a rollback that a breach asks for.
func TestSteppersRollBack(t *testing.T) {
	t.Parallel()
	spec := Spec{Agents: AgentIDs("a", "b", "fail"), Policy: Policy{Concurrency: 3, OnBreach: ActionRollback, FailureThreshold: ptr(0.0)}}
	s := stepping(t, newTestStore(), Answers{}, spec)
	steppers := []*Stepper{s.s}
	var back []string
	for range 30 {
		for i := 0; i < len(steppers); i++ {
			x := steppers[i]
			step, err := x.Step(t.Context(), s.now)
			require.NoError(t, err)
			for _, c := range step.Calls {
				a := c.Attempt()
				if a.IsRollback {
					back = append(back, a.Agent)
				}
				var err error
				if strings.HasPrefix(a.Agent, "fail") && !a.IsRollback {
					err = errors.New("no")
				}
				x.Returned(c, s.now, Result{Version: a.ToVersion}, err)
			}
			other, _, err := x.Counterpart(t.Context())
			require.NoError(t, err)
			if other != "" && len(steppers) == 1 {
				steppers = append(steppers, s.e.Stepper(other, Answers{}))
			}
		}
	}
	require.Len(t, steppers, 2)
	require.ElementsMatch(t, []string{"a", "b", "fail"}, back)
	require.Equal(t, StatusRolledBack, s.plan().Status)
	for _, x := range steppers {
		require.True(t, x.Resting())
	}
}

// A Store that fails, or refuses for good: answers are not lost, and a refusal pauses the plan.
func TestStepperAfterAnErrorOfTheStore(t *testing.T) {
	t.Parallel()
	store := &failingStore{Store: newTestStore()}
	s := stepping(t, store, Answers{}, Spec{Agents: AgentIDs("a", "b", "c"), Policy: Policy{Concurrency: 1}})
	call := s.only()
	s.s.Returned(call, s.now, Result{Version: "2"}, nil)
	store.fails = errors.New("away")
	for range 3 {
		_, err := s.s.Step(t.Context(), s.now)
		require.ErrorContains(t, err, "away")
	}
	store.fails = nil
	call = s.only()
	require.Equal(t, 1, s.plan().Counts.Succeeded)

	s.s.Returned(call, s.now, Result{Version: "2"}, nil)
	store.fails = ErrRefused
	_, err := s.s.Step(t.Context(), s.now)
	require.ErrorIs(t, err, ErrRefused)
	store.fails = nil
	s.now = s.now.Add(time.Hour)
	require.Empty(t, s.step().Calls)
	require.Equal(t, StatusPaused, s.plan().Status)
	require.Contains(t, s.plan().Breaches[0].Text, strings.TrimPrefix(ErrRefused.Error(), packageName))
}

// failingStore fails each commit with an error.
type failingStore struct {
	Store
	fails error
}

func (b *failingStore) Unwrap() Store { return b.Store }

func (b *failingStore) Commit(ctx context.Context, c Commit) (uint64, error) {
	if b.fails != nil {
		return 0, b.fails
	}
	return b.Store.Commit(ctx, c)
}

// The rows of a plan are given back while it goes on, also those that are asked about.
func TestPagesAreGivenBackAfterTheirQuestions(t *testing.T) {
	t.Parallel()
	spec := Spec{Agents: AgentIDs(ids("ok", 8*pageSize)...), Policy: Policy{Concurrency: 500, Soak: Soak{Duration: time.Minute}}}
	spec.Shape.Size = pageSize
	s := stepping(t, newTestStore(), Answers{Health: true}, spec)
	for !s.s.Resting() {
		step := s.step()
		for _, c := range step.Calls {
			s.s.Returned(c, s.now, Result{Version: "2"}, nil)
		}
		for _, q := range slices.Backward(step.Questions) {
			s.s.AnswerHealth(q, s.now, Health{Healthy: true}, nil)
		}
		if len(step.Calls)+len(step.Questions) == 0 {
			s.now = step.Wake
		}
	}
	require.Equal(t, StatusCompleted, s.plan().Status)
	require.LessOrEqual(t, len(s.s.session.st.rows.pages), 1, "pages held at the end")
}

// Until Close the engine drives the plan in no other way.
func TestStepperHasThePlanUntilItIsClosed(t *testing.T) {
	t.Parallel()
	e, err := New(newTestStore(), plainExecutor, Options{})
	require.NoError(t, err)
	p, err := e.Create(t.Context(), Spec{Name: "x", FromVersion: "1", ToVersion: "2", Agents: AgentIDs("a")})
	require.NoError(t, err)
	_, err = e.Start(t.Context(), p.ID, Request{})
	require.NoError(t, err)
	s := e.Stepper(p.ID, Answers{})
	_, err = s.Step(t.Context(), time.Now())
	require.NoError(t, err)
	_, err = e.RunPlan(t.Context(), p.ID)
	require.ErrorIs(t, err, ErrConflict)

	old := s
	s = e.Stepper(p.ID, Answers{}) // takes over
	step, err := s.Step(t.Context(), time.Now())
	require.NoError(t, err)
	require.Len(t, step.Calls, 1)
	old.Close()
	_, err = e.RunPlan(t.Context(), p.ID)
	require.ErrorIs(t, err, ErrConflict, "the older one does not have it any more")
	s.Close()
	s.Close()
	_, err = s.Step(t.Context(), time.Now())
	require.ErrorIs(t, err, ErrFenced)
	p, err = e.RunPlan(t.Context(), p.ID)
	require.NoError(t, err)
	require.Equal(t, StatusCompleted, p.Status)
}

// Calls share what their attempts have in common. A verb that changes it, and a new owner, are in the
// next call all the same.
func TestAttemptsHaveTheAnnotationsOfNow(t *testing.T) {
	t.Parallel()
	spec := one("a", "b", "c")
	spec.Policy.Concurrency, spec.Annotations = 1, map[string]string{"k": "1"}
	s := stepping(t, newTestStore(), Answers{}, spec)
	first := s.only()
	require.Equal(t, map[string]string{"k": "1"}, first.Attempt().Annotations)
	_, err := s.e.Annotate(t.Context(), s.id, map[string]string{"k": "2"}, nil, Request{})
	require.NoError(t, err)
	_, err = s.s.Refresh(t.Context())
	require.NoError(t, err)
	s.s.Returned(first, s.now, Result{Version: "2"}, nil)
	second := s.only()
	require.Equal(t, map[string]string{"k": "2"}, second.Attempt().Annotations)
	require.Equal(t, map[string]string{"k": "1"}, first.Attempt().Annotations, "a call that was made does not change")
	s.s.Close()
	next := &stepped{T: t, e: s.e, s: s.e.Stepper(s.id, Answers{}), store: s.store, id: s.id, now: s.now}
	repeated := next.only()
	require.Equal(t, second.Attempt().Epoch+1, repeated.Attempt().Epoch)
	require.True(t, repeated.Attempt().Repeat)
}
