package servicefabric_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/servicefabric"
	"github.com/seed-19b57ce3/ota/memstore"
)

// An application of five agents is upgraded domain by domain, and rolled back on the way.
func Example() {
	engine, err := ota.New(memstore.New(), ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		return ota.Result{Version: a.ToVersion}, nil
	}), ota.Options{})
	if err != nil {
		panic(err)
	}
	apps := servicefabric.Apps{}
	if err := apps.Add("myapp/app1", "a", "b", "c", "d", "e"); err != nil {
		panic(err)
	}
	h, err := servicefabric.New(engine, servicefabric.Options{Auth: httpapi.Tokens(map[string]string{"s3cret": "ann"}), Inventory: apps})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	servicefabric.Mount(mux, h)
	server := httptest.NewServer(mux) // or httpapi.RecommendedServer(":19080", mux)
	defer server.Close()

	ctx, stop := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	loops.Go(func() { _ = engine.Run(ctx) })
	loops.Go(func() { _ = h.Run(ctx) })

	call := func(method, call, body string) (state struct{ UpgradeState, NextUpgradeDomain string }) {
		r, err := http.NewRequestWithContext(ctx, method, server.URL+"/Applications/myapp~app1/$/"+call+"?api-version=6.0", strings.NewReader(body))
		if err != nil {
			panic(err)
		}
		r.Header.Set("Authorization", "Bearer s3cret")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			panic(err)
		}
		defer answer.Body.Close()
		if method == http.MethodGet {
			if err := json.NewDecoder(answer.Body).Decode(&state); err != nil {
				panic(err)
			}
			return state
		}
		fmt.Println(call, answer.StatusCode)
		return state
	}
	until := func(want string) {
		for {
			if s := call("GET", "GetUpgradeProgress", ""); s.UpgradeState == want {
				fmt.Println(strings.TrimSpace(s.UpgradeState + " " + s.NextUpgradeDomain))
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	call("POST", "Upgrade", `{"Name":"fabric:/myapp/app1","TargetApplicationTypeVersion":"1.3.0","UpgradeKind":"Rolling","RollingUpgradeMode":"UnmonitoredManual"}`)
	until("RollingForwardPending")
	call("POST", "RollbackUpgrade", "")
	until("RollingBackCompleted")
	call("POST", "RollbackUpgrade", "")
	stop()
	loops.Wait()
	// Output:
	// Upgrade 200
	// RollingForwardPending UD1
	// RollbackUpgrade 200
	// RollingBackCompleted
	// RollbackUpgrade 400
}
