package httpapi_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/memstore"
)

// absent is a Store that can go away: then no call returns before its context has ended.
type absent struct {
	*memstore.Store

	mu     sync.Mutex
	reads  bool // reads are away
	writes bool // writes are away
}

func (s *absent) leave(reads, writes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads, s.writes = reads, writes
}

func (s *absent) wait(ctx context.Context, write bool) error {
	s.mu.Lock()
	away := s.reads && !write || s.writes && write
	s.mu.Unlock()
	if !away {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *absent) Plan(ctx context.Context, id string) (ota.PlanRow, error) {
	if err := s.wait(ctx, false); err != nil {
		return ota.PlanRow{}, err
	}
	return s.Store.Plan(ctx, id)
}

func (s *absent) Plans(ctx context.Context, q ota.PlanQuery) (ota.Page[ota.PlanRow], error) {
	if err := s.wait(ctx, false); err != nil {
		return ota.Page[ota.PlanRow]{}, err
	}
	return s.Store.Plans(ctx, q)
}

func (s *absent) Create(ctx context.Context, p ota.PlanRow, rows iter.Seq2[ota.Row, error], first func() (ota.Commit, error)) error {
	if err := s.wait(ctx, true); err != nil {
		return err
	}
	return s.Store.Create(ctx, p, rows, first)
}

func (s *absent) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	if err := s.wait(ctx, true); err != nil {
		return 0, err
	}
	return s.Store.Commit(ctx, c)
}

func (s *absent) Post(ctx context.Context, plan string, messages []ota.Message) error {
	if err := s.wait(ctx, true); err != nil {
		return err
	}
	return s.Store.Post(ctx, plan, messages)
}

// awayWorld is an Engine on a Store that can go away, with a plan.
type awayWorld struct {
	t     *testing.T
	store *absent
	e     *ota.Engine
	h     *httpapi.Handler
}

// newAwayWorld has the plan "p" in the state from which a verb is legal.
func newAwayWorld(t *testing.T, state string) *awayWorld {
	t.Helper()
	w := &awayWorld{t: t, store: &absent{Store: memstore.New()}}
	var err error
	if w.e, err = ota.New(w.store, ota.ExecutorFunc(behave), ota.Options{Name: "engine-1"}); err != nil {
		t.Fatal(err)
	}
	if w.h, err = httpapi.New(w.e, httpapi.Options{Auth: httpapi.Open()}); err != nil {
		t.Fatal(err)
	}
	none := 1.0
	ids := []string{"fail-1", "ok-2"}
	spec := ota.Spec{
		ID: "p", Name: "n", FromVersion: "1", ToVersion: "2", Shape: ota.Shape{Size: 1},
		Policy: ota.Policy{FailureThreshold: &none},
	}
	switch state {
	case "held":
		spec.Policy.Hold.All = true
	case "long": // an hour of work
		for i := range 3600 {
			ids = append(ids, fmt.Sprintf("ok-%d", i+3))
		}
	}
	spec.Agents = ota.AgentIDs(ids...)
	_, err = w.e.Create(t.Context(), spec)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	if state == "pending" {
		return w
	}
	_, err = w.e.Start(t.Context(), "p", ota.Request{})
	must(err)
	switch state {
	case "held": // at rest before its second batch
		must(runFor(t, w.e, 5*time.Second))
	case "in flight": // an engine was stopped during its first call
		hangs := ota.ExecutorFunc(func(ctx context.Context, _ ota.Attempt) (ota.Result, error) {
			<-ctx.Done()
			return ota.Result{}, ctx.Err()
		})
		gone, err := ota.New(w.store.Store, hangs, ota.Options{Name: "engine-1", DrainTimeout: -1})
		must(err)
		must(runFor(t, gone, time.Second))
	case "paused":
		_, err = w.e.Pause(t.Context(), "p", ota.Request{})
		must(err)
	case "completed":
		_, err = w.e.RunPlan(t.Context(), "p")
		must(err)
	}
	return w
}

// runFor drives the plan "p" for so long, in virtual time.
func runFor(t *testing.T, e *ota.Engine, d time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if _, err := e.RunPlan(ctx, "p"); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// send returns the answer, and how long it took.
func (w *awayWorld) send(method, target, body string) (*httptest.ResponseRecorder, time.Duration) {
	rec := httptest.NewRecorder()
	start := time.Now()
	w.h.ServeHTTP(rec, httptest.NewRequestWithContext(w.t.Context(), method, target, strings.NewReader(body)))
	return rec, time.Since(start)
}

// away are a request for each operation that changes something, the state from which it is legal,
// and what has not happened.
var away = map[string]struct {
	state, body, undone string
	more                time.Duration // for the agents of the plan
}{
	"CreateGraduatedPlan": {"pending", `{"name":"n","fromVersion":"1","toVersion":"2","toRelease":"2","agentIds":"x"}`, "the plan is not made", time.Millisecond},
	"CreateDowngradePlan": {
		"pending",
		`{"name":"n","batchSize":1,"observeDuration":"1s","fromVersion":"2","agentIds":"x","components":[{"componentUuid":"c","toVersion":"1","toRelease":"1"}]}`,
		"the plan is not made", time.Millisecond,
	},
	"EditPlan":           {"pending", `{"concurrency":2}`, "the plan is not changed", 0},
	"StartPlan":          {"pending", `{}`, "the plan is not started", 0},
	"PausePlan":          {"running", `{}`, "the plan is not paused", 0},
	"ResumePlan":         {"paused", `{}`, "the plan is not resumed", 0},
	"CancelPlan":         {"running", `{}`, "the plan is not canceled", 0},
	"PromoteBatch":       {"held", `{}`, "the batch is not promoted", 0},
	"SkipAgents":         {"pending", `{"agentIds":"ok-2"}`, "the agents are not skipped", 0},
	"RetryAgents":        {"held", `{}`, "the agents are not tried again", 0},
	"StartAgentsNow":     {"held", `{"agentIds":"ok-2"}`, "the agents do not start next", 0},
	"GiveUpAgents":       {"in flight", `{"agentIds":"fail-1"}`, "the attempts are not given up", 0},
	"Precheck":           {"pending", `{}`, "the result of the precheck is not stored", 2 * time.Second},
	"ReportHealth":       {"held", `[{"agentId":"ok-2","healthy":true}]`, "the reports are not accepted", 0},
	"ReportOutcomes":     {"running", `[{"agentId":"ok-2","number":1,"outcome":"succeeded"}]`, "the reports are not accepted", 0},
	"RollbackPlan":       {"completed", `{}`, "the plan is not rolled back", 2 * time.Millisecond},
	"CreateRollbackPlan": {"completed", `{"sourcePlanUuid":"p","observeDuration":"1s"}`, "the rollback plan is not made", 2 * time.Millisecond},
}

// Every request, with a Store that does not answer at all, and every change, with a Store that
// answers reads only: refused after 30 s, with the words for what has not happened. Once the Store
// answers again, the same request does what it says.
func TestEveryRequestWithoutAStore(t *testing.T) {
	h, err := httpapi.New(newEngine(t), httpapi.Options{Auth: httpapi.Open()})
	if err != nil {
		t.Fatal(err)
	}
	for r := range h.Routes() {
		if r.Operation == "GetOpenAPI" || r.Operation == "PreviewPlan" { // they read and write nothing
			continue
		}
		x, changes := away[r.Operation]
		if changes == (r.Method == http.MethodGet) {
			t.Errorf("%s has no request in the table", r.Operation)
			continue
		}
		target := strings.NewReplacer("{planId}", "p", "{historyId}", "hist-00000000000017070").Replace(r.Pattern)
		for _, reads := range []bool{true, false} {
			if !reads && !changes {
				continue
			}
			t.Run(r.Operation, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newAwayWorld(t, x.state)
					w.store.leave(reads, true)
					got, took := w.send(r.Method, target, x.body)
					most := 30*time.Second + x.more
					if got.Code != http.StatusServiceUnavailable || took < 30*time.Second || took > most || got.Header().Get("Retry-After") == "" {
						t.Fatalf("reads away: %v: got %d after %v: %s", reads, got.Code, took, got.Body)
					}
					if !strings.Contains(got.Body.String(), x.undone) || !strings.Contains(got.Body.String(), "the store has not answered for 30s") {
						t.Errorf("reads away: %v: got %s", reads, got.Body)
					}
					w.store.leave(false, false)
					if !changes {
						return
					}
					if again, _ := w.send(r.Method, target, x.body); again.Code != http.StatusOK {
						t.Errorf("reads away: %v: then got %d %s", reads, again.Code, again.Body)
					}
				})
			})
		}
	}
}

// A plan that this process drives itself: Pause goes through its owner, whose Store does not answer.
func TestPauseOfADrivenPlanWithoutAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newAwayWorld(t, "long")
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.e.Run(ctx) }()
		time.Sleep(500 * time.Millisecond) // a call is out
		w.store.leave(true, true)
		got, took := w.send("POST", "/api/v1/lifecycle/upgrade-plans/p/pause", "")
		if got.Code != http.StatusServiceUnavailable || took != 30*time.Second || !strings.Contains(got.Body.String(), "the plan is not paused yet") {
			t.Errorf("got %d after %v: %s", got.Code, took, got.Body)
		}
		w.store.leave(false, false)
		time.Sleep(time.Minute) // the owner gives up its own call, and loads the plan again
		if got, _ = w.send("POST", "/api/v1/lifecycle/upgrade-plans/p/pause", ""); got.Code != http.StatusOK {
			t.Errorf("then got %d %s", got.Code, got.Body)
		}
		time.Sleep(time.Hour)
		if p, err := w.e.Plan(t.Context(), "p"); err != nil || p.Status != ota.StatusPaused {
			t.Errorf("after an hour the plan is %v %v", p.Status, err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
