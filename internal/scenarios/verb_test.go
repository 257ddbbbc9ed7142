package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// putInto puts a real plan into each status, and returns its ID. Nothing moves it from there unless time passes.
func putInto() map[ota.Status]func(*scene) string {
	return map[ota.Status]func(*scene) string{
		ota.StatusPending: func(s *scene) string { return s.create(ota.Policy{}, ota.Shape{Size: 2}, "ok-1", "ok-2", "ok-3").ID },
		ota.StatusRunning: func(s *scene) string {
			id := s.start(ota.Policy{FailureThreshold: ptr(1.0), Concurrency: 2, Hold: ota.Hold{All: true}}, ota.Shape{Size: 2}, "fail-1", "hang-2", "ok-3", "ok-4")
			s.run(s.e)
			s.after(2 * time.Second)
			return id
		},
		ota.StatusPausing: func(s *scene) string { return s.moved(ota.StatusRunning, pauseIt) },
		ota.StatusPaused: func(s *scene) string {
			id := s.start(ota.Policy{FailureThreshold: ptr(1.0)}, ota.Shape{Size: 2}, "fail-1", "ok-2", "ok-3", "ok-4")
			stop := s.run(s.e)
			s.after(500 * time.Millisecond)
			s.said(s.e.Pause(s.ctx, id, ota.Request{}))
			s.after(2 * time.Second)
			require.NoError(s, stop())
			return id
		},
		ota.StatusCanceling: func(s *scene) string {
			return s.moved(ota.StatusRunning, func(s *scene, id string) (ota.Plan, error) { return s.e.Cancel(s.ctx, id, false, ota.Request{}) })
		},
		ota.StatusCanceled: func(s *scene) string {
			return s.moved(ota.StatusPaused, func(s *scene, id string) (ota.Plan, error) { return s.e.Cancel(s.ctx, id, false, ota.Request{}) })
		},
		ota.StatusRollingBack: func(s *scene) string {
			return s.moved(ota.StatusRunning, func(s *scene, id string) (ota.Plan, error) {
				return s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{})
			})
		},
		ota.StatusRolledBack: func(s *scene) string {
			id := s.moved(ota.StatusPaused, func(s *scene, id string) (ota.Plan, error) {
				return s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{})
			})
			require.Equal(s, ota.StatusCompleted, s.drive(s.plan(id).RollbackPlan).Status)
			return id
		},
		ota.StatusCompleted: func(s *scene) string {
			id := s.start(ota.Policy{FailureThreshold: ptr(1.0)}, ota.Shape{Size: 2}, "fail-1", "ok-2")
			s.drive(id)
			return id
		},
	}
}

// pausedWithLostCall puts a plan to paused while an attempt waits for its repeat, since its process has ended.
func pausedWithLostCall(s *scene) string {
	id := s.start(ota.Policy{FailureThreshold: ptr(1.0)}, ota.Shape{Size: 2}, "hang-2", "ok-3", "ok-4")
	stop := s.run(s.engineOf(s.store, s.fleet, ota.Options{Name: "one", DrainTimeout: -1}))
	s.after(2 * time.Second)
	require.NoError(s, stop())
	s.said(s.e.Pause(s.ctx, id, ota.Request{}))
	s.run(s.e)
	s.after(2 * time.Second)
	return id
}

func (s *scene) in(st ota.Status) string { return putInto()[st](s) }

func pauseIt(s *scene, id string) (ota.Plan, error) { return s.e.Pause(s.ctx, id, ota.Request{}) }

func (s *scene) moved(from ota.Status, say func(*scene, string) (ota.Plan, error)) string {
	id := s.in(from)
	s.said(say(s, id))
	return id
}

func (s *scene) said(p ota.Plan, err error) ota.Plan {
	s.Helper()
	require.NoError(s, err)
	return p
}

// say is one legal way to say each verb.
var say = map[ota.Verb]func(s *scene, id string) (ota.Plan, error){
	ota.VerbStart: func(s *scene, id string) (ota.Plan, error) { return s.e.Start(s.ctx, id, ota.Request{}) },
	ota.VerbPause: pauseIt,
	ota.VerbResume: func(s *scene, id string) (ota.Plan, error) {
		return s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{})
	},
	ota.VerbCancel: func(s *scene, id string) (ota.Plan, error) {
		return s.e.Cancel(s.ctx, id, s.plan(id).Status == ota.StatusCanceling, ota.Request{})
	},
	ota.VerbPromote: func(s *scene, id string) (ota.Plan, error) { return s.e.Promote(s.ctx, id, 1, ota.Request{}) },
	ota.VerbSkip: func(s *scene, id string) (ota.Plan, error) {
		all := s.agents(id)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if all[name].Status == ota.TaskPending || all[name].Status == ota.TaskCanceled {
				return s.e.Skip(s.ctx, id, []string{name}, ota.Request{})
			}
		}
		return s.e.Skip(s.ctx, id, []string{"ok-2"}, ota.Request{})
	},
	ota.VerbRetry: func(s *scene, id string) (ota.Plan, error) { return s.e.Retry(s.ctx, id, nil, ota.Request{}) },
	ota.VerbEdit: func(s *scene, id string) (ota.Plan, error) {
		return s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.Concurrency++ }, ota.Request{})
	},
	ota.VerbAnnotate: func(s *scene, id string) (ota.Plan, error) {
		return s.e.Annotate(s.ctx, id, map[string]string{"n": strconv.FormatUint(s.plan(id).Generation, 10)}, nil, ota.Request{})
	},
	ota.VerbCreateRollback: func(s *scene, id string) (ota.Plan, error) {
		return s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{})
	},
	ota.VerbRollback: func(s *scene, id string) (ota.Plan, error) {
		return s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{})
	},
	ota.VerbGiveUp: func(s *scene, id string) (ota.Plan, error) {
		return s.e.GiveUp(s.ctx, id, []string{"hang-2"}, ota.Request{})
	},
	ota.VerbNow: func(s *scene, id string) (ota.Plan, error) {
		return s.e.Now(s.ctx, id, []string{"ok-3"}, ota.Request{})
	},
}

// fulfilled are the wishes that are fulfilled already: success, and nothing is written.
var fulfilled = map[ota.Status][]ota.Verb{
	ota.StatusRunning:     {ota.VerbStart, ota.VerbResume},
	ota.StatusPausing:     {ota.VerbPause},
	ota.StatusPaused:      {ota.VerbPause},
	ota.StatusCanceled:    {ota.VerbCancel},
	ota.StatusRollingBack: {ota.VerbCreateRollback, ota.VerbRollback},
	ota.StatusRolledBack:  {ota.VerbCreateRollback, ota.VerbRollback},
}

func TestTransitions(t *testing.T) {
	require.Len(t, putInto(), len(designed))
	require.Len(t, designed, int(ota.StatusCompleted))
	require.Len(t, say, int(ota.VerbNow))
	for status, put := range putInto() {
		for verb, f := range say {
			put := put
			if status == ota.StatusPaused && verb == ota.VerbGiveUp {
				put = pausedWithLostCall
			}
			t.Run(status.String()+"/"+verb.String(), func(t *testing.T) {
				inScene(t, func(s *scene) {
					id := put(s)
					s.status(id, status)
					before := s.plan(id)
					_, err := f(s, id)
					after := s.plan(id)
					next, legal := leads(status, verb)
					all := ota.LegalVerbs(status)
					if status == ota.StatusRollingBack { // its rollback plan was started, so that is what may be canceled
						legal = legal && verb != ota.VerbCancel
						all = slices.DeleteFunc(all, func(v ota.Verb) bool { return v == ota.VerbCancel })
					}
					if before.InFlight() == 0 { // no attempt is out
						all = slices.DeleteFunc(all, func(v ota.Verb) bool { return v == ota.VerbGiveUp })
					}
					switch {
					case legal:
						require.NoError(s, err)
						require.Greater(s, after.Revision, before.Revision)
						var led []ota.Status
						for _, r := range s.log(id)[before.Revision:] {
							led = append(led, r.Status)
						}
						require.NotEmpty(s, slices.DeleteFunc(slices.Clone(next), func(st ota.Status) bool { return !slices.Contains(led, st) }), "led to %v, want one of %v", led, next)
						if verb != ota.VerbRollback {
							require.Contains(s, next, led[0])
						}
					case slices.Contains(fulfilled[status], verb):
						require.NoError(s, err)
						require.Equal(s, before, after, "the same wish twice writes nothing")
					default:
						var state *ota.StateError
						require.ErrorAs(s, err, &state)
						require.ErrorIs(s, err, ota.ErrState)
						require.Equal(s, status, state.Have)
						require.Equal(s, all, state.Legal)
						require.Contains(s, err.Error(), status.String())
						require.Equal(s, before, after, "an illegal verb writes nothing")
					}
				})
			})
		}
	}
}

// designed are the verbs of each status as they were designed, each with the statuses that it may lead to.
var designed = map[ota.Status][]struct {
	verb ota.Verb
	next []ota.Status
}{
	ota.StatusPending: {
		{ota.VerbStart, []ota.Status{ota.StatusRunning}},
		{ota.VerbCancel, []ota.Status{ota.StatusCanceled}},
		{ota.VerbPromote, []ota.Status{ota.StatusPending}},
		{ota.VerbSkip, []ota.Status{ota.StatusPending}},
		{ota.VerbEdit, []ota.Status{ota.StatusPending}},
		{ota.VerbAnnotate, []ota.Status{ota.StatusPending}},
	},
	ota.StatusRunning: {
		{ota.VerbPause, []ota.Status{ota.StatusPaused, ota.StatusPausing}},
		{ota.VerbCancel, []ota.Status{ota.StatusCanceled, ota.StatusCanceling}},
		{ota.VerbPromote, []ota.Status{ota.StatusRunning}},
		{ota.VerbSkip, []ota.Status{ota.StatusRunning}},
		{ota.VerbRetry, []ota.Status{ota.StatusRunning}},
		{ota.VerbEdit, []ota.Status{ota.StatusRunning}},
		{ota.VerbAnnotate, []ota.Status{ota.StatusRunning}},
		{ota.VerbCreateRollback, []ota.Status{ota.StatusPaused, ota.StatusPausing}},
		{ota.VerbRollback, []ota.Status{ota.StatusRollingBack}},
		{ota.VerbGiveUp, []ota.Status{ota.StatusRunning}},
		{ota.VerbNow, []ota.Status{ota.StatusRunning}},
	},
	ota.StatusPausing: {
		{ota.VerbResume, []ota.Status{ota.StatusRunning}},
		{ota.VerbCancel, []ota.Status{ota.StatusCanceling}},
		{ota.VerbPromote, []ota.Status{ota.StatusPausing}},
		{ota.VerbSkip, []ota.Status{ota.StatusPausing}},
		{ota.VerbRetry, []ota.Status{ota.StatusPausing}},
		{ota.VerbEdit, []ota.Status{ota.StatusPausing}},
		{ota.VerbAnnotate, []ota.Status{ota.StatusPausing}},
		{ota.VerbCreateRollback, []ota.Status{ota.StatusPausing}},
		{ota.VerbRollback, []ota.Status{ota.StatusRollingBack}},
		{ota.VerbGiveUp, []ota.Status{ota.StatusPausing}},
		{ota.VerbNow, []ota.Status{ota.StatusPausing}},
	},
	ota.StatusPaused: {
		{ota.VerbResume, []ota.Status{ota.StatusRunning}},
		{ota.VerbCancel, []ota.Status{ota.StatusCanceled, ota.StatusCanceling}},
		{ota.VerbPromote, []ota.Status{ota.StatusPaused}},
		{ota.VerbSkip, []ota.Status{ota.StatusPaused}},
		{ota.VerbRetry, []ota.Status{ota.StatusPaused}},
		{ota.VerbEdit, []ota.Status{ota.StatusPaused}},
		{ota.VerbAnnotate, []ota.Status{ota.StatusPaused}},
		{ota.VerbCreateRollback, []ota.Status{ota.StatusPaused}},
		{ota.VerbRollback, []ota.Status{ota.StatusRollingBack}},
		{ota.VerbGiveUp, []ota.Status{ota.StatusPaused}},
		{ota.VerbNow, []ota.Status{ota.StatusPaused}},
	},
	ota.StatusCanceling: {
		{ota.VerbCancel, []ota.Status{ota.StatusCanceling}},
		{ota.VerbAnnotate, []ota.Status{ota.StatusCanceling}},
		{ota.VerbCreateRollback, []ota.Status{ota.StatusCanceling}},
		{ota.VerbRollback, []ota.Status{ota.StatusRollingBack}},
		{ota.VerbGiveUp, []ota.Status{ota.StatusCanceling}},
	},
	ota.StatusCanceled: {
		{ota.VerbAnnotate, []ota.Status{ota.StatusCanceled}},
		{ota.VerbCreateRollback, []ota.Status{ota.StatusCanceled}},
		{ota.VerbRollback, []ota.Status{ota.StatusRollingBack}},
	},
	ota.StatusCompleted: {
		{ota.VerbAnnotate, []ota.Status{ota.StatusCompleted}},
		{ota.VerbCreateRollback, []ota.Status{ota.StatusCompleted}},
		{ota.VerbRollback, []ota.Status{ota.StatusRollingBack}},
	},
	ota.StatusRollingBack: {
		{ota.VerbCancel, []ota.Status{ota.StatusCanceled, ota.StatusCanceling}},
		{ota.VerbAnnotate, []ota.Status{ota.StatusRollingBack}},
		{ota.VerbGiveUp, []ota.Status{ota.StatusRollingBack}},
	},
	ota.StatusRolledBack: {
		{ota.VerbAnnotate, []ota.Status{ota.StatusRolledBack}},
	},
}

// leads returns what a verb leads to in a status; legal is false where the status refuses it.
func leads(from ota.Status, v ota.Verb) (next []ota.Status, legal bool) {
	for _, d := range designed[from] {
		if d.verb == v {
			return d.next, true
		}
	}
	return nil, false
}

// The table itself against the one that was designed, so that a change of either is a decision.
func TestTransitionsAsDesigned(t *testing.T) {
	for st, verbs := range designed {
		var want []ota.Verb
		for _, d := range verbs {
			want = append(want, d.verb)
		}
		require.Equal(t, want, ota.LegalVerbs(st), st)
	}
}

func TestVerbsTwice(t *testing.T) {
	twice := func(status ota.Status, say func(*scene, string) (ota.Plan, error)) {
		t.Helper()
		inScene(t, func(s *scene) {
			id := s.in(status)
			s.said(say(s, id))
			synctest.Wait() // the engine takes it in
			before := s.plan(id).Revision
			s.said(say(s, id))
			require.Equal(s, before, s.plan(id).Revision)
		})
	}
	twice(ota.StatusPending, say[ota.VerbStart])
	twice(ota.StatusRunning, say[ota.VerbPause])
	twice(ota.StatusPaused, say[ota.VerbResume])
	twice(ota.StatusRunning, func(s *scene, id string) (ota.Plan, error) { return s.e.Cancel(s.ctx, id, true, ota.Request{}) })
	twice(ota.StatusRunning, func(s *scene, id string) (ota.Plan, error) { return s.e.Cancel(s.ctx, id, false, ota.Request{}) })
	twice(ota.StatusPaused, say[ota.VerbPromote])
	twice(ota.StatusPaused, say[ota.VerbCreateRollback])
	twice(ota.StatusPaused, say[ota.VerbRollback])
	twice(ota.StatusPending, func(s *scene, id string) (ota.Plan, error) {
		return s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.Concurrency = 7 }, ota.Request{})
	})
	twice(ota.StatusPending, func(s *scene, id string) (ota.Plan, error) {
		return s.e.Annotate(s.ctx, id, map[string]string{"a": "b"}, nil, ota.Request{})
	})
}

func TestCancelAfterInterruptCannotDrain(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.do = nil
		id := s.start(ota.Policy{}, ota.Shape{}, "stuck-1")
		s.run(s.e)
		s.after(time.Second)
		s.said(s.e.Cancel(s.ctx, id, true, ota.Request{}))
		_, err := s.e.Cancel(s.ctx, id, false, ota.Request{})
		require.ErrorIs(s, err, ota.ErrState)
		require.ErrorContains(s, err, "its calls are already being interrupted")
		s.after(10 * time.Second)
		s.status(id, ota.StatusCanceled)
		require.Equal(s, ota.TaskUnknown, s.agent(id, "stuck-1").Status)
		s.fleet.free()
	})
}

func TestPromoteNamesTheNextBatch(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.create(ota.Policy{Hold: ota.Hold{All: true}}, ota.Shape{Size: 1}, names("ok", 3)...).ID
		for batch, hint := range map[int]string{0: "batch 0 was named, batch 1 is the next", 2: "batch 2 was named, batch 1 is the next", -1: "batch -1 was named"} {
			_, err := s.e.Promote(s.ctx, id, batch, ota.Request{})
			require.ErrorIs(s, err, ota.ErrState)
			require.ErrorContains(s, err, hint)
		}
	})
}

func TestRequestIDs(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.in(ota.StatusPending)
		s.said(s.e.Start(s.ctx, id, ota.Request{ID: "r1"}))
		s.said(s.e.Pause(s.ctx, id, ota.Request{ID: "r2"}))
		s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
		before := s.plan(id)
		s.said(s.e.Pause(s.ctx, id, ota.Request{ID: "r2"})) // it was heard before: not carried out again
		require.Equal(s, before, s.plan(id))
		s.said(s.e.Cancel(s.ctx, id, false, ota.Request{ID: "r2"})) // another verb is another request
		s.status(id, ota.StatusCanceled)
		var requests []string
		for _, r := range s.log(id) {
			requests = append(requests, r.Request)
		}
		require.Equal(s, []string{"", "r1", "r2", "", "r2"}, requests)
	})
}

func TestControlPrecondition(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.in(ota.StatusPending)
		at := s.plan(id).Generation
		_, err := s.e.Start(s.ctx, id, ota.Request{Generation: at + 1})
		require.ErrorIs(s, err, ota.ErrConflict)
		require.ErrorContains(s, err, fmt.Sprintf("has generation %d, not %d", at, at+1))
		s.status(id, ota.StatusPending)
		p := s.said(s.e.Start(s.ctx, id, ota.Request{Generation: at}))
		require.Equal(s, at+1, p.Generation)
	})
}

func TestVerbsOfUnknownPlan(t *testing.T) {
	inScene(t, func(s *scene) {
		for verb, f := range map[ota.Verb]func() error{
			ota.VerbStart: func() error { _, err := s.e.Start(s.ctx, "x", ota.Request{}); return err },
			ota.VerbPause: func() error { _, err := s.e.Pause(s.ctx, "x", ota.Request{}); return err },
			ota.VerbResume: func() error {
				_, err := s.e.Resume(s.ctx, "x", ota.Decision{}, ota.Request{})
				return err
			},
			ota.VerbRollback: func() error { _, err := s.e.Rollback(s.ctx, "x", ota.RollbackSpec{}, ota.Request{}); return err },
		} {
			err := f()
			require.ErrorIs(s, err, ota.ErrNotFound, verb)
			require.NotErrorIs(s, err, ota.ErrState)
			require.ErrorContains(s, err, `"x"`)
		}
	})
}
