package scenarios

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// logBuffer is a log that is read while others write it.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// The log tells what an operator has to know, once each.
func TestTheLogTellsOfBreachesAndPauses(t *testing.T) {
	inScene(t, func(s *scene) {
		var log logBuffer
		e, err := ota.New(s.store, s.fleet, ota.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(s, err)
		id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{Size: 2}, "fail-1", "ok-2", "ok-3")
		s.run(e)
		s.after(time.Minute)
		s.said(s.e.Resume(s.ctx, id, ota.Accept(1), ota.Request{}))
		s.after(time.Minute)
		s.status(id, ota.StatusCompleted)
		for want, level := range map[string]string{
			`msg="plan is driven by this engine" plan=` + id: "INFO",
			`msg="plan breached" plan=` + id:                 "WARN",
			`why="Failure threshold exceeded: 1 of the 2 agents of batch 0 failed, none is tolerated" action=pause`: "WARN",
			`msg="plan paused" plan=` + id:         "WARN",
			`msg="plan status changed" plan=` + id: "INFO",
		} {
			var lines []string
			for line := range strings.Lines(log.String()) {
				if strings.Contains(line, want) {
					lines = append(lines, line)
				}
			}
			require.NotEmpty(s, lines, "%s\n%s", want, log.String())
			if !strings.Contains(want, "is driven") { // that is told each time it is taken up
				require.Len(s, lines, 1, "%s\n%s", want, log.String())
			}
			require.Contains(s, lines[0], "level="+level)
		}
	})
}

// stuckStore does not answer commits while it is stuck.
type stuckStore struct {
	*memstore.Store
	gate chan struct{} // closed when it answers again
}

func (s *stuckStore) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	if c.If.Epoch != 0 && c.Then.Epoch == 0 {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return s.Store.Commit(ctx, c)
}

// Explain answers while the owner waits for the Store, and says what it waits for.
func TestExplainDoesNotWaitForTheStore(t *testing.T) {
	inScene(t, func(s *scene) {
		store := &stuckStore{memstore.New(), make(chan struct{})}
		e := s.engine(store, s.fleet, "one")
		p, err := e.Create(s.ctx, ota.Spec{Name: "x", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("ok-1", "ok-2"), Policy: ota.Policy{Concurrency: 1}})
		require.NoError(s, err)
		_, err = e.Start(s.ctx, p.ID, ota.Request{})
		require.NoError(s, err)
		s.run(e)
		s.after(10 * time.Second)
		began := time.Now()
		x, err := e.Explain(s.ctx, p.ID)
		require.NoError(s, err)
		require.LessOrEqual(s, time.Since(began), explainTimeout)
		require.Equal(s, ota.ReasonStore, x.Blockers[0].Reason)
		require.Equal(s, "The store does not answer, or refuses a write: this engine waits for it; the rest is the last stored state", x.Sentence())
		close(store.gate)
		s.after(10 * time.Second)
		x, err = e.Explain(s.ctx, p.ID)
		require.NoError(s, err)
		require.Equal(s, ota.StatusCompleted, x.Status)
	})
}

// What RunPlan returns when its context ends is the plan as it is then.
func TestRunPlanReturnsThePlanAsItIs(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{Size: 6}, names("ok", 6)...)
		ctx, cancel := context.WithTimeout(s.ctx, 3500*time.Millisecond)
		defer cancel()
		p, err := s.e.RunPlan(ctx, id)
		require.ErrorIs(s, err, context.DeadlineExceeded)
		require.Equal(s, 4, p.Counts.Succeeded, "three, and the one that was drained")
		require.Equal(s, s.plan(id).Revision, p.Revision)
	})
}

// A plan that could not be rolled back says so when it is made, and by CanRollback; and nobody is blamed for the pause.
func TestAPlanWithoutAWayBack(t *testing.T) {
	inScene(t, func(s *scene) {
		spec := ota.Spec{
			Name: "x", ToVersion: "2", Agents: ota.AgentIDs("fail-1", "ok-2", "ok-3"), Shape: ota.Shape{Size: 2},
			Policy: ota.Policy{Concurrency: 1, OnBreach: ota.ActionRollback},
		}
		p, err := s.e.Create(s.ctx, spec)
		require.NoError(s, err)
		require.Contains(s, p.Warnings, "3 of 3 agents have no version to go back to: a rollback leaves them out")
		s.said(s.e.Start(s.ctx, p.ID, ota.Request{}))
		require.Equal(s, ota.StatusPaused, s.drive(p.ID).Status)
		require.Contains(s, s.explain(p.ID).Sentence(), "The plan was paused: by ota: nothing to roll back")
		_, err = s.e.CanRollback(s.ctx, p.ID)
		require.ErrorIs(s, err, ota.ErrNothing)
		_, refused := s.e.Rollback(s.ctx, p.ID, ota.RollbackSpec{}, ota.Request{})
		require.Equal(s, refused.Error(), err.Error())

		spec.Agents = func(yield func(ota.Agent, error) bool) {
			_ = yield(ota.Agent{ID: "fail-4", Version: "1"}, nil) && yield(ota.Agent{ID: "ok-5"}, nil)
		}
		p, err = s.e.Create(s.ctx, spec)
		require.NoError(s, err)
		require.Contains(s, p.Warnings, "1 of 2 agents has no version to go back to: a rollback leaves them out")
	})
}

// What a refused Resume advises is not refused.
func TestABreachAdvisesWhatIsAccepted(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 1, PlanTimeout: 2500 * time.Millisecond}, ota.Shape{Size: 5}, names("ok", 5)...)
		require.Equal(s, ota.StatusPaused, s.drive(id).Status)
		_, err := s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{})
		require.ErrorIs(s, err, ota.ErrBreach)
		require.Contains(s, err.Error(), "resume with accept, or after an edit of the limit")
		s.said(s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.PlanTimeout = time.Hour }, ota.Request{}))
		s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
		_, err = s.e.Edit(s.ctx, s.create(ota.Policy{}, ota.Shape{}, "ok-6").ID, nil, ota.Request{})
		require.EqualError(s, ota.FieldErrors(err)[0], "change is missing; allowed: a function that changes the policy")
	})
}
