package client_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/client"
	"github.com/seed-19b57ce3/ota/memstore"
)

// An agent that was told to upgrade itself, and was given the attempt's key, reports hours later
// how that ended.
func ExampleClient_ReportOutcome() {
	keys := make(chan string, 1) // stands for a message to the agent
	engine, err := ota.New(memstore.New(), ota.Async(func(_ context.Context, a ota.Attempt) error {
		keys <- a.Key()
		return nil
	}), ota.Options{})
	if err != nil {
		panic(err)
	}
	h, err := httpapi.New(engine, httpapi.Options{Auth: httpapi.Open()})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()

	ctx := context.Background()
	reported := make(chan error)
	go func() { // the agent
		c, err := client.New(server.URL, client.Options{})
		if err != nil {
			panic(err)
		}
		reported <- c.ReportOutcome(ctx, <-keys, ota.Result{Version: "1.3.0"}, nil)
	}()
	p, err := engine.Create(ctx, ota.Spec{Name: "n", FromVersion: "1.2.0", ToVersion: "1.3.0", Agents: ota.AgentIDs("gateway-7")})
	if err == nil {
		_, err = engine.Start(ctx, p.ID, ota.Request{})
	}
	if err == nil {
		p, err = engine.RunPlan(ctx, p.ID)
	}
	fmt.Println(<-reported, p.Status, err)
	// Output:
	// <nil> completed <nil>
}
