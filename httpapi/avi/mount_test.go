package avi_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/avi"
	"github.com/seed-19b57ce3/ota/memstore"
)

// The handler coexists with a host's own pages and with the lifecycle API, under a prefix or
// without one.
func TestMount(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") })
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, fallback := range []string{"/", "/{any...}", "GET /{any...}"} {
		for _, prefix := range []string{"", "/ota"} {
			h, err := avi.New(e, avi.Options{Auth: httpapi.Open(), Prefix: prefix})
			if err != nil {
				t.Fatal(err)
			}
			lifecycle, err := httpapi.New(e, httpapi.Options{Auth: httpapi.Open(), Prefix: prefix})
			if err != nil {
				t.Fatal(err)
			}
			mux := http.NewServeMux()
			mux.Handle(fallback, page)
			avi.Mount(mux, h)
			httpapi.Mount(mux, lifecycle)
			for _, c := range []struct {
				method, path string
				status       int
				want         string
			}{
				{"GET", prefix + root, 200, `{"count":0,"results":[]}`},
				{"HEAD", prefix + root, 200, ``},
				{"GET", prefix + root + "/x", 404, `object not found`},
				{"GET", prefix + root + "/x/y", 404, `nothing at this path`},
				{"GET", prefix + "/upgradestatusinfo", 200, `{"count":0`},
				{"POST", prefix + root, 405, `"error"`},
				{"PUT", prefix + root + "/x", 405, `lifecycle API`},
				{"DELETE", prefix + root + "/x", 405, `"error"`},
				{"GET", prefix + "/login", 405, `"error"`},
				{"POST", prefix + "/logout", 200, `{}`},
				{"GET", prefix + "/api/cluster/status", 200, `CLUSTER_UP_NO_HA`},
				{"GET", prefix + "/api/v1/lifecycle/upgrade-plans", 200, `"total":0`},
				{"GET", "/elsewhere", 200, `page`},
			} {
				rec := httptest.NewRecorder()
				mux.ServeHTTP(rec, httptest.NewRequest(c.method, c.path, nil))
				if rec.Code != c.status || !strings.Contains(rec.Body.String(), c.want) {
					t.Errorf("%q %s %s: got %d %s", fallback, c.method, c.path, rec.Code, rec.Body)
				}
				if allow := rec.Header().Get("Allow"); (rec.Code == 405) != (allow != "") || strings.HasSuffix(c.path, "/x") && rec.Code == 405 && allow != "GET, HEAD, PATCH" {
					t.Errorf("%s %s: allows %q", c.method, c.path, allow)
				}
			}
		}
	}
	// An SDK asks for the status with two slashes; without a mux it is answered in place.
	h, err := avi.New(e, avi.Options{Auth: httpapi.Open()})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"//api/cluster/status", "/nowhere"} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "http://host"+path, nil))
		if want := map[bool]int{true: 200, false: 404}[path[1] == '/']; rec.Code != want {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
}

func TestNew(t *testing.T) {
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, opt := range map[string]avi.Options{
		"auth is missing": {},
		"prefix (/ota/)":  {Auth: httpapi.Open(), Prefix: "/ota/"},
		"sessionLife":     {Auth: httpapi.Open(), SessionLife: -1},
		"sessions":        {Auth: httpapi.Open(), Sessions: -1},
		"limits.body":     {Auth: httpapi.Open(), Limits: httpapi.RequestLimits{Body: -1}},
		"limits.slow":     {Auth: httpapi.Open(), Limits: httpapi.RequestLimits{Slow: -time.Second}},
		"limits.write":    {Auth: httpapi.Open(), Limits: httpapi.RequestLimits{Write: -time.Second}},
	} {
		if _, err := avi.New(e, opt); err == nil || !strings.Contains(err.Error(), name) || !errors.Is(err, ota.ErrInvalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := avi.New(nil, avi.Options{Auth: httpapi.Open()}); err == nil {
		t.Error("no engine, and no error")
	}
}

// broken is a Store that does not answer.
type broken struct{ ota.Store }

func (b broken) Unwrap() ota.Store { return b.Store }

func (broken) Plan(context.Context, string) (ota.PlanRow, error) {
	return ota.PlanRow{}, errors.New("the secret host is down")
}

func (broken) Plans(context.Context, ota.PlanQuery) (ota.Page[ota.PlanRow], error) {
	return ota.Page[ota.PlanRow]{}, errors.New("the secret host is down")
}

// A Store that does not answer is 503, which the SDKs try again after, and no error tells more than
// it must.
func TestBrokenStore(t *testing.T) {
	e, err := ota.New(broken{memstore.New()}, nil, ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := avi.New(e, avi.Options{Auth: httpapi.Open()})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{"GET", root}, {"GET", root + "/x"}, {"PATCH", root + "/x"}, {"GET", root + "?name=x"}} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(c[0], c[1], strings.NewReader(`{"name":"x"}`)))
		if rec.Code != 503 || strings.Contains(rec.Body.String(), "secret") || rec.Header().Get("Retry-After") == "" {
			t.Errorf("%v: %d %s", c, rec.Code, rec.Body)
		}
	}
	// So is a verifier that cannot be asked.
	down := httpapi.Auth{Verify: func(context.Context, httpapi.Credential) (httpapi.Principal, error) {
		return httpapi.Principal{}, httpapi.ErrUnavailable
	}}
	if h, err = avi.New(e, avi.Options{Auth: down}); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{"GET", root}, {"POST", "/login"}} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(c[0], c[1], strings.NewReader(`{"password":"x"}`)))
		if rec.Code != 503 {
			t.Errorf("%v: %d %s", c, rec.Code, rec.Body)
		}
	}
}
