package httpapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota/httpapi"
)

// The handler coexists with whatever a host has beside it, under a prefix or without one.
func TestMount(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") })
	for _, fallback := range []string{"/", "/{any...}", "GET /{any...}", "GET /", "POST /{any...}"} {
		for _, prefix := range []string{"", "/ota", "/a/b"} {
			t.Run(fallback+" "+prefix, func(t *testing.T) {
				h, err := httpapi.New(newEngine(t), httpapi.Options{Auth: httpapi.Open(), Prefix: prefix})
				if err != nil {
					t.Fatal(err)
				}
				mux := http.NewServeMux()
				mux.Handle(fallback, page)
				httpapi.Mount(mux, h)
				root := prefix + "/api/v1/lifecycle"
				for _, c := range []struct {
					method, path string
					status       int
					want         string
				}{
					{"GET", root + "/upgrade-plans", 200, `"total":0`},
					{"DELETE", root + "/upgrade-plans", 405, `"method_not_allowed"`},
					{"GET", root + "/nowhere", 404, `"no_route"`},
					{"GET", root, 404, `"no_route"`},
					{"GET", root + "/upgrade-plans/x/", 404, `"no_route"`},
					{"POST", root + "/upgrade-plans/x/start", 404, `"not_found"`},
					{"GET", root + "/upgrade-plans/%2e%2e", 404, `"not_found"`},
				} {
					rec := httptest.NewRecorder()
					mux.ServeHTTP(rec, httptest.NewRequest(c.method, c.path, nil))
					if rec.Code != c.status || !strings.Contains(rec.Body.String(), c.want) {
						t.Errorf("%s %s: got %d %s", c.method, c.path, rec.Code, rec.Body)
					}
				}
				rec := httptest.NewRecorder()
				mux.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "//"+root[1:]+"/upgrade-plans?limit=1", nil))
				if got := rec.Header().Get("Location"); rec.Code/100 == 3 && got != root+"/upgrade-plans?limit=1" {
					t.Errorf("redirected to %q", got)
				}
				if !strings.HasPrefix(fallback, "POST") {
					rec = httptest.NewRecorder()
					mux.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/elsewhere", nil))
					if rec.Body.String() != "page" {
						t.Errorf("the host's own page is %d %s", rec.Code, rec.Body)
					}
				}
			})
		}
	}
}

func TestNew(t *testing.T) {
	e := newEngine(t)
	for name, opt := range map[string]httpapi.Options{
		"auth is missing": {},
		"prefix":          {Auth: httpapi.Open(), Prefix: "ota"},
		"prefix (/ota/)":  {Auth: httpapi.Open(), Prefix: "/ota/"},
		"limits.body":     {Auth: httpapi.Open(), Limits: httpapi.Limits{Body: -1}},
		"limits.write":    {Auth: httpapi.Open(), Limits: httpapi.Limits{Write: -time.Second}},
	} {
		if _, err := httpapi.New(e, opt); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := httpapi.New(nil, httpapi.Options{Auth: httpapi.Open()}); err == nil {
		t.Error("no engine, and no error")
	}
	if _, err := httpapi.New(e, httpapi.Options{Auth: httpapi.Tokens(map[string]string{"": "nobody"})}); err != nil {
		t.Error(err)
	}
}

// An empty token is nobody's, even if somebody configured it.
func TestEmptyToken(t *testing.T) {
	auth := httpapi.Tokens(map[string]string{"": "nobody", "t": "ann"})
	if p, err := auth.Check(t.Context(), httpapi.Credential{}); err == nil {
		t.Errorf("let in as %v", p)
	}
	if p, err := auth.Check(t.Context(), httpapi.Credential{User: "x", Password: "t"}); err != nil || p.Name != "ann" {
		t.Errorf("got %v, %v", p, err)
	}
}
