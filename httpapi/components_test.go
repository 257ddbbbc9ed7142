package httpapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
	"github.com/seed-19b57ce3/ota/memstore"
)

const componentID = "11111111-2222-4333-8444-555555555555"

// Tasks show who their component is: what the Resolver said where that is a UUID, and else
// something that stays the same.
func TestTasksShowTheirComponents(t *testing.T) {
	resolver := ota.ResolverFunc(func(_ context.Context, _ ota.Spec, a ota.Agent) ([]ota.TaskSpec, error) {
		db := ota.Component{Name: "db", ID: componentID, Instance: strings.ToUpper(componentID), Node: "n1", Owner: "o1"}
		return []ota.TaskSpec{
			{Component: db, FromVersion: "15", FromRelease: "a", ToVersion: "16", ToRelease: "b"},
			{Component: ota.Component{Name: "proxy", Instance: "1"}},
			{Component: ota.Component{Name: "proxy", Instance: "2"}},
		}, nil
	})
	exec := ota.ExecutorFunc(func(context.Context, ota.Attempt) (ota.Result, error) { return ota.Result{}, nil })
	e, err := ota.New(memstore.New(), exec, ota.Options{Resolver: resolver, Poll: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := e.Create(t.Context(), ota.Spec{Name: "n", FromVersion: "1", ToVersion: "2", ToRelease: "r", Agents: ota.AgentIDs("a", "b")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Start(t.Context(), plan.ID, ota.Request{}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.RunPlan(t.Context(), plan.ID); err != nil {
		t.Fatal(err)
	}
	h, err := httpapi.New(e, httpapi.Options{Auth: httpapi.Tokens(tokens)})
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string, into any) {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, "/api/v1/lifecycle"+path, nil)
		r.Header.Set("Authorization", "Bearer ann-token")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if err := json.Unmarshal(w.Body.Bytes(), into); w.Code != http.StatusOK || err != nil {
			t.Fatal(w.Code, err, w.Body)
		}
	}
	var page wire.TaskPage
	get("/upgrade-plans/"+plan.ID+"/tasks", &page)
	if len(page.Items) != 6 {
		t.Fatalf("%d tasks", len(page.Items))
	}
	hex := strings.ReplaceAll(componentID, "-", "")
	db, one, two := page.Items[0], page.Items[1], page.Items[2]
	if db.ComponentName != "db" || db.ComponentUUID != hex || db.ComponentInstanceUUID != hex || db.ActualVersion != "16" || db.ActualRelease != "b" {
		t.Errorf("%+v", db)
	}
	if len(db.NodeUUID) != 32 || db.NodeUUID != page.Items[3].NodeUUID || db.NodeUUID == one.NodeUUID || len(db.LCAUUID) != 32 || db.LCAUUID != page.Items[3].LCAUUID {
		t.Errorf("nodes and owners are not told apart: %+v, %+v, %+v", db, one, page.Items[3])
	}
	if one.ComponentUUID != two.ComponentUUID || one.ComponentInstanceUUID == two.ComponentInstanceUUID || one.ActualRelease != "r" {
		t.Errorf("%+v, %+v", one, two)
	}
	for query, want := range map[string]int{"": 6, "&component=db": 2, "&component=proxy": 4, "&component=agent": 0, "&component=x": 0, "&status=running": 0} {
		var list wire.List[wire.History]
		get("/upgrade-history?limit=3&offset=1&planId="+plan.ID+query, &list)
		if list.Total != want || len(list.Items) != min(3, max(want-1, 0)) {
			t.Errorf("%s: %d of %d records, want %d", query, len(list.Items), list.Total, want)
		}
	}
	narrow, err := httpapi.New(e, httpapi.Options{Auth: httpapi.Open(), Limits: httpapi.Limits{Search: 1}})
	if err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int{
		"": 200, "component=agent": 422, "component=nobody": 200, "component=db": 422, "component=db&planId=" + plan.ID: 200,
	} {
		w := httptest.NewRecorder()
		narrow.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1/lifecycle/upgrade-history?"+query, nil))
		if w.Code != want || want == 422 && !strings.Contains(w.Body.String(), "with planId") {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	var first wire.List[wire.History]
	get("/upgrade-history?component=db", &first)
	if r := first.Items[0]; r.FromVersion != "15" || r.ToVersion != "16" || r.FromRelease != "a" || r.ToRelease != "b" || r.Component != "db" {
		t.Errorf("%+v", r)
	}
}
