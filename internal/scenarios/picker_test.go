package scenarios

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// An agent that was skipped after its wait was over, but before the plan could start it again, stays as it is.
func TestSkippedInTheQueue(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.do = func(ctx context.Context, a ota.Attempt) (ota.Result, bool, error) { // one call keeps the plan from coming to rest
			if a.Agent != "ok-1" {
				return ota.Result{}, false, nil
			}
			return ota.Result{}, true, nap(ctx, 10*time.Minute)
		}
		id := s.start(ota.Policy{Concurrency: 2, FailureThreshold: ptr(1.0), Retry: ota.RetryPolicy{Max: 1, Backoff: 10 * time.Second}}, ota.Shape{Size: 2}, "fail-0", "ok-1")
		stop := s.run(s.e)
		s.after(5 * time.Second)
		s.said(s.e.Pause(s.ctx, id, ota.Request{}))
		s.after(time.Minute) // its wait ends meanwhile
		s.said(s.e.Skip(s.ctx, id, []string{"fail-0"}, ota.Request{}))
		s.after(time.Second)
		s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
		s.after(time.Hour)
		s.status(id, ota.StatusCompleted)
		require.Len(s, s.fleet.made("fail-0"), 1)
		require.Equal(s, ota.TaskFailed, s.agent(id, "fail-0").Status)
		require.NoError(s, stop())
	})
}

// Repeats come first, then due retries, then those that were away, then the pending ones in their order.
func TestPickOrder(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.do = func(ctx context.Context, a ota.Attempt) (ota.Result, bool, error) {
			if err := nap(ctx, 10*time.Second); err != nil {
				return ota.Result{}, true, err
			}
			kind, _, _ := strings.Cut(a.Agent, "-")
			switch {
			case a.Number > 1 || a.Repeat || kind == "ok":
				return ota.Result{Version: "2"}, true, nil
			case kind == "away":
				return ota.Result{}, true, ota.Throttled(errors.New("later"), 10*time.Second)
			default:
				return ota.Result{}, true, errors.New("no")
			}
		}
		id := s.start(ota.Policy{Concurrency: 2, Retry: ota.RetryPolicy{Max: 1, Backoff: 10 * time.Second, MaxBackoff: 10 * time.Second}}, ota.Shape{}, "away-1", "flaky-2", "ok-3", "ok-4", "ok-5", "ok-6")
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
		var order []string
		for _, e := range s.events(id, ota.EventTaskStarted) {
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
		s.store.Blind = true
		n := 3*pageSize + 17
		s.fleet.latency = time.Millisecond
		id := s.start(ota.Policy{Concurrency: 50, Retry: ota.RetryPolicy{Max: 1}}, ota.Shape{Size: 1000}, append(names("ok", n), names("flaky", 500)...)...)
		p := s.drive(id)
		require.Equal(s, ota.StatusCompleted, p.Status)
		require.Equal(s, n+500, p.Counts.Succeeded)
		require.LessOrEqual(s, s.fleet.most, 50)
	})
}
