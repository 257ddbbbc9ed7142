package mutants

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// switchFile is added to each package with mutants: it selects the one mutant that is active in a run.
const switchFile = `package %s

import "os"

var mutant = os.Getenv("` + switchName + `")
`

const switchName = "OTA_MUTANT"

// tested are the folders of the packages whose tests kill mutants.
var tested = []string{".", "internal/scenarios", "simulate"}

// build runs a go command that builds a tested package with all mutants. The mutants may be in any
// package of the module that the tests use.
func build(t *testing.T, overlay, folder string, command ...string) {
	t.Helper()
	args := append(command[1:], "-overlay", overlay, "./"+folder)
	cmd := exec.CommandContext(t.Context(), command[0], args...)
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "a mutant does not build: %s", out)
}

// overlay writes what go build's -overlay takes. Every function that a mutant changes gets a twin
// with the change. The original first checks whether the twin must run instead. So a hundred mutants
// cost one build.
func overlay(t *testing.T, all []mutant) (list string) {
	t.Helper()
	dir := t.TempDir()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	replace := map[string]string{}
	put := func(file, text string) {
		patched := filepath.Join(dir, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(patched), 0o700))
		require.NoError(t, os.WriteFile(patched, []byte(text), 0o600))
		replace[filepath.Join(root, file)] = patched
	}
	byFile := map[string][]mutant{}
	for _, m := range all {
		byFile[m.file] = append(byFile[m.file], m)
	}
	for file, list := range byFile {
		source, err := os.ReadFile(filepath.Join(root, file))
		require.NoError(t, err)
		put(file, splice(t, string(source), list))
		put(filepath.Join(filepath.Dir(file), "mutant_switch.go"), fmt.Sprintf(switchFile, packageOf(t, source)))
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	list = filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(list, text, 0o600))
	return list
}

// packageOf returns the name of a source's package.
func packageOf(t *testing.T, source []byte) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "", source, parser.PackageClauseOnly)
	require.NoError(t, err)
	return file.Name.Name
}

// splice adds the twins of one file's mutants to its source.
func splice(t *testing.T, source string, list []mutant) string {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", source, 0)
	require.NoError(t, err)
	at := func(p token.Pos) int { return fset.Position(p).Offset }
	turns := map[int]string{} // the statements to insert where a function's body begins, by offset
	var twins strings.Builder
	for _, m := range list {
		place := m.place
		if place == 0 {
			require.Equal(t, 1, strings.Count(source, m.old), "%s: the place to change must be in %s once", m.name, m.file)
			place = strings.Index(source, m.old)
		}
		i := slices.IndexFunc(file.Decls, func(d ast.Decl) bool {
			f, ok := d.(*ast.FuncDecl)
			return ok && at(f.Body.Lbrace) < place && place+len(m.old) <= at(f.Body.Rbrace)
		})
		require.GreaterOrEqual(t, i, 0, "%s: the place to change must be in the body of one function of %s", m.name, m.file)
		f := file.Decls[i].(*ast.FuncDecl)
		twin := f.Name.Name + "_" + strings.ReplaceAll(m.name, "-", "_")
		body := source[at(f.Body.Lbrace):place] + m.new + source[place+len(m.old):at(f.Body.End())]
		turns[at(f.Body.Lbrace)+1] += turn(f, m.name, twin)
		fmt.Fprintf(&twins, "\n%s %s\n", head(t, fset, f, twin), body)
	}
	for _, place := range slices.Backward(slices.Sorted(maps.Keys(turns))) {
		source = source[:place] + turns[place] + source[place:]
	}
	return source + twins.String()
}

// turn is the statement that calls a function's twin instead.
func turn(f *ast.FuncDecl, mutant, twin string) string {
	var args []string
	for _, p := range f.Type.Params.List {
		for _, n := range p.Names {
			arg := n.Name
			if _, ok := p.Type.(*ast.Ellipsis); ok {
				arg += "..."
			}
			args = append(args, arg)
		}
	}
	if f.Recv != nil {
		twin = f.Recv.List[0].Names[0].Name + "." + twin
	}
	call := twin + "(" + strings.Join(args, ", ") + ")"
	if f.Type.Results == nil {
		call += "; return"
	} else {
		call = "return " + call
	}
	return fmt.Sprintf(" if mutant == %q { %s };", mutant, call)
}

// head prints a function's declaration under another name, without its body.
func head(t *testing.T, fset *token.FileSet, f *ast.FuncDecl, name string) string {
	t.Helper()
	twin := *f
	twin.Name, twin.Body, twin.Doc = ast.NewIdent(name), nil, nil
	var b bytes.Buffer
	require.NoError(t, printer.Fprint(&b, fset, &twin))
	return b.String()
}
