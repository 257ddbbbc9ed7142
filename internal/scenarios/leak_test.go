package scenarios

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/harness"
)

// interposed is a Store in which something happens before its nth commit.
type interposed struct {
	*harness.CheckedStore
	mu    sync.Mutex
	after int
	do    func(c ota.Commit) error
}

func (d *interposed) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	d.mu.Lock()
	d.after--
	do := d.do
	if d.after != 0 {
		do = nil
	}
	d.mu.Unlock()
	if do != nil {
		if err := do(c); err != nil {
			return 0, err
		}
	}
	return d.CheckedStore.Commit(ctx, c)
}

// interpositions are what may happen between the read and the commit of a method: another engine takes the plan, somebody changes it, the
// Store refuses a commit.
var interpositions = map[string]func(s *scene, two *ota.Engine, plan string) error{
	"another engine takes the plan": func(s *scene, two *ota.Engine, plan string) error {
		return two.ReportHealth(s.ctx, plan, []ota.HealthReport{{Agent: "ok-1"}})
	},
	"somebody annotates it": func(s *scene, two *ota.Engine, plan string) error {
		_, err := two.Annotate(s.ctx, plan, map[string]string{"x": "y"}, nil, ota.Request{})
		return err
	},
	"a conflict": func(*scene, *ota.Engine, string) error { return ota.ErrConflict },
}

// reporters are the methods that change a plan without a Request.
var reporters = map[string]func(*scene, *ota.Engine, string) error{
	"ReportHealth": func(s *scene, e *ota.Engine, id string) error {
		return e.ReportHealth(s.ctx, id, []ota.HealthReport{{Agent: "ok-1", Reason: "sick"}})
	},
	"ReportOutcomes": func(s *scene, e *ota.Engine, id string) error {
		return e.ReportOutcomes(s.ctx, id, []ota.OutcomeReport{{Agent: "slow-2", Number: 1, Reason: ota.ReasonSucceeded, Version: "2"}})
	},
}

// readers are the methods that commit nothing, or commit for as long as they run; what they return is documented.
var readers = []string{
	"Agent", "Agents", "Batches", "CanRollback", "Clock", "Create", "Explain", "FailedSpec", "Follow", "FollowAll", "Log", "Plan", "Plans", "Preview", "Releases", "RemainingSpec", "Resolved", "Run",
	"RunPlan", "Stepper", "Wait", "Watch",
}

// TestConflictsDoNotLeak disturbs each method at each of its commits, once. The method repeats what it has to; no caller gets ErrFenced, or
// an ErrConflict that it has not asked for.
func TestConflictsDoNotLeak(t *testing.T) {
	calls := map[string]func(*scene, *ota.Engine, string) error{}
	maps.Copy(calls, reporters)
	for _, op := range operations() {
		calls[op.name()] = func(s *scene, e *ota.Engine, id string) error {
			p := s.plan(id)
			_, err := op.say(s.ctx, e, p, ota.Request{})
			return err
		}
		calls[op.name()+", with a generation"] = func(s *scene, e *ota.Engine, id string) error {
			p := s.plan(id)
			_, err := op.say(s.ctx, e, p, ota.Request{Generation: p.Generation})
			return err
		}
	}
	for m := range reflect.TypeFor[*ota.Engine]().Methods() {
		_, known := calls[m.Name]
		require.True(t, known || slices.Contains(readers, m.Name), "Engine.%s is in no table", m.Name)
	}
	for name, call := range calls {
		for what, disturb := range interpositions {
			t.Run(name+"/"+what, func(t *testing.T) {
				for at := 1; at <= 4; at++ {
					if !leaks(t, name, call, what, disturb, at) {
						return // it has fewer commits
					}
				}
			})
		}
	}
}

// leaks disturbs one commit of one call. It reports whether there was such a commit.
func leaks(t *testing.T, name string, call func(*scene, *ota.Engine, string) error, what string, disturb func(*scene, *ota.Engine, string) error, at int) (was bool) {
	t.Helper()
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{FailureThreshold: ptr(1.0)}, ota.Shape{Size: 2}, "ok-1", "slow-2", "fail-3", "ok-4")
		stop := s.run(s.engineOf(s.store, s.fleet, ota.Options{Name: "gone", DrainTimeout: -1, Lease: time.Second}))
		s.after(2 * time.Second)
		require.NoError(s, stop()) // one agent was in flight, and no engine drives the plan
		s.after(time.Minute)
		store := &interposed{CheckedStore: s.store}
		one, two := s.engine(store, s.fleet, "one"), s.engine(s.store, s.fleet, "two")
		store.after, store.do = at, func(c ota.Commit) error { was = true; return disturb(s, two, c.Plan) }
		err := call(s, one, id)
		require.NotErrorIs(s, err, ota.ErrFenced, "at commit %d: %s", at, what)
		wanted := what == "somebody annotates it" && errors.Is(err, ota.ErrConflict) && strings.HasSuffix(name, "a generation")
		if !wanted {
			require.NotErrorIs(s, err, ota.ErrConflict, "at commit %d: %s", at, what)
		}
	})
	return was
}
