package avi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/avi"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

// A client of the load balancer's API decides, while the plan is made ready, that it goes on in
// spite of failures.
func Example() {
	ctx := context.Background()
	engine, err := ota.New(memstore.New(), otatest.NewFleet(otatest.Options{}), ota.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	h, err := avi.New(engine, avi.Options{Auth: httpapi.Tokens(map[string]string{"secret": "ann"})})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	avi.Mount(mux, h)
	server := httptest.NewServer(mux)
	defer server.Close()

	_, err = engine.Create(ctx, ota.Spec{
		ID: "plan-1", Name: "grp1", FromVersion: "22.1.3", ToVersion: "30.2.1", Agents: ota.AgentIDs("se-1", "se-2", "fail-3"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	patch := `{"replace":{"params":{"se_group_options":{"action_on_error":"CONTINUE_UPGRADE_OPS_ON_ERROR"}}}}`
	r, err := http.NewRequestWithContext(ctx, http.MethodPatch, server.URL+"/api/upgradestatusinfo/plan-1", strings.NewReader(patch))
	if err != nil {
		fmt.Println(err)
		return
	}
	r.Header.Set("Authorization", "Bearer secret")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(answer.Status)

	if _, err := engine.Start(ctx, "plan-1", ota.Request{Actor: "ann"}); err != nil {
		fmt.Println(err)
		return
	}
	p, err := engine.RunPlan(ctx, "plan-1")
	fmt.Println(p.Status, p.Counts.Succeeded, p.Counts.Failed, err)
	// Output:
	// 200 OK
	// completed 2 1 <nil>
}
