// Package oddtext has a plan told odd texts wherever user code, or a caller, may tell it one.
package oddtext

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/kit"
)

// Run makes one plan for each odd text. In it, every part of the executor answers with that text,
// and every caller passes it. At the end the plan is rolled back. Run checks that each plan ends, and
// stores no text that a Store may refuse.
func Run(t *testing.T, newStore func(t *testing.T) ota.Store) {
	store := newStore(t)
	texts := kit.Texts()
	for i, name := range slices.Sorted(maps.Keys(texts)) {
		text := texts[name]
		if testing.Short() && i%4 != 0 {
			continue
		}
		if !t.Run(name, func(t *testing.T) { (&scene{T: t, store: store, text: text, asked: map[string]int{}}).run() }) {
			return // its plan may still have the agents
		}
	}
}

type scene struct {
	*testing.T
	store  ota.Store
	e      *ota.Engine
	text   string
	log    bytes.Buffer
	plan   ota.Plan
	cancel context.CancelFunc
	again  atomic.Bool // the first engine has ended

	components bool // Resolve tells of a component

	mu    sync.Mutex
	asked map[string]int // how often, by question and agent
	wg    sync.WaitGroup
}

func (s *scene) engine() *ota.Engine {
	e, err := ota.New(s.store, s, ota.Options{
		Logger: slog.New(slog.NewTextHandler(&s.log, nil)), Resolver: s, DrainTimeout: -1, Poll: 50 * time.Millisecond,
	})
	s.that(err == nil, "%v", err)
	return e
}

func (s *scene) run() {
	ctx, cancel := context.WithTimeout(s.Context(), 10*time.Second)
	defer cancel()
	s.e = s.engine()
	s.create(ctx)
	_, err := s.e.Start(ctx, s.plan.ID, ota.Request{})
	s.that(err == nil, "%v", err)
	s.crash(ctx)
	s.wg.Wait()
	s.again.Store(true)
	s.e = s.engine()
	p, err := s.e.RunPlan(ctx, s.plan.ID)
	x, _ := s.e.Explain(s.Context(), s.plan.ID)
	s.that(err == nil, "%v\n%v\n%s", err, x.Blockers, &s.log)
	s.wg.Wait()
	s.that(p.Status == ota.StatusRolledBack, "it is %v, with the breaches %v\n%s", p.Status, p.Breaches, &s.log)
	s.that(!strings.Contains(s.log.String(), "refuses"), "%s", &s.log)
	s.everything(ctx, p.ID)
	s.everything(ctx, p.RollbackPlan)
	for _, id := range []string{p.ID, p.RollbackPlan} {
		spec, err := s.e.FailedSpec(ctx, id)
		s.that(err == nil, "%v", err)
		_, err = s.e.Create(ctx, spec)
		if err != nil { // of a rollback nobody has failed
			s.that(strings.Contains(err.Error(), "agents are none"), "%v", err)
		}
	}
}

// agents are named by what they do.
var agents = []string{
	"error", "permanent", "rejected", "unchanged", "throttled", "panic", "version", "message", "blocked", "away", "previous", "sick",
	"inspected", "misinspected", "uninspected", "reported", "misreported", "unmade",
}

// create makes the plan, with the text wherever the engine lets a caller say it.
func (s *scene) create(ctx context.Context) {
	all := 1.0 // may fail
	spec := ota.Spec{
		FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs(agents...),
		Shape: ota.Shape{Size: len(agents)},
		Policy: ota.Policy{
			Concurrency: len(agents), FailureThreshold: &all, OnBreach: ota.ActionRollback, UnreachableTimeout: time.Millisecond,
			Retry: ota.RetryPolicy{Max: 1, Backoff: time.Millisecond},
			Soak:  ota.Soak{Duration: 20 * time.Millisecond, Interval: 5 * time.Millisecond},
			Gate:  ota.Gate{Interval: time.Millisecond, MaxErrors: 1, MaxInconclusive: 1},
		},
	}
	for _, given := range []func(*ota.Spec){
		func(x *ota.Spec) { x.Name = s.text }, func(x *ota.Spec) { x.FromVersion, x.FromRelease = cmp.Or(s.text, "1"), s.text },
		func(x *ota.Spec) { x.ToRelease = s.text }, func(x *ota.Spec) { x.CreatedBy = s.text }, func(x *ota.Spec) { x.Actor = s.text },
		func(x *ota.Spec) { x.Labels = map[string]string{s.text: s.text} },
		func(x *ota.Spec) { x.Annotations = map[string]string{"a": s.text, s.text: "a"} },
		func(x *ota.Spec) { x.RequestKey = s.text }, func(x *ota.Spec) { x.Fingerprint = s.text },
		func(x *ota.Spec) { x.Shape = ota.Shape{Batches: []ota.BatchShape{{Name: s.text, Size: len(agents)}}} },
		func(x *ota.Spec) { x.Rollback = &ota.RollbackSpec{Labels: map[string]string{"a": s.text}} },
	} {
		next := spec
		if given(&next); s.takes(ctx, next) {
			spec = next
		}
	}
	s.components = true
	s.components = s.takes(ctx, spec)
	spec.Name = cmp.Or(spec.Name, "n")
	var err error
	s.plan, err = s.e.Create(ctx, spec)
	s.that(err == nil, "%v", err)
	for _, by := range []ota.Request{{Actor: s.text}, {Reason: s.text}, {ID: s.text}} {
		if _, err := s.e.Annotate(ctx, s.plan.ID, map[string]string{"b": by.Actor + by.Reason}, nil, by); err != nil {
			s.that(errors.Is(err, ota.ErrInvalid), "%v", err)
		}
	}
	if s.text != "" {
		_, err = s.e.Plan(ctx, s.text)
		s.that(errors.Is(err, ota.ErrNotFound), "%v", err)
		_, err = s.e.Skip(ctx, s.plan.ID, []string{s.text}, ota.Request{})
		s.that(errors.Is(err, ota.ErrNotFound), "%v", err)
	}
}

// takes reports whether the engine accepts a spec. A refusal must be an ErrInvalid.
func (s *scene) takes(ctx context.Context, spec ota.Spec) bool {
	spec.Name = cmp.Or(spec.Name, "n")
	_, err := s.e.Preview(ctx, spec, ota.PreviewOptions{})
	s.that(err == nil || errors.Is(err, ota.ErrInvalid), "Preview: %v", err)
	return err == nil
}

// that ends the test unless something holds.
func (s *scene) that(holds bool, format string, args ...any) {
	s.Helper()
	if !holds {
		s.Fatalf(format, args...)
	}
}

// crash drives the plan until the first calls are out, and ends the engine then.
func (s *scene) crash(ctx context.Context) {
	ctx, s.cancel = context.WithCancel(ctx)
	p, err := s.e.RunPlan(ctx, s.plan.ID)
	s.that(err != nil, "the plan was not interrupted: %v %v\n%s", p.Status, p.Breaches, &s.log)
	s.e.Run(ctx) //nolint:errcheck // its context has ended: it gives the lease back
}

// times is how often something was asked before.
func (s *scene) times(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[what]++
	return s.asked[what] - 1
}

func (s *scene) Execute(ctx context.Context, a ota.Attempt) (ota.Result, error) {
	said := errors.New(s.text)
	if a.IsRollback {
		return ota.Result{Message: s.text}, nil
	}
	if !s.again.Load() && strings.HasSuffix(a.Agent, "inspected") {
		s.cancel()
		<-ctx.Done()
		return ota.Result{}, ctx.Err()
	}
	switch a.Agent {
	case "error":
		return ota.Result{}, said
	case "permanent":
		return ota.Result{}, ota.Permanent(said)
	case "rejected":
		return ota.Result{}, ota.Rejected(fmt.Errorf("so: %w", said))
	case "unchanged":
		return ota.Result{}, ota.Unchanged(ota.Permanent(said))
	case "throttled":
		return ota.Result{}, ota.Throttled(said, 2*time.Millisecond)
	case "panic":
		panic(s.text)
	case "version":
		return ota.Result{Version: s.text, Message: s.text}, nil
	case "reported", "misreported", "unmade":
		s.wg.Go(func() { s.report(ctx, a) })
		<-ctx.Done()
		return ota.Result{}, ctx.Err()
	}
	return ota.Result{Version: "2\n", Message: s.text}, nil
}

// report says how a call ended that waits for it.
func (s *scene) report(ctx context.Context, a ota.Attempt) {
	r := ota.ReportOf(a, ota.Result{Version: "2", Message: s.text}, nil)
	switch a.Agent {
	case "misreported":
		r.Version = s.text
	case "unmade": // not by ReportOf
		r.Message = s.text
	}
	if err := s.e.ReportOutcomes(ctx, a.Plan, []ota.OutcomeReport{r}); err != nil && ctx.Err() == nil {
		s.Errorf("ReportOutcomes: %v", err)
	}
}

func (s *scene) Precheck(_ context.Context, a ota.Attempt) (ota.Precheck, error) {
	switch {
	case a.Agent == "blocked":
		return ota.Precheck{State: ota.PrecheckBlocked, Reason: s.text, Version: s.text}, nil
	case a.Agent == "away" && !a.IsRollback && s.times("precheck") == 0:
		return ota.Precheck{}, ota.Throttled(errors.New(s.text), time.Millisecond)
	case a.Agent == "previous" && !a.IsRollback:
		return ota.Precheck{Version: s.text, Reason: s.text}, nil
	}
	return ota.Precheck{}, nil
}

func (s *scene) Health(_ context.Context, a ota.Attempt) (ota.Health, error) {
	if a.Agent == "sick" && !a.IsRollback {
		return ota.Health{Reason: s.text}, nil
	}
	if a.Agent == "message" && s.times("health") == 0 {
		return ota.Health{}, errors.New(s.text)
	}
	return ota.Health{Healthy: true, Reason: s.text}, nil
}

func (s *scene) Inspect(_ context.Context, a ota.Attempt) (ota.Inspection, error) {
	if a.Agent == "uninspected" {
		return ota.Inspection{State: ota.InspectFailed, Err: ota.Permanent(errors.New(s.text))}, nil
	}
	if a.Agent == "misinspected" {
		return ota.Inspection{State: ota.InspectDone, Result: ota.Result{Version: s.text}}, nil
	}
	if a.Agent == "inspected" {
		return ota.Inspection{State: ota.InspectDone, Result: ota.Result{Version: "2", Message: s.text}}, nil
	}
	return ota.Inspection{}, errors.New(s.text)
}

func (s *scene) Gate(ctx context.Context, p ota.Plan, _ ota.Batch) (ota.GateVerdict, error) {
	switch {
	case p.Source != "":
		return ota.GatePass, nil
	case s.times("gate") == 0:
		err := s.e.ReportHealth(ctx, p.ID, []ota.HealthReport{{Agent: "message", Reason: s.text}, {Agent: "error", Reason: s.text}})
		return ota.GateNone, errors.Join(errors.New(s.text), err)
	}
	return ota.GateFail, nil
}

// Resolve gives an agent a component of that name, as far as the engine lets it.
func (s *scene) Resolve(context.Context, ota.Spec, ota.Agent) ([]ota.TaskSpec, error) {
	if !s.components {
		return []ota.TaskSpec{{}}, nil
	}
	return []ota.TaskSpec{{Component: ota.Component{Name: s.text, ID: s.text, Instance: s.text}}}, nil
}

// everything asserts that no text that can be read of a plan is one that a Store may refuse.
func (s *scene) everything(ctx context.Context, id string) {
	s.Helper()
	p, err := s.e.Plan(ctx, id)
	s.that(err == nil, "%v", err)
	s.texts("plan", reflect.ValueOf(p))
	page, err := s.e.Agents(ctx, id, ota.AgentQuery{})
	s.that(err == nil, "%v", err)
	s.texts("agents", reflect.ValueOf(page.Items))
	for r, err := range s.e.Watch(ctx, id, 0) {
		s.that(err == nil, "%v", err)
		s.texts("record", reflect.ValueOf(r))
		if r.Revision == p.Revision {
			break
		}
	}
}

func (s *scene) texts(at string, v reflect.Value) {
	s.Helper()
	switch v.Kind() {
	case reflect.String:
		s.that(kit.Storable(v.String()), "%s is %q", at, v)
		s.that(v.Len() <= 64<<10, "%s has %d bytes", at, v.Len())
	case reflect.Pointer:
		if !v.IsNil() {
			s.texts(at, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			s.texts(at+"."+v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			s.texts(at, v.Index(i))
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			s.texts(at, k)
			s.texts(at, v.MapIndex(k))
		}
	}
}
