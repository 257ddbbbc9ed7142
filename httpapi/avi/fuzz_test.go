package avi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/avi"
	"github.com/seed-19b57ce3/ota/memstore"
)

// fuzzed is a handler over an engine with one plan, "p", that nobody drives.
func fuzzed(f *testing.F) *avi.Handler {
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	if err != nil {
		f.Fatal(err)
	}
	if _, err = e.Create(f.Context(), ota.Spec{ID: "p", Name: "n", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("a", "b")}); err != nil {
		f.Fatal(err)
	}
	h, err := avi.New(e, avi.Options{Auth: httpapi.Open()})
	if err != nil {
		f.Fatal(err)
	}
	return h
}

// send sends a request. Whatever it is, the answer is JSON: a success, or a refusal that says why.
func send(t *testing.T, h *avi.Handler, r *http.Request) int {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	var body map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil || rec.Code >= 500 {
		t.Fatalf("%s %s: %d %s (%v)", r.Method, r.URL, rec.Code, rec.Body, err)
	}
	if why, _ := body["error"].(string); (rec.Code == 200) != (why == "") {
		t.Fatalf("%d says %q", rec.Code, why)
	}
	return rec.Code
}

func FuzzPatch(f *testing.F) {
	for _, body := range []string{
		`{}`, `{"replace":{}}`, `{"name":"x"}`, `{"add":{"patch_list":[{"patch_version":"6p1"}]}}`, `{"delete":{"patch_list":[{"patch_version":"6p1"}]}}`,
		`{"replace":{"params":{"se_group_options":{"action_on_error":"CONTINUE_UPGRADE_OPS_ON_ERROR","disruptive":true}}}}`,
		`{"seg_params":{"se_group_resume_options":{"skip_suspended":true,"action_on_error":"ROLLBACK_UPGRADE_OPS_ON_ERROR"}}}`,
		`{"delete":{"params":{"se_group_options":1,"image_ref":[]},"seg_params":null,"name":{"a":[1,2.5e9]},"system_report_refs":["a"]}}`,
		`{"dryrun_info":{"state":{"last_changed_time":{"secs":1,"usecs":2}},"upgrade_events":[{"sub_events":[{"ip":{"addr":"a"}}]}]}}`,
		`{"progress":0,"uuid":"p","duration":1}`, `{"add":{"clean":true},"name":"x"}`, `[]`, ``, `{"a":`, "\xff", `{"name":"\ud800"}`,
	} {
		f.Add(body)
	}
	h := fuzzed(f)
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPatch, root+"/p", strings.NewReader(body))
		status := send(t, h, r)
		if status != 200 {
			return
		}
		// What was taken is shown, and taking it again changes nothing.
		first := httptest.NewRecorder()
		h.ServeHTTP(first, httptest.NewRequest(http.MethodGet, root+"/p", nil))
		if strings.Contains(body, `"add"`) || strings.Contains(body, `\u`) { // lists grow
			return
		}
		send(t, h, httptest.NewRequest(http.MethodPatch, root+"/p", strings.NewReader(body)))
		again := httptest.NewRecorder()
		h.ServeHTTP(again, httptest.NewRequest(http.MethodGet, root+"/p", nil))
		if first.Body.String() != again.Body.String() {
			t.Fatalf("%s\n%s\n%s", body, first.Body, again.Body)
		}
	})
}

func FuzzLogin(f *testing.F) {
	for _, body := range []string{`{"username":"a","password":"b"}`, `{"token":"t"}`, `username=a&password=b`, `%`, `{`, ``, `a=1;b=2`} {
		f.Add(body, "application/json")
		f.Add(body, "application/x-www-form-urlencoded")
	}
	h := fuzzed(f)
	f.Fuzz(func(t *testing.T, body, contentType string) {
		r := httptest.NewRequest(http.MethodPost, "/login", strings.NewReader(body))
		r.Header["Content-Type"] = []string{contentType}
		send(t, h, r)
	})
}

// FuzzTarget sends whole paths, queries and headers.
func FuzzTarget(f *testing.F) {
	for _, path := range []string{root, root + "/p", "//api/cluster/status", "/logout", "/api/%2fx", root + "/plan-p", "/", "*"} {
		f.Add("GET", path, "fields=name,uuid&skip_default=true&name=n&", "Basic YTpi", "x")
		f.Add("PATCH", path, "page=2&page_size=1", "x y z", "sessionid=x; csrftoken=\"")
	}
	h := fuzzed(f)
	f.Fuzz(func(t *testing.T, method, path, query, authorization, cookie string) {
		r := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(`{}`))
		r.Method, r.URL.Path, r.URL.RawQuery = method, path, query
		r.Header["Authorization"], r.Header["Cookie"], r.Header["X-Csrftoken"] = []string{authorization}, []string{cookie}, []string{cookie}
		send(t, h, r)
	})
}
