package ota

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// dearStore is one whose commits take a disk's time.
type dearStore struct{ *MemStore }

func (s dearStore) Commit(ctx context.Context, c Commit) (uint64, error) {
	time.Sleep(time.Millisecond)
	return s.MemStore.Commit(ctx, c)
}

// Where a commit is dear, it takes along what is about to be ready: all 64 calls, not half of them.
func TestDearCommitsAreFull(t *testing.T) {
	const agents = 6400
	e, err := New(dearStore{NewMemStore()}, ExecutorFunc(func(context.Context, Attempt) (Result, error) { return Result{}, nil }), Options{})
	require.NoError(t, err)
	p, err := e.Create(t.Context(), Spec{
		Name: "p", ToVersion: "2", Agents: AgentIDs(ids("a", agents)...), Shape: Shape{Size: agents}, Policy: Policy{Concurrency: 64},
	})
	require.NoError(t, err)
	_, err = e.Start(t.Context(), p.ID, Request{})
	require.NoError(t, err)
	p, err = e.RunPlan(t.Context(), p.ID)
	require.NoError(t, err)
	require.Less(t, int(p.Revision), agents/64*3/2, "commits")
}
