package arcgis_test

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
	"github.com/seed-19b57ce3/ota/httpapi/arcgis"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

// Two patches are installed as plans, and an ArcGIS client takes the second one back.
func Example() {
	engine, err := ota.New(memstore.New(), otatest.NewFleet(otatest.Options{}), ota.Options{})
	if err != nil {
		panic(err)
	}
	h, err := arcgis.New(engine, arcgis.Options{
		Auth:   httpapi.Tokens(map[string]string{"s3cret": "ann"}),
		Prefix: "/context/admin",
		ReadOnly: func(_ context.Context, on bool) error {
			fmt.Println("read-only:", on)
			return nil
		},
	})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	arcgis.Mount(mux, h)
	server := httptest.NewServer(mux) // or httpapi.RecommendedServer(":8443", mux)
	defer server.Close()

	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = engine.Run(ctx) }) // does the work
	running.Go(func() { _ = h.Run(ctx) })      // orders it
	defer running.Wait()
	defer stop()

	for _, v := range []struct{ id, from, to string }{{"pat_1_505", "10.9.0.504", "10.9.0.505"}, {"pat_2_506", "10.9.0.505", "10.9.0.506"}} {
		p, err := engine.Create(ctx, ota.Spec{
			Name: v.to, FromVersion: v.from, ToVersion: v.to, Agents: ota.AgentIDs("apps", "core"), Labels: map[string]string{"patch": v.id},
		})
		if err != nil {
			panic(err)
		}
		if _, err := engine.Start(ctx, p.ID, ota.Request{}); err != nil {
			panic(err)
		}
		if _, err := engine.Wait(ctx, p.ID); err != nil {
			panic(err)
		}
	}

	var answer struct {
		Status struct {
			State    string
			Code     int
			Messages []struct{ Code int }
		}
	}
	admin := server.URL + "/context/admin/system/upgrades"
	call := func(method, url, form string) {
		r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(form))
		if err != nil {
			panic(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := server.Client().Do(r)
		if err != nil {
			panic(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			panic(err)
		}
	}
	call(http.MethodPost, admin+"/rollback", `versionManifest={"id":"pat_1_505"}&f=json&token=s3cret`)
	fmt.Println(answer.Status.State, answer.Status.Messages)
	for answer.Status.Code == 1 {
		time.Sleep(10 * time.Millisecond)
		call(http.MethodGet, admin+"?f=json&token=s3cret", "")
	}
	fmt.Println(answer.Status.State, len(answer.Status.Messages), "messages")
	// Unordered output:
	// in_progress [{2072}]
	// read-only: true
	// read-only: false
	// success 15 messages
}
