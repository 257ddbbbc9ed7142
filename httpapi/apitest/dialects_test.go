package apitest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/arcgis"
	"github.com/seed-19b57ce3/ota/httpapi/avi"
	"github.com/seed-19b57ce3/ota/httpapi/servicefabric"
	"github.com/seed-19b57ce3/ota/memstore"
)

// documents are those of the dialects, with a request for each operation and for some refusals.
var documents = map[string]struct {
	json     []byte
	requests []string // method, target and body
	refused  int      // how many of them, at the end, are refused
}{
	"servicefabric": {servicefabric.OpenAPI(), []string{
		`GET /Applications/myapp~app1/$/GetUpgradeProgress?api-version=6.0`,
		`POST /Applications/myapp~app1/$/Upgrade?api-version=6.0 {"Name":"fabric:/myapp/app1","TargetApplicationTypeVersion":"2","Parameters":[{"Key":"k","Value":"v"}],"UpgradeKind":"Rolling","RollingUpgradeMode":"UnmonitoredManual"}`,
		`GET /Applications/myapp~app1/$/GetUpgradeProgress?api-version=9.1&timeout=60`,
		`POST /Applications/myapp~app1/$/UpdateUpgrade?api-version=6.0 {"Name":"fabric:/myapp/app1","UpgradeKind":"Rolling","UpdateDescription":{"ForceRestart":true}}`,
		`POST /Applications/myapp~app1/$/RollbackUpgrade?api-version=6.0&timeout=60`,
		`GET /Applications/myapp~app1/$/GetUpgradeProgress?api-version=6.0`,
		`POST /Applications/myapp~app1/$/MoveToNextUpgradeDomain?api-version=6.0 {"UpgradeDomainName":"UD9"}`,
		`POST /Applications/other/$/RollbackUpgrade?api-version=6.0`,
	}, 2},
	"arcgis": {arcgis.OpenAPI(), []string{
		`GET /system/upgrades?f=json&token=ann-token`,
		`POST /system/upgrades f=json&token=ann-token`,
		`POST /system/upgrades/checkRollback f=json&token=ann-token`,
		`POST /system/upgrades/rollback f=json&token=ann-token&versionManifest=%7B%22id%22%3A%22pat_1%22%7D&rollbackSettings=%7B%7D`,
		`GET /system/upgrades?f=json&token=ann-token`,
		`POST /system/upgrades/checkRollback f=json&token=wrong`,
	}, 0}, // its refusals have the status 200
	"avi": {avi.OpenAPI(), []string{
		`GET /api/upgradestatusinfo?page_size=1`,
		`GET /api/upgradestatusinfo/p`,
		`PATCH /api/upgradestatusinfo/p {}`,
		`PATCH /api/upgradestatusinfo/p {"add":{"patch_list":[{"patch_version":"6p1"}]}}`,
		`POST /login {"username":"admin","password":"ann-token"}`,
		`POST /logout`,
		`GET /api/cluster/status`,
		`GET /api/upgradestatusinfo/none`,
		`POST /login {"username":"admin","password":"wrong"}`,
	}, 2},
}

// The documents of the dialects are for generators too: each schema has a name, no reference is deep,
// no body is a choice, and every operation has a tag, a description and examples, which are valid.
func TestDialectDocuments(t *testing.T) {
	for name, d := range documents {
		doc, err := openapi3.NewLoader().LoadFromData(d.json)
		if err != nil {
			t.Fatal(err)
		}
		if err := doc.Validate(context.Background()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if doc.Info.License == nil {
			t.Errorf("%s: no license", name)
		}
		var whole any
		if err := json.Unmarshal(d.json, &whole); err != nil {
			t.Fatal(err)
		}
		named(t, name, "", whole)
		for path, item := range doc.Paths.Map() {
			for method, op := range item.Operations() {
				at := name + ": " + method + " " + path
				if len(op.Tags) != 1 || doc.Tags.Get(op.Tags[0]) == nil || op.Summary == "" || op.Description == "" || op.OperationID == "" {
					t.Errorf("%s: tags %v, summary %q, description %q", at, op.Tags, op.Summary, op.Description)
				}
				contents := []openapi3.Content{op.Responses.Value("200").Value.Content}
				if op.RequestBody != nil {
					contents = append(contents, op.RequestBody.Value.Content)
				}
				for _, content := range contents {
					for kind, c := range content {
						if c.Example == nil {
							t.Errorf("%s: %s has no example", at, kind)
						}
					}
				}
			}
		}
	}
}

func named(t *testing.T, name, at string, v any) {
	t.Helper()
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			named(t, name, at, x)
		}
	case map[string]any:
		ref, _ := v["$ref"].(string)
		if ref != "" && strings.Count(ref, "/") != 3 {
			t.Errorf("%s: %s: the reference %s is deep", name, at, ref)
		}
		top := strings.Count(at, "/") == 3 && strings.HasPrefix(at, "/components/schemas/")
		_, object := v["properties"]
		_, enum := v["enum"]
		if (object && v["type"] == "object" || enum) && !top {
			t.Errorf("%s: %s has no name", name, at)
		}
		for _, choice := range []string{"anyOf", "oneOf", "allOf"} {
			if v[choice] != nil {
				t.Errorf("%s: %s is a choice", name, at)
			}
		}
		for k, x := range v {
			if k != "example" {
				named(t, name, at+"/"+k, x)
			}
		}
	}
}

// dialects serves all three over an Engine with the plan "p", which is a completed version.
func dialects(t *testing.T) http.Handler {
	t.Helper()
	e, err := ota.New(memstore.New(), ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		return ota.Result{Version: a.ToVersion}, nil
	}), ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range [][3]string{{"q", "1", "2"}, {"p", "2", "3"}} {
		spec := ota.Spec{ID: v[0], Name: v[0], FromVersion: v[1], ToVersion: v[2], Agents: ota.AgentIDs("x"), Labels: map[string]string{"patch": "pat_" + v[1]}}
		if _, err := e.Create(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Start(t.Context(), v[0], ota.Request{}); err != nil {
			t.Fatal(err)
		}
		if _, err := e.RunPlan(t.Context(), v[0]); err != nil {
			t.Fatal(err)
		}
	}
	auth := httpapi.Tokens(map[string]string{"ann-token": "ann"})
	mux := http.NewServeMux()
	apps := servicefabric.Apps{}
	if err := apps.Add("myapp/app1", "a", "b"); err != nil {
		t.Fatal(err)
	}
	fabric, err := servicefabric.New(e, servicefabric.Options{Auth: auth, Inventory: apps})
	if err != nil {
		t.Fatal(err)
	}
	servicefabric.Mount(mux, fabric)
	esri, err := arcgis.New(e, arcgis.Options{Auth: auth, ReadOnly: func(context.Context, bool) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	arcgis.Mount(mux, esri)
	balancer, err := avi.New(e, avi.Options{Auth: auth})
	if err != nil {
		t.Fatal(err)
	}
	avi.Mount(mux, balancer)
	return mux
}

// Every operation of the dialects' documents is served, and requests and answers are as they say.
func TestDialectExchanges(t *testing.T) {
	for name, d := range documents {
		h := dialects(t)
		doc, err := openapi3.NewLoader().LoadFromData(d.json)
		if err != nil {
			t.Fatal(err)
		}
		router, err := gorillamux.NewRouter(doc)
		if err != nil {
			t.Fatal(err)
		}
		open := map[string]bool{}
		for _, item := range doc.Paths.Map() {
			for _, op := range item.Operations() {
				open[op.OperationID] = true
			}
		}
		for i, request := range d.requests {
			delete(open, exchange(t, h, router, name, request, i >= len(d.requests)-d.refused))
		}
		if len(open) > 0 {
			t.Errorf("%s: no request for %v", name, open)
		}
	}
}

// exchange sends a request, compares it and the answer with the document, and returns the ID of the
// operation.
func exchange(t *testing.T, h http.Handler, router routers.Router, name, request string, refused bool) string {
	t.Helper()
	method, rest, _ := strings.Cut(request, " ")
	target, body, _ := strings.Cut(rest, " ")
	newRequest := func() *http.Request {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer ann-token")
		switch {
		case strings.HasPrefix(body, "{"):
			r.Header.Set("Content-Type", "application/json")
		case body != "":
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		return r
	}
	r := newRequest()
	route, params, err := router.FindRoute(r)
	if err != nil {
		t.Errorf("%s: %s: %v", name, request, err)
		return ""
	}
	input := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true,
	}}
	if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
		t.Errorf("%s: %s: %v", name, request, err)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, newRequest())
	if (rec.Code != http.StatusOK) != refused {
		t.Errorf("%s: %s: got %d %s", name, request, rec.Code, rec.Body)
	}
	if rec.Code == http.StatusOK && rec.Body.Len() == 0 {
		return route.Operation.OperationID
	}
	if err := openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: rec.Code, Header: rec.Header(), Body: io.NopCloser(rec.Body), Options: input.Options,
	}); err != nil {
		t.Errorf("%s: %s: %v", name, request, err)
	}
	return route.Operation.OperationID
}
