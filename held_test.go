package ota

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Orders are folded first, a chunk a commit. What came in meanwhile is held until a commit has taken it in.
func TestOrdersFirstThenWhatIsHeld(t *testing.T) {
	inScene(t, func(s *scene) {
		agents := names("a", orderChunk+100)
		id := s.start(Policy{Concurrency: 1}, Shape{}, agents...)
		x := newSession(s.store, id, "one", 0)
		turn := func() (again bool) {
			_, again, err := x.turn(s.ctx, time.Now(), turnInput{})
			require.NoError(s, err)
			return again
		}
		turn()
		require.Len(s, x.starts, 1)
		call := x.starts[0]
		x.starts = x.starts[:0]
		s.said(s.e.Skip(s.ctx, id, agents[1:], Request{}))
		require.NoError(s, x.refresh(s.ctx))
		o := call.outcome(time.Now())
		o.reason = ReasonSucceeded
		x.addInput(input{outcomes: []outcome{o}})
		require.True(s, turn(), "a chunk of the order is folded, the outcome is not")
		require.Equal(s, TaskRunning, s.agent(id, call.agent).Status)
		s.said(s.e.Annotate(s.ctx, id, map[string]string{"a": "b"}, nil, Request{})) // the next commit is refused
		for turn() {
		}
		require.Equal(s, TaskSucceeded, s.agent(id, call.agent).Status)
		require.Empty(s, x.starts, "it is called once")
		s.status(id, StatusCompleted)
	})
}

// brittle is a Store whose commits take a second, and fail from some moment on.
type brittle struct {
	*court
	lasts atomic.Int64 // commits of owners that it still takes
}

func (b *brittle) Commit(ctx context.Context, c Commit) (uint64, error) {
	time.Sleep(time.Second)
	if c.Owner && b.lasts.Add(-1) < 0 {
		return 0, errors.New("no answer")
	}
	return b.court.Commit(ctx, c)
}

// A report counts as taken in once it is committed, and not before, also where an order has to be folded first.
func TestAReportIsAnsweredOnceItIsCommitted(t *testing.T) {
	for lasts := range int64(4) {
		inPost(t, func(s *scene, p *postman) {
			store := &brittle{court: s.store}
			store.lasts.Store(1000)
			s.e = s.engine(store, Async(p.begin), "one")
			agents := names("a", orderChunk+100)
			id := s.start(Policy{Concurrency: 1}, Shape{}, agents...)
			s.run(s.e)
			s.after(5 * time.Second)
			s.said(s.e.Annotate(s.ctx, id, map[string]string{"a": "b"}, nil, Request{}))
			reply := make(chan error, 1)
			ctx, cancel := context.WithCancel(s.ctx)
			go func() { _, _ = s.e.Annotate(ctx, id, map[string]string{"a": "c"}, nil, Request{}) }() // the owner is busy for a second
			s.after(time.Millisecond)
			go func() { _, _ = s.e.Skip(ctx, id, agents[1:], Request{}) }()
			go func() { reply <- s.e.ReportOutcomes(ctx, id, []OutcomeReport{upgraded(agents[0], 1)}) }()
			store.lasts.Store(lasts)
			s.after(30 * time.Second)
			select {
			case err := <-reply:
				if err == nil {
					require.Equal(s, TaskSucceeded, s.agent(id, agents[0]).Status, "it was told that its report is in, after %d commits", lasts)
				}
			default:
			}
			store.lasts.Store(1000)
			cancel()
			s.after(time.Minute)
			s.status(id, StatusCompleted)
		})
	}
}

// The same where no engine drives the plan.
func TestAReportToAPlanWithoutADriver(t *testing.T) {
	inPost(t, func(s *scene, _ *postman) {
		agents := names("a", orderChunk+100)
		id := s.start(Policy{Concurrency: 1}, Shape{}, agents...)
		stop := s.run(s.e)
		s.after(time.Second)
		require.NoError(s, stop())
		s.said(s.e.Skip(s.ctx, id, agents[1:], Request{}))
		s.report(s.e, id, upgraded(agents[0], 1))
		require.Equal(s, TaskSucceeded, s.agent(id, agents[0]).Status)
	})
}
