package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/client"
	"github.com/seed-19b57ce3/ota/memstore"
)

// The lifecycle API beside a host's own pages, and a client of it.
func Example() {
	engine, err := ota.New(memstore.New(), ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		return ota.Result{Version: a.ToVersion}, nil
	}), ota.Options{})
	if err != nil {
		panic(err)
	}
	h, err := httpapi.New(engine, httpapi.Options{Auth: httpapi.Tokens(map[string]string{"s3cret": "ann"}), Prefix: "/ota"})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "the host's own") })
	httpapi.Mount(mux, h)
	server := httptest.NewServer(mux) // or httpapi.RecommendedServer(":8443", mux)
	defer server.Close()

	ctx := context.Background()
	c, err := client.New(server.URL+"/ota", client.Options{Token: "s3cret"})
	if err != nil {
		panic(err)
	}
	p, err := c.Create(ctx, ota.Spec{
		Name: "Upgrade to 1.3.0", FromVersion: "1.2.0", ToVersion: "1.3.0", ToRelease: "221", Agents: ota.AgentIDs("a", "b", "c"),
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(p.Status, p.TotalAgents)
	_, err = c.Pause(ctx, p.ID, ota.Request{})
	var refused *ota.StateError
	fmt.Println(errors.As(err, &refused), refused.Legal[0])
	if _, err = c.Start(ctx, p.ID, ota.Request{Reason: "the night is quiet", Generation: p.Generation}); err != nil {
		panic(err)
	}
	if _, err := engine.RunPlan(ctx, p.ID); err != nil { // a server would call Run
		panic(err)
	}
	s, err := c.Summary(ctx, p.ID)
	fmt.Println(s.Status, s.CompletedCount, err)
	// Output:
	// pending 3
	// true start
	// completed 3 <nil>
}
