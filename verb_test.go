package ota

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// putInto puts a real plan into each status, and returns its ID. Nothing moves it from there unless time passes.
func putInto() map[Status]func(*scene) string {
	return map[Status]func(*scene) string{
		StatusPending: func(s *scene) string { return s.create(Policy{}, Shape{Size: 2}, "ok-1", "ok-2", "ok-3").ID },
		StatusRunning: func(s *scene) string {
			id := s.start(Policy{FailureThreshold: ptr(1.0), Concurrency: 2}, Shape{Size: 2}, "fail-1", "hang-2", "ok-3", "ok-4")
			s.run(s.e)
			s.after(2 * time.Second)
			return id
		},
		StatusPausing: func(s *scene) string { return s.moved(StatusRunning, pauseIt) },
		StatusPaused: func(s *scene) string {
			id := s.start(Policy{FailureThreshold: ptr(1.0)}, Shape{Size: 2}, "fail-1", "ok-2", "ok-3", "ok-4")
			stop := s.run(s.e)
			s.after(500 * time.Millisecond)
			s.said(s.e.Pause(s.ctx, id, Request{}))
			s.after(2 * time.Second)
			require.NoError(s, stop())
			return id
		},
		StatusCanceling: func(s *scene) string {
			return s.moved(StatusRunning, func(s *scene, id string) (Plan, error) { return s.e.Cancel(s.ctx, id, false, Request{}) })
		},
		StatusCanceled: func(s *scene) string {
			return s.moved(StatusPaused, func(s *scene, id string) (Plan, error) { return s.e.Cancel(s.ctx, id, false, Request{}) })
		},
		StatusRollingBack: func(s *scene) string {
			return s.moved(StatusRunning, func(s *scene, id string) (Plan, error) { return s.e.Rollback(s.ctx, id, RollbackSpec{}, Request{}) })
		},
		StatusRolledBack: func(s *scene) string {
			id := s.moved(StatusPaused, func(s *scene, id string) (Plan, error) { return s.e.Rollback(s.ctx, id, RollbackSpec{}, Request{}) })
			require.Equal(s, StatusCompleted, s.drive(s.plan(id).RollbackPlan).Status)
			return id
		},
		StatusCompleted: func(s *scene) string {
			id := s.start(Policy{FailureThreshold: ptr(1.0)}, Shape{Size: 2}, "fail-1", "ok-2")
			s.drive(id)
			return id
		},
	}
}

func (s *scene) in(st Status) string { return putInto()[st](s) }

func pauseIt(s *scene, id string) (Plan, error) { return s.e.Pause(s.ctx, id, Request{}) }

func (s *scene) moved(from Status, say func(*scene, string) (Plan, error)) string {
	id := s.in(from)
	s.said(say(s, id))
	return id
}

func (s *scene) said(p Plan, err error) Plan {
	s.Helper()
	require.NoError(s, err)
	return p
}

// say is one legal way to say each verb.
var say = map[Verb]func(s *scene, id string) (Plan, error){
	VerbStart:  func(s *scene, id string) (Plan, error) { return s.e.Start(s.ctx, id, Request{}) },
	VerbPause:  pauseIt,
	VerbResume: func(s *scene, id string) (Plan, error) { return s.e.Resume(s.ctx, id, Decision{}, Request{}) },
	VerbCancel: func(s *scene, id string) (Plan, error) {
		return s.e.Cancel(s.ctx, id, s.plan(id).Status == StatusCanceling, Request{})
	},
	VerbPromote: func(s *scene, id string) (Plan, error) { return s.e.Promote(s.ctx, id, 1, Request{}) },
	VerbSkip: func(s *scene, id string) (Plan, error) {
		all := s.agents(id)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if all[name].Status == TaskPending || all[name].Status == TaskCanceled {
				return s.e.Skip(s.ctx, id, []string{name}, Request{})
			}
		}
		return s.e.Skip(s.ctx, id, []string{"ok-2"}, Request{})
	},
	VerbRetry: func(s *scene, id string) (Plan, error) { return s.e.Retry(s.ctx, id, nil, Request{}) },
	VerbEdit: func(s *scene, id string) (Plan, error) {
		return s.e.Edit(s.ctx, id, func(p *Policy) { p.Concurrency++ }, Request{})
	},
	VerbAnnotate: func(s *scene, id string) (Plan, error) {
		return s.e.Annotate(s.ctx, id, map[string]string{"n": strconv.FormatUint(s.plan(id).Generation, 10)}, nil, Request{})
	},
	VerbCreateRollback: func(s *scene, id string) (Plan, error) {
		return s.e.CreateRollback(s.ctx, id, RollbackSpec{}, Request{})
	},
	VerbRollback: func(s *scene, id string) (Plan, error) { return s.e.Rollback(s.ctx, id, RollbackSpec{}, Request{}) },
}

// fulfilled are the wishes that are fulfilled already: success, and nothing is written.
var fulfilled = map[Status][]Verb{
	StatusRunning:     {VerbStart, VerbResume},
	StatusPausing:     {VerbPause},
	StatusPaused:      {VerbPause},
	StatusCanceled:    {VerbCancel},
	StatusRollingBack: {VerbCreateRollback, VerbRollback},
	StatusRolledBack:  {VerbCreateRollback, VerbRollback},
}

func TestTransitions(t *testing.T) {
	require.Len(t, putInto(), len(designed))
	require.Len(t, designed, int(StatusCompleted))
	require.Len(t, say, int(VerbRollback))
	for status, put := range putInto() {
		for verb, f := range say {
			t.Run(status.String()+"/"+verb.String(), func(t *testing.T) {
				inScene(t, func(s *scene) {
					id := put(s)
					s.status(id, status)
					before := s.plan(id)
					_, err := f(s, id)
					after := s.plan(id)
					next, legal := leads(status, verb)
					all := LegalVerbs(status)
					if status == StatusRollingBack { // its rollback plan was started, so that is what may be canceled
						legal = legal && verb != VerbCancel
						all = slices.DeleteFunc(all, func(v Verb) bool { return v == VerbCancel })
					}
					switch {
					case legal:
						require.NoError(s, err)
						require.Greater(s, after.Revision, before.Revision)
						var led []Status
						for _, r := range s.log(id)[before.Revision:] {
							led = append(led, r.Status)
						}
						require.NotEmpty(s, slices.DeleteFunc(slices.Clone(next), func(st Status) bool { return !slices.Contains(led, st) }), "led to %v, want one of %v", led, next)
						if verb != VerbRollback {
							require.Contains(s, next, led[0])
						}
					case slices.Contains(fulfilled[status], verb):
						require.NoError(s, err)
						require.Equal(s, before, after, "the same wish twice writes nothing")
					default:
						var state *StateError
						require.ErrorAs(s, err, &state)
						require.ErrorIs(s, err, ErrState)
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
var designed = map[Status][]struct {
	verb Verb
	next []Status
}{
	StatusPending: {
		{VerbStart, []Status{StatusRunning}},
		{VerbCancel, []Status{StatusCanceled}},
		{VerbPromote, []Status{StatusPending}},
		{VerbSkip, []Status{StatusPending}},
		{VerbEdit, []Status{StatusPending}},
		{VerbAnnotate, []Status{StatusPending}},
	},
	StatusRunning: {
		{VerbPause, []Status{StatusPaused, StatusPausing}},
		{VerbCancel, []Status{StatusCanceled, StatusCanceling}},
		{VerbPromote, []Status{StatusRunning}},
		{VerbSkip, []Status{StatusRunning}},
		{VerbRetry, []Status{StatusRunning}},
		{VerbEdit, []Status{StatusRunning}},
		{VerbAnnotate, []Status{StatusRunning}},
		{VerbCreateRollback, []Status{StatusPaused, StatusPausing}},
		{VerbRollback, []Status{StatusRollingBack}},
	},
	StatusPausing: {
		{VerbResume, []Status{StatusRunning}},
		{VerbCancel, []Status{StatusCanceling}},
		{VerbPromote, []Status{StatusPausing}},
		{VerbSkip, []Status{StatusPausing}},
		{VerbRetry, []Status{StatusPausing}},
		{VerbEdit, []Status{StatusPausing}},
		{VerbAnnotate, []Status{StatusPausing}},
		{VerbCreateRollback, []Status{StatusPausing}},
		{VerbRollback, []Status{StatusRollingBack}},
	},
	StatusPaused: {
		{VerbResume, []Status{StatusRunning}},
		{VerbCancel, []Status{StatusCanceled, StatusCanceling}},
		{VerbPromote, []Status{StatusPaused}},
		{VerbSkip, []Status{StatusPaused}},
		{VerbRetry, []Status{StatusPaused}},
		{VerbEdit, []Status{StatusPaused}},
		{VerbAnnotate, []Status{StatusPaused}},
		{VerbCreateRollback, []Status{StatusPaused}},
		{VerbRollback, []Status{StatusRollingBack}},
	},
	StatusCanceling: {
		{VerbCancel, []Status{StatusCanceling}},
		{VerbAnnotate, []Status{StatusCanceling}},
		{VerbCreateRollback, []Status{StatusCanceling}},
		{VerbRollback, []Status{StatusRollingBack}},
	},
	StatusCanceled: {
		{VerbAnnotate, []Status{StatusCanceled}},
		{VerbCreateRollback, []Status{StatusCanceled}},
		{VerbRollback, []Status{StatusRollingBack}},
	},
	StatusCompleted: {
		{VerbAnnotate, []Status{StatusCompleted}},
		{VerbCreateRollback, []Status{StatusCompleted}},
		{VerbRollback, []Status{StatusRollingBack}},
	},
	StatusRollingBack: {
		{VerbCancel, []Status{StatusCanceled, StatusCanceling}},
		{VerbAnnotate, []Status{StatusRollingBack}},
	},
	StatusRolledBack: {
		{VerbAnnotate, []Status{StatusRolledBack}},
	},
}

// leads returns what a verb leads to in a status; legal is false where the status refuses it.
func leads(from Status, v Verb) (next []Status, legal bool) {
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
		var want []Verb
		for _, d := range verbs {
			want = append(want, d.verb)
		}
		require.Equal(t, want, LegalVerbs(st), st)
	}
}

func TestVerbsTwice(t *testing.T) {
	twice := func(status Status, say func(*scene, string) (Plan, error)) {
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
	twice(StatusPending, say[VerbStart])
	twice(StatusRunning, say[VerbPause])
	twice(StatusPaused, say[VerbResume])
	twice(StatusRunning, func(s *scene, id string) (Plan, error) { return s.e.Cancel(s.ctx, id, true, Request{}) })
	twice(StatusRunning, func(s *scene, id string) (Plan, error) { return s.e.Cancel(s.ctx, id, false, Request{}) })
	twice(StatusPaused, say[VerbPromote])
	twice(StatusPaused, say[VerbCreateRollback])
	twice(StatusPaused, say[VerbRollback])
	twice(StatusPending, func(s *scene, id string) (Plan, error) {
		return s.e.Edit(s.ctx, id, func(p *Policy) { p.Concurrency = 7 }, Request{})
	})
	twice(StatusPending, func(s *scene, id string) (Plan, error) {
		return s.e.Annotate(s.ctx, id, map[string]string{"a": "b"}, nil, Request{})
	})
}

func TestCancelAfterInterruptCannotDrain(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.do = nil
		id := s.start(Policy{}, Shape{}, "stuck-1")
		s.run(s.e)
		s.after(time.Second)
		s.said(s.e.Cancel(s.ctx, id, true, Request{}))
		_, err := s.e.Cancel(s.ctx, id, false, Request{})
		require.ErrorIs(s, err, ErrState)
		require.ErrorContains(s, err, "its calls are already being interrupted")
		s.after(10 * time.Second)
		s.status(id, StatusCanceled)
		require.Equal(s, TaskUnknown, s.agent(id, "stuck-1").Status)
		s.fleet.free()
	})
}

func TestPromoteNamesTheNextBatch(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.create(Policy{Hold: Hold{All: true}}, Shape{Size: 1}, names("ok", 3)...).ID
		for batch, hint := range map[int]string{0: "batch 0 was named, batch 1 is the next", 2: "batch 2 was named, batch 1 is the next", -1: "batch -1 was named"} {
			_, err := s.e.Promote(s.ctx, id, batch, Request{})
			require.ErrorIs(s, err, ErrState)
			require.ErrorContains(s, err, hint)
		}
	})
}

func TestRequestIDs(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.in(StatusPending)
		s.said(s.e.Start(s.ctx, id, Request{ID: "r1"}))
		s.said(s.e.Pause(s.ctx, id, Request{ID: "r2"}))
		s.said(s.e.Resume(s.ctx, id, Decision{}, Request{}))
		before := s.plan(id)
		s.said(s.e.Pause(s.ctx, id, Request{ID: "r2"})) // it was heard before: not carried out again
		require.Equal(s, before, s.plan(id))
		s.said(s.e.Cancel(s.ctx, id, false, Request{ID: "r2"})) // another verb is another request
		s.status(id, StatusCanceled)
		var requests []string
		for _, r := range s.log(id) {
			requests = append(requests, r.Request)
		}
		require.Equal(s, []string{"", "r1", "r2", "", "r2"}, requests)
	})
}

func TestControlPrecondition(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.in(StatusPending)
		at := s.plan(id).Generation
		_, err := s.e.Start(s.ctx, id, Request{Generation: at + 1})
		require.ErrorIs(s, err, ErrConflict)
		require.ErrorContains(s, err, fmt.Sprintf("has generation %d, not %d", at, at+1))
		s.status(id, StatusPending)
		p := s.said(s.e.Start(s.ctx, id, Request{Generation: at}))
		require.Equal(s, at+1, p.Generation)
	})
}

func TestVerbsOfUnknownPlan(t *testing.T) {
	inScene(t, func(s *scene) {
		for verb, f := range map[Verb]func() error{
			VerbStart: func() error { _, err := s.e.Start(s.ctx, "x", Request{}); return err },
			VerbPause: func() error { _, err := s.e.Pause(s.ctx, "x", Request{}); return err },
			VerbResume: func() error {
				_, err := s.e.Resume(s.ctx, "x", Decision{}, Request{})
				return err
			},
			VerbRollback: func() error { _, err := s.e.Rollback(s.ctx, "x", RollbackSpec{}, Request{}); return err },
		} {
			err := f()
			require.ErrorIs(s, err, ErrNotFound, verb)
			require.NotErrorIs(s, err, ErrState)
			require.ErrorContains(s, err, `"x"`)
		}
	})
}
