package ota

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"
)

// A plan that paused is handed back although a call of it ignores its context; its agent takes no other attempt until
// that call returns, also under the next driver.
func TestAnAbandonedCallOutlivesItsDriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls atomic.Int32
		exec := ExecutorFunc(func(_ context.Context, a Attempt) (Result, error) {
			if calls.Add(1) == 1 {
				<-release
			}
			return Result{Version: a.ToVersion}, nil
		})
		e, err := New(NewMemStore(), exec, Options{})
		require.NoError(t, err)
		zero := 0.0
		p, err := e.Create(t.Context(), Spec{
			Name: "stray", ToVersion: "2", Agents: AgentIDs("a"), Policy: Policy{FailureThreshold: &zero, AttemptTimeout: time.Minute},
		})
		require.NoError(t, err)
		_, err = e.Start(t.Context(), p.ID, Request{})
		require.NoError(t, err)
		p, err = e.RunPlan(t.Context(), p.ID)
		var left *AbandonedError
		require.ErrorAs(t, err, &left)
		require.Equal(t, 1, left.Calls)
		require.Equal(t, StatusPaused, p.Status)

		_, err = e.Resume(t.Context(), p.ID, RetryFailed(), Request{})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		time.Sleep(time.Hour)
		require.EqualValues(t, 1, calls.Load(), "the first call has not returned")
		x, err := e.Explain(t.Context(), p.ID)
		require.NoError(t, err)
		require.Contains(t, x.Sentence(), "abandoned")
		close(release)
		p, err = e.Wait(t.Context(), p.ID)
		require.NoError(t, err)
		require.Equal(t, StatusCompleted, p.Status)
		require.EqualValues(t, 2, calls.Load())
		cancel()
		require.NoError(t, <-done)
	})
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
