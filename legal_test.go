package ota

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// standings are plans in which more than the status says what may be said: beside one in each status, those in which something
// is missing that a verb needs, or has been said already.
func standings() map[string]func(*scene) string {
	all := map[string]func(*scene) string{
		"nothing touched": func(s *scene) string { return s.start(Policy{}, Shape{}, "ok-1", "ok-2") },
		"last batch": func(s *scene) string {
			id := s.start(Policy{}, Shape{}, "hang-1")
			s.run(s.e)
			s.after(time.Second)
			return id
		},
		"promoted": func(s *scene) string {
			id := s.start(Policy{Hold: Hold{All: true}}, Shape{Size: 1}, "hang-1", "ok-2", "ok-3")
			s.run(s.e)
			s.after(time.Second)
			s.said(s.e.Promote(s.ctx, id, 1, Request{}))
			return id
		},
		"held": func(s *scene) string {
			id := s.start(Policy{Hold: Hold{All: true}}, Shape{Size: 1}, "ok-1", "ok-2")
			s.run(s.e)
			s.after(time.Minute)
			return id
		},
		"observed to the end": func(s *scene) string {
			id := s.start(Policy{FailureThreshold: ptr(1.0), Soak: Soak{Duration: time.Hour}}, Shape{Size: 1}, "ok-1")
			s.run(s.e)
			s.after(time.Minute)
			return id
		},
		"breached": func(s *scene) string {
			id := s.start(Policy{}, Shape{}, "fail-1", "fail-2")
			s.drive(id)
			return id
		},
		"interrupted": func(s *scene) string {
			id := s.start(Policy{}, Shape{}, "stuck-1", "ok-2")
			s.run(s.e)
			s.after(time.Second)
			s.said(s.e.Cancel(s.ctx, id, true, Request{}))
			return id
		},
		"canceled before it began": func(s *scene) string {
			return s.moved(StatusPending, func(s *scene, id string) (Plan, error) { return s.e.Cancel(s.ctx, id, false, Request{}) })
		},
		"frozen":                func(s *scene) string { return s.moved(StatusPaused, say[VerbCreateRollback]) },
		"frozen while running":  func(s *scene) string { return s.moved(StatusRunning, say[VerbCreateRollback]) },
		"frozen when completed": func(s *scene) string { return s.moved(StatusCompleted, say[VerbCreateRollback]) },
		"rollback plan":         func(s *scene) string { return s.plan(s.moved(StatusPaused, say[VerbCreateRollback])).RollbackPlan },
		"rollback plan at its end": func(s *scene) string {
			return s.plan(s.in(StatusRolledBack)).RollbackPlan
		},
	}
	for st, put := range putInto() {
		all[st.String()] = put
	}
	return all
}

// sayAny says a verb in the way that the plan as it stands is most likely to accept.
func (s *scene) sayAny(v Verb, id string) (Plan, error) {
	p := s.plan(id)
	switch v {
	case VerbPromote:
		return s.e.Promote(s.ctx, id, p.Batch+1, Request{})
	case VerbResume:
		return s.e.Resume(s.ctx, id, Accept(p.Counts.Bad()), Request{})
	case VerbSkip:
		for name, a := range s.agents(id) {
			if a.Status == TaskPending || a.Status == TaskWaiting {
				return s.e.Skip(s.ctx, id, []string{name}, Request{})
			}
		}
	}
	return say[v](s, id)
}

// However a plan stands: a verb that is listed is accepted and does something, and one that is not listed is refused, or does
// nothing because that is so already. A refusal has the same list as Explain, and Explain offers nothing that is not in it.
func TestLegalIsAccepted(t *testing.T) {
	for name, put := range standings() {
		for verb := range say {
			t.Run(name+"/"+verb.String(), func(t *testing.T) { legalIsAccepted(t, put, verb) })
		}
	}
}

func legalIsAccepted(t *testing.T, put func(*scene) string, verb Verb) {
	t.Helper()
	inScene(t, func(s *scene) {
		id := put(s)
		x, err := s.e.Explain(s.ctx, id)
		require.NoError(s, err)
		for _, b := range x.Blockers {
			require.True(s, b.Verb == 0 || slices.Contains(x.Legal, b.Verb), "explain offers %s, legal are %v", b, x.Legal)
		}
		before := s.plan(id)
		_, err = s.sayAny(verb, id)
		changed := s.plan(id).Generation != before.Generation || verb == VerbRollback && s.plan(id).Status != before.Status
		if slices.Contains(x.Legal, verb) {
			require.NoError(s, err, "legal are %v", x.Legal)
			require.True(s, changed, "%s is listed, and did nothing", verb)
			return
		}
		if verb != VerbPause || x.Status != StatusPaused && x.Status != StatusPausing { // such a pause is noted beside what has paused it
			require.False(s, changed, "%s is not listed in %v, and did something", verb, x.Legal)
		}
		var state *StateError
		if errors.As(err, &state) {
			require.Equal(s, x.Legal, state.Legal)
		}
	})
}

// A canary that changed nobody, and that nobody comes after, ends the plan: there is no batch that could be promoted past it.
func TestCanaryOfAll(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.do = func(_ context.Context, a Attempt) (Result, bool, error) {
			return Result{Version: a.ToVersion, Unchanged: true}, true, nil
		}
		require.Equal(s, StatusCompleted, s.drive(s.start(Policy{}, Shape{Canary: 2}, "ok-1", "ok-2")).Status)
	})
}
