package httpapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/policy"
	"github.com/seed-19b57ce3/ota/httpapi/internal/strictjson"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// sample sets a member of p to a value that is legal and not the default.
func sample(m *policy.Member, p reflect.Value) {
	to := m.In(p)
	if to.Kind() == reflect.Pointer && m.Kind != policy.Object {
		to.Set(reflect.New(to.Type().Elem()))
		to = to.Elem()
	}
	switch m.Kind {
	case policy.Number:
		to.SetInt(int64(m.Most))
	case policy.Fraction:
		to.SetFloat(0.25)
	case policy.Truth:
		to.SetBool(true)
	case policy.Text:
		to.SetString("text of " + m.Name)
	case policy.Word:
		to.SetUint(uint64(len(m.Words) - 1))
	case policy.Wait:
		to.SetInt(int64(90*time.Second + time.Millisecond))
	case policy.Limit:
		to.SetInt(int64(ota.NoTimeout))
	case policy.Clock:
		to.SetInt(int64(22*time.Hour + time.Minute))
	case policy.Numbers:
		list := reflect.MakeSlice(to.Type(), 2, 2)
		list.Index(0).SetInt(int64(m.Least))
		list.Index(1).SetInt(int64(m.Most))
		to.Set(list)
	case policy.Counts:
		to.Set(reflect.ValueOf(map[string]int{"a": m.Least, "b": m.Most}))
	case policy.Object:
		for i := range m.Members {
			sample(&m.Members[i], m.Inside(p))
		}
	case policy.Objects:
		list := reflect.MakeSlice(to.Type(), 2, 2)
		for i := range m.Members {
			sample(&m.Members[i], list.Index(1))
		}
		to.Set(list)
	default:
		panic(fmt.Sprint("no sample of kind ", m.Kind))
	}
}

// eachMember calls f with every member of a policy by its path, and a policy that has only that
// one.
func eachMember(f func(path string, m *policy.Member, only *ota.Policy)) {
	var walk func(prefix string, rows []policy.Member, in func(*ota.Policy) reflect.Value)
	walk = func(prefix string, rows []policy.Member, in func(*ota.Policy) reflect.Value) {
		for i := range rows {
			m, only := &rows[i], &ota.Policy{}
			sample(m, in(only))
			f(prefix+m.Name, m, only)
			if m.Kind == policy.Object {
				walk(prefix+m.Name+".", m.Members, func(p *ota.Policy) reflect.Value { return m.Inside(in(p)) })
			}
		}
	}
	walk("", policy.Members, func(p *ota.Policy) reflect.Value { return reflect.ValueOf(p).Elem() })
}

// edited is p after a request with these members.
func edited(t *testing.T, p ota.Policy, members any) (ota.Policy, *decoder) {
	t.Helper()
	b, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	d := &decoder{
		Reader: strictjson.NewReader(strings.NewReader(string(b)), strictjson.Limits{Depth: 32}),
		strict: true,
	}
	e := policyEdit{d: d}
	if err := d.object(e.fields()); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	e.settle()
	e.apply(&p)
	return p, d
}

// Every member goes from the client to the server and back by the table, alone and with all others:
// what a request leaves out stays, what is null becomes the default.
func TestPolicyMembers(t *testing.T) {
	var all ota.Policy
	for i := range policy.Members {
		sample(&policy.Members[i], reflect.ValueOf(&all).Elem())
	}
	if got, d := edited(t, ota.Policy{}, policy.Request(&all, false)); !reflect.DeepEqual(got, all) || len(d.mistakes) > 0 {
		t.Errorf("all members: got %+v, %v, want %+v", got, d.mistakes, all)
	}
	n := 0
	eachMember(func(path string, _ *policy.Member, only *ota.Policy) {
		n++
		if got, d := edited(t, ota.Policy{}, policy.Request(only, false)); !reflect.DeepEqual(got, *only) || len(d.mistakes) > 0 {
			t.Errorf("%s: got %+v, %v, want %+v", path, got, d.mistakes, *only)
		}
		if got, _ := edited(t, all, policy.Request(only, true)); !reflect.DeepEqual(got, *only) {
			t.Errorf("%s, all others null: got %+v, want %+v", path, got, *only)
		}
		if got, _ := edited(t, all, map[string]any{}); !reflect.DeepEqual(got, all) {
			t.Errorf("a request without members changed the policy")
		}
		answer := policy.Of(only)
		b, err := json.Marshal(answer)
		var back wire.RollbackPolicy
		if err != nil || json.Unmarshal(b, &back) != nil || !reflect.DeepEqual(back, answer) {
			t.Errorf("%s: %s is read as %+v, want %+v", path, b, back, answer)
		}
		if none := policy.Of(&ota.Policy{}); only.FailureThreshold == nil && reflect.DeepEqual(none, answer) {
			t.Errorf("%s is not in the answer", path)
		}
	})
	if n < 30 {
		t.Errorf("only %d members were tested", n)
	}
}

// A number outside of its row's range, and a word that is none, are refused; and the policy stays.
func TestPolicyRefusals(t *testing.T) {
	eachMember(func(path string, m *policy.Member, only *ota.Policy) {
		var bad []any
		switch m.Kind {
		case policy.Number:
			bad = []any{m.Least - 1, m.Most + 1}
		case policy.Word:
			bad = []any{"no such word", "", strings.ToUpper(m.Words[0])}
		case policy.Limit, policy.Wait, policy.Clock:
			bad = []any{"soon", "-1s"}
		case policy.Numbers:
			bad = []any{[]int{m.Least - 1}, []int{m.Most + 1}}
		}
		for _, v := range bad {
			parts := strings.Split(path, ".")
			for _, name := range slices.Backward(parts) {
				v = map[string]any{name: v}
			}
			_, d := edited(t, *only, v)
			if len(d.mistakes) != 1 || !strings.HasPrefix(d.mistakes[0].Pointer, "/"+strings.ReplaceAll(path, ".", "/")) || d.mistakes[0].Allowed == "" {
				t.Errorf("%v: got %+v", v, d.mistakes)
			}
		}
	})
}

// The member of an earlier version is refused by name, with its new form; also as null.
func TestBudgetWasReplaced(t *testing.T) {
	for _, v := range []any{map[string]any{"label": "rack", "max": 1}, nil, 7, "x"} {
		p, d := edited(t, ota.Policy{}, map[string]any{"budget": v})
		if len(d.mistakes) != 1 || d.mistakes[0].Pointer != "/budget" || !strings.Contains(d.mistakes[0].Allowed, "budgets") || p.Budgets != nil {
			t.Errorf("%v: got %+v", v, d.mistakes)
		}
	}
}

// A number in each is refused by its value's name.
func TestEachIsRefusedByName(t *testing.T) {
	for _, n := range []int{0, -1, 1_000_001} {
		_, d := edited(t, ota.Policy{}, map[string]any{"budgets": []any{map[string]any{"label": "rack", "each": map[string]any{"a/b": n}}}})
		if len(d.mistakes) != 1 || d.mistakes[0].Pointer != "/budgets/0/each/a~1b" {
			t.Errorf("%d: got %+v", n, d.mistakes)
		}
	}
}

// openapi.json has every member, in requests and in answers, with the kind and the range of its
// row.
func TestPolicyInTheDocument(t *testing.T) {
	var doc struct {
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	s := schemas(doc.Components.Schemas)
	for _, name := range []string{"CreateRequest", "EditRequest", "CreateRollbackRequest", "RollbackRequest", "RollbackTemplate"} {
		s.check(t, name, policy.Members, s[name], true)
	}
	for _, name := range []string{"Plan", "Preview", "PlannedRollback"} {
		s.check(t, name, policy.Members, s[name], false)
	}
}

// schemas are those of the document, by name.
type schemas map[string]any

// options are the schemas that a value may match: one, or those of its anyOf, without null. In a
// schema with properties, anyOf only names those that are required.
func (s schemas) options(schema any) []map[string]any {
	m, _ := schema.(map[string]any)
	if ref, ok := m["$ref"].(string); ok {
		var at any = map[string]any(s)
		for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/components/schemas/"), "/") {
			at = at.(map[string]any)[name]
		}
		return s.options(at)
	}
	if all, ok := m["allOf"].([]any); ok && len(all) == 1 { // a reference that may be null
		return s.options(all[0])
	}
	choices, ok := m["anyOf"].([]any)
	if !ok || m["properties"] != nil {
		return []map[string]any{m}
	}
	var all []map[string]any
	for _, one := range choices {
		for _, o := range s.options(one) {
			if o["type"] != "null" {
				all = append(all, o)
			}
		}
	}
	return all
}

// documented are the types of JSON by kind, in answers; requests may have more, such as a number in
// a string.
var documented = map[policy.Kind]string{
	policy.Number: "integer", policy.Fraction: "number", policy.Truth: "boolean", policy.Text: "string",
	policy.Word: "string", policy.Wait: "string", policy.Limit: "string", policy.Clock: "string",
	policy.Numbers: "array", policy.Object: "object", policy.Objects: "array", policy.Counts: "object",
}

// check compares the properties of a schema with rows of the table.
func (s schemas) check(t *testing.T, path string, rows []policy.Member, schema any, request bool) {
	t.Helper()
	properties, _ := s.options(schema)[0]["properties"].(map[string]any)
	for i := range rows {
		m := &rows[i]
		at := path + "." + m.Name
		var found map[string]any
		for _, o := range s.options(properties[m.Name]) {
			if o["type"] == documented[m.Kind] {
				found = o
			}
		}
		if found == nil {
			t.Errorf("%s: openapi.json has no %s", at, documented[m.Kind])
			continue
		}
		switch m.Kind {
		case policy.Number:
			if request {
				checkRange(t, at, m, found)
			}
		case policy.Numbers:
			if items := s.options(found["items"])[0]; request {
				checkRange(t, at, m, items)
			}
		case policy.Counts:
			if items := s.options(found["additionalProperties"])[0]; request {
				checkRange(t, at, m, items)
			}
		case policy.Word:
			if words := fmt.Sprint(found["enum"]); words != fmt.Sprint(m.Words) {
				t.Errorf("%s: openapi.json has the words %s, want %s", at, words, m.Words)
			}
		case policy.Object:
			s.check(t, at, m.Members, found, request)
		case policy.Objects:
			s.check(t, at, m.Members, found["items"], request)
		}
	}
}

func checkRange(t *testing.T, at string, m *policy.Member, schema map[string]any) {
	t.Helper()
	if schema["minimum"] != float64(m.Least) || schema["maximum"] != float64(m.Most) {
		t.Errorf("%s: openapi.json has %v to %v, want %d to %d", at, schema["minimum"], schema["maximum"], m.Least, m.Most)
	}
}
