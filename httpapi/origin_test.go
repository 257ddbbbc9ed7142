package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/arcgis"
	"github.com/seed-19b57ce3/ota/httpapi/avi"
	"github.com/seed-19b57ce3/ota/httpapi/servicefabric"
)

// ambient accepts what a browser sends by itself: here a cookie.
var ambient = httpapi.Auth{Verify: func(_ context.Context, c httpapi.Credential) (httpapi.Principal, error) {
	if _, err := c.Request.Cookie("host"); err == nil || c.Token == "secret" || c.Password == "secret" {
		return httpapi.Principal{Name: "ann"}, nil
	}
	return httpapi.Principal{}, httpapi.ErrUnauthenticated
}}

// originWorld has all four APIs on one mux, over an Engine with the plan "p".
func originWorld(t *testing.T, auth httpapi.Auth) (http.Handler, *ota.Engine, map[string][]string) {
	t.Helper()
	e := newEngine(t)
	if _, err := e.Create(t.Context(), ota.Spec{ID: "p", Name: "n", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("a")}); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	lifecycle, err := httpapi.New(e, httpapi.Options{Auth: auth})
	if err != nil {
		t.Fatal(err)
	}
	httpapi.Mount(mux, lifecycle)
	fabric, err := servicefabric.New(e, servicefabric.Options{Auth: auth, Inventory: servicefabric.Apps{}})
	if err != nil {
		t.Fatal(err)
	}
	servicefabric.Mount(mux, fabric)
	balancer, err := avi.New(e, avi.Options{Auth: auth})
	if err != nil {
		t.Fatal(err)
	}
	avi.Mount(mux, balancer)
	esri, err := arcgis.New(e, arcgis.Options{Auth: auth, ReadOnly: func(context.Context, bool) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	arcgis.Mount(mux, esri)
	changing := map[string][]string{
		"servicefabric": {
			"POST /Applications/x/$/Upgrade?api-version=6.0", "POST /Applications/x/$/MoveToNextUpgradeDomain?api-version=6.0",
			"POST /Applications/x/$/UpdateUpgrade?api-version=6.0", "POST /Applications/x/$/RollbackUpgrade?api-version=6.0",
		},
		"avi":    {"PATCH /api/upgradestatusinfo/p", "POST /login"},
		"arcgis": {"POST /system/upgrades", "POST /system/upgrades/checkRollback", "POST /system/upgrades/rollback"},
	}
	for r := range lifecycle.Routes() {
		if r.Method != http.MethodGet {
			changing["httpapi"] = append(changing["httpapi"], r.Method+" "+strings.ReplaceAll(r.Pattern, "{planId}", "p"))
		}
	}
	return mux, e, changing
}

// denied reports whether an answer is the refusal of another site, in the form of its API.
func denied(w *httptest.ResponseRecorder) bool {
	return strings.Contains(strings.ToLower(w.Body.String()), "another site made a browser send")
}

// Every request of every API that may change something, as another site makes a browser send it:
// refused, whatever the browser adds by itself. With a bearer token, from the own site, and from a
// client that is no browser it is not.
func TestOtherSitesChangeNothing(t *testing.T) {
	mux, e, changing := originWorld(t, ambient)
	send := func(request string, header map[string]string) *httptest.ResponseRecorder {
		method, target, _ := strings.Cut(request, " ")
		r := httptest.NewRequest(method, target, http.NoBody)
		for k, v := range header {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	hostile := []map[string]string{
		{"Cookie": "host=1", "Sec-Fetch-Site": "cross-site"},
		{"Cookie": "host=1", "Sec-Fetch-Site": "same-site"},
		{"Cookie": "host=1", "Origin": "https://evil.example"},
		{"Cookie": "host=1", "Origin": "null"},
		{"Authorization": "Basic YW5uOnNlY3JldA==", "Sec-Fetch-Site": "cross-site"},
	}
	harmless := []map[string]string{
		{"Cookie": "host=1"},
		{"Cookie": "host=1", "Sec-Fetch-Site": "same-origin"},
		{"Cookie": "host=1", "Origin": "http://example.com"}, // the host of the request
		{"Authorization": "Bearer secret", "Sec-Fetch-Site": "cross-site"},
	}
	n := 0
	for api, requests := range changing {
		for _, request := range requests {
			n++
			for _, h := range hostile {
				if w := send(request, h); !denied(w) || api != "arcgis" && w.Code != http.StatusForbidden {
					t.Errorf("%s: %s with %v: got %d %s", api, request, h, w.Code, w.Body)
				}
			}
		}
	}
	if p, err := e.Plan(t.Context(), "p"); err != nil || p.Revision != 1 {
		t.Fatalf("the plan has changed: %v %v", p.Revision, err)
	}
	for api, requests := range changing {
		for _, request := range requests {
			for _, h := range harmless {
				if w := send(request, h); denied(w) {
					t.Errorf("%s: %s with %v: refused", api, request, h)
				}
			}
		}
	}
	if n < 24 {
		t.Errorf("only %d requests", n)
	}
	if w := send("GET /api/v1/lifecycle/upgrade-plans", hostile[0]); w.Code != http.StatusOK {
		t.Errorf("a read is refused: %d %s", w.Code, w.Body)
	}
}

// A host may trust a site.
func TestTrustedSite(t *testing.T) {
	auth := ambient
	auth.CrossOrigin = http.NewCrossOriginProtection()
	if err := auth.CrossOrigin.AddTrustedOrigin("https://console.example"); err != nil {
		t.Fatal(err)
	}
	mux, _, changing := originWorld(t, auth)
	for api, requests := range changing {
		for _, request := range requests {
			for origin, refused := range map[string]bool{"https://console.example": false, "https://evil.example": true} {
				method, target, _ := strings.Cut(request, " ")
				r := httptest.NewRequest(method, target, http.NoBody)
				r.Header.Set("Cookie", "host=1")
				r.Header.Set("Origin", origin)
				w := httptest.NewRecorder()
				mux.ServeHTTP(w, r)
				if denied(w) != refused {
					t.Errorf("%s: %s from %s: got %d %s", api, request, origin, w.Code, w.Body)
				}
			}
		}
	}
}
