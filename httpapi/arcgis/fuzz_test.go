package arcgis_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/arcgis"
	"github.com/seed-19b57ce3/ota/memstore"
)

// deployed is a handler over a deployment with two patches.
func deployed(tb testing.TB) *arcgis.Handler {
	tb.Helper()
	e, err := ota.New(memstore.New(), ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		return ota.Result{Version: a.ToVersion}, nil
	}), ota.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	for i, id := range []string{"pat_1", "pat_2"} {
		p, err := e.Create(tb.Context(), ota.Spec{
			Name: id, FromVersion: []string{"1", "2"}[i], ToVersion: []string{"2", "3"}[i], Agents: ota.AgentIDs("a"), Labels: map[string]string{"patch": id},
		})
		if err == nil {
			_, err = e.Start(tb.Context(), p.ID, ota.Request{})
		}
		if err == nil {
			_, err = e.RunPlan(tb.Context(), p.ID)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	h, err := arcgis.New(e, arcgis.Options{Auth: httpapi.Open(), ReadOnly: (&organization{}).set})
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

// answered checks what holds for every answer, and reports whether it is no error.
func answered(t *testing.T, rec *httptest.ResponseRecorder) bool {
	t.Helper()
	if rec.Code != http.StatusOK {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if strings.HasPrefix(rec.Header().Get("Content-Type"), "text/html") {
		return !strings.Contains(rec.Body.String(), "<pre>{\n  &#34;error&#34;")
	}
	var r reply
	if err := json.Unmarshal(rec.Body.Bytes(), &r); err != nil {
		t.Fatalf("%v in %s", err, rec.Body)
	}
	if (r.Error == nil) == (r.Status == nil && r.Updates == nil) || r.Error != nil && r.Error.Code == 500 {
		t.Fatalf("got %s", rec.Body)
	}
	return r.Error == nil
}

// FuzzForm sends forms to rollback.
func FuzzForm(f *testing.F) {
	for _, s := range []string{
		`versionManifest={"id": "pat_1"}&rollbackSettings={}&f=pjson&token=t`, `versionManifest=%7B%22id%22%3A%22pat_1%22%7D&f=json`,
		`versionManifest={"id":"rel_1"};f=html`, `versionManifest=[1,{"a":null}]&f=json`, `f=json&f=json`, "f=json&token=\x00", `%=%&f=x`, "",
		`f=json&versionManifest={"id":"pat_1","id":"pat_2"}`, `f=json&versionManifest={"id":"\ud800"}`, `f=html&rollbackSettings={"a":{"b":[]}}&versionManifest={"id":"pat_1"}`,
	} {
		f.Add(s, "application/x-www-form-urlencoded")
	}
	f.Add(`f=json`, "application/x-www-form-urlencoded; charset=latin1")
	f.Add(`{}`, "application/json")
	h := deployed(f)
	f.Fuzz(func(t *testing.T, body, contentType string) {
		r := httptest.NewRequest(http.MethodPost, "/system/upgrades/rollback", strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if answered(t, rec) {
			if !strings.Contains(body, "pat_1") && !strings.Contains(body, "%") && !strings.Contains(body, `\u`) {
				t.Fatalf("begun by %q", body)
			}
			h = deployed(t) // a job begins once
		}
	})
}

// FuzzTarget sends whole paths, queries and headers.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"", "/", "/rollback", "/checkRollback", "/x", "//", "/rollback/x"} {
		f.Add("GET", "/system/upgrades"+s, "f=json&token=t", "Bearer t", "*/*")
		f.Add("POST", "/system/upgrades"+s, "f=pjson", "", "application/json")
	}
	f.Add("PUT", "", "f=%zz&f=&token=;", "Bearer", "x+json")
	h := deployed(f)
	f.Fuzz(func(t *testing.T, method, path, query, authorization, accept string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Method, r.URL.Path, r.URL.RawQuery = method, path, query
		r.Header["X-Esri-Authorization"], r.Header["Accept"] = []string{authorization}, []string{accept}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		answered(t, rec)
	})
}
