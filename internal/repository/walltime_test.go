package repository

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota/internal/house"
)

// leastGuard is the shortest wait after which a test may fail because something hangs.
const leastGuard = time.Minute

// Functions that end something early on purpose, or wait by a clock that is not the machine's. A
// slow machine fails none of them.
var onPurpose = map[string]string{
	"httpapi/script_test.go:behave":                      "an agent's latency, in a bubble of its caller",
	"sqlstore/bench_engine_test.go:watchHeap":            "looks again and again until it is ended",
	"sqlstore/faults_test.go:TestTerminatedConnections":  "how long connections are cut",
	"sqlstore/pgtest/cluster.go:answers":                 "looks again and again; its guard is its caller's",
	"sqlstore/sqlite/busy_test.go:TestWritesFindTheGaps": "how long the file is free",
}

// No test fails because the machine is slow: outside of a bubble of virtual time none compares how
// long something took, and guards against hanging are a minute or longer.
func TestNoTestMeasuresTime(t *testing.T) {
	t.Parallel()
	unused := maps.Clone(onPurpose)
	files := 0
	require.NoError(t, house.EachFile(".", func(path string, f *ast.File) {
		top, _, _ := strings.Cut(filepath.ToSlash(path), "/")
		suite := strings.HasPrefix(top, "storetest") || strings.HasPrefix(top, "executortest") || strings.Contains(path, "pgtest")
		if !strings.HasSuffix(path, "_test.go") && !suite || top == "bench" {
			return
		}
		files++
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil || inBubble(fn) || strings.HasPrefix(fn.Name.Name, "Benchmark") {
				continue
			}
			where := filepath.ToSlash(path) + ":" + fn.Name.Name
			for _, problem := range timesIn(fn) {
				if _, ok := onPurpose[where]; !ok {
					t.Errorf("%s %s", where, problem)
				}
				delete(unused, where)
			}
		}
	}))
	require.Greater(t, files, 150)
	require.Empty(t, slices.Sorted(maps.Keys(unused)), "these need no exception")
}

// inBubble reports whether a function runs in virtual time, as far as it shows.
func inBubble(fn *ast.FuncDecl) (in bool) {
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			name := callee(n)
			in = in || name == "synctest.Test" || name == "inScene" || name == "inTime"
		case *ast.StarExpr:
			id, ok := n.X.(*ast.Ident)
			in = in || ok && (id.Name == "scene" || id.Name == "shellWorld")
		}
		return true
	})
	return in
}

// timesIn lists what a function does by the machine's clock.
func timesIn(fn *ast.FuncDecl) (problems []string) {
	took := map[string]bool{}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, x := range n.Rhs {
				if id, ok := n.Lhs[min(i, len(n.Lhs)-1)].(*ast.Ident); ok && isTook(x, took) {
					took[id.Name] = true
				}
			}
		case *ast.BinaryExpr:
			for _, side := range [][2]ast.Expr{{n.X, n.Y}, {n.Y, n.X}} {
				compares := n.Op == token.LSS || n.Op == token.GTR || n.Op == token.LEQ || n.Op == token.GEQ
				if d, known := constant(side[1]); compares && isTook(side[0], took) && (!known || time.Duration(d) < leastGuard) {
					problems = append(problems, "compares how long something took")
				}
			}
		case *ast.RangeStmt:
			rounds, known := constant(n.X)
			ast.Inspect(n.Body, func(in ast.Node) bool {
				if c, ok := in.(*ast.CallExpr); ok && callee(c) == "time.Sleep" && known {
					if d, known := constant(c.Args[0]); known && time.Duration(rounds*d) < leastGuard {
						problems = append(problems, fmt.Sprintf("looks %d times, each %v: less than %v in all", rounds, time.Duration(d), leastGuard))
					}
				}
				return true
			})
		case *ast.CallExpr:
			at, guards := map[string]int{"time.After": 0, "time.AfterFunc": 0, "time.NewTimer": 0, "context.WithTimeout": 1, "Add": 0}[callee(n)]
			if !guards || at >= len(n.Args) {
				return true
			}
			if d, known := constant(n.Args[at]); known && time.Duration(d) < leastGuard {
				problems = append(problems, fmt.Sprintf("gives up after %v: a guard against hanging is %v or longer", time.Duration(d), leastGuard))
			}
		}
		return true
	})
	return problems
}

// isTook reports whether x is a time that went by: time.Since, or a variable with it.
func isTook(x ast.Expr, took map[string]bool) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return took[x.Name]
	case *ast.CallExpr:
		return callee(x) == "time.Since"
	default:
		return false
	}
}

// callee is what is called: pkg.Name, Name, or the Add of time.Now().Add.
func callee(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if id, ok := f.X.(*ast.Ident); ok {
			return id.Name + "." + f.Sel.Name
		}
		if inner, ok := f.X.(*ast.CallExpr); ok && callee(inner) == "time.Now" {
			return f.Sel.Name
		}
	}
	return ""
}

// constant is the value of an expression such as 3 or 20*time.Second, which is in nanoseconds.
func constant(x ast.Expr) (n int64, ok bool) {
	switch x := x.(type) {
	case *ast.BasicLit:
		n, err := strconv.ParseInt(strings.ReplaceAll(x.Value, "_", ""), 10, 64)
		return n, err == nil
	case *ast.SelectorExpr:
		d, ok := map[string]time.Duration{
			"Nanosecond": time.Nanosecond, "Microsecond": time.Microsecond, "Millisecond": time.Millisecond,
			"Second": time.Second, "Minute": time.Minute, "Hour": time.Hour,
		}[x.Sel.Name]
		return int64(d), ok
	case *ast.BinaryExpr:
		a, ok := constant(x.X)
		b, also := constant(x.Y)
		if x.Op == token.MUL {
			return a * b, ok && also
		}
	}
	return 0, false
}
