package scenarios

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// A plan that paused is handed back although a call of it ignores its context; its agent takes no other attempt until
// that call returns, also under the next driver.
func TestAnAbandonedCallOutlivesItsDriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls atomic.Int32
		exec := ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
			if calls.Add(1) == 1 {
				<-release
			}
			return ota.Result{Version: a.ToVersion}, nil
		})
		e, err := ota.New(memstore.New(), exec, ota.Options{})
		require.NoError(t, err)
		zero := 0.0
		p, err := e.Create(t.Context(), ota.Spec{
			Name: "stray", ToVersion: "2", Agents: ota.AgentIDs("a"), Policy: ota.Policy{FailureThreshold: &zero, AttemptTimeout: time.Minute},
		})
		require.NoError(t, err)
		_, err = e.Start(t.Context(), p.ID, ota.Request{})
		require.NoError(t, err)
		p, err = e.RunPlan(t.Context(), p.ID)
		var left *ota.AbandonedError
		require.ErrorAs(t, err, &left)
		require.Equal(t, 1, left.Calls)
		require.Equal(t, ota.StatusPaused, p.Status)

		_, err = e.Resume(t.Context(), p.ID, ota.RetryFailed(), ota.Request{})
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
		require.Equal(t, ota.StatusCompleted, p.Status)
		require.EqualValues(t, 2, calls.Load())
		cancel()
		require.NoError(t, <-done)
	})
}
