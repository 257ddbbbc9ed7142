package httpapi

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/policy"
	"github.com/seed-19b57ce3/ota/httpapi/internal/protocol"
)

// apiDocument is openapi.json, as far as tests look at it by type.
type apiDocument struct {
	Info struct {
		License map[string]string
	}
	Tags  []struct{ Name, Description string }
	Paths map[string]map[string]json.RawMessage
	// Schemas by name.
	Components struct{ Schemas map[string]map[string]any }
}

type apiOperation struct {
	OperationID, Summary, Description string
	Tags                              []string
	Parameters                        []struct{ Name, In string }
	RequestBody                       *struct {
		Content map[string]map[string]any
	}
	Responses map[string]struct {
		Content map[string]map[string]any
	}
}

func parseDocument(t *testing.T, b []byte) apiDocument {
	t.Helper()
	var doc apiDocument
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func (d *apiDocument) operations(t *testing.T, f func(path, method string, op *apiOperation)) {
	t.Helper()
	for path, item := range d.Paths {
		for method, raw := range item {
			if method == "parameters" {
				continue
			}
			var op apiOperation
			if err := json.Unmarshal(raw, &op); err != nil {
				t.Fatal(err)
			}
			f(path, method, &op)
		}
	}
}

// Every schema has a name, no reference goes into another schema, and no body is a choice: code can
// be generated from the document. The bodies of edits may have null, which is a value there.
func TestDocumentIsForGenerators(t *testing.T) {
	var whole any
	if err := json.Unmarshal(openAPI, &whole); err != nil {
		t.Fatal(err)
	}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				walk(at, x)
			}
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok && (strings.Count(ref, "/") != 3 || !strings.HasPrefix(ref, "#/components/")) {
				t.Errorf("%s: the reference %s is deep", at, ref)
			}
			named := strings.Count(at, "/") == 3 && strings.HasPrefix(at, "/components/schemas/")
			if _, ok := v["properties"]; ok && !named && v["type"] == "object" {
				t.Errorf("%s: an object without a name", at)
			}
			if _, ok := v["enum"]; ok && !named {
				t.Errorf("%s: an enum without a name", at)
			}
			for _, union := range []string{"anyOf", "oneOf"} {
				if _, ok := v[union]; ok {
					t.Errorf("%s: a choice", at)
				}
			}
			if all, ok := v["allOf"].([]any); ok && (len(all) != 1 || v["nullable"] != true || !strings.HasPrefix(at, "/components/schemas/EditRequest/")) {
				t.Errorf("%s: a composition", at)
			}
			for k, x := range v {
				if k != "example" && k != "examples" {
					walk(at+"/"+k, x)
				}
			}
		}
	}
	walk("", whole)
	doc := parseDocument(t, openAPI)
	for name, s := range doc.Components.Schemas {
		if strings.HasSuffix(name, "Request") && s["additionalProperties"] != false {
			t.Errorf("%s is not strict", name)
		}
	}
	if doc.Info.License["name"] == "" || doc.Info.License["url"] == "" {
		t.Errorf("the license is %v", doc.Info.License)
	}
}

// Every operation has a tag, a summary, a description and examples.
func TestOperationsAreDescribed(t *testing.T) {
	doc := parseDocument(t, openAPI)
	tags := map[string]int{}
	for _, tag := range doc.Tags {
		if tag.Description == "" {
			t.Errorf("tag %s has no description", tag.Name)
		}
		tags[tag.Name] = 0
	}
	doc.operations(t, func(_, _ string, op *apiOperation) {
		if len(op.Tags) != 1 || op.Summary == "" || len(op.Description) < 30 || !strings.HasSuffix(op.Description, ".") {
			t.Errorf("%s: tags %v, summary %q, description %q", op.OperationID, op.Tags, op.Summary, op.Description)
		}
		for _, tag := range op.Tags {
			if _, ok := tags[tag]; !ok {
				t.Errorf("%s: the tag %s is not declared", op.OperationID, tag)
			}
			tags[tag]++
		}
		contents := []map[string]map[string]any{op.Responses["200"].Content}
		if op.RequestBody != nil {
			contents = append(contents, op.RequestBody.Content)
		}
		for _, content := range contents {
			for kind, c := range content {
				if c["example"] == nil && c["examples"] == nil {
					t.Errorf("%s: %s has no example", op.OperationID, kind)
				}
			}
			if len(content) == 0 {
				t.Errorf("%s: a body without content", op.OperationID)
			}
		}
	})
	for tag, n := range tags {
		if n == 0 {
			t.Errorf("no operation has the tag %s", tag)
		}
	}
}

// Every parameter of the query is in the document, and no other.
func TestParametersInTheDocument(t *testing.T) {
	doc := parseDocument(t, openAPI)
	h := unknownWorld(t, false)
	known := map[string][]string{}
	for _, r := range h.routes {
		known[r.Operation] = r.query
	}
	doc.operations(t, func(_, _ string, op *apiOperation) {
		var have []string
		for _, p := range op.Parameters {
			if p.In == "query" {
				have = append(have, p.Name)
			}
		}
		want := slices.Clone(known[op.OperationID])
		sort.Strings(have)
		sort.Strings(want)
		if !slices.Equal(have, want) {
			t.Errorf("%s: the document has %v, the route %v", op.OperationID, have, want)
		}
	})
}

// wordsOf are the texts of an enum's values, but for "none".
func wordsOf[E any]() []string {
	var all []string
	v := reflect.New(reflect.TypeFor[E]()).Elem()
	for i := range uint64(256) {
		v.SetUint(i)
		e := policy.EnumOf(v)
		if s := e.String(); s != "none" && e.UnmarshalText([]byte(s)) == nil {
			all = append(all, s)
		}
	}
	return all
}

func problemCodes() []string {
	var all []string
	for _, r := range protocol.Refusals() {
		all = append(all, r.Code)
	}
	return all
}

func without(words []string, word string) []string {
	return slices.DeleteFunc(words, func(s string) bool { return s == word })
}

// Every word that the code can send is in an enum of the document, in the order of the code.
func TestEnumsInTheDocument(t *testing.T) {
	doc := parseDocument(t, openAPI)
	task := wordsOf[ota.TaskStatus]()
	for name, want := range map[string][]string{
		"Verb": wordsOf[ota.Verb](), "EventKind": wordsOf[ota.EventKind](), "ProblemCode": problemCodes(),
		"Reason":     append([]string{"none"}, wordsOf[ota.Reason]()...),
		"PlanStatus": without(wordsOf[ota.Status](), "unknown"), "BatchStatus": wordsOf[ota.BatchStatus](),
		"TaskFilter": task, "TaskStatus": without(slices.Clone(task), "waiting"),
		"Action": wordsOf[ota.Action](), "Scope": wordsOf[ota.Scope](), "OnAway": wordsOf[ota.UnreachableAction](), "BudgetOf": wordsOf[ota.BudgetOf](), "Needs": wordsOf[ota.Needs](), "HarmKind": wordsOf[ota.HarmKind](), "PlanSort": protocol.Sorts,
		"CheckName": checkNames, "Outcome": strings.Split(outcomeWords, ", "),
	} {
		var have []string
		list, _ := doc.Components.Schemas[name]["enum"].([]any)
		for _, w := range list {
			s, _ := w.(string)
			have = append(have, s)
		}
		if !slices.Equal(have, want) {
			t.Errorf("%s: the document has %v, the code %v", name, have, want)
		}
	}
	for member, enum := range map[string]string{
		"Problem.code": "ProblemCode", "Problem.verb": "Verb", "Problem.state": "PlanStatus", "Event.kind": "EventKind", "Event.reason": "Reason",
		"Blocker.reason": "Reason", "Waiting.reason": "Reason", "Waiting.needs": "Needs", "Harm.kind": "HarmKind", "TaskInfo.reason": "Reason", "Breach.reason": "Reason", "Record.status": "PlanStatus",
	} {
		schema, name, _ := strings.Cut(member, ".")
		properties, _ := doc.Components.Schemas[schema]["properties"].(map[string]any)
		p, _ := properties[name].(map[string]any)
		if p["$ref"] != "#/components/schemas/"+enum {
			t.Errorf("%s is %v, want %s", member, p, enum)
		}
	}
}

// docs/http.md has a row for each code of a problem, with its status, and for each kind of event.
func TestTablesInTheGuide(t *testing.T) {
	b, err := os.ReadFile("../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := string(b)
	for _, r := range protocol.Refusals() {
		row := "| `" + r.Code + "` | " + strconv.Itoa(r.Status) + " | "
		if strings.Count(guide, row) != 1 {
			t.Errorf("no row %q", row)
		}
	}
	_, events, _ := strings.Cut(guide, "\n## Kinds of events\n")
	for _, kind := range wordsOf[ota.EventKind]() {
		if strings.Count(events, "| `"+kind+"` | ") != 1 {
			t.Errorf("no row for the event %s", kind)
		}
	}
}
