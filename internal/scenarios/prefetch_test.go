package scenarios

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/harness"
)

// farStore is as slow as a Store on a disk, and counts what is read of it. While it is stuck no agents can be read.
type farStore struct {
	*harness.CheckedStore
	plans, pages atomic.Int64 // how many plans, and pages from agent 512 on, were asked for
	stuck        chan struct{}
}

func (s *farStore) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	time.Sleep(time.Millisecond)
	return s.CheckedStore.Commit(ctx, c)
}

func (s *farStore) Plan(ctx context.Context, id string) (ota.PlanRow, error) {
	s.plans.Add(1)
	return s.CheckedStore.Plan(ctx, id)
}

func (s *farStore) Rows(ctx context.Context, id string, q ota.RowQuery) (ota.Page[ota.Row], error) {
	if q.Kind == ota.KindBatch {
		return s.CheckedStore.Rows(ctx, id, q)
	}
	time.Sleep(10 * time.Millisecond)
	if q.From >= 512 {
		s.pages.Add(1)
		select {
		case <-s.stuck:
		case <-ctx.Done():
			return ota.Page[ota.Row]{}, ctx.Err()
		}
	}
	return s.CheckedStore.Rows(ctx, id, q)
}

// far drives agents, one a second, on a far store, of which the third page, from agent 512 on, is read early.
func far(s *scene) (store *farStore, id string) {
	store = &farStore{CheckedStore: s.store, stuck: make(chan struct{})}
	s.fleet.latency = time.Second
	var err error
	s.e, err = ota.New(store, s.fleet, ota.Options{Name: "one", Poll: time.Hour})
	require.NoError(s, err)
	id = s.start(ota.Policy{Concurrency: 1}, ota.Shape{Size: 1_000}, names("ok", 800)...)
	s.run(s.e)
	s.after(300 * time.Second)
	require.Equal(s, ota.TaskSucceeded, s.agentNow(id, "ok-256"), "the second page is at work")
	require.Equal(s, ota.TaskPending, s.agentNow(id, "ok-320"))
	require.EqualValues(s, 1, store.pages.Load(), "the third page is being read already")
	return store, id
}

// agentNow is an agent's status, read past what is slow.
func (s *scene) agentNow(id, agent string) ota.TaskStatus {
	s.Helper()
	page, err := s.store.Rows(s.ctx, id, ota.RowQuery{Kind: ota.KindAgent, IDs: []string{agent}})
	require.NoError(s, err)
	require.Len(s, page.Items, 1)
	return ota.TaskStatus(page.Items[0].Status)
}

// The next page is read while the owner is at work: a verb does not wait for it, even if it never comes; and it is not read again
// when it is needed.
func TestAVerbDoesNotWaitForAPage(t *testing.T) {
	inScene(t, func(s *scene) {
		store, id := far(s)
		began := time.Now()
		s.said(s.e.Pause(s.ctx, id, ota.Request{}))
		require.LessOrEqual(s, time.Since(began), 3*time.Millisecond, "a commit under way, and its own")
		s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
		close(store.stuck)
		s.after(10 * time.Second)
		s.after(300 * time.Second)
		require.Equal(s, ota.TaskSucceeded, s.agentNow(id, "ok-600"))
		require.EqualValues(s, 2, store.pages.Load(), "the third page was there, the fourth is")
		s.after(200 * time.Second)
		s.status(id, ota.StatusCompleted)
	})
}

// What was read early is not used when the owner has changed it since.
func TestAPageReadEarlyIsNotOld(t *testing.T) {
	inScene(t, func(s *scene) {
		store, id := far(s)
		close(store.stuck)
		s.after(time.Second) // it is read
		s.said(s.e.Skip(s.ctx, id, []string{"ok-600"}, ota.Request{}))
		s.after(5 * time.Second)
		require.Equal(s, ota.TaskSkipped, s.agentNow(id, "ok-600"))
		s.after(600 * time.Second)
		s.status(id, ota.StatusCompleted)
		require.Empty(s, s.fleet.made("ok-600"))
		require.Equal(s, ota.TaskSkipped, s.agentNow(id, "ok-600"), "and it stays")
	})
}

// The owner knows its plan: a verb that reaches it in its own process reads nothing of the Store.
func TestTheOwnerDoesNotReadForAVerb(t *testing.T) {
	inScene(t, func(s *scene) {
		store, id := far(s)
		for i := range 3 {
			s.after(500 * time.Millisecond)
			s.said(s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.Concurrency = 3 - p.Concurrency }, ota.Request{}))
			s.after(time.Millisecond) // something was changed, so it looks, and then not again for a tenth of a second
			before := store.plans.Load()
			s.said(s.e.Pause(s.ctx, id, ota.Request{}))
			s.said(s.e.Annotate(s.ctx, id, map[string]string{"try": strconv.Itoa(i)}, nil, ota.Request{}))
			require.Equal(s, before, store.plans.Load())
			s.said(s.e.Pause(s.ctx, id, ota.Request{}))
			require.Equal(s, before+1, store.plans.Load(), "that nothing has to be done is said of the plan as it is stored")
			s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
		}
		close(store.stuck)
		s.after(time.Second)
	})
}
