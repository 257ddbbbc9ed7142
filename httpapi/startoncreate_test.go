package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
)

// With StartOnCreate, each of the three calls that make a plan also starts it. A repetition with the
// same key changes nothing, whatever the plan is doing. A start that is refused is a warning.
func TestStartOnCreate(t *testing.T) {
	e := newEngine(t)
	auth := httpapi.Tokens(tokens)
	auth.Authorize = func(_ context.Context, p httpapi.Principal, a httpapi.Access) error {
		if p.Name == "eve" && a.Action == httpapi.VerbAction(ota.VerbStart) {
			return errors.New("no")
		}
		return nil
	}
	h, err := httpapi.New(e, httpapi.Options{Auth: auth, StartOnCreate: true})
	if err != nil {
		t.Fatal(err)
	}
	send := func(who, key, path, body string) (string, string, []any) {
		t.Helper()
		return sendCreation(t, h, who, key, path, body)
	}
	create := func(agent string) string {
		return `{"name":"n","fromVersion":"1","toVersion":"2","toRelease":"2","agentIds":"` + agent + `","failureThreshold":0.5}`
	}
	downgrade := `{"name":"n","batchSize":1,"observeDuration":"value","fromVersion":"2","agentIds":"ok-9",
		"components":[{"componentUuid":"c","toVersion":"1","toRelease":"1"}]}`

	id, status, _ := send("ann", "k1", "/upgrade-plans", create("ok-1"))
	if status != "running" {
		t.Errorf("created: %s", status)
	}
	if _, status, _ := send("ann", "", "/plans/downgrade", downgrade); status != "running" {
		t.Errorf("downgrade: %s", status)
	}
	if _, err := e.Pause(t.Context(), id, ota.Request{}); err != nil {
		t.Fatal(err)
	}
	if again, status, _ := send("ann", "k1", "/upgrade-plans", create("ok-1")); again != id || status != "paused" {
		t.Errorf("repeated: %s %s", again, status)
	}
	for who, want := range map[string]string{"ann": "belongs to another plan", "eve": "not allowed"} {
		_, status, warnings := send(who, "", "/upgrade-plans", create("ok-1"))
		found := false
		for _, w := range warnings {
			text, _ := w.(string)
			found = found || strings.Contains(text, "made and not started") && strings.Contains(text, want)
		}
		if status != "pending" || !found {
			t.Errorf("%s: %s %v", who, status, warnings)
		}
	}

	done, _, _ := send("ann", "", "/upgrade-plans", create("ok-2"))
	if _, err := e.RunPlan(t.Context(), done); err != nil {
		t.Fatal(err)
	}
	if _, status, _ := send("ann", "", "/plans/rollback", `{"sourcePlanUuid":"`+done+`","observeDuration":"value"}`); status != "running" {
		t.Errorf("rollback: %s", status)
	}
}

// sendCreation sends a request that makes a plan, and returns its ID, its status and the warnings.
func sendCreation(t *testing.T, h http.Handler, who, key, path, body string) (string, string, []any) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/api/v1/lifecycle"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+who+"-token")
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	var v map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil || rec.Code != 200 {
		t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
	}
	warnings, _ := v["warnings"].([]any)
	if p, ok := v["plan"].(map[string]any); ok {
		v = p
	}
	id, _ := v["id"].(string)
	status, _ := v["status"].(string)
	return id, status, warnings
}
