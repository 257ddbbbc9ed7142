package repository

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The program in the README runs, and prints what the README says.
func TestReadmeProgram(t *testing.T) {
	t.Parallel()
	blocks := fences(t, "README.md")
	if len(blocks) < 2 || !strings.HasPrefix(blocks[0].text, "package main") {
		t.Fatalf("README.md does not begin with a program and its output")
	}
	_, body, _ := strings.Cut(blocks[0].text, "func main")
	lines := strings.Count(body, "\n")
	if lines > 30 {
		t.Errorf("the program has %d lines, want at most 30", lines)
	}
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(blocks[0].text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "run", file).CombinedOutput()
	if err != nil || string(out) != blocks[1].text {
		t.Errorf("the program printed %q, %v; want %q", out, err, blocks[1].text)
	}
}

// The policies to begin with are those of the example, which runs.
func TestDocumentedStartingPolicies(t *testing.T) {
	t.Parallel()
	program, found := read(t, "example_policies_test.go"), false
	for _, block := range fences(t, "docs/policies.md") {
		if block.language != "go" {
			continue
		}
		if found = strings.Contains(program, block.text); !found {
			t.Errorf("example_policies_test.go does not have this:\n%s", block.text)
		}
	}
	if !found {
		t.Error("docs/policies.md has no policies")
	}
}

// Every file that the documents name is there.
func TestLinksOfDocuments(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	docs, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range append(docs, "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "bench/results/README.md") {
		for _, m := range link.FindAllStringSubmatch(read(t, doc), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(doc), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", doc, m[1])
			}
		}
	}
}

// Every figure in the tables of docs/performance.md is in the generated tables of the measurements.
func TestFiguresOfPerformancePage(t *testing.T) {
	t.Parallel()
	_, page, _ := strings.Cut(read(t, "docs/performance.md"), "## Results")
	page, _, _ = strings.Cut(page, "\n## ")
	number := regexp.MustCompile(`[0-9][0-9.,]*[0-9]|[0-9]`)
	measured := map[string]bool{}
	for _, n := range number.FindAllString(read(t, "bench/results/README.md"), -1) {
		measured[n] = true
	}
	checked := 0
	for line := range strings.Lines(page) {
		cells := strings.Split(line, "|")
		if len(cells) < 6 {
			continue // not a row
		}
		for _, cell := range cells[2 : len(cells)-3] { // between what was measured, and the target
			for _, n := range number.FindAllString(cell, -1) {
				checked++
				if !measured[n] {
					t.Errorf("bench/results/README.md does not have the %s of %s", n, line)
				}
			}
		}
	}
	if checked == 0 {
		t.Error("docs/performance.md has no figures")
	}
}

type fence struct{ language, text string }

// fences returns the code blocks of a document.
func fences(t *testing.T, file string) []fence {
	t.Helper()
	var out []fence
	for _, m := range regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$").FindAllStringSubmatch(read(t, file), -1) {
		out = append(out, fence{m[1], m[2]})
	}
	return out
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
