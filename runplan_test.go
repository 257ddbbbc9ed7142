package ota

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

// Whoever has driven a rollback plan to its end finds its source rolled back, and its agents free for the next plan.
func TestRunPlanOfARollbackEndsItsSource(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			exec := ExecutorFunc(func(_ context.Context, a Attempt) (Result, error) {
				if strings.HasPrefix(a.Agent, "fail") && a.ToVersion == "2" {
					return Result{}, errors.New("no")
				}
				return Result{Version: a.ToVersion}, nil
			})
			e, err := New(NewMemStore(), exec, Options{})
			if err != nil {
				t.Fatal(err)
			}
			ctx, agents := t.Context(), AgentIDs(append(ids("ok", 10), ids("fail", 5)...)...)
			run := func(p Plan, err error) Plan {
				t.Helper()
				if err == nil && p.Status == StatusPending {
					_, err = e.Start(ctx, p.ID, Request{})
				}
				if err == nil {
					p, err = e.RunPlan(ctx, p.ID)
				}
				if err != nil {
					t.Fatal(err)
				}
				return p
			}
			source := run(e.Create(ctx, Spec{Name: "bad", FromVersion: "1", ToVersion: "2", Agents: agents}))
			undo := run(e.Rollback(ctx, source.ID, RollbackSpec{}, Request{}))
			if undo.Status != StatusCompleted {
				t.Fatalf("the rollback plan is %s, want completed", undo.Status)
			}
			if p, _ := e.Plan(ctx, source.ID); p.Status != StatusRolledBack {
				t.Fatalf("the source is %s, want rolled_back", p.Status)
			}
			next := run(e.Create(ctx, Spec{Name: "good", FromVersion: "1", ToVersion: "3", Agents: agents}))
			if next.Status != StatusCompleted {
				t.Fatalf("the next plan is %s, want completed", next.Status)
			}
		})
	}
}
