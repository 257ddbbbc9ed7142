package client_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/client"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
	"github.com/seed-19b57ce3/ota/internal/testserver"
	"github.com/seed-19b57ce3/ota/otatest"
	"github.com/seed-19b57ce3/ota/simulate"
)

// What a Client says of an automatic rollback is what that rollback plan has.
func TestClientRollbackTemplate(t *testing.T) {
	c, e, _ := testserver.Lifecycle(t, ota.ExecutorFunc(testserver.Quick), httpapi.Options{Strict: true})
	none, all := 0.0, 1.0
	policy := ota.Policy{
		Concurrency: 7, FailureThreshold: &all, Scope: ota.ScopePlan, Soak: ota.Soak{Interval: time.Second, Misses: 3, Compare: ota.Off},
		AttemptTimeout: ota.NoTimeout, UnreachableTimeout: 90 * time.Minute, MaxAbandoned: 9, Rate: ota.Rate{Starts: 1000, Per: time.Minute}, Gate: ota.Gate{Interval: time.Hour},
	}
	p, err := c.Create(t.Context(), ota.Spec{
		Name: "n", FromVersion: "1", ToVersion: "2", ToRelease: "2", Agents: ota.AgentIDs("ok-1", "fail-1"), Labels: map[string]string{"a": "b"},
		Policy: ota.Policy{FailureThreshold: &none, OnBreach: ota.ActionRollback, Concurrency: 1, MaxConsecutive: 8, BatchTimeout: time.Hour},
		Rollback: &ota.RollbackSpec{
			Name: "back", Labels: map[string]string{"c": "d"}, Annotations: map[string]string{"e": "f"}, Policy: &policy, Interrupt: true,
			Inherit: ota.InheritBatches,
		},
	})
	if err == nil {
		_, err = c.Start(t.Context(), p.ID, ota.Request{})
	}
	if err != nil {
		t.Fatal(err)
	}
	r := p.Rollback
	if r == nil || r.Name != "back" || r.Labels["c"] != "d" || r.Annotations["e"] != "f" || r.Mode != "interrupt" || r.Inherit != ota.InheritBatches ||
		r.RollbackPolicy == nil || r.Concurrency != 7 || r.FailureThreshold != 1 || r.Scope != ota.ScopePlan || r.Gate.Interval != wire.Duration(time.Hour) {
		t.Errorf("the answer says %+v of the rollback", r)
	}
	done, err := e.Wait(t.Context(), p.ID)
	if err != nil || done.Status != ota.StatusRolledBack {
		t.Fatal(done.Status, err)
	}
	back, err := e.Plan(t.Context(), done.RollbackPlan)
	if err != nil {
		t.Fatal(err)
	}
	if back.Name != "back" || !reflect.DeepEqual(back.Labels, map[string]string{"a": "b", "c": "d"}) ||
		!reflect.DeepEqual(back.Annotations, map[string]string{"e": "f"}) || !reflect.DeepEqual(back.Policy, policy) {
		t.Errorf("got %+v", back)
	}
}

// An outcome that is reported over the wire ends the attempt that waits for it.
func TestClientReportOutcomes(t *testing.T) {
	begun := make(chan ota.Attempt, 2)
	c, e, _ := testserver.Lifecycle(t, ota.Async(func(_ context.Context, a ota.Attempt) error {
		begun <- a
		return nil
	}), httpapi.Options{Strict: true})
	all := 1.0
	p, err := c.Create(t.Context(), ota.Spec{
		Name: "n", FromVersion: "1", ToVersion: "2", ToRelease: "2", Agents: ota.AgentIDs("a", "b"), Policy: ota.Policy{FailureThreshold: &all},
	})
	if err == nil {
		_, err = c.Start(t.Context(), p.ID, ota.Request{})
	}
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]ota.OutcomeReport{}
	for range 2 {
		a := <-begun
		r := ota.ReportOf(a, ota.Result{Version: "2"}, nil)
		if a.Agent == "b" { // it knows the key only
			no := ota.Unchanged(ota.Rejected(errors.New("not today")))
			r = ota.ReportOf(a, ota.Result{}, no)
			err = c.ReportOutcome(t.Context(), a.Key(), ota.Result{}, no)
		} else {
			err = c.ReportOutcomes(t.Context(), p.ID, []ota.OutcomeReport{r})
		}
		want[r.Agent] = r
		if err != nil {
			t.Fatal(err)
		}
	}
	if done, err := e.Wait(t.Context(), p.ID); err != nil || done.Counts.Succeeded != 1 || done.Counts.Failed != 1 || done.Changed != 1 {
		t.Errorf("got %+v, %v", done, err)
	}
	for task, err := range c.Tasks(t.Context(), p.ID) {
		if r := want[task.AgentID]; err != nil || task.Reason != r.Reason || task.ActualVersion != r.Version || task.Error != r.Message {
			t.Errorf("got %+v, %v, want %+v", task, err, r)
		}
	}
	if err := c.ReportOutcome(t.Context(), "a/1", ota.Result{}, nil); !errors.Is(err, ota.ErrInvalid) {
		t.Errorf("got %v", err)
	}
	if err := c.ReportOutcome(t.Context(), "none/a/0/1", ota.Result{}, nil); !errors.Is(err, ota.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	bad := ota.OutcomeReport{Agent: "a", Number: 1, Reason: ota.ReasonThreshold}
	if err := c.ReportOutcomes(t.Context(), p.ID, []ota.OutcomeReport{bad}); !errors.Is(err, ota.ErrInvalid) {
		t.Errorf("got %v", err)
	}
	if err := c.ReportOutcomes(t.Context(), "none", []ota.OutcomeReport{want["a"]}); !errors.Is(err, ota.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// A preview over the wire is the Engine's.
func TestClientPreview(t *testing.T) {
	c, e, _ := testserver.Lifecycle(t, ota.ExecutorFunc(testserver.Quick), httpapi.Options{Strict: true})
	spec := ota.Spec{
		Name: "n", FromVersion: "1", ToVersion: "2", ToRelease: "2", Agents: ota.AgentIDs(otatest.IDs("a-", 25)...),
		Shape: ota.Shape{Canary: 1}, Policy: ota.Policy{Soak: ota.Soak{Duration: time.Minute}},
	}
	want, err := e.Preview(t.Context(), spec, ota.PreviewOptions{})
	if err != nil {
		t.Fatal(err)
	}
	times, err := simulate.Earliest(t.Context(), spec, time.Second, want.Readiness.At)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Preview(t.Context(), spec, time.Second)
	if err != nil || got.TotalAgents != 25 || len(got.Batches) != len(want.Batches) || time.Duration(got.Duration) != times.Takes ||
		got.ObserveDuration != "1m0s" || len(got.Warnings) != len(want.Warnings) {
		t.Fatalf("got %+v, %v, want %+v", got, err, want)
	}
	for i, b := range want.Batches {
		if x := got.Batches[i]; x.BatchIndex != i || x.Agents != b.Size || x.ToleratedFailures != b.Tolerated ||
			time.Duration(*x.BeginsAfter) != times.Batches[i].Begins || time.Duration(*x.EndsAfter) != times.Batches[i].Ends {
			t.Errorf("got %+v, want %+v", x, b)
		}
	}
	var harm []ota.Harm
	for _, h := range got.Harm {
		harm = append(harm, ota.Harm{Kind: h.Kind, After: time.Duration(h.After), Agents: h.Agents, Stops: h.Stops})
	}
	var sees []ota.Sees
	for _, s := range got.Sees {
		sees = append(sees, ota.Sees{Batch: s.BatchIndex, Agents: s.Agents, Shows: s.Shows, Stops: s.Stops})
	}
	if !slices.Equal(harm, want.Harm) || !slices.Equal(sees, want.Sees) ||
		strings.Join(got.Summary, "\n") != want.String() || strings.Join(got.PolicyText, "\n") != want.Policy.String() {
		t.Errorf("got %+v %+v %q %q, want %+v", harm, sees, got.Summary, got.PolicyText, want)
	}
	if list, err := c.Plans(t.Context(), client.PlanQuery{}); err != nil || list.Total != 0 {
		t.Errorf("there are %d plans, %v", list.Total, err)
	}
	if got, err = c.Preview(t.Context(), spec, 0); err != nil || got.Duration != 0 || got.Batches[0].EndsAfter != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	spec.Agents = ota.AgentIDs("a", "a")
	if _, err := c.Preview(t.Context(), spec, 0); !errors.Is(err, ota.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

// A precheck over the wire is the Engine's.
func TestClientPrecheck(t *testing.T) {
	c, e, _ := testserver.Lifecycle(t, asked{ota.ExecutorFunc(testserver.Quick)}, httpapi.Options{Strict: true})
	p, err := c.Create(t.Context(), ota.Spec{Name: "n", FromVersion: "1", ToVersion: "2", ToRelease: "2", Agents: ota.AgentIDs("ok-1", "full-1")})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Precheck(t.Context(), p.ID, "", ota.Request{Generation: p.Generation})
	if err != nil || got.Allowed || len(got.Items) != 5 || got.Items[4].Passed {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err = c.Precheck(t.Context(), p.ID, "agent-connectivity", ota.Request{}); err != nil || !got.Allowed || len(got.Items) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	if kept, err := e.Plan(t.Context(), p.ID); err != nil || kept.Readiness.Blocked != 1 || kept.Readiness.Actor != "ann" {
		t.Errorf("got %+v, %v", kept.Readiness, err)
	}
	if _, err = c.Precheck(t.Context(), p.ID, "weather", ota.Request{}); !errors.Is(err, ota.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

// asked is an Executor whose prechecks pass, but for agents whose ID begins with "full".
type asked struct{ ota.Executor }

func (asked) Precheck(_ context.Context, a ota.Attempt) (ota.Precheck, error) {
	if strings.HasPrefix(a.Agent, "full") {
		return ota.Precheck{State: ota.PrecheckBlocked, Reason: "disk full"}, nil
	}
	return ota.Precheck{Version: a.FromVersion}, nil
}
