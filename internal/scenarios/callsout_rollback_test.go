package scenarios

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// A call that is out when its plan is rolled back, and is abandoned only then, is waited for by the
// rollback plan, whether the call's context is ended or not, and whoever drives the rollback.
func TestARollbackWaitsForTheCallsOfItsSource(t *testing.T) {
	for _, interrupt := range []bool{false, true} {
		for _, moved := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := newStuckWorld(t)
				e, stop, _ := w.engine("one")
				id := w.started(e)
				r, err := e.Rollback(t.Context(), id, ota.RollbackSpec{Interrupt: interrupt}, ota.Request{})
				w.NoError(err)
				time.Sleep(time.Minute)
				w.Equal(interrupt, w.version("a") == "1", "without an interrupt the source drains first")
				if moved {
					stop()
					e, _, _ = w.engine("two")
				}
				time.Sleep(20 * time.Minute)
				p, err := e.Plan(t.Context(), r.ID)
				w.NoError(err)
				w.Equal(ota.StatusRunning, p.Status)
				w.Equal(ota.Counts{Pending: 1, Succeeded: 1}, p.Counts)
				x, err := e.Explain(t.Context(), r.ID)
				w.NoError(err)
				w.Equal(ota.ReasonAbandonedCall, x.Blockers[0].Reason, "%v", x)
				next := w.create(e, "3")
				_, err = e.Start(t.Context(), next, ota.Request{})
				w.ErrorIs(err, ota.ErrClaimed)
				close(w.release)
				time.Sleep(time.Minute)
				w.Equal(ota.StatusRolledBack, w.status(e, id))
				w.Equal("1", w.version("b"))
				_, err = e.Start(t.Context(), next, ota.Request{})
				w.NoError(err)
				time.Sleep(time.Minute)
				w.Equal(ota.StatusCompleted, w.status(e, next))
				w.end()
			})
		}
	}
}

// The call that is out may be the rollback plan's: once that is canceled, its source may not go on
// beside the call.
func TestACallOfACanceledRollbackIsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStuckWorld(t)
		w.sticky(false) // not in the source
		e, _, _ := w.engine("one")
		id := w.create(e, "2")
		_, err := e.Start(t.Context(), id, ota.Request{})
		w.NoError(err)
		time.Sleep(1500 * time.Millisecond) // "b" is being called
		_, err = e.Pause(t.Context(), id, ota.Request{})
		w.NoError(err)
		time.Sleep(time.Minute)
		w.sticky(true)
		r, err := e.Rollback(t.Context(), id, ota.RollbackSpec{}, ota.Request{})
		w.NoError(err)
		time.Sleep(time.Minute)
		_, err = e.Cancel(t.Context(), r.ID, true, ota.Request{})
		w.NoError(err)
		time.Sleep(time.Minute)
		w.Equal(ota.StatusPaused, w.status(e, id))
		_, err = e.Resume(t.Context(), id, ota.Decision{}, ota.Request{})
		var claimed *ota.ClaimError
		w.ErrorAs(err, &claimed)
		w.Equal(r.ID, claimed.Conflicts[0].Plan)
		again, err := e.Rollback(t.Context(), id, ota.RollbackSpec{}, ota.Request{})
		w.NoError(err)
		time.Sleep(20 * time.Minute)
		p, err := e.Plan(t.Context(), again.ID)
		w.NoError(err)
		w.Equal(ota.Counts{Pending: 1, Succeeded: 1}, p.Counts, "all but the stuck one are taken back")
		close(w.release)
		time.Sleep(time.Minute)
		w.Equal(ota.StatusRolledBack, w.status(e, id))
		w.end()
	})
}

// A process that lost its plan may still have a call out. The next owner repeats that attempt, by its Key, but makes no other.
func TestARetryWaitsForTheCallOfAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStuckWorld(t)
		e, _, away := w.engine("one")
		id := w.started(e)
		_, err := e.Edit(t.Context(), id, func(p *ota.Policy) { p.Soak.Duration = time.Hour }, ota.Request{})
		w.NoError(err)
		w.watch("") // the plan goes on before its first process notices that it lost the plan
		w.fails = 1
		away() // from the Store, for longer than its lease
		e, _, _ = w.engine("two")
		time.Sleep(20 * time.Second)
		away()
		time.Sleep(time.Minute)
		p, err := e.Plan(t.Context(), id)
		w.NoError(err)
		w.Equal(1, p.Counts.Failed)
		w.Equal(ota.StatusRunning, p.Status, "its owner has read the plan before the call was kept")
		_, err = e.Retry(t.Context(), id, nil, ota.Request{})
		w.NoError(err)
		time.Sleep(20 * time.Minute)
		p, err = e.Plan(t.Context(), id)
		w.NoError(err)
		w.Equal(1, p.Counts.Pending, "the retry waits")
		close(w.release)
		time.Sleep(2 * time.Hour)
		w.Equal(ota.StatusCompleted, w.status(e, id))
		w.end()
	})
}

// An agent whose call is out does not hold up the later batches of a rollback: it is in the last
// one.
func TestAStuckAgentIsInTheLastBatchOfARollback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStuckWorld(t)
		e, _, _ := w.engine("one")
		all := 1.0
		p, err := e.Create(t.Context(), ota.Spec{
			Name: "one by one", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("a", "c", "b"), Shape: ota.Shape{Size: 1},
			Policy: ota.Policy{FailureThreshold: &all, AttemptTimeout: 10 * time.Minute},
		})
		w.NoError(err)
		_, err = e.Start(t.Context(), p.ID, ota.Request{})
		w.NoError(err)
		time.Sleep(time.Hour)
		w.Equal(ota.StatusCompleted, w.status(e, p.ID))
		// in reverse order "b" would be the first
		w.takenBackLastBy(e, e, p.ID, ota.RollbackSpec{Inherit: ota.InheritBatches})
		w.end()
	})
}

// The call may never return. Its agent then fails in the rollback after UnreachableTimeout, which a
// pause begins anew, and the rollback ends. It was bad before, so it does not count.
func TestARollbackWaitsForACallForSomeTime(t *testing.T) {
	for _, pause := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newStuckWorld(t)
			e, _, _ := w.engine("one")
			id := w.started(e)
			time.Sleep(30 * time.Minute)
			none := 0.0
			r, err := e.Rollback(t.Context(), id, ota.RollbackSpec{Policy: &ota.Policy{FailureThreshold: &none, UnreachableTimeout: 30 * time.Minute}}, ota.Request{})
			w.NoError(err)
			time.Sleep(25 * time.Minute)
			if pause {
				_, err = e.Pause(t.Context(), r.ID, ota.Request{})
				w.NoError(err)
				time.Sleep(2 * time.Hour)
				_, err = e.Resume(t.Context(), r.ID, ota.Decision{}, ota.Request{})
				w.NoError(err)
				time.Sleep(25 * time.Minute)
			}
			p, err := e.Plan(t.Context(), r.ID)
			w.NoError(err)
			w.Equal(ota.Counts{Pending: 1, Succeeded: 2}, p.Counts)
			x, err := e.Explain(t.Context(), r.ID)
			w.NoError(err)
			w.Equal(ota.ReasonAbandonedCall, x.Blockers[0].Reason)
			w.WithinDuration(time.Now().Add(5*time.Minute), x.Blockers[0].Until, time.Minute)
			time.Sleep(7 * time.Minute)
			p, err = e.Plan(t.Context(), r.ID)
			w.NoError(err)
			w.Equal(ota.Counts{Failed: 1, Succeeded: 2}, p.Counts)
			w.Equal(ota.StatusCompleted, p.Status)
			w.Equal(ota.StatusRolledBack, w.status(e, id))
			page, err := e.Agents(t.Context(), r.ID, ota.AgentQuery{Status: []ota.TaskStatus{ota.TaskFailed}})
			w.NoError(err)
			w.Equal(ota.ReasonAbandoned, page.Items[0].Tasks[0].Reason)
			w.False(page.Items[0].Changed, "the rollback has not called it")
			next := w.create(e, "3")
			_, err = e.Start(t.Context(), next, ota.Request{})
			w.ErrorIs(err, ota.ErrClaimed, "the call is still out")
			close(w.release)
			time.Sleep(time.Minute)
			_, err = e.Start(t.Context(), next, ota.Request{})
			w.NoError(err)
			time.Sleep(time.Minute)
			w.end()
		})
	}
}

// bareStore hides every optional interface on purpose.
type bareStore struct{ ota.Store }

func (bareStore) Unwrap() ota.Store { return nil }

// A store that keeps no claims: within a process the rollback waits all the same.
func TestARollbackWaitsWithoutAClaimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStuckWorld(t)
		e, err := ota.New(bareStore{w.store}, ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) { return w.call("", a) }), ota.Options{})
		w.NoError(err)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = e.Run(ctx) }()
		id := w.started(e)
		time.Sleep(time.Hour)
		w.takenBackLast(e, e, id)
		cancel()
		w.end()
	})
}

// Between the creation of a rollback plan and its start a later plan may change agents of it. They
// are not taken back.
func TestARollbackIsNotStartedOverALaterPlan(t *testing.T) {
	inScene(t, func(s *scene) {
		first := s.start(ota.Policy{}, ota.Shape{}, "ok-1", "ok-2", "ok-3")
		s.drive(first)
		back := s.said(s.e.CreateRollback(s.ctx, first, ota.RollbackSpec{}, ota.Request{}))
		p, err := s.e.Create(s.ctx, ota.Spec{Name: "next", FromVersion: "2", ToVersion: "3", Agents: ota.AgentIDs("ok-2")})
		require.NoError(s, err)
		s.said(s.e.Start(s.ctx, p.ID, ota.Request{}))
		s.drive(p.ID)
		var refused *ota.StateError
		_, err = s.e.Start(s.ctx, back.ID, ota.Request{})
		require.ErrorAs(s, err, &refused)
		require.Contains(s, refused.Hint, "ok-2")
		require.NotContains(s, refused.Legal, ota.VerbStart)
		s.said(s.e.Skip(s.ctx, back.ID, []string{"ok-2"}, ota.Request{}))
		s.drive(back.ID)
		s.said(s.e.Start(s.ctx, back.ID, ota.Request{}))
		s.drive(back.ID)
		s.status(first, ota.StatusRolledBack)
		require.Equal(s, 2, s.plan(back.ID).Counts.Succeeded)
	})
}

// unkeeping refuses to keep agents while it is told to.
type unkeeping struct {
	*mortal
	refuse *atomic.Bool
}

func (s unkeeping) Keep(ctx context.Context, plan, engine string, agents []string) error {
	if s.refuse.Load() {
		return errors.New("the database is away")
	}
	return s.mortal.Keep(ctx, plan, engine, agents)
}

// A plan does not end over a call that the Store has not been told of: the commit waits, and nothing else is lost.
func TestAPlanEndsOnceItsCallsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStuckWorld(t)
		store := unkeeping{&mortal{Store: w.store, w: w}, new(atomic.Bool)}
		store.refuse.Store(true)
		e, err := ota.New(store, ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) { return w.call("", a) }), ota.Options{Name: "one"})
		w.NoError(err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		id := w.started(e)
		_, err = e.Cancel(ctx, id, true, ota.Request{})
		w.NoError(err)
		time.Sleep(time.Minute)
		w.Equal(ota.StatusCanceling, w.status(e, id))
		store.refuse.Store(false)
		time.Sleep(time.Minute)
		w.Equal(ota.StatusCanceled, w.status(e, id))
		w.refusedUntilReturn(e, id)
		cancel()
		w.ErrorIs(<-done, ota.ErrAbandoned)
		w.end()
	})
}

// A process that dies and comes back under its name has no calls out, although its name is alive: what it kept is void
// once the lease of the dead instance has ended.
func TestANameThatComesBackKeepsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newStuckWorld(t)
		e, _, kill := w.engine("one")
		id := w.started(e)
		time.Sleep(20 * time.Minute)
		w.True(w.status(e, id).Ended())
		w.watch("")
		kill()
		again, _, _ := w.engine("one")
		next := w.create(again, "3")
		time.Sleep(time.Minute)
		_, err := again.Start(t.Context(), next, ota.Request{})
		w.NoError(err)
		kill()
		close(w.release)
		time.Sleep(time.Minute)
		w.end()
	})
}
