package scenarios

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/harness"
)

var errNever = fmt.Errorf("%w: a constraint says no", ota.ErrRefused)

// uncreating is a store that makes no rollback plan, and says this instead.
type uncreating struct {
	*harness.CheckedStore
	why error
	off atomic.Bool
}

func (s *uncreating) Create(ctx context.Context, p ota.PlanRow, rows iter.Seq2[ota.Row, error], first func() (ota.Commit, error)) error {
	if p.Source != "" && !s.off.Load() {
		return fmt.Errorf("create plan %q: %w", p.ID, s.why)
	}
	return s.CheckedStore.Create(ctx, p, rows, first)
}

// logged makes the scene's engine one on another store, and returns what it logs.
func (s *scene) logged(store ota.Store, x ota.Executor) *bytes.Buffer {
	var out bytes.Buffer
	s.e = s.engineOf(store, x, ota.Options{Name: "one", Logger: slog.New(slog.NewTextHandler(&out, nil))})
	return &out
}

// free asserts that a plan holds none of its agents any more: another one may have them.
func (s *scene) freed(agents ...string) {
	s.Helper()
	s.start(ota.Policy{}, ota.Shape{}, agents...)
}

// A rollback plan that the Store refuses for good is given up: the plan is what it was, or paused, and every verb that is legal
// then is legal again.
func TestRollbackThatTheStoreRefuses(t *testing.T) {
	by := ota.Request{Actor: "ann"}
	for name, c := range map[string]struct {
		do   func(s *scene) (id string, err error)
		want ota.Status
	}{
		"a breach asks for it": {func(s *scene) (string, error) {
			return s.start(ota.Policy{FailureThreshold: ptr(0.0), OnBreach: ota.ActionRollback}, ota.Shape{Size: 1}, "ok-1", "perm-2", "ok-3"), errNever
		}, ota.StatusPaused},
		"an operator, while it runs": {func(s *scene) (string, error) {
			id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{}, "ok-1", "ok-2", "ok-3")
			stop := s.run(s.e)
			defer func() { require.NoError(s, stop()) }()
			s.after(1500 * time.Millisecond)
			_, err := s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, by)
			return id, err
		}, ota.StatusPaused},
		"an operator, who only makes it": {func(s *scene) (string, error) {
			id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{}, "ok-1", "ok-2", "ok-3")
			stop := s.run(s.e)
			defer func() { require.NoError(s, stop()) }()
			s.after(1500 * time.Millisecond)
			_, err := s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{}, by)
			return id, err
		}, ota.StatusPaused},
		"an operator, of a completed plan": {func(s *scene) (string, error) {
			id := s.start(ota.Policy{}, ota.Shape{}, "ok-1", "ok-2", "ok-3")
			s.drive(id)
			_, err := s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, by)
			return id, err
		}, ota.StatusCompleted},
		"an operator, of a canceled plan": {func(s *scene) (string, error) {
			id := s.start(ota.Policy{FailureThreshold: ptr(0.1)}, ota.Shape{Size: 1}, "ok-1", "perm-2", "ok-3")
			s.drive(id)
			s.said(s.e.Cancel(s.ctx, id, false, by))
			_, err := s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, by)
			return id, err
		}, ota.StatusCanceled},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				store := &uncreating{CheckedStore: s.store, why: errNever}
				out := s.logged(store, s.fleet)
				id, err := c.do(s)
				require.ErrorIs(s, err, ota.ErrRefused)
				s.run(s.e)
				s.after(10 * time.Second)
				s.status(id, c.want)
				off := s.events(id, ota.EventRollbackOff)
				require.Len(s, off, 1, "it is given up once")
				require.Contains(s, off[0].Text, "a constraint says no")
				if name == "a breach asks for it" {
					require.Contains(s, out.String(), "level=ERROR")
				}
				if c.want == ota.StatusPaused {
					require.Contains(s, s.explain(id).Blockers[0].String(), "the store refuses the rollback plan")
					require.Contains(s, s.explain(id).Legal, ota.VerbCancel)
					s.said(s.e.Cancel(s.ctx, id, false, by))
					s.after(10 * time.Second)
					s.status(id, ota.StatusCanceled)
				}
				before := s.plan(id).Revision
				s.after(time.Hour)
				require.Equal(s, before, s.plan(id).Revision, "it is not tried again by itself")
				store.off.Store(true)
				_, err = s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, by)
				require.NoError(s, err, "once the Store takes it, a person may ask again")
				s.after(time.Minute)
				s.status(id, ota.StatusRolledBack)
				s.freed("ok-1", "perm-2", "ok-2", "ok-3")
			})
		})
	}
}

// rolling_back has an exit also when nobody knows why the rollback plan does not come to be: Cancel, until it was started.
func TestCancelOfARollbackThatCannotBeMade(t *testing.T) {
	for _, made := range []bool{false, true} {
		for _, driven := range []bool{false, true} {
			t.Run(fmt.Sprintf("made %v, driven %v", made, driven), func(t *testing.T) {
				inScene(t, func(s *scene) {
					store := &uncreating{CheckedStore: s.store, why: errors.New("a network that is down for ever")}
					store.off.Store(made)
					s.logged(store, s.fleet)
					if made { // but it cannot be started
						s.store.BeforeCommit.Set(func(_ context.Context, c ota.Commit) error {
							if hasEvent(s, c, ota.EventRollback) {
								return harness.ErrDown
							}
							return nil
						})
					}
					id := s.start(ota.Policy{FailureThreshold: ptr(0.0), OnBreach: ota.ActionRollback}, ota.Shape{Size: 1}, "ok-1", "perm-2", "ok-3")
					stop := s.run(s.e)
					s.after(time.Hour)
					s.status(id, ota.StatusRollingBack)
					if !driven {
						require.NoError(s, stop())
					}
					require.Equal(s, []ota.Verb{ota.VerbCancel, ota.VerbAnnotate}, s.explain(id).Legal)
					_, err := s.e.Cancel(s.ctx, id, false, ota.Request{Generation: 99})
					require.ErrorIs(s, err, ota.ErrConflict)
					p := s.said(s.e.Cancel(s.ctx, id, false, ota.Request{Actor: "ann"}))
					require.Equal(s, ota.StatusCanceled, p.Status)
					require.Len(s, s.events(id, ota.EventRollbackOff), 1)
					store.off.Store(true)
					s.store.BeforeCommit.Set(nil)
					s.run(s.e)
					s.after(time.Hour)
					s.status(id, ota.StatusCanceled)
					page, err := s.e.Plans(s.ctx, ota.PlanQuery{Source: id})
					require.NoError(s, err)
					for _, other := range page.Items {
						require.Equal(s, ota.StatusCanceled, other.Status, "nothing is left behind")
					}
					s.freed("ok-1", "perm-2", "ok-3")
				})
			})
		}
	}
}

// hasEvent reports whether a commit tells of such an event.
func hasEvent(s *scene, c ota.Commit, kind ota.EventKind) bool {
	r, err := s.store.Reader.Record(c.Plan, ota.LogRow{Data: c.Log.Data})
	for _, e := range r.Events {
		if e.Kind == kind {
			return true
		}
	}
	return err != nil
}

// Whatever an owner's commit tells: when the Store refuses it for good, the plan is paused by a breach that says why, and Cancel
// ends it.
func TestOwnersCommitIsRefusedForGood(t *testing.T) {
	for _, kind := range []ota.EventKind{
		ota.EventBatchStarted, ota.EventTaskStarted, ota.EventTaskSucceeded, ota.EventTaskFailed, ota.EventTaskWaiting, ota.EventTaskUnknown, ota.EventTaskSkipped,
		ota.EventBatchSoaking, ota.EventHealth, ota.EventGate, ota.EventLate, ota.EventBatchCompleted, ota.EventCarriedOut,
	} {
		t.Run(kind.String(), func(t *testing.T) {
			inScene(t, func(s *scene) {
				var refused atomic.Int64
				s.store.BeforeCommit.Set(func(_ context.Context, c ota.Commit) error {
					if c.If.Epoch != 0 && hasEvent(s, c, kind) {
						refused.Add(1)
						return errNever
					}
					return nil
				})
				id := s.refusable(kind)
				out := s.logged(s.store, brokenCompanions{s.fleet})
				s.run(s.e)
				s.after(2 * time.Second)
				s.tell(id, kind)
				s.after(5 * time.Minute)
				require.NotZero(s, refused.Load(), "the scene has no such commit")
				require.Less(s, refused.Load(), int64(400), "the Store is asked once a second at most")
				require.Contains(s, out.String(), "level=ERROR")
				require.Contains(s, out.String(), "a constraint says no")
				said := fmt.Sprint(s.explain(id).Blockers)
				require.Contains(s, said, "a constraint says no")
				require.NotEqual(s, ota.StatusRunning, s.pauses(id, said))
				s.said(s.e.Cancel(s.ctx, id, true, ota.Request{}))
				switch kind {
				case ota.EventTaskUnknown, ota.EventTaskWaiting, ota.EventCarriedOut: // the way to the end: the Store has to take it some time
					s.store.BeforeCommit.Set(nil)
				}
				s.after(time.Minute)
				s.status(id, ota.StatusCanceled)
				s.freed("ok-1", "ok-2")
			})
		})
	}
}

// pauses says Pause where no breach has paused the plan, and returns its status then.
func (s *scene) pauses(id, explained string) ota.Status {
	s.Helper()
	if s.plan(id).Status == ota.StatusRunning {
		require.Contains(s, explained, "refuses a write")
		s.said(s.e.Pause(s.ctx, id, ota.Request{}))
	}
	return s.plan(id).Status
}

// brokenCompanions answers every question of the engine.
type brokenCompanions struct{ *scripted }

func (c brokenCompanions) Health(_ context.Context, a ota.Attempt) (ota.Health, error) {
	return ota.Health{Healthy: !strings.HasPrefix(a.Agent, "sick"), Reason: "hot"}, nil
}

func (c brokenCompanions) Gate(context.Context, ota.Plan, ota.Batch) (ota.GateVerdict, error) {
	return ota.GatePass, nil
}

func (c brokenCompanions) Precheck(_ context.Context, a ota.Attempt) (ota.Precheck, error) {
	if strings.HasPrefix(a.Agent, "blocked") {
		return ota.Precheck{State: ota.PrecheckBlocked, Reason: "in use"}, nil
	}
	return ota.Precheck{}, nil
}

// refusable starts a plan in which such an event comes about.
func (s *scene) refusable(kind ota.EventKind) string {
	s.Helper()
	p := ota.Policy{FailureThreshold: ptr(1.0), Soak: ota.Soak{Duration: time.Minute, Grace: time.Minute}, Retry: ota.RetryPolicy{Max: 1, Backoff: time.Minute}}
	agents := []string{"ok-1", "ok-2"}
	switch kind {
	case ota.EventTaskFailed:
		agents[1] = "perm-2"
	case ota.EventTaskWaiting:
		agents[1] = "fail-2"
	case ota.EventTaskSkipped:
		agents[1] = "blocked-2"
	case ota.EventHealth:
		agents[1] = "sick-2"
	case ota.EventTaskUnknown:
		agents[1] = "hang-2"
	case ota.EventCarriedOut:
		agents[0], p.Concurrency = "hang-1", 1
	}
	return s.start(p, ota.Shape{}, agents...)
}

// tell says what has to be said for an event to come about.
func (s *scene) tell(id string, kind ota.EventKind) {
	s.Helper()
	switch kind {
	case ota.EventLate:
		err := s.e.ReportHealth(s.ctx, id, []ota.HealthReport{{Agent: "nobody", Reason: "hot"}})
		require.ErrorIs(s, err, ota.ErrRefused)
	case ota.EventCarriedOut:
		s.said(s.e.Skip(s.ctx, id, []string{"ok-2"}, ota.Request{}))
	case ota.EventTaskUnknown:
		s.said(s.e.Cancel(s.ctx, id, true, ota.Request{}))
	}
}
