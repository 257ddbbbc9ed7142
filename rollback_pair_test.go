package ota

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An older version could store a rollback plan that runs while its source is only frozen. The engine repairs that.
func TestARunningRollbackPlanMakesItsSourceRollBack(t *testing.T) {
	for name, put := range map[string]func(*scene) string{
		"in flight": func(s *scene) string { return s.inFlight(Policy{}, "slow-2") },
		"completed": func(s *scene) string {
			id := s.start(Policy{}, Shape{}, "ok-1", "ok-2")
			s.drive(id)
			return id
		},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				id := put(s)
				back := s.said(s.e.CreateRollback(s.ctx, id, RollbackSpec{}, By{}))
				_, err := s.e.say(s.ctx, back.ID, VerbStart, By{}, (*saying).start) // as it was stored
				require.NoError(s, err)
				s.run(s.e)
				s.after(time.Minute)
				s.status(id, StatusRolledBack)
				s.status(back.ID, StatusCompleted)
			})
		})
	}
}

// inFlight is a plan that runs, with one agent that has succeeded and one, the one named, that is at work or waits.
func (s *scene) inFlight(p Policy, agent string) string {
	p.Concurrency = 1
	id := s.start(p, Shape{Size: 3}, "ok-1", agent, "ok-3", "ok-4")
	s.run(s.e)
	s.after(2500 * time.Millisecond)
	return id
}

// A repeated Rollback or CreateRollback returns the plan that it has made, also when that was canceled since.
func TestRollbackRepeatedAfterItsPlanWasCanceled(t *testing.T) {
	for name, say := range map[string]func(*scene, string) (Plan, error){
		"create": func(s *scene, id string) (Plan, error) {
			return s.e.CreateRollback(s.ctx, id, RollbackSpec{}, By{Request: "r"})
		},
		"rollback": func(s *scene, id string) (Plan, error) {
			return s.e.Rollback(s.ctx, id, RollbackSpec{}, By{Request: "r"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				id := s.inFlight(Policy{}, "slow-2")
				back := s.said(say(s, id))
				s.said(s.e.Cancel(s.ctx, back.ID, false, By{}))
				s.after(time.Minute)
				s.status(id, StatusPaused)
				before := s.plan(id)
				again := s.said(say(s, id))
				require.Equal(s, back.ID, again.ID)
				require.Equal(s, StatusCanceled, again.Status)
				require.Equal(s, before, s.plan(id))
			})
		})
	}
}

func TestStartOfARollbackPlanComparesControl(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.inFlight(Policy{}, "slow-2")
		back := s.said(s.e.CreateRollback(s.ctx, id, RollbackSpec{}, By{}))
		_, err := s.e.Start(s.ctx, back.ID, By{Control: back.Control + 1})
		require.ErrorIs(s, err, ErrConflict)
		s.status(back.ID, StatusPending)
		s.said(s.e.Start(s.ctx, back.ID, By{Control: back.Control, Request: "r"}))
		s.said(s.e.Start(s.ctx, back.ID, By{Control: back.Control, Request: "r"})) // a repetition is recognized first
		s.after(time.Minute)
		s.status(id, StatusRolledBack)
		s.said(s.e.Start(s.ctx, back.ID, By{Control: back.Control, Request: "r"}))
	})
}

// Precheck and Annotate are two operations, also under one request ID.
func TestPrecheckAndAnnotateWithOneRequest(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.create(Policy{}, Shape{}, "ok-1").ID
		by := By{Request: "r"}
		s.said(s.e.Annotate(s.ctx, id, map[string]string{"a": "b"}, nil, by))
		require.NotNil(s, s.said(s.e.Precheck(s.ctx, id, by)).Readiness)
		before := s.plan(id)
		require.Equal(s, before, s.said(s.e.Precheck(s.ctx, id, by)))
	})
}
