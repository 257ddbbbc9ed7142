package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/arcgis"
	"github.com/seed-19b57ce3/ota/httpapi/avi"
	"github.com/seed-19b57ce3/ota/httpapi/servicefabric"
)

// apis makes the handler of each API with these limits, and has a path that each of them serves.
var apis = map[string]struct {
	path string
	make func(*ota.Engine, httpapi.RequestLimits) (http.Handler, error)
}{
	"httpapi": {"/api/v1/lifecycle/upgrade-plans", func(e *ota.Engine, l httpapi.RequestLimits) (http.Handler, error) {
		return httpapi.New(e, httpapi.Options{
			Auth:   httpapi.Open(),
			Limits: httpapi.Limits{Body: l.Body, Depth: l.Depth, Slow: l.Slow, Write: l.Write, Wait: l.Wait},
		})
	}},
	"servicefabric": {"/Applications/x/$/GetUpgradeProgress", func(e *ota.Engine, l httpapi.RequestLimits) (http.Handler, error) {
		return servicefabric.New(e, servicefabric.Options{Auth: httpapi.Open(), Inventory: servicefabric.Apps{}, Limits: l})
	}},
	"avi": {"/api/upgradestatusinfo", func(e *ota.Engine, l httpapi.RequestLimits) (http.Handler, error) {
		return avi.New(e, avi.Options{Auth: httpapi.Open(), Limits: l})
	}},
	"arcgis": {"/system/upgrades", func(e *ota.Engine, l httpapi.RequestLimits) (http.Handler, error) {
		return arcgis.New(e, arcgis.Options{
			Auth: httpapi.Open(), ReadOnly: func(context.Context, bool) error { return nil }, Limits: l,
		})
	}},
}

// Every API refuses each limit that is negative, by name, and a missing engine.
func TestLimitsOfEveryAPI(t *testing.T) {
	e := newEngine(t)
	for name, api := range apis {
		if _, err := api.make(nil, httpapi.RequestLimits{}); len(ota.FieldErrors(err)) != 1 || ota.FieldErrors(err)[0].Field != "engine" {
			t.Errorf("%s without an engine: %v", name, err)
		}
		var all httpapi.RequestLimits
		for i := range reflect.TypeFor[httpapi.RequestLimits]().NumField() {
			reflect.ValueOf(&all).Elem().Field(i).SetInt(-1)
		}
		_, err := api.make(e, all)
		for f := range reflect.TypeFor[httpapi.RequestLimits]().Fields() {
			want, found := "limits."+strings.ToLower(f.Name), false
			for _, have := range ota.FieldErrors(err) {
				found = found || have.Field == want
			}
			if !found {
				t.Errorf("%s: %s is not refused in %v", name, want, err)
			}
		}
		if err != nil && !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// No answer of any API may be stored or guessed at, also a refusal.
func TestHeadersOfEveryAPI(t *testing.T) {
	e := newEngine(t)
	for name, api := range apis {
		h, err := api.make(e, httpapi.RequestLimits{})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{api.path, "/nothing"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
			got := w.Result().Header
			if got.Get("Cache-Control") != "no-store" || got.Get("X-Content-Type-Options") != "nosniff" ||
				got.Get("Content-Type") == "" {
				t.Errorf("%s: %s answers %v", name, path, got)
			}
		}
	}
}

// A body that is larger than the limit is refused by every API.
func TestBodiesOfEveryAPI(t *testing.T) {
	e := newEngine(t)
	for name, request := range map[string]struct{ method, path, kind string }{
		"httpapi":       {"POST", "/api/v1/lifecycle/plans/rollback", "application/json"},
		"servicefabric": {"POST", "/Applications/x/$/Upgrade?api-version=6.0", "application/json"},
		"avi":           {"POST", "/login", "application/json"},
		"arcgis":        {"POST", "/system/upgrades", "application/x-www-form-urlencoded"},
	} {
		h, err := apis[name].make(e, httpapi.RequestLimits{Body: 10})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(request.method, request.path, strings.NewReader(`{"name":"longer than ten bytes"}`))
		r.Header.Set("Content-Type", request.kind)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), "10 bytes") {
			t.Errorf("%s: got %d %s", name, w.Code, w.Body)
		}
	}
}
