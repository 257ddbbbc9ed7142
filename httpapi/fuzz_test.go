package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/internal/script"
	"github.com/seed-19b57ce3/ota/memstore"
)

// fuzz sends bodies to one path. Whatever they are, the answer is 200 or a refusal that says so.
func fuzz(f *testing.F, file, method, path string) {
	list, err := script.Read("testdata/" + file + ".txt")
	if err != nil {
		f.Fatal(err)
	}
	for i := range list {
		f.Add(unescape(list[i].Body), "", false)
		f.Add(list[i].Body, "application/json", true)
	}
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	if err != nil {
		f.Fatal(err)
	}
	var handlers [2]*httpapi.Handler
	for i := range handlers {
		if handlers[i], err = httpapi.New(e, httpapi.Options{Auth: httpapi.Open(), Strict: i == 1}); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, body, contentType string, strict bool) {
		p, err := e.Create(t.Context(), ota.Spec{ID: "p", Name: "n", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("a", "b")})
		if err == nil {
			_, _ = e.Start(t.Context(), p.ID, ota.Request{})
		}
		r := httptest.NewRequest(method, "/api/v1/lifecycle"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		rec := httptest.NewRecorder()
		h := handlers[0]
		if strict {
			h = handlers[1]
		}
		h.ServeHTTP(rec, r)
		if rec.Code >= 500 || !json.Valid(rec.Body.Bytes()) {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		if problem := rec.Header().Get("Content-Type") == "application/problem+json"; problem == (rec.Code == 200) {
			t.Fatalf("%d is %s", rec.Code, rec.Header().Get("Content-Type"))
		}
	})
}

func FuzzCreate(f *testing.F)    { fuzz(f, "create", "POST", "/upgrade-plans") }
func FuzzEdit(f *testing.F)      { fuzz(f, "edit", "PATCH", "/upgrade-plans/p") }
func FuzzResume(f *testing.F)    { fuzz(f, "verbs", "POST", "/upgrade-plans/p/resume") }
func FuzzPromote(f *testing.F)   { fuzz(f, "verbs", "POST", "/upgrade-plans/p/promote") }
func FuzzCancel(f *testing.F)    { fuzz(f, "verbs", "POST", "/upgrade-plans/p/cancel") }
func FuzzSkip(f *testing.F)      { fuzz(f, "verbs", "POST", "/upgrade-plans/p/skip") }
func FuzzRetry(f *testing.F)     { fuzz(f, "verbs", "POST", "/upgrade-plans/p/retry") }
func FuzzRollback(f *testing.F)  { fuzz(f, "rollback", "POST", "/plans/rollback") }
func FuzzUndo(f *testing.F)      { fuzz(f, "rollback", "POST", "/upgrade-plans/p/rollback") }
func FuzzHealth(f *testing.F)    { fuzz(f, "health", "POST", "/upgrade-plans/p/health") }
func FuzzReports(f *testing.F)   { fuzz(f, "reports", "POST", "/upgrade-plans/p/reports") }
func FuzzPrecheck(f *testing.F)  { fuzz(f, "precheck", "POST", "/upgrade-plans/p/precheck") }
func FuzzDowngrade(f *testing.F) { fuzz(f, "downgrade", "POST", "/plans/downgrade") }
func FuzzPreview(f *testing.F)   { fuzz(f, "preview", "POST", "/plans/preview") }

// FuzzTarget sends whole paths and queries.
func FuzzTarget(f *testing.F) {
	list, err := script.Read("testdata/reads.txt")
	if err != nil {
		f.Fatal(err)
	}
	for i := range list {
		path, query, _ := strings.Cut(list[i].Target, "?")
		f.Add(list[i].Method, path, query, "1")
	}
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	if err != nil {
		f.Fatal(err)
	}
	if _, err = e.Create(f.Context(), ota.Spec{ID: "p", Name: "n", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("a", "b")}); err != nil {
		f.Fatal(err)
	}
	h, err := httpapi.New(e, httpapi.Options{Auth: httpapi.Open()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, path, query, header string) {
		if strings.HasSuffix(path, "/events") {
			return // it would follow for ever
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Method, r.URL.Path, r.URL.RawQuery = method, path, query
		r.Header["If-Match"], r.Header["Idempotency-Key"], r.Header["Last-Event-Id"] = []string{header}, []string{header}, []string{header}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code >= 500 || !json.Valid(rec.Body.Bytes()) {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
	})
}
