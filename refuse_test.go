package ota

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
)

// A refusal offers no verb that a rollback forbids, neither to the plan that is rolled back nor to the rollback plan, and
// Explain names no batch that was not reached.
func TestRefusalWhileRollingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		e, err := New(NewMemStore(), ExecutorFunc(func(context.Context, Attempt) (Result, error) {
			return Result{}, errors.New("no")
		}), Options{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := e.Create(ctx, Spec{Name: "x", FromVersion: "1", ToVersion: "2", Agents: AgentIDs("a")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Start(ctx, p.ID, Request{}); err != nil {
			t.Fatal(err)
		}
		if p, err = e.RunPlan(ctx, p.ID); err != nil || p.Status != StatusPaused {
			t.Fatal(p.Status, err)
		}
		if x, err := e.Explain(ctx, p.ID); err != nil || x.Batch != p.Batch {
			t.Errorf("Explain says batch %d, the plan %d, %v", x.Batch, p.Batch, err)
		}
		r, err := e.CreateRollback(ctx, p.ID, RollbackSpec{}, Request{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.Resume(ctx, p.ID, Accept(1), Request{})
		var refused *StateError
		if !errors.As(err, &refused) || slices.Contains(refused.Legal, VerbResume) || !slices.Contains(refused.Legal, VerbRollback) {
			t.Errorf("the source: %v", err)
		}
		_, err = e.Rollback(ctx, r.ID, RollbackSpec{}, Request{})
		if !errors.As(err, &refused) || slices.Contains(refused.Legal, VerbRollback) || !slices.Contains(refused.Legal, VerbStart) {
			t.Errorf("the rollback plan: %v", err)
		}
	})
}
