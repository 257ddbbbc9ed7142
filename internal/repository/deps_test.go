package repository

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What the module may require, the last one in tests only. Anything heavier belongs into a module of its own.
var allowedModules = []string{
	"github.com/benbjohnson/clock",
	"github.com/google/uuid",
	"github.com/hashicorp/go-multierror",
	"golang.org/x/sync",
	"github.com/stretchr/testify",
}

func TestModuleRequiresWhatTheDesignNames(t *testing.T) {
	t.Parallel()
	direct := regexp.MustCompile(`(?m)^\s*(?:require )?(\S+\.\S+/\S+) v\S+$`) // an indirect one has a comment after it
	for _, m := range direct.FindAllStringSubmatch(read(t, "go.mod"), -1) {
		if !slices.Contains(allowedModules, m[1]) {
			t.Errorf("go.mod requires %s; allowed are %v", m[1], allowedModules)
		}
	}
}

// Whoever imports a package of this module links what the design names and nothing else: no test helper, no driver.
func TestPackagesLinkNothingElse(t *testing.T) {
	t.Parallel()
	const self = "github.com/seed-19b57ce3/ota"
	linked := append(slices.Clone(allowedModules[:4]), self, "github.com/hashicorp/errwrap") // of go-multierror
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}} {{.Module.Path}}{{end}}", "./...")
	cmd.Env = append(cmd.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	found := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		pkg, module, _ := strings.Cut(strings.TrimSpace(line), " ")
		found[pkg] = true
		if !slices.Contains(linked, module) {
			t.Errorf("%s, of module %s, is linked into users' programs; allowed are %v", pkg, module, linked)
		}
	}
	for _, pkg := range []string{self, self + "/storetest", self + "/otatest", self + "/executortest", self + "/simulate", self + "/memstore"} {
		if !found[pkg] {
			t.Errorf("%s was not looked at", pkg)
		}
	}
}

// The conformance suites and the test fleet need the standard library and this module, so that they cost nobody anything.
func TestSuitesNeedTheStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	const self = "github.com/seed-19b57ce3/ota"
	for _, pkg := range importsOf(t, "./storetest/...", "./otatest/...", "./executortest/...") {
		first, _, _ := strings.Cut(pkg, "/")
		if strings.Contains(first, ".") && pkg != self && !strings.HasPrefix(pkg, self+"/") {
			t.Errorf("a suite imports %s", pkg)
		}
	}
}

// The leaves are the packages that docs/design.md lists: they import the standard library only. The
// root imports them, and nothing else of internal/.
func TestLeavesNeedTheStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	const self = "github.com/seed-19b57ce3/ota"
	var leaves, names []string
	for _, m := range regexp.MustCompile(`(?m)^\| (internal/\S+) \|`).FindAllStringSubmatch(read(t, "docs/design.md"), -1) {
		leaves = append(leaves, m[1])
		names = append(names, strings.TrimPrefix(m[1], "internal/"))
	}
	if len(leaves) < 3 {
		t.Fatalf("docs/design.md lists the leaves %v", leaves)
	}
	if files := "**/internal/{" + strings.Join(names, ",") + "}/*.go"; !strings.Contains(read(t, ".golangci.yml"), files) {
		t.Errorf("the rule leaves of .golangci.yml does not have the files %s", files)
	}
	for _, leaf := range leaves {
		for _, pkg := range importsOf(t, "./"+leaf) {
			if first, _, _ := strings.Cut(pkg, "/"); strings.Contains(first, ".") {
				t.Errorf("the leaf %s imports %s", leaf, pkg)
			}
		}
	}
	for _, pkg := range importsOf(t, ".") {
		if inner, ok := strings.CutPrefix(pkg, self+"/"); ok && !slices.Contains(leaves, inner) {
			t.Errorf("the root imports %s, which docs/design.md does not list as a leaf", inner)
		}
	}
}

// A simulation uses what any driver of plans could use: exported names of the root, and its clock. The
// Store in memory uses what any author of a Store could use. So the root imports neither of them: the
// compiler refuses the cycle.
func TestPackagesNeedWhatTheRootExports(t *testing.T) {
	t.Parallel()
	const self = "github.com/seed-19b57ce3/ota"
	for folder, allowed := range map[string][]string{
		"simulate": {self, self + "/memstore", self + "/internal/wrap", "github.com/benbjohnson/clock"},
		"memstore": {self, self + "/internal/bytesio", self + "/internal/feed"},
	} {
		imports := importsOf(t, "./"+folder)
		for _, pkg := range imports {
			if first, _, _ := strings.Cut(pkg, "/"); strings.Contains(first, ".") && !slices.Contains(allowed, pkg) {
				t.Errorf("%s imports %s", folder, pkg)
			}
		}
		if !slices.Contains(imports, self) {
			t.Errorf("%s does not import the root", folder)
		}
	}
}

// importsOf lists what the given packages import outside of tests.
func importsOf(t *testing.T, patterns ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-f", `{{join .Imports "\n"}}`}, patterns...)...)
	cmd.Env = append(cmd.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", patterns, err)
	}
	return strings.Fields(string(out))
}
