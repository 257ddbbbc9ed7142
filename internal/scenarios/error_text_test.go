package scenarios

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/harness"
)

// An error of the library begins with "ota: ", and repeats that nowhere. These tests call every exported
// method that returns an error, in every situation and with bad arguments. They also use a Store that
// fails at each of its calls in turn. The text of its errors has the name of the package.

// oddStore fails at one of its calls.
type oddStore struct {
	*harness.CheckedStore
	mu    sync.Mutex
	after int // calls until it fails; 0: it does not
	err   error
}

func (o *oddStore) fail() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.after--; o.after != 0 {
		return nil
	}
	return o.err
}

func (o *oddStore) arm(after int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.after, o.err = after, err
}

func (o *oddStore) failed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.after <= 0
}

func (o *oddStore) Plan(ctx context.Context, id string) (ota.PlanRow, error) {
	if err := o.fail(); err != nil {
		return ota.PlanRow{}, err
	}
	return o.CheckedStore.Plan(ctx, id)
}

func (o *oddStore) Plans(ctx context.Context, q ota.PlanQuery) (ota.Page[ota.PlanRow], error) {
	if err := o.fail(); err != nil {
		return ota.Page[ota.PlanRow]{}, err
	}
	return o.CheckedStore.Plans(ctx, q)
}

func (o *oddStore) Rows(ctx context.Context, id string, q ota.RowQuery) (ota.Page[ota.Row], error) {
	if err := o.fail(); err != nil {
		return ota.Page[ota.Row]{}, err
	}
	return o.CheckedStore.Rows(ctx, id, q)
}

func (o *oddStore) Log(ctx context.Context, id string, q ota.LogQuery) (ota.Page[ota.LogRow], error) {
	if err := o.fail(); err != nil {
		return ota.Page[ota.LogRow]{}, err
	}
	return o.CheckedStore.Log(ctx, id, q)
}

func (o *oddStore) Create(ctx context.Context, p ota.PlanRow, rows iter.Seq2[ota.Row, error], first func() (ota.Commit, error)) error {
	if err := o.fail(); err != nil {
		return err
	}
	return o.CheckedStore.Create(ctx, p, rows, first)
}

func (o *oddStore) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	if err := o.fail(); err != nil {
		return 0, err
	}
	return o.CheckedStore.Commit(ctx, c)
}

func (o *oddStore) Claim(ctx context.Context, plan, from string) ([]ota.Conflict, int, error) {
	if err := o.fail(); err != nil {
		return nil, 0, err
	}
	return o.CheckedStore.Claim(ctx, plan, from)
}

func (o *oddStore) Kept(ctx context.Context, plan string) ([]ota.Conflict, error) {
	if err := o.fail(); err != nil {
		return nil, err
	}
	return o.CheckedStore.Kept(ctx, plan)
}

func (o *oddStore) Holders(ctx context.Context, agents []string) ([]string, error) {
	if err := o.fail(); err != nil {
		return nil, err
	}
	return o.CheckedStore.Holders(ctx, agents)
}

// errorsOfStores are what a Store may return. The text of each has the name of the package somewhere.
var errorsOfStores = map[string]error{
	"a sentinel":    ota.ErrRefused,
	"wrapped":       fmt.Errorf("disk 7: %w (%w)", ota.ErrNotFound, ota.ErrExists),
	"joined":        errors.Join(ota.ErrRefused, harness.ErrDown, ota.ErrExists),
	"of the engine": &ota.StateError{Plan: "p", Verb: ota.VerbSkip},
}

type erring func(ctx context.Context, e *ota.Engine, id string) error

// last returns the error of an iterator.
func last[T any](seq iter.Seq2[T, error]) (err error) {
	for _, err = range seq {
		if err != nil {
			break
		}
	}
	return err
}

// erringReaders call the methods of the Engine that are no verbs, well and badly.
func erringReaders() map[string]erring {
	spec := ota.Spec{Name: "n", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("ok-1", "ok-9")}
	broken := spec
	broken.Agents = func(yield func(ota.Agent, error) bool) { yield(ota.Agent{}, fmt.Errorf("csv: %w", ota.ErrNotFound)) }
	twice := spec
	twice.ID = "twice"
	return map[string]erring{
		"Agents": func(ctx context.Context, e *ota.Engine, id string) error {
			_, err := e.Agents(ctx, id, ota.AgentQuery{})
			return err
		},
		"Agents, too many": func(ctx context.Context, e *ota.Engine, id string) error {
			_, err := e.Agents(ctx, id, ota.AgentQuery{IDs: slices.Repeat([]string{"a"}, 1001)})
			return err
		},
		"Agents, a bad cursor": func(ctx context.Context, e *ota.Engine, id string) error {
			_, err := e.Agents(ctx, id, ota.AgentQuery{Cursor: "x"})
			return err
		},
		"Batches": func(ctx context.Context, e *ota.Engine, id string) error { return last(e.Batches(ctx, id, 0)) },
		"CanRollback": func(ctx context.Context, e *ota.Engine, id string) error {
			_, err := e.CanRollback(ctx, id)
			return err
		},
		"Create": func(ctx context.Context, e *ota.Engine, _ string) error { _, err := e.Create(ctx, spec); return err },
		"Create, nothing": func(ctx context.Context, e *ota.Engine, _ string) error {
			_, err := e.Create(ctx, ota.Spec{})
			return err
		},
		"Create, broken": func(ctx context.Context, e *ota.Engine, _ string) error { _, err := e.Create(ctx, broken); return err },
		"Create, twice": func(ctx context.Context, e *ota.Engine, _ string) error {
			if _, err := e.Create(ctx, twice); err != nil {
				return err
			}
			_, err := e.Create(ctx, twice)
			return err
		},
		"Explain":    func(ctx context.Context, e *ota.Engine, id string) error { _, err := e.Explain(ctx, id); return err },
		"FailedSpec": func(ctx context.Context, e *ota.Engine, id string) error { return ofSpec(e.FailedSpec(ctx, id)) },
		"RemainingSpec": func(ctx context.Context, e *ota.Engine, id string) error {
			return ofSpec(e.RemainingSpec(ctx, id, true))
		},
		"Plan": func(ctx context.Context, e *ota.Engine, id string) error { _, err := e.Plan(ctx, id); return err },
		"Plans": func(ctx context.Context, e *ota.Engine, _ string) error {
			_, err := e.Plans(ctx, ota.PlanQuery{})
			return err
		},
		"Preview": func(ctx context.Context, e *ota.Engine, _ string) error {
			_, err := e.Preview(ctx, spec, ota.PreviewOptions{Precheck: true})
			return err
		},
		"Preview, broken": func(ctx context.Context, e *ota.Engine, _ string) error {
			_, err := e.Preview(ctx, broken, ota.PreviewOptions{})
			return err
		},
		"Releases": func(ctx context.Context, e *ota.Engine, _ string) error {
			_, err := e.Releases(ctx, "2", []string{"ok-1"})
			return err
		},
		"Run":     func(ctx context.Context, e *ota.Engine, _ string) error { return e.Run(ctx) },
		"RunPlan": func(ctx context.Context, e *ota.Engine, id string) error { _, err := e.RunPlan(ctx, id); return err },
		"Stepper": func(ctx context.Context, e *ota.Engine, id string) error {
			s := e.Stepper(id, ota.Answers{})
			_, err := s.Step(ctx, time.Now())
			if err == nil {
				_, err = s.Refresh(ctx)
			}
			if err == nil {
				_, _, err = s.Counterpart(ctx)
			}
			if err == nil {
				_, err = s.Plan(ctx)
			}
			if err == nil {
				s.Close()
				_, err = s.Step(ctx, time.Now())
			}
			return err
		},
		"Agent": func(ctx context.Context, e *ota.Engine, id string) error {
			_, err := e.Agent(ctx, id, "ok-1")
			return err
		},
		"Agent, unknown": func(ctx context.Context, e *ota.Engine, id string) error {
			_, err := e.Agent(ctx, id, "z")
			return err
		},
		"Follow": func(ctx context.Context, e *ota.Engine, id string) error { return last(e.Follow(ctx, id, time.Second)) },
		"FollowAll": func(ctx context.Context, e *ota.Engine, _ string) error {
			return last(e.FollowAll(ctx, ota.PlanQuery{}, time.Second))
		},
		"Log": func(ctx context.Context, e *ota.Engine, id string) error {
			_, err := e.Log(ctx, id, ota.LogQuery{Notable: true})
			return err
		},
		"Wait":  func(ctx context.Context, e *ota.Engine, id string) error { _, err := e.Wait(ctx, id); return err },
		"Watch": func(ctx context.Context, e *ota.Engine, id string) error { return last(e.Watch(ctx, id, 0)) },
	}
}

func ofSpec(s ota.Spec, err error) error {
	if err == nil {
		err = last(s.Agents)
	}
	return err
}

// erringVerbs are the operations, well and with bad arguments.
func erringVerbs() map[string]erring {
	all := map[string]erring{}
	for _, op := range operations() {
		for how, by := range map[string]ota.Request{
			"":                     {},
			", with a generation":  {Generation: 99},
			", with a long reason": {Reason: strings.Repeat("x", 2000)},
		} {
			all[op.name()+how] = func(ctx context.Context, e *ota.Engine, id string) error {
				_, err := op.say(ctx, e, ota.Plan{ID: id}, by)
				return err
			}
		}
	}
	of := func(_ ota.Plan, err error) error { return err }
	maps.Copy(all, map[string]erring{
		"Skip, nothing": func(ctx context.Context, e *ota.Engine, id string) error {
			return of(e.Skip(ctx, id, nil, ota.Request{}))
		},
		"Skip, unknown": func(ctx context.Context, e *ota.Engine, id string) error {
			return of(e.Skip(ctx, id, []string{"z"}, ota.Request{}))
		},
		"Now, unknown": func(ctx context.Context, e *ota.Engine, id string) error {
			return of(e.Now(ctx, id, []string{"z"}, ota.Request{}))
		},
		"GiveUp, unknown": func(ctx context.Context, e *ota.Engine, id string) error {
			return of(e.GiveUp(ctx, id, []string{"z"}, ota.Request{}))
		},
		"Retry, unknown": func(ctx context.Context, e *ota.Engine, id string) error {
			return of(e.Retry(ctx, id, []string{"z"}, ota.Request{}))
		},
		"Resume, less than nothing": func(ctx context.Context, e *ota.Engine, id string) error {
			return of(e.Resume(ctx, id, ota.Accept(-1), ota.Request{}))
		},
		"Promote, no such batch": func(ctx context.Context, e *ota.Engine, id string) error {
			return of(e.Promote(ctx, id, 99, ota.Request{}))
		},
		"Edit, a bad value": func(ctx context.Context, e *ota.Engine, id string) error {
			return of(e.Edit(ctx, id, func(p *ota.Policy) { p.Concurrency = -1 }, ota.Request{}))
		},
		"Edit, a panic": func(ctx context.Context, e *ota.Engine, id string) error {
			return of(e.Edit(ctx, id, func(*ota.Policy) { panic("broken") }, ota.Request{}))
		},
		"Annotate, no key": func(ctx context.Context, e *ota.Engine, id string) error {
			return of(e.Annotate(ctx, id, map[string]string{"": "x"}, nil, ota.Request{}))
		},
		"Rollback, a bad policy": func(ctx context.Context, e *ota.Engine, id string) error {
			return of(e.Rollback(ctx, id, ota.RollbackSpec{Policy: &ota.Policy{Concurrency: -1}}, ota.Request{}))
		},
	})
	return all
}

func erringMethods(t *testing.T) map[string]erring {
	t.Helper()
	all := erringVerbs()
	maps.Copy(all, erringReaders())
	for name, report := range reporters {
		all[name] = func(ctx context.Context, e *ota.Engine, id string) error {
			return report(&scene{ctx: ctx}, e, id)
		}
	}
	have := map[string]bool{}
	for name := range all {
		method, _, _ := strings.Cut(name, ",")
		method, _, _ = strings.Cut(method, " ")
		have[method] = true
	}
	for m := range reflect.TypeFor[*ota.Engine]().Methods() {
		planted := strings.Contains(m.Name, "_")                   // a variant with a planted bug
		if m.Name != "Clock" && m.Name != "Resolved" && !planted { // these two return no error
			require.True(t, have[m.Name], "Engine.%s is in no table", m.Name)
		}
	}
	return all
}

// beginsOnce reports whether an error names the package at its beginning, and nowhere else. A caller's
// own context error has no name.
func beginsOnce(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil && (errors.Is(err, ctx.Err()) || err == context.Cause(ctx)) { //nolint:errorlint // the very error
		return true
	}
	return strings.HasPrefix(err.Error(), "ota: ") && strings.Count(err.Error(), "ota: ") == 1
}

// erringScene calls one method once. It reports whether the Store has failed.
func erringScene(t *testing.T, put func(*scene) string, call erring, what string, at int, fault error) (failed bool) {
	t.Helper()
	var err error
	once := true
	synctest.Test(t, func(t *testing.T) {
		s := &scene{T: t, ctx: t.Context(), store: harness.NewCheckedStore(t), fleet: newScripted()}
		s.e = s.engine(s.store, s.fleet, "one")
		t.Cleanup(s.fleet.free)
		id := "none"
		if put != nil {
			id = put(s)
		}
		odd := &oddStore{CheckedStore: s.store}
		caller := s.engineOf(odd, s.fleet, ota.Options{Name: "caller", DrainTimeout: -1})
		ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
		defer cancel()
		odd.arm(at, fault)
		err = call(ctx, caller, id)
		once = beginsOnce(ctx, err)
		failed = odd.failed() && at > 0
	})
	if !once {
		t.Errorf("%s: %q (%T)", what, err, err)
	}
	return failed
}

func TestErrorsNameThePackageOnce(t *testing.T) {
	situations := grounds()
	situations["no plan"] = nil
	for name, call := range erringMethods(t) {
		for where, put := range situations {
			erringScene(t, put, call, name+", "+where, 0, nil)
		}
	}
}

func TestErrorsOfAStoreNameThePackageOnce(t *testing.T) {
	const most = 12 // calls of the Store in one method
	for name, call := range erringMethods(t) {
		for kind, fault := range errorsOfStores {
			for at := 1; at <= most; at++ {
				what := fmt.Sprintf("%s, call %d of the store fails: %s", name, at, kind)
				if !erringScene(t, grounds()["waiting"], call, what, at, fault) {
					break
				}
			}
		}
	}
}
