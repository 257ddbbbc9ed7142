package scenarios

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// Rollback said with a request ID does what it does without one.
func TestRollbackWithRequest(t *testing.T) {
	for _, request := range []string{"", "r1"} {
		t.Run("request="+request, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				exec := ota.ExecutorFunc(func(ctx context.Context, a ota.Attempt) (ota.Result, error) {
					if a.Agent == "b" && !a.IsRollback {
						return ota.Result{}, errors.New("no")
					}
					return ota.Result{Version: a.ToVersion}, nil
				})
				e, err := ota.New(memstore.New(), exec, ota.Options{Poll: 10 * time.Second})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- e.Run(ctx) }()
				always := 1.0
				p, err := e.Create(ctx, ota.Spec{
					Name: "n", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("a", "b"),
					Policy: ota.Policy{FailureThreshold: &always, Retry: ota.RetryPolicy{Max: 3, Backoff: time.Hour}},
				})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := e.Start(ctx, p.ID, ota.Request{}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute) // a has succeeded, b waits for its next try
				if _, err := e.Rollback(ctx, p.ID, ota.RollbackSpec{}, ota.Request{ID: request}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(100 * time.Hour)
				if p, err = e.Plan(ctx, p.ID); err != nil || p.Status != ota.StatusRolledBack {
					t.Errorf("after 100 hours it is %s, %v", p.Status, err)
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
