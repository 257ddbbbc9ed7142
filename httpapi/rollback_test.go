package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
)

// A rollback over HTTP is fast by default, whatever its source waits for. What the request says changes
// that.
func TestPolicyOfARollback(t *testing.T) {
	type policy struct {
		batches, concurrency int
		hold, reserve        bool
		soak                 time.Duration
	}
	for body, want := range map[string]policy{
		`{}`:                          {1, 5, false, false, 0},
		`{"observeDuration":"5m"}`:    {1, 5, false, false, 5 * time.Minute},
		`{"observeDuration":"value"}`: {1, 5, false, false, 0},
		`{"concurrency":7}`:           {1, 7, false, false, 0},
		`{"inherit":"batches"}`:       {2, 5, false, false, 0},
		`{"inherit":"batches","hold":{"every":true}}`:              {2, 5, true, false, 0},
		`{"inherit":"all"}`:                                        {2, 5, true, true, time.Hour},
		`{"inherit":"all","concurrency":7,"observeDuration":"5m"}`: {2, 7, true, true, 5 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			e := minuteEngine(t)
			h, err := httpapi.New(e, httpapi.Options{Auth: httpapi.Open()})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- e.Run(ctx) }()
			p, err := e.Create(ctx, ota.Spec{
				Name: "n", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("a", "b", "c"), Shape: ota.Shape{Size: 1},
				Policy: ota.Policy{Hold: ota.Hold{All: true}, Reserve: true, Soak: ota.Soak{Duration: time.Hour}},
			})
			if err == nil {
				_, err = e.Start(ctx, p.ID, ota.Request{})
			}
			time.Sleep(2 * time.Hour)
			if err == nil {
				_, err = e.Promote(ctx, p.ID, 1, ota.Request{})
			}
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Hour)
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/api/v1/lifecycle/upgrade-plans/"+p.ID+"/rollback", strings.NewReader(body)))
			if p, err = e.Plan(ctx, p.ID); err != nil || rec.Code != 200 {
				t.Fatalf("%s: %v, %s", body, err, rec.Body)
			}
			back, err := e.Plan(ctx, p.RollbackPlan)
			if err != nil {
				t.Fatal(err)
			}
			got := policy{back.Batches, back.Policy.Concurrency, back.Policy.Hold.All, back.Policy.Reserve, back.Policy.Soak.Duration}
			if got != want {
				t.Errorf("%s: got %+v, want %+v", body, got, want)
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}
