package httpapi_test

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/client"
	"github.com/seed-19b57ce3/ota/internal/testserver"
)

// Many watchers of one plan see every record, share one reader of its log, and leave nothing
// behind.
func TestManyWatchers(t *testing.T) {
	const watchers = 200
	_, e, url := testserver.Lifecycle(t, ota.ExecutorFunc(testserver.Quick), httpapi.Options{})
	transport := &http.Transport{}
	c := testserver.Client(t, url, client.Options{Token: "ann-token", HTTP: &http.Client{Transport: transport}})
	p, err := c.Create(t.Context(), ota.Spec{Name: "n", FromVersion: "1", ToVersion: "2", ToRelease: "2", Agents: ota.AgentIDs(names("ok", 50)...)})
	if err != nil {
		t.Fatal(err)
	}
	transport.CloseIdleConnections()
	before := runtime.NumGoroutine()
	ctx, leave := context.WithCancel(t.Context())
	var wg, ready sync.WaitGroup
	counts := make([]uint64, watchers)
	ready.Add(watchers)
	for i := range watchers {
		wg.Go(func() {
			for rec, err := range c.Watch(ctx, p.ID, 0) {
				if err != nil {
					return // it left
				}
				if rec.Revision == 1 {
					ready.Done()
				}
				counts[i]++
			}
		})
	}
	ready.Wait()
	if _, err := c.Start(t.Context(), p.ID, ota.Request{}); err != nil {
		t.Fatal(err)
	}
	wg.Wait() // every stream ends with the plan
	leave()
	end := endOf(t, e, p.ID)
	for i, n := range counts {
		if n != end {
			t.Fatalf("watcher %d saw %d of %d records", i, n, end)
		}
	}
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		transport.CloseIdleConnections()
		if n := runtime.NumGoroutine(); n <= before+2 {
			return
		} else if time.Since(began) > time.Minute {
			t.Fatalf("%d goroutines before, %d after", before, n)
		}
	}
}

// endOf is the number of the record that ends a plan.
func endOf(t *testing.T, e *ota.Engine, id string) uint64 {
	t.Helper()
	for rec, err := range e.Watch(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if rec.Status.Ended() {
			return rec.Revision
		}
	}
	return 0
}
