package client_test

import (
	"context"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/client"
	"github.com/seed-19b57ce3/ota/internal/testserver"
	"github.com/seed-19b57ce3/ota/otatest"
)

// A watcher that is cut off again and again, anywhere, sees every record once.
func TestReconnect(t *testing.T) {
	slow := ota.ExecutorFunc(func(ctx context.Context, a ota.Attempt) (ota.Result, error) {
		time.Sleep(2 * time.Millisecond)
		return testserver.Quick(ctx, a)
	})
	c, e, _ := testserver.Lifecycle(t, slow, httpapi.Options{})
	p, err := c.Create(t.Context(), ota.Spec{
		Name: "n", FromVersion: "1", ToVersion: "2", ToRelease: "2", Agents: ota.AgentIDs(otatest.IDs("ok-", 300)...), Policy: ota.Policy{Concurrency: 3},
	})
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan []uint64, 4)
	for cut := range 4 {
		go func() { results <- seen(t, c, p.ID, cut) }()
	}
	if _, err := c.Start(t.Context(), p.ID, ota.Request{}); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		got := <-results
		for i, n := range got {
			if n != uint64(i+1) {
				t.Fatalf("record %d came as number %d", n, i+1)
			}
		}
		if end := endOf(t, e, p.ID); uint64(len(got)) != end {
			t.Errorf("got %d of %d records", len(got), end)
		}
	}
}

// seen watches a plan to its end; a cut of n > 0 breaks the connection after every 7n-th record.
func seen(t *testing.T, c *client.Client, id string, cut int) []uint64 {
	var got []uint64
	after := uint64(0)
	for {
		n, again := 0, false
		for rec, err := range c.Watch(t.Context(), id, after) {
			if err != nil {
				t.Error(err)
				return got
			}
			got = append(got, rec.Revision)
			after = rec.Revision
			if n++; cut > 0 && n == 7*cut {
				again = !rec.Status.Ended()
				break
			}
		}
		if !again {
			return got
		}
	}
}

// The stream ends with the plan, and who comes back follows what the log gets later.
func TestWatchAfterTheEnd(t *testing.T) {
	c, e, _ := testserver.Lifecycle(t, ota.ExecutorFunc(testserver.Quick), httpapi.Options{Limits: httpapi.Limits{Heartbeat: 20 * time.Millisecond}})
	p, err := c.Create(t.Context(), ota.Spec{Name: "n", FromVersion: "1", ToVersion: "2", ToRelease: "2", Agents: ota.AgentIDs("a")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Start(t.Context(), p.ID, ota.Request{}); err != nil {
		t.Fatal(err)
	}
	all := seen(t, c, p.ID, 0)
	var later sync.WaitGroup
	later.Go(func() {
		time.Sleep(100 * time.Millisecond) // a few heartbeats
		if _, err := e.Annotate(t.Context(), p.ID, map[string]string{"a": "b"}, nil, ota.Request{}); err != nil {
			t.Error(err)
		}
		if _, err := c.Rollback(t.Context(), p.ID, nil, ota.Request{}); err != nil {
			t.Error(err)
		}
	})
	var last ota.Record
	for rec, err := range c.Watch(t.Context(), p.ID, uint64(len(all))) {
		if err != nil {
			t.Fatal(err)
		}
		last = rec
	}
	later.Wait() // the stream may end before the answer to what ended it has come
	if last.Status != ota.StatusRolledBack {
		t.Errorf("the stream ended with %+v", last)
	}
}

// A connection on which nothing comes any more, as when a server has vanished without a word, is
// given up for another one.
func TestSilentServer(t *testing.T) {
	c, e, direct := testserver.Lifecycle(t, ota.ExecutorFunc(testserver.Quick), httpapi.Options{})
	p, err := c.Create(t.Context(), ota.Spec{Name: "n", FromVersion: "1", ToVersion: "2", ToRelease: "2", Agents: ota.AgentIDs("a")})
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	gone := make(chan struct{})
	var silent atomic.Int32
	c = testserver.Client(t, testserver.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if silent.Add(1) > 2 {
			proxy.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	})), client.Options{Token: "ann-token", Silence: 50 * time.Millisecond})
	go func() {
		<-gone
		<-gone
		if _, err := e.Start(t.Context(), p.ID, ota.Request{}); err != nil {
			t.Error(err)
		}
	}()
	if all := seen(t, c, p.ID, 0); len(all) < 3 {
		t.Errorf("got the records %d", all)
	}
}

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
