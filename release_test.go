package ota

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// releaseExec is an Executor whose agents are told by their IDs.
type releaseExec struct{ slow chan struct{} }

func (x releaseExec) Execute(ctx context.Context, a Attempt) (Result, error) {
	switch a.Agent {
	case "fails":
		return Result{}, Permanent(errors.New("no"))
	case "untouched":
		return Result{}, Permanent(Unchanged(errors.New("no")))
	case "there":
		return Result{Version: a.ToVersion, Unchanged: true}, nil
	case "away", "gone":
		return Result{}, Unreachable(errors.New("away"))
	case "slow":
		select {
		case <-x.slow:
		case <-ctx.Done():
			return Result{}, ctx.Err()
		}
	}
	return Result{Version: a.ToVersion}, nil
}

func (x releaseExec) Precheck(_ context.Context, a Attempt) (Precheck, error) {
	switch a.Agent {
	case "blocked":
		return Precheck{State: PrecheckBlocked}, nil
	case "target":
		return Precheck{State: PrecheckAtTarget}, nil
	}
	return Precheck{}, nil
}

// freeAgents are the agents of a plan that another plan could have now.
func freeAgents(t *testing.T, s *MemStore, agents ...string) (free []string) {
	t.Helper()
	for _, agent := range agents {
		e, err := New(s, nil, Options{})
		require.NoError(t, err)
		p, err := e.Create(t.Context(), Spec{Name: "rival", ToVersion: "3", Agents: AgentIDs(agent)})
		require.NoError(t, err)
		_, total, err := s.Claim(t.Context(), p.ID, "")
		require.NoError(t, err)
		if total == 0 {
			free = append(free, agent)
		}
		_, err = e.Cancel(t.Context(), p.ID, false, Request{})
		require.NoError(t, err)
	}
	return free
}

// TestWhatIsDoneWithIsFree takes every way in which a plan can be done with an agent while it goes on with another one.
func TestWhatIsDoneWithIsFree(t *testing.T) {
	all := []string{"slow", "fails", "untouched", "there", "blocked", "target", "done", "gone", "away", "later"}
	for _, c := range []struct {
		name    string
		observe Soak
		end     func(e *Engine, id string) error
		free    []string
	}{
		{"running", Soak{}, func(*Engine, string) error { return nil }, []string{"there", "blocked", "target", "gone", "away"}},
		{"watched", Soak{Duration: time.Hour}, func(*Engine, string) error { return nil }, []string{"blocked", "gone", "away"}},
		{"a skip", Soak{}, func(e *Engine, id string) error {
			_, err := e.Skip(context.Background(), id, []string{"later"}, Request{})
			return err
		}, []string{"there", "blocked", "target", "gone", "away", "later"}},
		{"paused, then a skip", Soak{Duration: time.Hour}, func(e *Engine, id string) error {
			_, err := e.Pause(context.Background(), id, Request{})
			_, skip := e.Skip(context.Background(), id, []string{"later"}, Request{})
			return errors.Join(err, skip)
		}, []string{"blocked", "gone", "away", "later"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, x := NewMemStore(), releaseExec{make(chan struct{})}
				e, err := New(store, x, Options{})
				require.NoError(t, err)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- e.Run(ctx) }()
				whole := 1.0
				p, err := e.Create(ctx, Spec{
					Name: "x", ToVersion: "2", Agents: AgentIDs(all...), Shape: Shape{Size: len(all) - 1},
					Policy: Policy{
						FailureThreshold: &whole, Concurrency: 20, AttemptTimeout: NoTimeout, Soak: c.observe,
						UnreachableTimeout: time.Minute, OnUnreachable: UnreachableSkipped,
					},
				})
				require.NoError(t, err)
				_, err = e.Start(ctx, p.ID, Request{})
				require.NoError(t, err)
				time.Sleep(10 * time.Minute)
				require.NoError(t, c.end(e, p.ID))
				time.Sleep(3 * time.Second)
				require.Equal(t, c.free, freeAgents(t, store, all...))
				close(x.slow)
				time.Sleep(24 * time.Hour)
				_, err = e.Cancel(ctx, p.ID, true, Request{})
				require.True(t, err == nil || errors.Is(err, ErrState), "%v", err)
				time.Sleep(time.Minute)
				require.Equal(t, all, freeAgents(t, store, all...), "the plan has ended")
				cancel()
				require.NoError(t, <-done)
			})
		})
	}
}

// An agent that was canceled while its plan drains is free, and one that waits for a retry fails and is not.
func TestACanceledAgentIsFreeWhileItsPlanDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, x := NewMemStore(), releaseExec{make(chan struct{})}
		e, err := New(store, x, Options{})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		p, err := e.Create(ctx, Spec{
			Name: "x", ToVersion: "2", Agents: AgentIDs("slow", "away"), Policy: Policy{Concurrency: 2, AttemptTimeout: NoTimeout},
		})
		require.NoError(t, err)
		_, err = e.Start(ctx, p.ID, Request{})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.Empty(t, freeAgents(t, store, "slow", "away"))
		p, err = e.Cancel(ctx, p.ID, false, Request{})
		require.NoError(t, err)
		require.Equal(t, StatusCanceling, p.Status)
		time.Sleep(3 * time.Second)
		require.Equal(t, []string{"away"}, freeAgents(t, store, "slow", "away"))
		close(x.slow)
		time.Sleep(time.Minute)
		cancel()
		require.NoError(t, <-done)
	})
}

// A driver that comes to rest releases first what it has collected: nobody else would.
func TestADriverAtRestHasReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := NewMemStore()
		e, err := New(store, ExecutorFunc(func(_ context.Context, a Attempt) (Result, error) {
			if a.Agent == "second" {
				time.Sleep(releaseEvery / 2)
			}
			return Result{Version: a.ToVersion, Unchanged: true}, nil
		}), Options{})
		require.NoError(t, err)
		p, err := e.Create(t.Context(), Spec{
			Name: "x", ToVersion: "2", Agents: AgentIDs("first", "second", "third"), Policy: Policy{Concurrency: 1},
		})
		require.NoError(t, err)
		_, err = e.Start(t.Context(), p.ID, Request{})
		require.NoError(t, err)
		done := make(chan error)
		go func() {
			_, err := e.RunPlan(t.Context(), p.ID)
			done <- err
		}()
		time.Sleep(releaseEvery / 4)
		require.Equal(t, []string{"first"}, freeAgents(t, store, "first", "second", "third"))
		_, err = e.Pause(t.Context(), p.ID, Request{})
		require.NoError(t, err)
		require.NoError(t, <-done)
		require.Equal(t, []string{"first", "second"}, freeAgents(t, store, "first", "second", "third"))
	})
}

// unreleasing refuses to release agents while it is told to.
type unreleasing struct {
	*MemStore
	refuse  atomic.Bool
	refused atomic.Int32
}

func (s *unreleasing) Release(ctx context.Context, plan string, agents []string) error {
	if s.refuse.Load() {
		s.refused.Add(1)
		return errors.New("the database is away")
	}
	return s.MemStore.Release(ctx, plan, agents)
}

// A Release that failed is said again. One that a crash has swallowed is made up for by the end of the plan.
func TestAReleaseThatFailedIsRepeated(t *testing.T) {
	for _, crash := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store, x := &unreleasing{MemStore: NewMemStore()}, releaseExec{make(chan struct{})}
			store.refuse.Store(true)
			e, err := New(store, x, Options{Name: "one"})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- e.Run(ctx) }()
			p, err := e.Create(ctx, Spec{
				Name: "x", ToVersion: "2", Agents: AgentIDs("slow", "there"), Policy: Policy{Concurrency: 2, AttemptTimeout: NoTimeout},
			})
			require.NoError(t, err)
			_, err = e.Start(ctx, p.ID, Request{})
			require.NoError(t, err)
			time.Sleep(time.Minute)
			require.Empty(t, freeAgents(t, store.MemStore, "slow", "there"))
			require.Positive(t, store.refused.Load())
			require.Less(t, store.refused.Load(), int32(70), "not in a tight loop")
			if crash {
				cancel()
				require.NoError(t, <-done)
				e, err = New(store, x, Options{Name: "one"})
				require.NoError(t, err)
				ctx, cancel = context.WithCancel(t.Context())
				go func() { done <- e.Run(ctx) }()
			}
			store.refuse.Store(false)
			time.Sleep(time.Minute)
			free := freeAgents(t, store.MemStore, "slow", "there")
			require.Equal(t, !crash, slices.Contains(free, "there"))
			close(x.slow)
			time.Sleep(time.Minute)
			require.Equal(t, []string{"slow", "there"}, freeAgents(t, store.MemStore, "slow", "there"))
			cancel()
			require.NoError(t, <-done)
		})
	}
}

// A released agent is no more of its plan: what is reported of its health changes nothing, or it would have to be retried.
func TestHealthOfAReleasedAgentIsLate(t *testing.T) {
	inScene(t, func(s *scene) {
		s.use(releaseExec{make(chan struct{})})
		stop := s.run(s.e)
		id := s.start(Policy{Concurrency: 2}, Shape{}, "slow", "there")
		s.after(time.Minute)
		require.NoError(s, s.e.ReportHealth(s.ctx, id, []HealthReport{{Agent: "there", Reason: "sick"}}))
		s.after(time.Minute)
		require.Equal(s, TaskSucceeded, s.agent(id, "there").Status)
		require.NotEmpty(s, s.events(id, EventLate))
		_ = stop()
	})
}

// A plan whose rollback was canceled claims its agents again, but for those that it has released.
func TestAPlanDoesNotClaimAgainWhatItReleased(t *testing.T) {
	inScene(t, func(s *scene) {
		s.use(releaseExec{make(chan struct{})})
		stop := s.run(s.e)
		id := s.start(Policy{Concurrency: 3}, Shape{}, "slow", "there", "done")
		s.after(time.Minute)
		next := s.start(Policy{}, Shape{}, "there")
		s.after(time.Minute)
		s.said(s.e.Pause(s.ctx, id, Request{}))
		back := s.said(s.e.CreateRollback(s.ctx, id, RollbackSpec{}, Request{}))
		s.said(s.e.Cancel(s.ctx, back.ID, false, Request{}))
		other := s.start(Policy{}, Shape{}, "there")
		s.after(time.Minute)
		s.said(s.e.Resume(s.ctx, id, Decision{}, Request{}))
		s.status(next, StatusCompleted)
		s.status(other, StatusCompleted)
		_ = stop()
	})
}
