// Package mutants has bugs that this library or other systems once had, and proves that the tests
// catch them.
package mutants

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
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
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 30)
	var all []mutant
	tests := map[string]bool{}
	for _, f := range files {
		m := readMutant(t, f)
		all = append(all, m)
		tests[m.test] = true
	}
	binary := build(t, all)
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		out, err := run(t, binary, "", strings.Join(slices.Sorted(maps.Keys(tests)), "|"), "0:300")
		require.NoError(t, err, "a test fails although no mutant is alive: %s", out)
	})
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			out, err := run(t, binary, m.name, m.test, m.seeds)
			require.Error(t, err, "the mutant lives: %s\nnone of %s noticed", m.why, m.test)
			require.NotContains(t, out, "no tests to run")
			require.NotContains(t, out, "test timed out", "the mutant hangs its tests; they must notice it, not wait")
		})
	}
}

// run runs the named tests with one active mutant.
func run(t *testing.T, binary, mutant, tests, seeds string) (out string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.run", tests, "-test.count=1", "-test.timeout=50s")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "OTA_SIM_SEEDS="+seeds, switchName+"="+mutant)
	b, err := cmd.CombinedOutput()
	require.NoError(t, ctx.Err(), "the tests were ended by force")
	return string(b), err
}

type mutant struct{ name, why, file, test, seeds, old, new string }

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
