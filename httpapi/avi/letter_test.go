package avi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/avi"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

// remove is another word for delete.
func TestRemove(t *testing.T) {
	w := newWorld(t, avi.Options{})
	path := root + "/" + w.plan(otatest.IDs("ok-", 1), nil).ID
	headers := []string{"Authorization", "Bearer ann-token", "Content-Type", "application/json"}
	for _, operator := range []string{"delete", "remove"} {
		for _, c := range []struct{ add, gone, body string }{
			{`{"add":{"patch_list":[{"patch_version":"6p1"},{"patch_version":"6p2"}]}}`, `6p1`, `{"patch_list":[{"patch_version":"6p1"}]}`},
			{`{"add":{"image_path":"/x"}}`, `image_path`, `{"image_path":"/x"}`},
			{`{"add":{"params":{"image_ref":"i"}}}`, `image_ref`, `{"params":{"image_ref":"i"}}`},
		} {
			if a := w.send("PATCH", path, c.add, headers...); a.status != 200 || !strings.Contains(a.text, c.gone) {
				t.Fatalf("%s: %d %s", c.add, a.status, a.text)
			}
			if a := w.send("PATCH", path, `{"`+operator+`":`+c.body+`}`, headers...); a.status != 200 || strings.Contains(a.text, c.gone) {
				t.Errorf("%s %s: %d %s", operator, c.body, a.status, a.text)
			}
		}
		w.send("PATCH", path, `{"delete":{"patch_list":[{"patch_version":"6p2"}]}}`, headers...)
	}
	if a := w.send("PATCH", path, `{"remove":{"name":"x"},"delete":{"name":"x"}}`, headers...); a.status != 400 {
		t.Errorf("both: %d %s", a.status, a.text)
	}
}

// X-Avi-Version is checked as a controller does. Without it a request is refused only if the host
// asks for that.
func TestVersionHeader(t *testing.T) {
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Create(t.Context(), ota.Spec{ID: "p", Name: "n", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("a")}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		strict  bool
		version string
		status  int
	}{
		{false, "", 200},
		{true, "", 400},
		{true, "30.2.1", 200},
		{false, "17.1.2", 200},
		{false, "30.2", 200},
		{false, "22.1.3-2p1", 200},
		{false, "30.2.1.0", 200},
		{false, "30.2.2", 400},
		{false, "31.1.1", 400},
		{false, "x", 400},
		{false, "1.2.3.4.5", 400},
		{false, "-1.2", 400},
	} {
		h, err := avi.New(e, avi.Options{Auth: httpapi.Open(), RequireVersion: c.strict})
		if err != nil {
			t.Fatal(err)
		}
		for request, body := range map[string]string{
			"GET " + root: "", "GET " + root + "/p": "", "PATCH " + root + "/p": "{}", "POST /login": "{}", "GET /api/cluster/status": "",
		} {
			method, path, _ := strings.Cut(request, " ")
			r := httptest.NewRequest(method, path, strings.NewReader(body))
			if c.version != "" {
				r.Header.Set("X-Avi-Version", c.version)
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			want := c.status
			if path == "/login" || path == "/api/cluster/status" { // a client asks for its version there
				want = 200
			}
			if rec.Code != want || want == 400 && !strings.Contains(rec.Body.String(), "X-Avi-Version") {
				t.Errorf("%v: %s: got %d %s", c, request, rec.Code, rec.Body)
			}
		}
	}
}

// A 401 names both ways to authenticate, on every path.
func TestChallenge(t *testing.T) {
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := avi.New(e, avi.Options{Auth: httpapi.Tokens(tokens)})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	avi.Mount(mux, h)
	for _, path := range []string{root, root + "/x", "/api/nothing", "/api/upgrade"} {
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		if got := strings.Join(rec.Header().Values("WWW-Authenticate"), ", "); rec.Code != 401 || got != `Bearer realm="ota", Basic realm="ota"` {
			t.Errorf("%s: %d %s", path, rec.Code, got)
		}
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.SetBasicAuth("admin", "ann-token")
		rec = httptest.NewRecorder()
		if mux.ServeHTTP(rec, r); path != root && (rec.Code != 404 || !strings.HasPrefix(rec.Body.String(), `{"error":`)) {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
}

// Every literal of the document that the server sends by itself, or once a client has set the field.
func TestLiterals(t *testing.T) {
	w := newWorld(t, avi.Options{})
	p := w.plan(append(otatest.IDs("fail-", 1), otatest.IDs("ok-", 2)...), func(s *ota.Spec) { s.Labels = map[string]string{"tenant": "t1"} })
	if _, err := w.engine.Precheck(t.Context(), p.ID, ota.Request{}); err != nil {
		t.Fatal(err)
	}
	w.start(p.ID, ota.StatusPaused)
	headers := []string{"Authorization", "Bearer ann-token", "Content-Type", "application/json"}
	path := root + "/" + p.ID
	if a := w.send("GET", path, "", headers...); at(a.body, "tenant_ref") != w.url+"/api/tenant/t1" {
		t.Errorf("tenant_ref is %v", at(a.body, "tenant_ref"))
	}
	set := map[string]any{}
	if err := json.Unmarshal([]byte(everything), &set); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"replace": set})
	if err != nil {
		t.Fatal(err)
	}
	a := w.send("PATCH", path, string(body), headers...)
	if a.status != 200 {
		t.Fatal(a.status, a.text)
	}
	names := map[string]bool{}
	collect(a.body, names)
	b, err := os.ReadFile("../testdata/literals/avi.tsv")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") {
			continue
		}
		rows++
		if sent := names[cells[2]]; sent != (cells[1] == "sent") {
			t.Errorf("%s: %s is %s in the table; sent: %v", cells[0], cells[2], cells[1], sent)
		}
		delete(names, cells[2])
	}
	if rows != 141 || len(names) > 0 {
		t.Errorf("%d rows; sent and not in the table: %v", rows, names)
	}
}

// collect adds the names of all members.
func collect(v any, names map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			names[k] = true
			collect(x, names)
		}
	case []any:
		for _, x := range v {
			collect(x, names)
		}
	}
}

// everything is a value for every field that a client may set.
const everything = `{
 "after_reboot_rollback_fnc":"x","after_reboot_task_name":"x","clean":true,"enable_patch_rollback":true,"enable_rollback":true,
 "fips_mode":true,"image_path":"x","image_ref":"x","name":"x","node_type":"NODE_SE_GROUP","obj_cloud_ref":"x","patch_image_path":"x",
 "patch_image_ref":"x","patch_list":[{"patch_image_path":"x","patch_image_ref":"x","patch_version":"x"}],"patch_reboot":true,
 "patch_version":"x","prev_image_path":"x","prev_patch_image_path":"x","prev_remote_image_ref":"x","previous_image_ref":"x",
 "previous_patch_image_ref":"x","previous_patch_list":[{"patch_version":"x"}],"previous_patch_version":"x","previous_version":"x",
 "remote_image_ref":"x","se_patch_image_path":"x","se_patch_image_ref":"x","statediff_ref":"x","system":true,"system_report_refs":["x"],
 "tenant_ref":"x","upgrade_ops":"UPGRADE","version":"x",
 "params":{"image_ref":"x","patch_ref":"x","controller":{"task_base_timeout":1},"se_group_options":{"action_on_error":"SUSPEND_UPGRADE_OPS_ON_ERROR","disruptive":true},
  "service_engine":{"concurrent_segroup_upgrades":1,"image_data_transfer_size":1,"large_se_connect_timeout":1,"se_connect_timeout":1,"simultaneous_image_downloads":1,"task_base_timeout":1}},
 "seg_params":{"image_ref":"x"},
 "dryrun_info":{"duration":1,"end_time":"x","operation":"UPGRADE","params":{"controller_patch_ref":"x","dryrun":true,"prechecks_only":true,"se_group_refs":["x"],"se_patch_ref":"x","skip_warnings":true},
  "upgrade_events":[{"nodes_events":[{"ip":{"addr":"1","type":"V4"}}]}],"worker":"x"}
}`
