package ota

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota/internal/queue"
)

func TestBars(t *testing.T) {
	q := queues{next: 7}
	q.block(3, "")
	q.block(5, "")
	require.Zero(t, q.waitingBlocked())
	require.Equal(t, 7, q.cursor())
	q.blocked[0].pending = true
	require.Equal(t, 1, q.waitingBlocked())
	require.Equal(t, 3, q.cursor(), "a restart must find it again")
	require.True(t, q.unblock(5))
	require.Equal(t, 7, q.next)
	require.True(t, q.unblock(3))
	require.Equal(t, 3, q.next)
	require.False(t, q.unblock(3))
}

// What is folded again after a crash bars an agent no second time, or it would be barred for ever.
func TestABarIsOne(t *testing.T) {
	q := queues{}
	q.block(3, "")
	q.block(3, "")
	require.True(t, q.unblock(3))
	require.Negative(t, q.blockedAt(3))
}

// An agent that waits for a later moment is not released by a timer of an earlier one.
func TestAStaleTimerReleasesNobody(t *testing.T) {
	r := &cachedRow{AgentRow: &AgentRow{State: AgentState{Status: TaskWaiting, Task: TaskState{Status: TaskWaiting, Why: ReasonError, Ended: 20}}}}
	s := &state{rows: rowCache{single: map[int]*cachedRow{0: r}}}
	s.queue.timers.Push(queue.Timer{At: 10, Kind: timerAttempt})
	s.queue.timers.Push(queue.Timer{At: 20, Kind: timerAttempt})
	require.Zero(t, s.foldTimers(15))
	require.Zero(t, s.queue.back.Len()+s.queue.slotted())
	require.Zero(t, s.foldTimers(20))
	require.Equal(t, 1, s.queue.back.Len()+s.queue.slotted())
}

// An agent that was skipped after its wait was over, but before the plan could start it again, stays as it is.
func TestSkippedInTheQueue(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.do = func(ctx context.Context, a Attempt) (Result, bool, error) { // one call keeps the plan from coming to rest
			if a.Agent != "ok-1" {
				return Result{}, false, nil
			}
			return Result{}, true, nap(ctx, 10*time.Minute)
		}
		id := s.start(Policy{Concurrency: 2, FailureThreshold: ptr(1.0), Retry: RetryPolicy{Max: 1, Backoff: 10 * time.Second}}, Shape{Size: 2}, "fail-0", "ok-1")
		stop := s.run(s.e)
		s.after(5 * time.Second)
		s.said(s.e.Pause(s.ctx, id, Request{}))
		s.after(time.Minute) // its wait ends meanwhile
		s.said(s.e.Skip(s.ctx, id, []string{"fail-0"}, Request{}))
		s.after(time.Second)
		s.said(s.e.Resume(s.ctx, id, Decision{}, Request{}))
		s.after(time.Hour)
		s.status(id, StatusCompleted)
		require.Len(s, s.fleet.made("fail-0"), 1)
		require.Equal(s, TaskFailed, s.agent(id, "fail-0").Status)
		require.NoError(s, stop())
	})
}

// Repeats come first, then due retries, then those that were away, then the pending ones in their order.
func TestPickOrder(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.do = func(ctx context.Context, a Attempt) (Result, bool, error) {
			if err := nap(ctx, 10*time.Second); err != nil {
				return Result{}, true, err
			}
			kind, _, _ := strings.Cut(a.Agent, "-")
			switch {
			case a.Number > 1 || a.Repeat || kind == "ok":
				return Result{Version: "2"}, true, nil
			case kind == "away":
				return Result{}, true, Throttled(errors.New("later"), 10*time.Second)
			default:
				return Result{}, true, errors.New("no")
			}
		}
		id := s.start(Policy{Concurrency: 2, Retry: RetryPolicy{Max: 1, Backoff: 10 * time.Second, MaxBackoff: 10 * time.Second}}, Shape{}, "away-1", "flaky-2", "ok-3", "ok-4", "ok-5", "ok-6")
		require.Equal(s, StatusCompleted, s.drive(id).Status)
		var order []string
		for _, e := range s.events(id, EventTaskStarted) {
			order = append(order, e.Agent)
		}
		require.Equal(s, []string{"away-1", "flaky-2", "ok-3"}, order[:3], "the slot of the one that is away is free, the other's is not")
		require.Equal(s, "flaky-2", order[3])
		require.Equal(s, "away-1", order[4])
		require.Equal(s, []string{"ok-4", "ok-5", "ok-6"}, order[5:])
	})
}

// A plan that is larger than a page, and batches that begin within one.
func TestMoreThanAPage(t *testing.T) {
	inScene(t, func(s *scene) {
		s.store.blind = true
		n := 3*pageSize + 17
		s.fleet.latency = time.Millisecond
		id := s.start(Policy{Concurrency: 50, Retry: RetryPolicy{Max: 1}}, Shape{Size: 1000}, append(names("ok", n), names("flaky", 500)...)...)
		p := s.drive(id)
		require.Equal(s, StatusCompleted, p.Status)
		require.Equal(s, n+500, p.Counts.Succeeded)
		require.LessOrEqual(s, s.fleet.most, 50)
	})
}
