package scenarios

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/harness"
)

// countingClaims counts the calls of Holders, and may fail them.
type countingClaims struct {
	*harness.CheckedStore
	calls, agents atomic.Int64
	err           error
}

func (c *countingClaims) Holders(ctx context.Context, agents []string) ([]string, error) {
	c.calls.Add(1)
	c.agents.Add(int64(len(agents)))
	if c.err != nil {
		return nil, c.err
	}
	return c.CheckedStore.Holders(ctx, agents)
}

func claimSpec(id string, agents ...string) ota.Spec {
	return ota.Spec{ID: id, Name: id, FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs(agents...), RequestKey: id}
}

// about returns the warning about claims, without its beginning.
func about(warnings []string) string {
	for _, w := range warnings {
		if text, ok := strings.CutPrefix(w, "start would be refused now: "); ok {
			return text
		}
	}
	return ""
}

// ofClaims returns what Explain says about claims.
func (s *scene) ofClaims(e *ota.Engine, id string) string {
	s.Helper()
	x, err := e.Explain(s.ctx, id)
	require.NoError(s, err)
	for _, b := range x.Blockers {
		if b.Reason == ota.ReasonClaimed {
			require.Equal(s, ota.VerbSkip, b.Verb)
			return b.Text
		}
	}
	return ""
}

// Create, its repetition, Preview and Explain name the agents that keep a plan from starting, with the
// words of the Start that is refused. They name nothing as soon as Start would succeed.
func TestClaimsOfOtherPlansAreNamed(t *testing.T) {
	inScene(t, func(s *scene) {
		s.said(s.e.Create(s.ctx, claimSpec("july", "ok-1", "ok-2", "ok-3", "ok-4", "slow-5")))
		s.said(s.e.Start(s.ctx, "july", ota.Request{}))
		s.said(s.e.Create(s.ctx, claimSpec("may", "stuck-6")))
		s.said(s.e.Start(s.ctx, "may", ota.Request{}))
		spec := claimSpec("new", "ok-0", "ok-2", "ok-3", "stuck-6")
		refused := func(want string) {
			s.Helper()
			p := s.said(s.e.Create(s.ctx, spec))
			require.Equal(s, want, about(p.Warnings))
			require.Equal(s, want, s.ofClaims(s.e, "new"))
			v, err := s.e.Preview(s.ctx, claimSpec("other", "ok-0", "ok-2", "ok-3", "stuck-6"), ota.PreviewOptions{})
			require.NoError(s, err)
			require.Equal(s, want, about(v.Warnings))
			_, err = s.e.Start(s.ctx, "new", ota.Request{})
			require.ErrorIs(s, err, ota.ErrClaimed)
			require.Contains(s, err.Error(), want)
		}
		refused("3 agents belong to another plan: ok-2, ok-3 are in july; stuck-6 is in may")
		require.Equal(s, ota.ReasonPending, s.explain("new").Blockers[0].Reason)
		s.run(s.e)
		s.after(time.Minute)
		s.status("july", ota.StatusCompleted)
		refused("1 agent belongs to another plan: stuck-6 is in may")
		s.said(s.e.Skip(s.ctx, "new", []string{"stuck-6"}, ota.Request{}))
		s.after(time.Minute)
		require.Empty(s, s.ofClaims(s.e, "new"), "a skipped agent is not called")
		s.said(s.e.Start(s.ctx, "new", ota.Request{}))
		require.Empty(s, about(s.said(s.e.Create(s.ctx, spec)).Warnings), "it has started")
		s.fleet.free()
		s.after(time.Minute)
	})
}

// A call that has not returned keeps its agent after the end of its plan.
func TestKeptAgentsAreNamed(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{FailureThreshold: ptr(1.0), AttemptTimeout: time.Minute}, ota.Shape{}, "stuck-1")
		s.run(s.e)
		s.after(time.Hour)
		s.status(id, ota.StatusCompleted)
		text := about(s.said(s.e.Create(s.ctx, claimSpec("new", "ok-0", "stuck-1"))).Warnings)
		require.Contains(s, text, "1 agent belongs to another plan: stuck-1: a call of plan "+id)
		require.Equal(s, text, s.ofClaims(s.e, "new"))
		s.fleet.free()
		s.after(time.Minute)
		require.Empty(s, s.ofClaims(s.e, "new"))
	})
}

// The claims of its source do not keep a rollback plan from starting.
func TestClaimsOfTheSourceAreNotNamed(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{FailureThreshold: ptr(0.0)}, ota.Shape{Size: 1}, "ok-1", "fail-2", "ok-3")
		s.run(s.e)
		s.after(time.Minute)
		s.status(id, ota.StatusPaused)
		back := s.said(s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{}))
		require.Empty(s, s.ofClaims(s.e, back.ID))
	})
}

// What is compared is bounded, whatever the size of the plan, and the text says so.
func TestNamingClaimsIsBounded(t *testing.T) {
	inScene(t, func(s *scene) {
		s.store.Blind = true
		store := &countingClaims{CheckedStore: s.store}
		s.e = s.engine(store, s.fleet, "one")
		all := names("ok", 25_000)
		s.said(s.e.Create(s.ctx, claimSpec("last", all[24_999])))
		s.said(s.e.Start(s.ctx, "last", ota.Request{}))
		store.calls.Store(0)
		require.Empty(s, about(s.said(s.e.Create(s.ctx, claimSpec("big", all...))).Warnings), "it is not among the first")
		require.EqualValues(s, 10, store.calls.Load())
		require.EqualValues(s, 10_000, store.agents.Load()-1)
		_, err := s.e.Start(s.ctx, "big", ota.Request{})
		require.ErrorIs(s, err, ota.ErrClaimed)

		s.said(s.e.Create(s.ctx, claimSpec("first", all[:40]...)))
		s.said(s.e.Start(s.ctx, "first", ota.Request{}))
		store.calls.Store(0)
		require.Contains(s, s.ofClaims(s.e, "big"), "at least 40 agents belong to another plan: ")
		require.EqualValues(s, 1, store.calls.Load())
	})
}

// Without a Claimer nothing is named. With one that fails, the plan is made all the same.
func TestClaimsThatCannotBeRead(t *testing.T) {
	inScene(t, func(s *scene) {
		bare := s.engine(harness.Bare{Store: s.store}, s.fleet, "bare")
		s.said(bare.Create(s.ctx, claimSpec("one", "ok-1")))
		s.said(bare.Start(s.ctx, "one", ota.Request{}))
		require.Empty(s, about(s.said(bare.Create(s.ctx, claimSpec("two", "ok-1"))).Warnings))
		require.Empty(s, s.ofClaims(bare, "two"))
		failing := s.engine(&countingClaims{CheckedStore: s.store, err: errors.New("no answer")}, s.fleet, "failing")
		p := s.said(failing.Create(s.ctx, claimSpec("three", "ok-9")))
		require.Contains(s, p.Warnings, "claims of other plans could not be read: no answer")
		require.Equal(s, ota.StatusPending, s.plan("three").Status)
	})
}
