package scenarios

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// refusingStore refuses a row of owners' commits, as one does to which others speak all the time.
type refusingStore struct {
	*memstore.Store
	left atomic.Int64
}

func (s *refusingStore) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	if c.If.Epoch != 0 && s.left.Add(-1) >= 0 {
		return 0, ota.ErrConflict
	}
	return s.Store.Commit(ctx, c)
}

// An owner whose commits are refused more often than a turn tries goes on afterwards.
func TestRefusedAgainAndAgain(t *testing.T) {
	for _, n := range []int64{maxRefusals - 1, maxRefusals, maxRefusals + 1, 3 * maxRefusals} {
		store := &refusingStore{Store: memstore.New()}
		e, err := ota.New(store, ota.ExecutorFunc(func(context.Context, ota.Attempt) (ota.Result, error) {
			store.left.CompareAndSwap(-1, n)
			time.Sleep(time.Millisecond)
			return ota.Result{}, nil
		}), ota.Options{})
		require.NoError(t, err)
		store.left.Store(n)
		p, err := e.Create(t.Context(), ota.Spec{ID: "p", Name: "p", ToVersion: "2", Agents: ota.AgentIDs("a", "b", "c", "d")})
		require.NoError(t, err)
		_, err = e.Start(t.Context(), p.ID, ota.Request{})
		require.NoError(t, err)
		p, err = e.RunPlan(t.Context(), p.ID)
		require.NoError(t, err)
		require.Equal(t, ota.StatusCompleted, p.Status)
		require.Equal(t, 4, p.Counts.Succeeded)
	}
}
