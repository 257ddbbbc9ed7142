// Package mutants has bugs that this library or other systems once had, and proves that the tests
// catch them.
package mutants

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMutants proves that the tests catch known bugs. Each file in testdata plants one bug, which
// this library or another system once had, in one function of one production file. Production code
// does not know about mutants. The tests that the mutant names must fail with it, and all of them
// must pass without any mutant.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("mutants are built without the race detector")
	}
	all := mutants(t)
	tests := map[string]bool{}
	for _, m := range all {
		tests[m.test] = true
	}
	list := overlay(t, all)
	binaries := map[string]string{}
	for i, folder := range tested {
		binaries[folder] = filepath.Join(t.TempDir(), fmt.Sprintf("mutants-%d.test", i))
		build(t, list, folder, "go", "test", "-c", "-vet=off", "-o", binaries[folder])
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		out, err := run(t, binaries, "", strings.Join(slices.Sorted(maps.Keys(tests)), "|"), "0:300")
		require.NoError(t, err, "a test fails although no mutant is alive: %s", out)
	})
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			out, err := run(t, binaries, m.name, m.test, m.seeds)
			require.Error(t, err, "the mutant lives: %s\nnone of %s noticed", m.why, m.test)
			require.NotContains(t, out, "test timed out", "the mutant hangs its tests; they must notice it, not wait")
		})
	}
}

// hangs limits a test that never ends. All tests together take seconds, and minutes on a busy machine.
const hangs = 15 * time.Minute

// run runs the named tests, in the packages that have any of them, with one active mutant. It
// returns the first error.
func run(t *testing.T, binaries map[string]string, mutant, tests, seeds string) (out string, err error) {
	t.Helper()
	ran := false
	for _, folder := range tested {
		text, failed := runIn(t, folder, binaries[folder], mutant, tests, seeds)
		if failed == nil && strings.Contains(text, "no tests to run") {
			continue
		}
		ran = true
		out += text
		if failed != nil {
			return out, failed
		}
	}
	require.True(t, ran, "no package has a test %s", tests)
	return out, nil
}

func runIn(t *testing.T, folder, binary, mutant, tests, seeds string) (out string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*hangs)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.run", tests, "-test.count=1", "-test.timeout", hangs.String())
	cmd.Dir = filepath.Join("..", "..", folder)
	cmd.Env = append(os.Environ(), "OTA_SIM_SEEDS="+seeds, switchName+"="+mutant)
	b, err := cmd.CombinedOutput()
	require.NoError(t, ctx.Err(), "the tests were ended by force")
	return string(b), err
}

// TestMutantsFitTheCode proves that the place of each mutant is in the code once, that all of them
// build, and that each test that they name is there. It takes seconds, so a change that moves code or
// renames a test shows at once which mutants it must take along.
func TestMutantsFitTheCode(t *testing.T) {
	var names []string
	for _, folder := range tested {
		sources, err := filepath.Glob(filepath.Join("..", "..", folder, "*_test.go"))
		require.NoError(t, err)
		for _, path := range sources {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			for _, found := range testFunc.FindAllStringSubmatch(string(text), -1) {
				names = append(names, found[1])
			}
		}
	}
	all := mutants(t)
	build(t, overlay(t, all), "...", "go", "build")
	for _, m := range all {
		for pattern := range strings.SplitSeq(m.test, "|") {
			runs, err := regexp.Compile(pattern)
			require.NoError(t, err)
			require.True(t, slices.ContainsFunc(names, runs.MatchString), "%s: no test has the name %s", m.name, pattern)
		}
	}
}

var testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Example)\w+)\(`)

type mutant struct {
	name, why, file, test, seeds, old, new string
	place                                  int // offset of old in the file; 0: old is there once
}

// mutants reads them all.
func mutants(t *testing.T) (all []mutant) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 30)
	for _, f := range files {
		all = append(all, readMutant(t, f))
	}
	return all
}

func readMutant(t *testing.T, path string) (m mutant) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	head, body, ok := strings.Cut(string(b), "--- old\n")
	require.True(t, ok, path)
	m.name = strings.TrimSuffix(filepath.Base(path), ".txt")
	m.old, m.new, ok = strings.Cut(body, "\n--- new\n")
	require.True(t, ok, path)
	m.new = strings.TrimSuffix(m.new, "\n")
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		field := map[string]*string{"why": &m.why, "file": &m.file, "test": &m.test, "seeds": &m.seeds}[key]
		require.NotNil(t, field, "%s: %q", path, line)
		*field = value
	}
	return m
}
