// Package mutants holds bugs, of this library's own past and of other systems, and the proof that the tests catch them.
package mutants

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMutants proves that the tests bite. Each file in testdata plants one bug, of this library's own past or of
// another system's, in one production file, by go build's -overlay, so that production code knows nothing of it; the tests
// that the mutant names must then fail.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("mutants are built once each, without the race detector")
	}
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 30)
	for _, f := range files {
		m := readMutant(t, f)
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			t.Parallel()
			m.mustDie(t)
		})
	}
}

type mutant struct{ why, file, test, seeds, old, new string }

func readMutant(t *testing.T, path string) (m mutant) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	head, body, ok := strings.Cut(string(b), "--- old\n")
	require.True(t, ok, path)
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

func (m mutant) mustDie(t *testing.T) {
	here, err := filepath.Abs(filepath.Join("..", "..", m.file))
	require.NoError(t, err)
	source, err := os.ReadFile(here)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(source), m.old), "the place to change must be in %s once", m.file)
	dir := t.TempDir()
	patched := filepath.Join(dir, "patched.go")
	require.NoError(t, os.WriteFile(patched, []byte(strings.Replace(string(source), m.old, m.new, 1)), 0o600))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{here: patched}})
	require.NoError(t, err)
	list := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(list, overlay, 0o600))
	binary := filepath.Join(dir, "mutant.test")
	out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", list, "-o", binary, "github.com/seed-19b57ce3/ota").CombinedOutput()
	require.NoError(t, err, "the mutant does not build: %s", out)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.run", m.test, "-test.count=1", "-test.timeout=50s")
	cmd.Dir = filepath.Dir(here)
	cmd.Env = append(os.Environ(), "OTA_SIM_SEEDS="+m.seeds)
	out, err = cmd.CombinedOutput()
	require.Error(t, err, "the mutant lives: %s\nnone of %s noticed", m.why, m.test)
	require.NotContains(t, string(out), "no tests to run")
	require.NotContains(t, string(out), "test timed out", "the mutant hangs its tests; they must notice it, not wait")
	require.NoError(t, ctx.Err(), "the mutant was ended by force")
}
