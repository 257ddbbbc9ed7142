//go:build standard

package mutants

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota/internal/house"
)

var (
	number = flag.Int("mutants", 200, "how many standard mutants to draw")
	first  = flag.Int("first", 0, "leave out so many of them")
	seed   = flag.Uint64("seed", 1, "of the draw")
	only   = flag.String("only", "", "only the mutants whose names this expression matches")
)

// TestStandardMutants draws standard mutants of the core: a condition that is negated, a comparison or
// a sum that is off by one, a statement that is dropped. It runs the tests with each of them and
// prints a table: file, mutation, killed by. A mutant that lives shows a missing test, or is
// equivalent to the code. It takes half an hour or more, so it runs on demand:
//
//	go test -tags standard -run TestStandardMutants -timeout 5h ./internal/mutants -v -mutants 200
func TestStandardMutants(t *testing.T) {
	all := drawn(t)
	list := compiling(t, &all)
	binaries := map[string]string{}
	for i, folder := range tested {
		binaries[folder] = filepath.Join(t.TempDir(), fmt.Sprintf("standard-%d.test", i))
		build(t, list, folder, "go", "test", "-c", "-vet=off", "-o", binaries[folder])
	}
	lives := 0
	for _, m := range all[min(*first, len(all)):] {
		by := killer(t, binaries, m.name)
		if by == "" {
			lives++
			by = "LIVES"
		}
		fmt.Printf("| %s | %s | %s |\n", m.file, m.why, by)
	}
	fmt.Printf("%d mutants, %d live\n", len(all)-*first, lives)
}

// stages are the tests in the order in which they are tried: those that kill most in a second come
// first.
var stages = []struct {
	folder string
	args   []string
}{
	{".", []string{"-test.run", "^Test(Decide|Limits|Barriers|Outcome|Simulation|Opening|Halved|Retry|Stand|Open)", "-sim.seeds", "400"}},
	{"internal/scenarios", []string{"-test.run", "^Test(Lesson|Prober|Gate|Rate|Window|Hold|Budget|Skip|Retry|Precheck|Tasks|Away|WhatStops|The)"}},
	{".", []string{"-test.skip", "Simulation|Layer|Linter|Docs|House"}},
	{"internal/scenarios", nil},
	{".", []string{"-test.run", "TestSimulation$|TestShellSimulation$", "-sim.seeds", "4000", "-shell.seeds", "100"}},
}

var failedTest = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)

// killer returns the test that fails with a mutant; empty: none does.
func killer(t *testing.T, binaries map[string]string, name string) string {
	t.Helper()
	for _, s := range stages {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		cmd := exec.CommandContext(ctx, binaries[s.folder], append(s.args, "-test.short", "-test.failfast", "-test.timeout", "4m")...)
		cmd.Dir = filepath.Join("..", "..", s.folder)
		cmd.Env = append(os.Environ(), switchName+"="+name)
		out, err := cmd.CombinedOutput()
		cancel()
		switch found := failedTest.FindAllStringSubmatch(string(out), -1); {
		case err == nil:
		case strings.Contains(string(out), "test timed out"):
			return "hangs its tests"
		case len(found) > 0:
			return found[len(found)-1][1]
		default:
			return "a panic"
		}
	}
	return ""
}

// drawn returns standard mutants, drawn from all of the core.
func drawn(t *testing.T) []mutant {
	t.Helper()
	text, err := os.ReadFile("../../docs/design.md")
	require.NoError(t, err)
	layers, err := house.ParseLayers(string(text))
	require.NoError(t, err)
	var files []string
	for file, layer := range layers {
		if house.LayerNames[layer] == "core" {
			files = append(files, file)
		}
	}
	slices.Sort(files)
	var all []mutant
	for _, file := range files {
		all = append(all, standard(t, file)...)
	}
	r := rand.New(rand.NewPCG(*seed, 0))
	r.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	all = all[:min(*number, len(all))]
	if *only != "" {
		match := regexp.MustCompile(*only)
		all = slices.DeleteFunc(all, func(m mutant) bool { return !match.MatchString(m.why) })
	}
	slices.SortFunc(all, func(a, b mutant) int { return strings.Compare(a.name, b.name) })
	return all
}

// offByOne are comparisons and what they become.
var offByOne = map[token.Token]string{token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">"}

// standard returns every standard mutant of a file.
func standard(t *testing.T, file string) (all []mutant) {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("..", "..", file))
	require.NoError(t, err)
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, file, source, 0)
	require.NoError(t, err)
	add := func(from, to token.Pos, kind, text string) {
		p := fset.Position(from)
		m := mutant{file: file, place: p.Offset, old: string(source[p.Offset:fset.Position(to).Offset]), new: text}
		m.name = fmt.Sprintf("std_%s_%04d_%03d_%s", strings.TrimSuffix(file, ".go"), p.Line, p.Column, kind)
		m.why = fmt.Sprintf("%s:%d %s: %s", file, p.Line, kind, strings.Join(strings.Fields(m.old), " "))
		all = append(all, m)
	}
	whole := func(n ast.Node) string {
		return string(source[fset.Position(n.Pos()).Offset:fset.Position(n.End()).Offset])
	}
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv != nil && len(f.Recv.List[0].Names) == 0 {
			continue
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit:
				return false
			case *ast.IfStmt:
				add(n.Cond.Pos(), n.Cond.End(), "negate", "!("+whole(n.Cond)+")")
			case *ast.CaseClause:
				for _, e := range n.List {
					if _, bare := e.(*ast.Ident); !bare {
						if b, ok := e.(*ast.BinaryExpr); ok {
							add(b.Pos(), b.End(), "negate", "!("+whole(b)+")")
						}
					}
				}
			case *ast.BinaryExpr:
				if text, ok := offByOne[n.Op]; ok {
					add(n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), "off_by_one", text)
				}
				if l, ok := n.Y.(*ast.BasicLit); ok && (n.Op == token.ADD || n.Op == token.SUB) && l.Value == "1" {
					add(l.Pos(), l.End(), "off_by_one", "2")
				}
			case *ast.ExprStmt:
				add(n.Pos(), n.End(), "drop", "")
			case *ast.IncDecStmt:
				add(n.Pos(), n.End(), "drop", "")
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					add(n.Pos(), n.End(), "drop", "")
				}
			}
			return true
		})
	}
	return all
}

var compilerError = regexp.MustCompile(`(?m)^\S*?(\w+\.go):(\d+):\d+: `)

// compiling removes the mutants that do not compile, and returns the overlay with the others.
func compiling(t *testing.T, all *[]mutant) (list string) {
	t.Helper()
	for range 10 {
		list = overlay(t, *all)
		cmd := exec.CommandContext(t.Context(), "go", "build", "-gcflags=-e", "-overlay", list, ".")
		cmd.Dir = filepath.Join("..", "..")
		out, err := cmd.CombinedOutput()
		if err == nil {
			return list
		}
		bad := map[string]bool{}
		for _, e := range compilerError.FindAllStringSubmatch(string(out), -1) {
			bad[twinAt(t, list, e[1], e[2])] = true
		}
		before := len(*all)
		*all = slices.DeleteFunc(*all, func(m mutant) bool { return bad[m.name] })
		require.Less(t, len(*all), before, "%s", out)
	}
	require.Fail(t, "mutants do not compile")
	return ""
}

// twinAt returns the name of the mutant whose twin is at a line of a patched file.
func twinAt(t *testing.T, list, file, line string) string {
	t.Helper()
	text, err := os.ReadFile(list)
	require.NoError(t, err)
	var files struct{ Replace map[string]string }
	require.NoError(t, json.Unmarshal(text, &files))
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, files.Replace[filepath.Join(root, file)], nil, 0)
	require.NoError(t, err)
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		from, to := fset.Position(d.Pos()).Line, fset.Position(d.End()).Line
		if n := 0; ok {
			_, _ = fmt.Sscan(line, &n)
			if _, name, twin := strings.Cut(f.Name.Name, "_std_"); twin && from <= n && n <= to {
				return "std_" + name
			}
		}
	}
	return ""
}
