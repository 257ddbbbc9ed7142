package httpapi

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// lenient are the objects that a document describes, by operation: the whole body, and what is in
// it. An unknown member there has no effect and is warned of. All other objects are our own.
var lenient = map[string][]string{
	"CreateGraduatedPlan": {""},
	"PreviewPlan":         {""}, // the body of a creation
	"CreateRollbackPlan":  {""},
	"CreateDowngradePlan": {"", "/components/0"},
	"Precheck":            {""},
}

// bodySchemas are the schemas of the bodies in openapi.json, by operation.
func bodySchemas(t *testing.T) (schemas, map[string]any) {
	t.Helper()
	var doc struct {
		Paths      map[string]map[string]json.RawMessage
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(OpenAPI(), &doc); err != nil {
		t.Fatal(err)
	}
	bodies := map[string]any{}
	for _, item := range doc.Paths {
		for method, raw := range item {
			var op struct {
				OperationID string
				RequestBody struct {
					Content map[string]struct{ Schema any }
				}
			}
			if method == "parameters" || json.Unmarshal(raw, &op) != nil {
				continue
			}
			if c, ok := op.RequestBody.Content["application/json"]; ok {
				bodies[op.OperationID] = c.Schema
			}
		}
	}
	return doc.Components.Schemas, bodies
}

// propertiesOf are the members of an object, also those of its allOf.
func (s schemas) propertiesOf(schema any) map[string]any {
	all := map[string]any{}
	for _, o := range s.options(schema) {
		parts, _ := o["allOf"].([]any)
		for _, part := range parts {
			maps.Copy(all, s.propertiesOf(part))
		}
		own, _ := o["properties"].(map[string]any)
		maps.Copy(all, own)
	}
	return all
}

// objects calls f for every object in a body: with its JSON Pointer, its members, and a function
// that puts a value in the place of the object.
func (s schemas) objects(at string, schema any, wrap func(any) any, f func(string, map[string]any, func(any) any)) {
	if members := s.propertiesOf(schema); len(members) > 0 {
		f(at, members, wrap)
		for name, member := range members {
			s.objects(at+"/"+name, member, func(v any) any { return wrap(map[string]any{name: v}) }, f)
		}
	}
	for _, o := range s.options(schema) {
		if items := o["items"]; items != nil {
			s.objects(at+"/0", items, func(v any) any { return wrap([]any{v}) }, f)
		}
	}
}

func routesByOperation(h *Handler) map[string]Route {
	all := map[string]Route{}
	for r := range h.Routes() {
		all[r.Operation] = r
	}
	return all
}

// unknownWorld has a plan "p" that may be asked for everything.
func unknownWorld(t *testing.T, strict bool) *Handler {
	t.Helper()
	e, err := ota.New(memstore.New(), ota.ExecutorFunc(instant), ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	spec := ota.Spec{ID: "p", Name: "n", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("a", "b")}
	if _, err := e.Create(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	h, err := New(e, Options{Auth: Open(), Strict: strict})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func ask(h http.Handler, method, target string, body any) *httptest.ResponseRecorder {
	var in string
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			panic(err)
		}
		in = string(b)
	}
	target = strings.NewReplacer("{planId}", "p", "{historyId}", "hist-1").Replace(target)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(in)))
	return w
}

// Every object of every body, with a member that it does not have: objects of our own refuse it by
// its place. With a misspelt member, the answer says what may have been meant.
func TestUnknownMembers(t *testing.T) {
	s, bodies := bodySchemas(t)
	loose, strict := unknownWorld(t, false), unknownWorld(t, true)
	routes := routesByOperation(loose)
	objects := 0
	for operation, schema := range bodies {
		r := routes[operation]
		s.objects("", schema, func(v any) any { return v }, func(at string, members map[string]any, wrap func(any) any) {
			objects++
			documented := slices.Contains(lenient[operation], at)
			names := []string{"zzzzzzzz"}
			for name := range members {
				if len(name) > 4 {
					names = append(names, name[:2]+name[3:]) // a letter is missing
				}
			}
			for _, name := range names {
				if _, known := members[name]; known {
					continue
				}
				body := wrap(map[string]any{name: 1})
				for h, refused := range map[*Handler]bool{loose: !documented, strict: true} {
					w := ask(h, r.Method, r.Pattern, body)
					named := strings.Contains(w.Body.String(), `"pointer":"`+at+"/"+name+`"`)
					if refused != (w.Code == http.StatusBadRequest && named) {
						t.Errorf("%s: %s/%s: got %d %s", operation, at, name, w.Code, w.Body)
					}
					if refused && name != names[0] && !strings.Contains(w.Body.String(), "did you mean") {
						t.Errorf("%s: %s/%s: no suggestion in %s", operation, at, name, w.Body)
					}
				}
			}
		})
	}
	if objects < 60 {
		t.Errorf("only %d objects were found in the bodies", objects)
	}
}

// What a documented body has too much is in the warnings of the answer, with the name that was
// probably meant.
func TestMisspeltMembersAreWarnedOf(t *testing.T) {
	s, bodies := bodySchemas(t)
	h := unknownWorld(t, false)
	routes := routesByOperation(h)
	good := map[string]map[string]any{
		"CreateGraduatedPlan": {"name": "n", "fromVersion": "1", "toVersion": "2", "toRelease": "2", "agentIds": "x"},
		"PreviewPlan":         {"name": "n", "fromVersion": "1", "toVersion": "2", "toRelease": "2", "agentIds": "x"},
		"CreateDowngradePlan": {
			"name": "n", "batchSize": 1, "observeDuration": "value", "fromVersion": "2", "agentIds": "x",
			"components": []any{map[string]any{"componentUuid": "c", "toVersion": "1", "toRelease": "1"}},
		},
		"CreateRollbackPlan": {"sourcePlanUuid": "done", "observeDuration": "value"},
		"Precheck":           {},
	}
	for operation := range lenient {
		r, h := routes[operation], h
		for name := range s.propertiesOf(bodies[operation]) {
			misspelt := name[:2] + name[3:]
			body := map[string]any{misspelt: "1"}
			maps.Copy(body, good[operation])
			target := r.Pattern
			if operation == "CreateRollbackPlan" {
				h = rolledWorld(t)
			}
			w := ask(h, r.Method, target, body)
			want := "/" + misspelt + " is unknown and has no effect; did you mean "
			if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s with %s: got %d %s", operation, misspelt, w.Code, w.Body)
			}
		}
	}
}

func instant(_ context.Context, a ota.Attempt) (ota.Result, error) {
	return ota.Result{Version: a.ToVersion}, nil
}

// rolledWorld has a plan "done" that can be rolled back.
func rolledWorld(t *testing.T) *Handler {
	t.Helper()
	e, err := ota.New(memstore.New(), ota.ExecutorFunc(instant), ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	spec := ota.Spec{ID: "done", Name: "n", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("a")}
	if _, err := e.Create(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Start(t.Context(), "done", ota.Request{}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.RunPlan(t.Context(), "done"); err != nil {
		t.Fatal(err)
	}
	h, err := New(e, Options{Auth: Open()})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Every route refuses a parameter that it does not have, by its name, and says which it has.
func TestUnknownParameters(t *testing.T) {
	h := unknownWorld(t, false)
	for r := range h.Routes() {
		if r.Method == http.MethodGet {
			r.Method = http.MethodHead // a stream that is not refused ends
		}
		for _, name := range []string{"zzzzzzzz", "staus", "Limit", "taks"} {
			w := ask(h, r.Method, r.Pattern+"?"+name+"=1", nil)
			if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `"pointer":"`+name+`"`) {
				t.Errorf("%s ?%s=: got %d %s", r.Operation, name, w.Code, w.Body)
			}
		}
	}
	if w := ask(h, "GET", "/api/v1/lifecycle/upgrade-plans?staus=running", nil); !strings.Contains(w.Body.String(), "did you mean status?") {
		t.Errorf("no suggestion in %s", w.Body)
	}
}

// A text of observeDuration that looks like a duration is read or refused, everywhere. The text of
// the document's example is stored, with a warning.
func TestObserveDurationIsReadOrRefused(t *testing.T) {
	creation := map[string]any{"name": "n", "fromVersion": "1", "toVersion": "2", "toRelease": "2", "agentIds": "x"}
	for text, want := range map[string]string{
		"1d": `"wait":"24h0m0s"`, "1 hour": `"wait":"1h0m0s"`, "2 days": `"wait":"48h0m0s"`, "PT5M": `"wait":"5m0s"`, "90": `"wait":"1m30s"`,
		"value": `"value\" is no duration`, "whenever": `is no duration`,
		"1 month": "", "an hour": "", "1,5h": "", "-5m": "", "10 minuts": "", "1h30": "", "5 parsecs": "",
	} {
		creation["observeDuration"] = text
		for _, path := range []string{"/upgrade-plans", "/plans/preview"} {
			w := ask(unknownWorld(t, false), "POST", "/api/v1/lifecycle"+path, creation)
			if want == "" {
				if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), `"pointer":"/observeDuration"`) {
					t.Errorf("%s %q: got %d %s", path, text, w.Code, w.Body)
				}
			} else if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s %q: got %d %s", path, text, w.Code, w.Body)
			}
		}
		for path, method := range map[string]string{"/upgrade-plans/p": "PATCH", "/upgrade-plans/p/rollback": "POST", "/plans/rollback": "POST"} {
			w := ask(unknownWorld(t, false), method, "/api/v1/lifecycle"+path, map[string]any{"sourcePlanUuid": "p", "observeDuration": text})
			if path == "/upgrade-plans/p" {
				w = ask(unknownWorld(t, false), method, "/api/v1/lifecycle"+path, map[string]any{"observeDuration": text})
			}
			if refused := strings.Contains(w.Body.String(), "is no duration\","); refused != (want == "") && w.Code != http.StatusConflict {
				t.Errorf("%s %q: got %d %s", path, text, w.Code, w.Body)
			}
		}
	}
}
