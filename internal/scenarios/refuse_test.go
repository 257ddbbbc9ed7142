package scenarios

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// A refusal offers no verb that a rollback forbids, neither to the plan that is rolled back nor to the rollback plan, and
// Explain names no batch that was not reached.
func TestRefusalWhileRollingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		e, err := ota.New(memstore.New(), ota.ExecutorFunc(func(context.Context, ota.Attempt) (ota.Result, error) {
			return ota.Result{}, errors.New("no")
		}), ota.Options{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := e.Create(ctx, ota.Spec{Name: "x", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("a")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Start(ctx, p.ID, ota.Request{}); err != nil {
			t.Fatal(err)
		}
		if p, err = e.RunPlan(ctx, p.ID); err != nil || p.Status != ota.StatusPaused {
			t.Fatal(p.Status, err)
		}
		if x, err := e.Explain(ctx, p.ID); err != nil || x.Batch != p.Batch {
			t.Errorf("Explain says batch %d, the plan %d, %v", x.Batch, p.Batch, err)
		}
		r, err := e.CreateRollback(ctx, p.ID, ota.RollbackSpec{}, ota.Request{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.Resume(ctx, p.ID, ota.Accept(1), ota.Request{})
		var refused *ota.StateError
		if !errors.As(err, &refused) || slices.Contains(refused.Legal, ota.VerbResume) || !slices.Contains(refused.Legal, ota.VerbRollback) {
			t.Errorf("the source: %v", err)
		}
		_, err = e.Rollback(ctx, r.ID, ota.RollbackSpec{}, ota.Request{})
		if !errors.As(err, &refused) || slices.Contains(refused.Legal, ota.VerbRollback) || !slices.Contains(refused.Legal, ota.VerbStart) {
			t.Errorf("the rollback plan: %v", err)
		}
	})
}
