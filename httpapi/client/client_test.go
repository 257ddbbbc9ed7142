package client_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/client"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
	"github.com/seed-19b57ce3/ota/internal/testserver"
)

// What Engine refuses, Client refuses by the same error, with the same fields.
func TestClientErrors(t *testing.T) {
	c, e, url := testserver.Lifecycle(t, ota.ExecutorFunc(testserver.Quick), httpapi.Options{Strict: true})
	ctx := t.Context()
	create := func(agents ...string) wire.Plan {
		t.Helper()
		p, err := c.Create(ctx, ota.Spec{Name: "n", FromVersion: "1", ToVersion: "2", ToRelease: "2", Agents: ota.AgentIDs(agents...)})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	wait := func(id string) {
		t.Helper()
		if _, err := c.Start(ctx, id, ota.Request{}); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Wait(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	p := create("ok-1")
	_, err := c.Pause(ctx, p.ID, ota.Request{})
	_, want := e.Pause(ctx, p.ID, ota.Request{})
	var state, wantState *ota.StateError
	if !errors.Is(err, ota.ErrState) || !errors.As(err, &state) || !errors.As(want, &wantState) || !reflect.DeepEqual(state, wantState) {
		t.Errorf("got %#v, want %#v", state, wantState)
	}
	if _, err := c.Start(ctx, p.ID, ota.Request{Generation: 99}); !errors.Is(err, ota.ErrConflict) {
		t.Errorf("If-Match: got %v", err)
	}
	if _, err := c.Start(ctx, p.ID, ota.Request{Generation: p.Generation, Reason: "go", ID: "r1"}); err != nil {
		t.Errorf("If-Match: got %v", err)
	}
	if _, err := c.Plan(ctx, "plan-x"); !errors.Is(err, ota.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	f := create("fail-1")
	wait(f.ID)
	_, err = c.Resume(ctx, f.ID, client.Decision{}, ota.Request{})
	_, want = e.Resume(ctx, f.ID, ota.Decision{}, ota.Request{})
	var breach, wantBreach *ota.BreachError
	if !errors.Is(err, ota.ErrBreach) || !errors.As(err, &breach) || !errors.As(want, &wantBreach) || breach.Failed != 1 || breach.Breach.String() != wantBreach.Breach.String() {
		t.Errorf("got %v, want %v", err, want)
	}
	_, err = c.Start(ctx, create("fail-1", "x").ID, ota.Request{})
	var claim *ota.ClaimError
	if !errors.Is(err, ota.ErrClaimed) || !errors.As(err, &claim) || !reflect.DeepEqual(claim.Conflicts, []ota.Conflict{{Agent: "fail-1", Plan: f.ID}}) {
		t.Errorf("got %v", err)
	}
	if _, err = c.Resume(ctx, f.ID, client.Decision{Word: "accept", Failed: breach.Failed}, ota.Request{}); err != nil {
		t.Error(err)
	}
	_, err = c.Create(ctx, ota.Spec{Name: "n", FromVersion: "1", ToVersion: "2", ToRelease: "2", Agents: ota.AgentIDs("a", "a"), Policy: ota.Policy{Concurrency: -1, MaxAbandoned: -1}})
	if !errors.Is(err, ota.ErrInvalid) || len(ota.FieldErrors(err)) != 2 {
		t.Errorf("got %v, %v", err, ota.FieldErrors(err))
	}
	stranger := testserver.Client(t, url, client.Options{Token: "x"})
	if _, err := stranger.Plan(ctx, p.ID); !errors.Is(err, wire.ErrUnauthenticated) {
		t.Errorf("got %v", err)
	}
	for _, err = range c.Watch(ctx, "plan-x", 0) {
	}
	if !errors.Is(err, ota.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	broken := errors.New("broken")
	if _, err = c.Create(ctx, ota.Spec{Name: "n", Agents: func(yield func(ota.Agent, error) bool) { yield(ota.Agent{}, broken) }}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	away := testserver.Client(t, testserver.Serve(t, http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })), client.Options{})
	if _, err := away.Plan(ctx, "x"); !errors.Is(err, wire.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// A refusal over a breach says which bodies resume the plan, and they do.
func TestBreachHint(t *testing.T) {
	c, e, _ := testserver.Lifecycle(t, ota.ExecutorFunc(testserver.Quick), httpapi.Options{})
	none, all := 0.0, 1.0
	for name, row := range map[string]struct {
		policy ota.Policy
		bodies int
	}{
		"threshold":  {ota.Policy{FailureThreshold: &none}, 2},
		"planLimit":  {ota.Policy{FailureThreshold: &all, PlanTimeout: time.Millisecond, Soak: ota.Soak{Duration: time.Hour}}, 1},
		"batchLimit": {ota.Policy{FailureThreshold: &all, BatchTimeout: time.Millisecond, Concurrency: 1, Soak: ota.Soak{Duration: time.Hour}}, 1},
	} {
		for i := range row.bodies {
			p, err := c.Create(t.Context(), ota.Spec{
				Name: name, FromVersion: "1", ToVersion: "2", ToRelease: "2", Policy: row.policy, Agents: ota.AgentIDs(fmt.Sprint("fail-", name, i), fmt.Sprint("ok-", name, i)),
			})
			if err == nil {
				_, err = c.Start(t.Context(), p.ID, ota.Request{})
			}
			if err == nil {
				_, err = e.Wait(t.Context(), p.ID)
			}
			if err != nil {
				t.Fatal(name, err)
			}
			_, err = c.Resume(t.Context(), p.ID, client.Decision{}, ota.Request{})
			var refused *wire.Problem
			if !errors.As(err, &refused) || refused.Code != "breach" || strings.Contains(refused.Detail+refused.Hint, "Accept(") {
				t.Fatalf("%s: got %+v", name, err)
			}
			bodies := regexp.MustCompile(`\{[^}…]*\}`).FindAllString(refused.Hint, -1)
			if len(bodies) != row.bodies || name != "threshold" && !strings.Contains(refused.Hint, `"`+name+`"`) {
				t.Fatalf("%s: the hint is %s", name, refused.Hint)
			}
			var d struct {
				Decision string
				Failed   int
			}
			if err := json.Unmarshal([]byte(bodies[i]), &d); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Resume(t.Context(), p.ID, client.Decision{Word: d.Decision, Failed: d.Failed}, ota.Request{}); err != nil {
				t.Errorf("%s: %s: %v", name, bodies[i], err)
			}
		}
	}
}

// A whole policy goes over the wire and comes back.
func TestClientRoundTrip(t *testing.T) {
	c, e, _ := testserver.Lifecycle(t, ota.ExecutorFunc(testserver.Quick), httpapi.Options{Strict: true})
	threshold := 0.25
	spec := ota.Spec{
		Name: "all", FromVersion: "1", FromRelease: "10", ToVersion: "2", ToRelease: "20", CreatedBy: "me",
		Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"}, RequestKey: "key",
		Shape: ota.Shape{Batches: []ota.BatchShape{{Name: "canary", Size: 1}, {Percent: 60}}, First: []ota.Label{{Name: "z", Value: "0"}}, Last: []ota.Label{{Name: "z", Value: "2"}}},
		Policy: ota.Policy{
			Concurrency: 7, FailureThreshold: &threshold, Scope: ota.ScopeFirst, Expect: &ota.Expect{Normal: 0.02, Alpha: 0.001}, OnBreach: ota.ActionRollback, Reserve: true,
			Hold: ota.Hold{All: true, Batches: []int{1}}, Soak: ota.Soak{ToEnd: true, Duration: time.Minute, Stable: time.Hour, Grace: time.Second, Interval: time.Millisecond, Misses: ota.Off, Sample: 7, Compare: 5},
			Retry: ota.RetryPolicy{Max: 3, Backoff: time.Second, MaxBackoff: time.Minute}, AttemptTimeout: ota.NoTimeout, UnreachableTimeout: 90 * time.Minute,
			OnUnreachable: ota.UnreachableSkipped, MaxAbandoned: 9, BatchTimeout: time.Hour, PlanTimeout: 24 * time.Hour, MaxConsecutive: 4, Halve: true, Budgets: []ota.Budget{{Label: "rack", Max: 2, Each: map[string]int{"a": 3}, Of: ota.OpenAgents}, {Label: "zone", Max: 1, Values: 2}},
			Stages: []ota.Stage{{Batch: 0, Soak: new(time.Duration), FailureThreshold: &threshold, Concurrency: 3}, {Batch: 1, Hold: new(true)}},
			Rate:   ota.Rate{Starts: 10, Per: time.Minute}, Gate: ota.Gate{Interval: time.Second, MaxInconclusive: 2, MaxErrors: 3}, Complete: ota.Complete{Min: 0.5, Within: time.Hour}, Stragglers: ota.Stragglers{Share: 0.25, After: time.Minute},
			Windows: []ota.Window{{Days: []time.Weekday{1, 6}, Start: 22 * time.Hour, Length: 8 * time.Hour, Zone: "Europe/Berlin", Margin: time.Hour}},
		},
		Agents: func(yield func(ota.Agent, error) bool) {
			for i := range 3 {
				if !yield(ota.Agent{ID: fmt.Sprint("a", i), Version: "0.9", Labels: map[string]string{"z": fmt.Sprint(i)}}, nil) {
					return
				}
			}
		},
	}
	for whole, i := reflect.ValueOf(spec.Policy), 0; i < whole.NumField(); i++ {
		if name := whole.Type().Field(i).Name; whole.Field(i).IsZero() {
			t.Errorf("this test says nothing of Policy.%s", name)
		}
	}
	ctx := t.Context()
	p, err := c.Create(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Create(ctx, spec)
	if err != nil || again.ID != p.ID {
		t.Errorf("the same key made %s and %s, %v", p.ID, again.ID, err)
	}
	got, err := e.Plan(ctx, p.ID)
	if err != nil || !reflect.DeepEqual(got.Policy, spec.Policy) || !reflect.DeepEqual(got.Labels, spec.Labels) || !reflect.DeepEqual(got.Annotations, spec.Annotations) {
		t.Errorf("got %+v, %v", got, err)
	}
	d, err := c.Detail(ctx, p.ID)
	if err != nil || len(d.Batches) != 2 || d.Batches[0].Name != "canary" || len(d.Batches[1].Tasks) != 2 || d.Generation != got.Generation {
		t.Errorf("got %+v, %v", d, err)
	}
	list, err := c.Plans(ctx, client.PlanQuery{Status: []ota.Status{ota.StatusPending}, Labels: spec.Labels, Limit: 1})
	if err != nil || list.Total != 1 || list.Items[0].ID != p.ID {
		t.Errorf("got %+v, %v", list, err)
	}
	n := 0
	for task, err := range c.Tasks(ctx, p.ID, ota.TaskPending) {
		if err != nil || task.AgentID != fmt.Sprint("a", n) {
			t.Errorf("got %+v, %v", task, err)
		}
		n++
	}
	if _, err := c.Edit(ctx, p.ID, map[string]any{"concurrency": nil}, ota.Request{Reason: "less"}); err != nil {
		t.Error(err)
	}
	if s, err := c.Summary(ctx, p.ID); err != nil || s.TotalAgents != 3 || n != 3 {
		t.Errorf("got %+v, %v", s, err)
	}
	if x, err := c.Explain(ctx, p.ID); err != nil || x.Blockers[0].Verb != "start" {
		t.Errorf("got %+v, %v", x, err)
	}
	if h, err := c.History(ctx, client.HistoryQuery{PlanID: p.ID}); err != nil || h.Total != 0 {
		t.Errorf("got %+v, %v", h, err)
	}
	if err := c.ReportHealth(ctx, p.ID, []ota.HealthReport{{Agent: "a1", Healthy: true}}); err != nil {
		t.Error(err)
	}
}
