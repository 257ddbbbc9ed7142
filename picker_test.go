package ota

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFifo(t *testing.T) {
	var f fifo
	for i := range 5 {
		f.push(i)
	}
	require.Equal(t, 5, f.len())
	for i := range 5 {
		require.Equal(t, i, f.pop())
	}
	require.Zero(t, f.len())
	f.push(9)
	require.Equal(t, 9, f.pop())
}

func TestTimersInOrder(t *testing.T) {
	var ts timers
	for _, at := range []int64{5, 3, 9, 3, 1} {
		ts.push(timer{at: at, ordinal: int(10 - at)})
	}
	ts.push(timer{at: 3, ordinal: 1})
	var got []timer
	for len(ts) > 0 {
		got = append(got, ts.pop())
	}
	require.Equal(t, []timer{{at: 1, ordinal: 9}, {at: 3, ordinal: 1}, {at: 3, ordinal: 7}, {at: 3, ordinal: 7}, {at: 5, ordinal: 5}, {at: 9, ordinal: 1}}, got)
}

func TestBars(t *testing.T) {
	q := queues{next: 7}
	q.bar(3)
	q.bar(5)
	require.Zero(t, q.waitingBarred())
	require.Equal(t, 7, q.cursor())
	q.barred[0].pending = true
	require.Equal(t, 1, q.waitingBarred())
	require.Equal(t, 3, q.cursor(), "a restart must find it again")
	require.True(t, q.unbar(5))
	require.Equal(t, 7, q.next)
	require.True(t, q.unbar(3))
	require.Equal(t, 3, q.next)
	require.False(t, q.unbar(3))
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
		id := s.start(Policy{Concurrency: 2, Retry: Retry{Max: 1, Backoff: 10 * time.Second, MaxBackoff: 10 * time.Second}}, Shape{}, "away-1", "flaky-2", "ok-3", "ok-4", "ok-5", "ok-6")
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
		id := s.start(Policy{Concurrency: 50, Retry: Retry{Max: 1}}, Shape{Size: 1000}, append(names("ok", n), names("flaky", 500)...)...)
		p := s.drive(id)
		require.Equal(s, StatusCompleted, p.Status)
		require.Equal(s, n+500, p.Counts.Succeeded)
		require.LessOrEqual(s, s.fleet.most, 50)
	})
}
