package scenarios

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// Whoever has driven a rollback plan to its end finds its source rolled back, and its agents free for the next plan.
func TestRunPlanOfARollbackEndsItsSource(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			exec := ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
				if strings.HasPrefix(a.Agent, "fail") && a.ToVersion == "2" {
					return ota.Result{}, errors.New("no")
				}
				return ota.Result{Version: a.ToVersion}, nil
			})
			e, err := ota.New(memstore.New(), exec, ota.Options{})
			if err != nil {
				t.Fatal(err)
			}
			ctx, agents := t.Context(), ota.AgentIDs(append(ids("ok", 10), ids("fail", 5)...)...)
			run := func(p ota.Plan, err error) ota.Plan {
				t.Helper()
				if err == nil && p.Status == ota.StatusPending {
					_, err = e.Start(ctx, p.ID, ota.Request{})
				}
				if err == nil {
					p, err = e.RunPlan(ctx, p.ID)
				}
				if err != nil {
					t.Fatal(err)
				}
				return p
			}
			source := run(e.Create(ctx, ota.Spec{Name: "bad", FromVersion: "1", ToVersion: "2", Agents: agents}))
			undo := run(e.Rollback(ctx, source.ID, ota.RollbackSpec{}, ota.Request{}))
			if undo.Status != ota.StatusCompleted {
				t.Fatalf("the rollback plan is %s, want completed", undo.Status)
			}
			if p, _ := e.Plan(ctx, source.ID); p.Status != ota.StatusRolledBack {
				t.Fatalf("the source is %s, want rolled_back", p.Status)
			}
			next := run(e.Create(ctx, ota.Spec{Name: "good", FromVersion: "1", ToVersion: "3", Agents: agents}))
			if next.Status != ota.StatusCompleted {
				t.Fatalf("the next plan is %s, want completed", next.Status)
			}
		})
	}
}
