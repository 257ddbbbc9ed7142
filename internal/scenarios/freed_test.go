package scenarios

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// releaseExec is an Executor whose agents are told by their IDs.
type releaseExec struct{ slow chan struct{} }

func (x releaseExec) Execute(ctx context.Context, a ota.Attempt) (ota.Result, error) {
	switch a.Agent {
	case "fails":
		return ota.Result{}, ota.Permanent(errors.New("no"))
	case "untouched":
		return ota.Result{}, ota.Permanent(ota.Unchanged(errors.New("no")))
	case "there":
		return ota.Result{Version: a.ToVersion, Unchanged: true}, nil
	case "away", "gone":
		return ota.Result{}, ota.Unreachable(errors.New("away"))
	case "slow":
		select {
		case <-x.slow:
		case <-ctx.Done():
			return ota.Result{}, ctx.Err()
		}
	}
	return ota.Result{Version: a.ToVersion}, nil
}

func (x releaseExec) Precheck(_ context.Context, a ota.Attempt) (ota.Precheck, error) {
	switch a.Agent {
	case "blocked":
		return ota.Precheck{State: ota.PrecheckBlocked}, nil
	case "target":
		return ota.Precheck{State: ota.PrecheckAtTarget}, nil
	}
	return ota.Precheck{}, nil
}

// freeAgents are the agents of a plan that another plan could have now.
func freeAgents(t *testing.T, s *memstore.Store, agents ...string) (free []string) {
	t.Helper()
	for _, agent := range agents {
		e, err := ota.New(s, nil, ota.Options{Poll: 10 * time.Second})
		require.NoError(t, err)
		p, err := e.Create(t.Context(), ota.Spec{Name: "rival", ToVersion: "3", Agents: ota.AgentIDs(agent)})
		require.NoError(t, err)
		_, total, err := s.Claim(t.Context(), p.ID, "")
		require.NoError(t, err)
		if total == 0 {
			free = append(free, agent)
		}
		_, err = e.Cancel(t.Context(), p.ID, false, ota.Request{})
		require.NoError(t, err)
	}
	return free
}

// TestWhatIsDoneWithIsFree takes every way in which a plan can be done with an agent while it goes on with another one.
func TestWhatIsDoneWithIsFree(t *testing.T) {
	all := []string{"slow", "fails", "untouched", "there", "blocked", "target", "done", "gone", "away", "later"}
	for _, c := range []struct {
		name    string
		observe ota.Soak
		end     func(e *ota.Engine, id string) error
		free    []string
	}{
		{"running", ota.Soak{}, func(*ota.Engine, string) error { return nil }, []string{"there", "blocked", "target", "gone", "away"}},
		{"watched", ota.Soak{Duration: time.Hour}, func(*ota.Engine, string) error { return nil }, []string{"blocked", "gone", "away"}},
		{"a skip", ota.Soak{}, func(e *ota.Engine, id string) error {
			_, err := e.Skip(context.Background(), id, []string{"later"}, ota.Request{})
			return err
		}, []string{"there", "blocked", "target", "gone", "away", "later"}},
		{"paused, then a skip", ota.Soak{Duration: time.Hour}, func(e *ota.Engine, id string) error {
			_, err := e.Pause(context.Background(), id, ota.Request{})
			_, skip := e.Skip(context.Background(), id, []string{"later"}, ota.Request{})
			return errors.Join(err, skip)
		}, []string{"blocked", "gone", "away", "later"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, x := memstore.New(), releaseExec{make(chan struct{})}
				e, err := ota.New(store, x, ota.Options{Poll: 10 * time.Second})
				require.NoError(t, err)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- e.Run(ctx) }()
				whole := 1.0
				p, err := e.Create(ctx, ota.Spec{
					Name: "x", ToVersion: "2", Agents: ota.AgentIDs(all...), Shape: ota.Shape{Size: len(all) - 1},
					Policy: ota.Policy{
						FailureThreshold: &whole, Concurrency: 20, AttemptTimeout: ota.NoTimeout, Soak: c.observe,
						UnreachableTimeout: time.Minute, OnUnreachable: ota.UnreachableSkipped,
					},
				})
				require.NoError(t, err)
				_, err = e.Start(ctx, p.ID, ota.Request{})
				require.NoError(t, err)
				time.Sleep(10 * time.Minute)
				require.NoError(t, c.end(e, p.ID))
				time.Sleep(3 * time.Second)
				require.Equal(t, c.free, freeAgents(t, store, all...))
				close(x.slow)
				time.Sleep(24 * time.Hour)
				_, err = e.Cancel(ctx, p.ID, true, ota.Request{})
				require.True(t, err == nil || errors.Is(err, ota.ErrState), "%v", err)
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
		store, x := memstore.New(), releaseExec{make(chan struct{})}
		e, err := ota.New(store, x, ota.Options{Poll: 10 * time.Second})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		p, err := e.Create(ctx, ota.Spec{
			Name: "x", ToVersion: "2", Agents: ota.AgentIDs("slow", "away"), Policy: ota.Policy{Concurrency: 2, AttemptTimeout: ota.NoTimeout},
		})
		require.NoError(t, err)
		_, err = e.Start(ctx, p.ID, ota.Request{})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.Empty(t, freeAgents(t, store, "slow", "away"))
		p, err = e.Cancel(ctx, p.ID, false, ota.Request{})
		require.NoError(t, err)
		require.Equal(t, ota.StatusCanceling, p.Status)
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
		store := memstore.New()
		e, err := ota.New(store, ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
			if a.Agent == "second" {
				time.Sleep(releaseEvery / 2)
			}
			return ota.Result{Version: a.ToVersion, Unchanged: true}, nil
		}), ota.Options{})
		require.NoError(t, err)
		p, err := e.Create(t.Context(), ota.Spec{
			Name: "x", ToVersion: "2", Agents: ota.AgentIDs("first", "second", "third"), Policy: ota.Policy{Concurrency: 1},
		})
		require.NoError(t, err)
		_, err = e.Start(t.Context(), p.ID, ota.Request{})
		require.NoError(t, err)
		done := make(chan error)
		go func() {
			_, err := e.RunPlan(t.Context(), p.ID)
			done <- err
		}()
		time.Sleep(releaseEvery / 4)
		require.Equal(t, []string{"first"}, freeAgents(t, store, "first", "second", "third"))
		_, err = e.Pause(t.Context(), p.ID, ota.Request{})
		require.NoError(t, err)
		require.NoError(t, <-done)
		require.Equal(t, []string{"first", "second"}, freeAgents(t, store, "first", "second", "third"))
	})
}

// unreleasing refuses to release agents while it is told to.
type unreleasing struct {
	*memstore.Store
	refuse  atomic.Bool
	refused atomic.Int32
}

func (s *unreleasing) Release(ctx context.Context, plan string, agents []string) error {
	if s.refuse.Load() {
		s.refused.Add(1)
		return errors.New("the database is away")
	}
	return s.Store.Release(ctx, plan, agents)
}

// A Release that failed is said again. One that a crash has swallowed is made up for by the end of the plan.
func TestAReleaseThatFailedIsRepeated(t *testing.T) {
	for _, crash := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store, x := &unreleasing{Store: memstore.New()}, releaseExec{make(chan struct{})}
			store.refuse.Store(true)
			e, err := ota.New(store, x, ota.Options{Name: "one"})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- e.Run(ctx) }()
			p, err := e.Create(ctx, ota.Spec{
				Name: "x", ToVersion: "2", Agents: ota.AgentIDs("slow", "there"), Policy: ota.Policy{Concurrency: 2, AttemptTimeout: ota.NoTimeout},
			})
			require.NoError(t, err)
			_, err = e.Start(ctx, p.ID, ota.Request{})
			require.NoError(t, err)
			time.Sleep(time.Minute)
			require.Empty(t, freeAgents(t, store.Store, "slow", "there"))
			require.Positive(t, store.refused.Load())
			require.Less(t, store.refused.Load(), int32(70), "not in a tight loop")
			if crash {
				cancel()
				require.NoError(t, <-done)
				e, err = ota.New(store, x, ota.Options{Name: "one"})
				require.NoError(t, err)
				ctx, cancel = context.WithCancel(t.Context())
				go func() { done <- e.Run(ctx) }()
			}
			store.refuse.Store(false)
			time.Sleep(time.Minute)
			free := freeAgents(t, store.Store, "slow", "there")
			require.Equal(t, !crash, slices.Contains(free, "there"))
			close(x.slow)
			time.Sleep(time.Minute)
			require.Equal(t, []string{"slow", "there"}, freeAgents(t, store.Store, "slow", "there"))
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
		id := s.start(ota.Policy{Concurrency: 2}, ota.Shape{}, "slow", "there")
		s.after(time.Minute)
		require.NoError(s, s.e.ReportHealth(s.ctx, id, []ota.HealthReport{{Agent: "there", Reason: "sick"}}))
		s.after(time.Minute)
		require.Equal(s, ota.TaskSucceeded, s.agent(id, "there").Status)
		require.NotEmpty(s, s.events(id, ota.EventLate))
		_ = stop()
	})
}

// A plan whose rollback was canceled claims its agents again, but for those that it has released.
func TestAPlanDoesNotClaimAgainWhatItReleased(t *testing.T) {
	inScene(t, func(s *scene) {
		s.use(releaseExec{make(chan struct{})})
		stop := s.run(s.e)
		id := s.start(ota.Policy{Concurrency: 3}, ota.Shape{}, "slow", "there", "done")
		s.after(time.Minute)
		next := s.start(ota.Policy{}, ota.Shape{}, "there")
		s.after(time.Minute)
		s.said(s.e.Pause(s.ctx, id, ota.Request{}))
		back := s.said(s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{}))
		s.said(s.e.Cancel(s.ctx, back.ID, false, ota.Request{}))
		other := s.start(ota.Policy{}, ota.Shape{}, "there")
		s.after(time.Minute)
		s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
		s.status(next, ota.StatusCompleted)
		s.status(other, ota.StatusCompleted)
		_ = stop()
	})
}
