package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
)

// Requests with documented fields alone: a plan shows the release that its agents had, if the first of
// them agree, and its rollback goes back to the release of each agent.
func TestReleasesOfDocumentedRequests(t *testing.T) {
	e := newEngine(t)
	h, err := httpapi.New(e, httpapi.Options{Auth: httpapi.Open()})
	if err != nil {
		t.Fatal(err)
	}
	send := func(path, body string) map[string]any {
		t.Helper()
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/api/v1/lifecycle"+path, strings.NewReader(body)))
		var v map[string]any
		if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil || rec.Code != 200 {
			t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
		}
		return v
	}
	text := func(v map[string]any, name string) string {
		s, _ := v[name].(string)
		return s
	}
	create := func(from, to, release, agents string) map[string]any {
		t.Helper()
		return send("/upgrade-plans", `{"name":"n","fromVersion":"`+from+`","toVersion":"`+to+`","toRelease":"`+release+`",`+agents+`}`)
	}
	run := func(p map[string]any) string {
		t.Helper()
		id := text(p, "id")
		if _, err := e.Start(t.Context(), id, ota.Request{}); err != nil {
			t.Fatal(err)
		}
		if _, err := e.RunPlan(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		return id
	}
	p := create("1.1.0", "1.2.0", "215", `"agentIds":"ok-1,ok-2"`)
	if got := text(p, "fromRelease"); got != "" {
		t.Errorf("the first plan is from release %q", got)
	}
	run(p)
	if got := text(create("1.2.0", "1.3.0", "221", `"agentIds":"ok-1,ok-9"`), "fromRelease"); got != "" {
		t.Errorf("agents that disagree are from release %q", got)
	}
	if got := text(create("1.2.0", "1.3.0", "221", `"agents":[{"id":"ok-8","release":"200"}]`), "fromRelease"); got != "200" {
		t.Errorf("an agent with release 200 is from release %q", got)
	}
	p = create("1.2.0", "1.3.0", "221", `"agentIds":"ok-1,ok-2"`)
	if got := text(p, "fromRelease"); got != "215" {
		t.Errorf("from release %q, want 215", got)
	}
	if p["annotations"] != nil {
		t.Errorf("annotations are %v", p["annotations"])
	}
	answer := send("/plans/rollback", `{"sourcePlanUuid":"`+run(p)+`","observeDuration":"value"}`)
	back, _ := answer["plan"].(map[string]any)
	if text(back, "fromRelease") != "221" || text(back, "toRelease") != "215" {
		t.Errorf("the rollback goes from %q to %q", text(back, "fromRelease"), text(back, "toRelease"))
	}
}
