package scenarios

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/harness"
)

// brittle is a Store whose commits take a second, and fail from some moment on.
type brittle struct {
	*harness.CheckedStore
	lasts atomic.Int64 // commits of owners that it still takes
}

func (b *brittle) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	time.Sleep(time.Second)
	if c.If.Epoch != 0 && b.lasts.Add(-1) < 0 {
		return 0, errors.New("no answer")
	}
	return b.CheckedStore.Commit(ctx, c)
}

// A report counts as taken in once it is committed, and not before, also where an order has to be folded first.
func TestAReportIsAnsweredOnceItIsCommitted(t *testing.T) {
	for lasts := range int64(4) {
		inPost(t, func(s *scene, p *postman) {
			store := &brittle{CheckedStore: s.store}
			store.lasts.Store(1000)
			s.e = s.engine(store, ota.Async(p.begin), "one")
			agents := names("a", orderChunk+100)
			id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{}, agents...)
			s.run(s.e)
			s.after(5 * time.Second)
			s.said(s.e.Annotate(s.ctx, id, map[string]string{"a": "b"}, nil, ota.Request{}))
			reply := make(chan error, 1)
			ctx, cancel := context.WithCancel(s.ctx)
			go func() { _, _ = s.e.Annotate(ctx, id, map[string]string{"a": "c"}, nil, ota.Request{}) }() // the owner is busy for a second
			s.after(time.Millisecond)
			go func() { _, _ = s.e.Skip(ctx, id, agents[1:], ota.Request{}) }()
			go func() { reply <- s.e.ReportOutcomes(ctx, id, []ota.OutcomeReport{upgraded(agents[0], 1)}) }()
			store.lasts.Store(lasts)
			s.after(30 * time.Second)
			select {
			case err := <-reply:
				if err == nil {
					require.Equal(s, ota.TaskSucceeded, s.agent(id, agents[0]).Status, "it was told that its report is in, after %d commits", lasts)
				}
			default:
			}
			store.lasts.Store(1000)
			cancel()
			s.after(time.Minute)
			s.status(id, ota.StatusCompleted)
		})
	}
}

// The same where no engine drives the plan.
func TestAReportToAPlanWithoutADriver(t *testing.T) {
	inPost(t, func(s *scene, _ *postman) {
		agents := names("a", orderChunk+100)
		id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{}, agents...)
		stop := s.run(s.e)
		s.after(time.Second)
		require.NoError(s, stop())
		s.said(s.e.Skip(s.ctx, id, agents[1:], ota.Request{}))
		s.report(s.e, id, upgraded(agents[0], 1))
		require.Equal(s, ota.TaskSucceeded, s.agent(id, agents[0]).Status)
	})
}
