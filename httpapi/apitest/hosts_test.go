package apitest

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/gorilla/mux"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

func decode(s string) (any, error) {
	var v any
	err := json.Unmarshal([]byte(s), &v)
	return v, err
}

// hosts are servers that have routes of their own, and a page for everything else.
var hosts = map[string]struct {
	prefix string
	make   func(*httpapi.Handler) http.Handler
}{
	"chi": {"/ota", func(h *httpapi.Handler) http.Handler {
		r := chi.NewRouter()
		r.Get("/own", own)
		r.Handle(h.Root()+"/*", h)
		r.NotFound(page)
		return r
	}},
	"chi, stripped": {"", func(h *httpapi.Handler) http.Handler {
		r := chi.NewRouter()
		r.Get("/own", own)
		r.Mount("/ota", http.StripPrefix("/ota", h))
		r.NotFound(page)
		return r
	}},
	"gorilla": {"/ota", func(h *httpapi.Handler) http.Handler {
		r := mux.NewRouter()
		r.HandleFunc("/own", own)
		r.PathPrefix(h.Root() + "/").Handler(h)
		r.PathPrefix("/").HandlerFunc(page)
		return r
	}},
	"gorilla, stripped": {"", func(h *httpapi.Handler) http.Handler {
		r := mux.NewRouter()
		r.HandleFunc("/own", own)
		r.PathPrefix("/ota/").Handler(http.StripPrefix("/ota", h))
		r.PathPrefix("/").HandlerFunc(page)
		return r
	}},
}

func own(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "own") }

func page(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") }

// The API works under a prefix in other people's routers, its refusals are its own, and the host's
// routes stay the host's.
func TestHosts(t *testing.T) {
	for name, host := range hosts {
		t.Run(name, func(t *testing.T) {
			h, engine := newHandler(t, host.prefix)
			server := httptest.NewServer(host.make(h))
			defer server.Close()
			do := func(method, path, body string) (int, string) {
				r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Authorization", "Bearer ann-token")
				resp, err := http.DefaultTransport.RoundTrip(r) // no redirect is followed
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				b, _ := io.ReadAll(bufio.NewReader(resp.Body))
				return resp.StatusCode, string(b)
			}
			const plans = "/ota/api/v1/lifecycle/upgrade-plans"
			status, body := do("POST", plans, `{"name":"n","fromVersion":"1","toVersion":"2","toRelease":"2","agentIds":"a,b"}`)
			var p wire.Plan
			if err := json.Unmarshal([]byte(body), &p); err != nil || status != 200 {
				t.Fatal(status, body)
			}
			if status, body = do("POST", plans+"/"+p.ID+"/start", ""); status != 200 {
				t.Fatal(status, body)
			}
			if _, err := engine.RunPlan(t.Context(), p.ID); err != nil {
				t.Fatal(err)
			}
			if status, body = do("GET", plans+"/"+p.ID+"/events", ""); status != 200 || !strings.Contains(body, `"status":"completed"`) {
				t.Fatal(status, body)
			}
			for _, c := range []struct {
				method, path string
				status       int
				want         string
			}{
				{"GET", "/own", 200, "own"},
				{"GET", "/elsewhere", 200, "page"},
				{"GET", "/ota/api/v1/lifecycle/nothing", 404, `"code":"no_route"`},
				{"DELETE", plans, 405, `"code":"method_not_allowed"`},
				{"GET", plans + "/" + p.ID + "/", 404, `"code":"no_route"`},
				{"GET", plans + "/a%2Fb", 400, `"problem":"is no ID"`},
			} {
				if status, body := do(c.method, c.path, ""); status != c.status || !strings.Contains(body, c.want) {
					t.Errorf("%s %s: got %d %s", c.method, c.path, status, body)
				}
			}
		})
	}
}
