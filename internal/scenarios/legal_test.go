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

// standings are plans in which more than the status says what may be said: beside one in each status, those in which something
// is missing that a verb needs, or has been said already.
func standings() map[string]func(*scene) string {
	all := map[string]func(*scene) string{
		"nothing touched": func(s *scene) string { return s.start(ota.Policy{}, ota.Shape{}, "ok-1", "ok-2") },
		"last batch": func(s *scene) string {
			id := s.start(ota.Policy{}, ota.Shape{}, "hang-1")
			s.run(s.e)
			s.after(time.Second)
			return id
		},
		"promoted": func(s *scene) string {
			id := s.start(ota.Policy{Hold: ota.Hold{All: true}}, ota.Shape{Size: 1}, "hang-1", "ok-2", "ok-3")
			s.run(s.e)
			s.after(time.Second)
			s.said(s.e.Promote(s.ctx, id, 1, ota.Request{}))
			return id
		},
		"held": func(s *scene) string {
			id := s.start(ota.Policy{Hold: ota.Hold{All: true}}, ota.Shape{Size: 1}, "ok-1", "ok-2")
			s.run(s.e)
			s.after(time.Minute)
			return id
		},
		"observed to the end": func(s *scene) string {
			id := s.start(ota.Policy{FailureThreshold: ptr(1.0), Soak: ota.Soak{Duration: time.Hour}}, ota.Shape{Size: 1}, "ok-1")
			s.run(s.e)
			s.after(time.Minute)
			return id
		},
		"breached": func(s *scene) string {
			id := s.start(ota.Policy{}, ota.Shape{}, "fail-1", "fail-2")
			s.drive(id)
			return id
		},
		"interrupted": func(s *scene) string {
			id := s.start(ota.Policy{}, ota.Shape{}, "stuck-1", "ok-2")
			s.run(s.e)
			s.after(time.Second)
			s.said(s.e.Cancel(s.ctx, id, true, ota.Request{}))
			return id
		},
		"canceled before it began": func(s *scene) string {
			return s.moved(ota.StatusPending, func(s *scene, id string) (ota.Plan, error) { return s.e.Cancel(s.ctx, id, false, ota.Request{}) })
		},
		"frozen":                func(s *scene) string { return s.moved(ota.StatusPaused, say[ota.VerbCreateRollback]) },
		"frozen while running":  func(s *scene) string { return s.moved(ota.StatusRunning, say[ota.VerbCreateRollback]) },
		"frozen when completed": func(s *scene) string { return s.moved(ota.StatusCompleted, say[ota.VerbCreateRollback]) },
		"rollback plan": func(s *scene) string {
			return s.plan(s.moved(ota.StatusPaused, say[ota.VerbCreateRollback])).RollbackPlan
		},
		"rollback plan at its end": func(s *scene) string {
			return s.plan(s.in(ota.StatusRolledBack)).RollbackPlan
		},
	}
	for st, put := range putInto() {
		all[st.String()] = put
	}
	return all
}

// sayAny says a verb in the way that the plan as it stands is most likely to accept.
func (s *scene) sayAny(v ota.Verb, id string) (ota.Plan, error) {
	p := s.plan(id)
	switch v {
	case ota.VerbPromote:
		return s.e.Promote(s.ctx, id, p.Batch+1, ota.Request{})
	case ota.VerbResume:
		return s.e.Resume(s.ctx, id, ota.Accept(p.Counts.Bad()), ota.Request{})
	case ota.VerbGiveUp:
		for name, a := range s.agents(id) {
			if a.Status == ota.TaskRunning {
				return s.e.GiveUp(s.ctx, id, []string{name}, ota.Request{})
			}
		}
	case ota.VerbNow:
		for name, a := range s.agents(id) {
			if a.Status == ota.TaskPending || a.Status == ota.TaskWaiting {
				return s.e.Now(s.ctx, id, []string{name}, ota.Request{})
			}
		}
	case ota.VerbSkip:
		for name, a := range s.agents(id) {
			if a.Status == ota.TaskPending || a.Status == ota.TaskWaiting {
				return s.e.Skip(s.ctx, id, []string{name}, ota.Request{})
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

func legalIsAccepted(t *testing.T, put func(*scene) string, verb ota.Verb) {
	t.Helper()
	inScene(t, func(s *scene) {
		id := put(s)
		x, err := s.e.Explain(s.ctx, id)
		require.NoError(s, err)
		for _, b := range x.Blockers {
			legal := x.Legal
			if b.Plan != "" {
				legal = s.explain(b.Plan).Legal
			}
			require.True(s, b.Verb == 0 || slices.Contains(legal, b.Verb), "explain offers %s, legal are %v", b, legal)
		}
		before := s.plan(id)
		_, err = s.sayAny(verb, id)
		changed := s.plan(id).Generation != before.Generation || verb == ota.VerbRollback && s.plan(id).Status != before.Status
		if slices.Contains(x.Legal, verb) {
			require.NoError(s, err, "legal are %v", x.Legal)
			require.True(s, changed, "%s is listed, and did nothing", verb)
			return
		}
		if verb != ota.VerbPause || x.Status != ota.StatusPaused && x.Status != ota.StatusPausing { // such a pause is noted beside what has paused it
			require.False(s, changed, "%s is not listed in %v, and did something", verb, x.Legal)
		}
		var state *ota.StateError
		if errors.As(err, &state) {
			require.Equal(s, x.Legal, state.Legal)
		}
	})
}

// A canary that changed nobody, and that nobody comes after, ends the plan: there is no batch that could be promoted past it.
func TestCanaryOfAll(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.do = func(_ context.Context, a ota.Attempt) (ota.Result, bool, error) {
			return ota.Result{Version: a.ToVersion, Unchanged: true}, true, nil
		}
		require.Equal(s, ota.StatusCompleted, s.drive(s.start(ota.Policy{}, ota.Shape{Canary: 2}, "ok-1", "ok-2")).Status)
	})
}
