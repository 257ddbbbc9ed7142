package scenarios

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/harness"
)

// withLog makes the scene's engine one that logs.
func (s *scene) withLog(store ota.Store) *logBuffer {
	s.Helper()
	log := &logBuffer{}
	s.e = s.engineOf(store, s.fleet, ota.Options{Name: "one", Logger: slog.New(slog.NewTextHandler(log, nil))})
	return log
}

// lines are those of a log with all of these texts.
func (l *logBuffer) lines(texts ...string) (out []string) {
	for line := range strings.Lines(l.String()) {
		has := true
		for _, t := range texts {
			has = has && strings.Contains(line, t)
		}
		if has {
			out = append(out, line)
		}
	}
	return out
}

// A plan that waits long logs one line when that has begun, with the reason and since when, and one when it is over.
func TestWaitsAreLogged(t *testing.T) {
	for reason, c := range map[string]struct {
		policy ota.Policy
		agents []string
		clear  func(*scene, string)
	}{
		"window": {ota.Policy{Windows: shut}, []string{"ok-1", "ok-2"}, func(s *scene, _ string) { s.after(12 * time.Hour) }},
		"held": {ota.Policy{Hold: ota.Hold{All: true}}, []string{"ok-1", "ok-2"}, func(s *scene, id string) {
			s.said(s.e.Promote(s.ctx, id, 1, ota.Request{}))
			s.after(time.Minute)
		}},
		"backoff":   {ota.Policy{UnreachableTimeout: 5 * time.Hour}, []string{"busy-1", "ok-2"}, nil},
		"in_flight": {ota.Policy{AttemptTimeout: time.Hour}, []string{"hang-1", "ok-2"}, func(s *scene, _ string) { s.after(time.Hour) }},
		"rate":      {ota.Policy{Rate: ota.Rate{Starts: 1, Per: 10 * time.Hour}}, []string{"ok-1", "ok-2"}, func(s *scene, _ string) { s.after(10 * time.Hour) }},
		"frozen":    {ota.Policy{Hold: ota.Hold{All: true}}, []string{"ok-1", "ok-2"}, nil},
	} {
		t.Run(reason, func(t *testing.T) {
			inScene(t, func(s *scene) {
				log := s.withLog(s.store)
				if reason == "backoff" {
					s.fleet.do = func(context.Context, ota.Attempt) (ota.Result, bool, error) {
						return ota.Result{}, true, ota.Throttled(errors.New("later"), time.Hour)
					}
				}
				id := s.start(c.policy, ota.Shape{Size: 1}, c.agents...)
				s.run(s.e)
				if reason == "frozen" {
					s.after(10 * time.Second)
					_, err := s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{})
					require.NoError(s, err)
				}
				s.after(20 * time.Minute)
				lines := log.lines(`msg="plan waits"`, "plan="+id, "reason="+reason, "since=2000-01-01T00:", "name=test")
				require.Len(s, lines, 1, "%s", log)
				require.Empty(s, log.lines("no more"), "%s", log)
				if c.clear != nil {
					c.clear(s, id)
					require.Len(s, log.lines(`msg="plan waits no more"`, "reason="+reason, "since=2000-01-01T00:"), 1, "%s", log)
				}
			})
		})
	}
}

// A plan that goes on logs no waits, however fast its calls are.
func TestAPlanThatGoesOnLogsNoWaits(t *testing.T) {
	inScene(t, func(s *scene) {
		log := s.withLog(s.store)
		id := s.start(ota.Policy{Rate: ota.Rate{Starts: 60, Per: time.Hour}}, ota.Shape{Size: 5}, names("ok", 40)...)
		s.run(s.e)
		s.after(2 * time.Hour)
		s.status(id, ota.StatusCompleted)
		require.Empty(s, log.lines("waits"), "%s", log)
	})
}

// Each verb logs one line with its actor and reason. A verb that changes nothing logs none.
func TestVerbsAreLogged(t *testing.T) {
	for _, op := range operations() {
		t.Run(op.name(), func(t *testing.T) {
			inScene(t, func(s *scene) {
				log := s.withLog(s.store)
				id := grounds()["in flight"](s)
				by := ota.Request{Actor: "ann", Reason: "because"}
				_, err := op.say(s.ctx, s.e, s.plan(id), by)
				s.after(time.Second)
				lines := log.lines(`msg="verb changed the plan"`, "plan="+id, "actor=ann", "reason=because", "verb=")
				if err != nil {
					return // it was refused
				}
				if len(s.log(id)) > 0 && op.method != "Start" && op.method != "Resume" {
					require.NotEmpty(s, lines, "%s", log)
				}
			})
		})
	}
}

// lateStore answers a verb 10 seconds after it has committed it.
type lateStore struct{ *harness.CheckedStore }

func (l lateStore) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	rev, err := l.CheckedStore.Commit(ctx, c)
	if c.If.Epoch == 0 {
		time.Sleep(10 * time.Second)
	}
	return rev, err
}

// A verb that is committed is logged, and those who wait for the plan hear of it, also after its
// sender has left.
func TestASenderMayLeave(t *testing.T) {
	for _, driven := range []bool{true, false} {
		t.Run(fmt.Sprint("driven ", driven), func(t *testing.T) {
			inScene(t, func(s *scene) {
				log := &logBuffer{}
				s.e = s.engineOf(lateStore{s.store}, s.fleet, ota.Options{Name: "one", Poll: time.Hour, Logger: slog.New(slog.NewTextHandler(log, nil))})
				id := s.start(ota.Policy{}, ota.Shape{Size: 1}, "hang-0")
				heard := make(chan time.Time, 100)
				go func() {
					for r, err := range s.e.Watch(s.ctx, id, 0) {
						if err == nil && slices.ContainsFunc(r.Events, func(e ota.Event) bool { return e.Kind == ota.EventPaused }) {
							heard <- time.Now()
						}
					}
				}()
				if driven {
					s.run(s.e)
				}
				s.after(time.Minute)
				ctx, cancel := context.WithTimeout(s.ctx, time.Second)
				defer cancel()
				_, err := s.e.Pause(ctx, id, ota.Request{Actor: "ann"})
				if driven {
					require.ErrorIs(s, err, context.DeadlineExceeded)
					require.Empty(s, log.lines(`msg="verb changed the plan"`, "verb=pause"), "%s", log)
				}
				s.after(15 * time.Second)
				require.Len(s, log.lines(`msg="verb changed the plan"`, "plan="+id, "actor=ann", "verb=pause"), 1, "%s", log)
				require.Len(s, heard, 1)
			})
		})
	}
}

// closedStore returns an error from everything, once it is closed.
type closedStore struct {
	*harness.CheckedStore
	closed atomic.Bool
}

func (c *closedStore) err() error {
	if c.closed.Load() {
		return errors.New("sql: database is closed")
	}
	return nil
}

func (c *closedStore) Plan(ctx context.Context, id string) (ota.PlanRow, error) {
	if err := c.err(); err != nil {
		return ota.PlanRow{}, err
	}
	return c.CheckedStore.Plan(ctx, id)
}

func (c *closedStore) Plans(ctx context.Context, q ota.PlanQuery) (ota.Page[ota.PlanRow], error) {
	if err := c.err(); err != nil {
		return ota.Page[ota.PlanRow]{}, err
	}
	return c.CheckedStore.Plans(ctx, q)
}

func (c *closedStore) Commit(ctx context.Context, k ota.Commit) (uint64, error) {
	if err := c.err(); err != nil {
		return 0, err
	}
	return c.CheckedStore.Commit(ctx, k)
}

// A Store that is closed too early logs one warning a minute, which names a plan at most once, and one line when it answers again.
func TestAClosedStoreLogsOnceAMinute(t *testing.T) {
	inScene(t, func(s *scene) {
		store := &closedStore{CheckedStore: s.store}
		log := s.withLog(store)
		id := s.start(ota.Policy{AttemptTimeout: ota.NoTimeout}, ota.Shape{Size: 1}, "slow-1", "ok-2", "ok-3")
		s.run(s.e)
		s.after(2 * time.Second)
		store.closed.Store(true)
		s.after(10 * time.Minute)
		lines := log.lines("level=WARN", "database is closed")
		require.Less(s, len(lines), 12, "%s", log)
		require.Greater(s, len(lines), 5, "%s", log)
		for _, line := range lines {
			require.Contains(s, line, `msg="store does not answer"`)
			require.LessOrEqual(s, strings.Count(line, id), 1, line)
		}
		store.closed.Store(false)
		s.after(time.Minute)
		s.status(id, ota.StatusCompleted)
		require.Len(s, log.lines(`msg="store answers again"`), 1, "%s", log)
	})
}

// The batch in a line is the index of the last batch that has begun.
func TestLoggedBatchesAreThoseOfThePlan(t *testing.T) {
	inScene(t, func(s *scene) {
		log := s.withLog(s.store)
		id := s.start(ota.Policy{}, ota.Shape{Size: 1}, "ok-1", "ok-2", "ok-3")
		s.drive(id)
		require.Len(s, log.lines("is=completed", "batch=2"), 1, "%s", log)
		require.Empty(s, log.lines("batch=3"), "%s", log)
	})
}
