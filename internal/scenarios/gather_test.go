package scenarios

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// dearStore is one whose commits take a disk's time.
type dearStore struct{ *memstore.Store }

func (s dearStore) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	time.Sleep(time.Millisecond)
	return s.Store.Commit(ctx, c)
}

// Where a commit is dear, it takes along what is about to be ready: all 64 calls, not half of them.
func TestDearCommitsAreFull(t *testing.T) {
	const agents = 6400
	e, err := ota.New(dearStore{memstore.New()}, ota.ExecutorFunc(func(context.Context, ota.Attempt) (ota.Result, error) { return ota.Result{}, nil }), ota.Options{})
	require.NoError(t, err)
	p, err := e.Create(t.Context(), ota.Spec{
		Name: "p", ToVersion: "2", Agents: ota.AgentIDs(ids("a", agents)...), Shape: ota.Shape{Size: agents}, Policy: ota.Policy{Concurrency: 64},
	})
	require.NoError(t, err)
	_, err = e.Start(t.Context(), p.ID, ota.Request{})
	require.NoError(t, err)
	p, err = e.RunPlan(t.Context(), p.ID)
	require.NoError(t, err)
	require.Less(t, int(p.Revision), agents/64*3/2, "commits")
}
