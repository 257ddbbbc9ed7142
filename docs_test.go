package ota

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The table of verbs in docs/states.md is the one in verb.go, cell by cell.
func TestDocumentedTransitions(t *testing.T) {
	t.Parallel()
	rows := tableAfter(t, "docs/states.md", "| verb |")
	header := rows[0][1:]
	if want := len(transitions); len(header) != want {
		t.Fatalf("the table has %d statuses, want %d", len(header), want)
	}
	seen := map[Verb]bool{}
	for _, row := range rows[1:] {
		var verb Verb
		if err := verb.UnmarshalText([]byte(row[0])); err != nil {
			t.Fatal(err)
		}
		seen[verb] = true
		for i, cell := range row[1:] {
			var from Status
			if err := from.UnmarshalText([]byte(header[i])); err != nil {
				t.Fatal(err)
			}
			want := "–"
			if to, ok := transitions[from][verb]; ok {
				want = strings.Trim(strings.ReplaceAll(fmt.Sprint(to), " ", ", "), "[]")
			}
			if cell != want {
				t.Errorf("%s while %s: documented as %q, in the code %q", verb, from, cell, want)
			}
		}
	}
	for i := range verbs.words[1:] {
		if v := Verb(i + 1); !seen[v] {
			t.Errorf("the verb %s is not in the table", v)
		}
	}
}

// Every field of a Policy and of a Shape with an example, every reason and every default is in docs/policies.md.
func TestDocumentedPolicies(t *testing.T) {
	t.Parallel()
	text := readDoc(t, "docs/policies.md")
	for _, name := range append(fieldsOf(reflect.TypeFor[Policy](), ""), fieldsOf(reflect.TypeFor[Shape](), "Shape.")...) {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("the field %s is not documented", name)
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| `") && strings.HasSuffix(line, "| |\n") {
			t.Errorf("there is no example in the row %s", line)
		}
	}
	for _, r := range constantsOf(t, "reason.go", "Reason") {
		if r != "ReasonNone" && !strings.Contains(text, r) {
			t.Errorf("%s is not documented", r)
		}
	}
	for _, r := range reasons {
		if r.word != "none" && !strings.Contains(text, "`"+r.word+"`") {
			t.Errorf("the reason %s is not documented", r.word)
		}
	}
	defaults := Policy{Soak: Soak{Duration: 1}}.withDefaults()
	for field, value := range map[string]any{
		"Concurrency": defaults.Concurrency, "FailureThreshold": *defaults.FailureThreshold, "AttemptTimeout": "30 min",
		"UnreachableTimeout": "1 h", "Soak.Interval": "10 s", "MaxAbandoned": "Concurrency",
	} {
		if i := slices.IndexFunc(strings.Split(text, "\n"), func(line string) bool {
			cells := cellsOf(line)
			return len(cells) > 3 && cells[0] == "`"+field+"`" && strings.Contains(cells[3], fmt.Sprint(value))
		}); i < 0 {
			t.Errorf("the default of %s is not documented as %v", field, value)
		}
	}
}

// Every file of this package is in the table of docs/design.md.
func TestDocumentedFiles(t *testing.T) {
	t.Parallel()
	named := regexp.MustCompile(`[a-z*]+\.go`).FindAllString(readDoc(t, "docs/design.md"), -1)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f, "_test.go") && !slices.ContainsFunc(named, func(p string) bool { ok, _ := filepath.Match(p, f); return ok }) {
			t.Errorf("%s is not in the table of files", f)
		}
	}
}

// fieldsOf lists the exported fields of a struct, with those of the structs inside it, and in its slices.
func fieldsOf(typ reflect.Type, prefix string) []string {
	var names []string
	for f := range typ.Fields() {
		if f.Type.Kind() == reflect.Struct {
			names = append(names, fieldsOf(f.Type, prefix+f.Name+".")...)
			continue
		}
		names = append(names, prefix+f.Name)
		if f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct {
			names = append(names, fieldsOf(f.Type.Elem(), prefix+f.Name+".")...)
		}
	}
	return names
}

// constantsOf lists the names in a file that begin with a prefix and are constants.
func constantsOf(t *testing.T, file, prefix string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			for _, n := range s.(*ast.ValueSpec).Names {
				if strings.HasPrefix(n.Name, prefix) {
					names = append(names, n.Name)
				}
			}
		}
	}
	return names
}

// tableAfter returns the cells of the table in a document whose header begins with start, without the ruler.
func tableAfter(t *testing.T, file, start string) [][]string {
	t.Helper()
	lines := strings.Split(readDoc(t, file), "\n")
	i := slices.IndexFunc(lines, func(s string) bool { return strings.HasPrefix(s, start) })
	if i < 0 {
		t.Fatalf("%s has no table that begins with %q", file, start)
	}
	var rows [][]string
	for ; strings.HasPrefix(lines[i], "|"); i++ {
		if !strings.HasPrefix(lines[i], "|--") {
			rows = append(rows, cellsOf(lines[i]))
		}
	}
	return rows
}

func cellsOf(line string) []string {
	cells := strings.Split(strings.Trim(line, "| "), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

func readDoc(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The table of tolerated failures in docs/policies.md is what Tolerated returns.
func TestDocumentedTolerance(t *testing.T) {
	t.Parallel()
	rows := tableAfter(t, "docs/policies.md", "| threshold | of 1 |")
	for _, row := range rows[1:] {
		threshold, err := strconv.ParseFloat(row[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		for i, cell := range row[1:] {
			n, err := strconv.Atoi(strings.TrimPrefix(rows[0][i+1], "of "))
			if err != nil {
				t.Fatal(err)
			}
			if got := strconv.Itoa(Tolerated(threshold, n)); got != cell {
				t.Errorf("%g of %d: documented as %s, Tolerated says %s", threshold, n, cell, got)
			}
		}
	}
}

// The section of the package documentation for authors of Stores names every type of their contract.
func TestDocumentedStoreTypes(t *testing.T) {
	t.Parallel()
	_, section, found := strings.Cut(readDoc(t, "doc.go"), "# For authors of Stores")
	if !found {
		t.Fatal("doc.go has no section for authors of Stores")
	}
	for _, file := range []string{"store.go", "storecompanions.go", "image.go"} {
		for _, m := range regexp.MustCompile(`(?m)^type ([A-Z]\w*)`).FindAllStringSubmatch(readDoc(t, file), -1) {
			if !regexp.MustCompile(`\b` + m[1] + `\b`).MatchString(section) {
				t.Errorf("%s of %s is not named", m[1], file)
			}
		}
	}
}
