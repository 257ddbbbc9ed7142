package ota

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// takenStore has another engine take a plan at the worst moment: after somebody has asked who is
// alive, before he looks at the plans.
type takenStore struct {
	*MemStore
	once sync.Once
	take func()
}

func (s *takenStore) Plans(ctx context.Context, q PlanQuery) (Page[PlanRow], error) {
	s.once.Do(s.take)
	return s.MemStore.Plans(ctx, q)
}

// An engine that has come up since the living were counted keeps its plan.
func TestAFreshOwnerIsLeftAlone(t *testing.T) {
	inScene(t, func(s *scene) {
		mem := NewMemStore()
		seed := s.engine(mem, s.fleet, "seed")
		p, err := seed.Create(s.ctx, Spec{Name: "taken", ToVersion: "2", Agents: AgentIDs("ok-1")})
		require.NoError(s, err)
		id := p.ID
		_, err = seed.Start(s.ctx, id, Request{})
		require.NoError(s, err)
		store := &takenStore{MemStore: mem, take: func() {
			require.NoError(s, mem.Renew(s.ctx, "fresh", time.Hour))
			_, _, err := newSession(mem, id, "fresh", 0).turn(s.ctx, time.Now(), turnInput{})
			require.NoError(s, err)
		}}
		stop := s.run(s.engine(store, s.fleet, "one"))
		s.after(30 * time.Minute)
		row, err := mem.Plan(s.ctx, id)
		require.NoError(s, err)
		require.Equal(s, "fresh", row.Progress.Owner)
		require.EqualValues(s, 1, row.Epoch)
		require.NoError(s, stop())
	})
}

// Of two engines that saw the same plan without an owner, the second does not take it from the
// first.
func TestOnlyTheFirstTakesAPlan(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(Policy{}, Shape{}, "ok-0")
		first, second := newSession(s.store, id, "first", 0), newSession(s.store, id, "second", 0)
		_, _, err := first.turn(s.ctx, time.Now(), turnInput{})
		require.NoError(s, err)
		_, _, err = second.turn(s.ctx, time.Now(), turnInput{})
		require.ErrorIs(s, err, ErrFenced)
		row, err := s.store.Plan(s.ctx, id)
		require.NoError(s, err)
		require.Equal(s, "first", row.Progress.Owner)
		require.EqualValues(s, 1, row.Epoch)
	})
}

// A plan that another replica has resumed is paused again by the one that drives it, although that
// one still believes it paused.
func TestAVerbSeesWhatOthersSaid(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.latency = time.Minute
		id := s.start(Policy{Concurrency: 1}, Shape{}, names("ok", 9)...)
		stop := s.run(s.e)
		s.after(time.Second)
		other := s.engine(s.store, nil, "two")
		for range 3 {
			s.said(s.e.Pause(s.ctx, id, Request{}))
			s.said(other.Resume(s.ctx, id, Decision{}, Request{}))
			s.said(s.e.Pause(s.ctx, id, Request{}))
			row, err := s.store.Plan(s.ctx, id)
			require.NoError(s, err)
			require.NotNil(s, row.Control.Paused, "it was told that the plan is paused")
			s.said(other.Resume(s.ctx, id, Decision{}, Request{}))
		}
		require.NoError(s, stop())
	})
}

// cutOff is a Store that an engine has lost: it can neither commit nor renew its lease, like one
// whose process was killed.
type cutOff struct {
	*court
	lost atomic.Bool
}

func (c *cutOff) Commit(ctx context.Context, x Commit) (uint64, error) {
	if c.lost.Load() {
		return 0, errDown
	}
	return c.court.Commit(ctx, x)
}

func (c *cutOff) Renew(ctx context.Context, engine string, ttl time.Duration) error {
	if c.lost.Load() {
		return errDown
	}
	return c.court.Renew(ctx, engine, ttl)
}

// A killed engine's plan goes on at once under the same name, and under another one when the lease
// has run out and the plans were looked at once more.
func TestAPlanIsTakenOverInTime(t *testing.T) {
	for name, within := range map[string]time.Duration{"one": 10 * time.Millisecond, "two": 5*time.Second + time.Second} {
		for _, alive := range []time.Duration{300 * time.Millisecond, 2 * time.Second, 9900 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s/%v", name, alive), func(t *testing.T) {
				inScene(t, func(s *scene) {
					first := &cutOff{court: s.store}
					s.e = s.engine(first, s.fleet, "one")
					s.fleet.latency = time.Second
					id := s.start(Policy{Concurrency: 1}, Shape{}, names("ok", 30)...)
					s.run(s.e)
					s.after(alive)
					first.lost.Store(true)
					began := time.Now()
					s.run(s.engine(s.store, s.fleet, name))
					s.after(within)
					owned := s.events(id, EventOwned)
					require.Len(s, owned, 2, "it was not taken over after %v", time.Since(began))
					require.Equal(s, name, owned[1].Text)
					s.after(5 * time.Minute)
					s.status(id, StatusCompleted)
					require.Len(s, s.events(id, EventOwned), 2)
				})
			})
		}
	}
}
