package ota

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"
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
	r := &cachedRow{agentRow: &agentRow{State: agentState{Status: TaskWaiting, Task: taskState{Status: TaskWaiting, Why: ReasonError, Ended: 20}}}}
	s := &state{rows: rowCache{single: map[int]*cachedRow{0: r}}}
	s.queue.timers.Push(queue.Timer{At: 10, Kind: timerAttempt})
	s.queue.timers.Push(queue.Timer{At: 20, Kind: timerAttempt})
	require.Zero(t, s.foldTimers(15))
	require.Zero(t, s.queue.back.Len()+s.queue.slotted())
	require.Zero(t, s.foldTimers(20))
	require.Equal(t, 1, s.queue.back.Len()+s.queue.slotted())
}

// Pages grow with Concurrency, within bounds.
func TestPageBits(t *testing.T) {
	for concurrency, want := range map[int]int{0: 256, 1: 256, 64: 256, 65: 512, 128: 512, 129: 1024, 512: 2048, 1_000_000: 4096} {
		require.Equal(t, want, 1<<pageBitsOf(concurrency), "concurrency %d", concurrency)
	}
}

func inRack(ordinal int, rack string) *cachedRow {
	return &cachedRow{agentRow: &agentRow{Ordinal: ordinal, Agent: agentSpec{Labels: map[string]string{"rack": rack}}}}
}

// Without a budget no agent waits, and nothing is counted.
func TestLanesWithoutABudget(t *testing.T) {
	s := &state{}
	ls := s.newLanes()
	ls.count(inRack(0, "a"), 7)
	require.False(t, ls.wait(inRack(0, "a")))
	s.c.Policy.Budgets = rack(1)
	ls = s.newLanes()
	ls.count(inRack(0, "a"), 1)
	require.True(t, ls.wait(inRack(1, "a")))
	require.False(t, ls.wait(inRack(2, "b")))
}

// A call whose context has ended before it is made is not made: nobody would look for it any more, if it ignored its context.
func TestACallIsNotMadeOnceItsContextHasEnded(t *testing.T) {
	for _, c := range []struct {
		why    error
		known  bool
		reason Reason
	}{
		{errInterrupted, true, ReasonInterrupted},
		{errShutdown, false, ReasonNone},
		{errFencedOff, false, ReasonNone},
	} {
		synctest.Test(t, func(t *testing.T) {
			var called atomic.Bool
			exec := ExecutorFunc(func(context.Context, Attempt) (Result, error) {
				called.Store(true)
				select {} // it ignores everything
			})
			calls, end := context.WithCancelCause(t.Context())
			p := newPool(exec, &callClock{clock.New()}, calls, func() {}, func(time.Time) bool { return true })
			end(c.why)
			p.push([]job{{template: &Attempt{}, agent: "a", number: 1}}, 1, false)
			synctest.Wait()
			require.False(t, called.Load())
			done, resync := p.fetch(nil)
			require.Equal(t, !c.known, resync, "what is not known is to be read again")
			require.Len(t, done, btoi(c.known))
			if c.known {
				require.Equal(t, c.reason, done[0].reason)
			}
			require.Zero(t, p.inFlight())
			require.Zero(t, p.close())
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
