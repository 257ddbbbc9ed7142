package repository

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/operations.md lists every message that the engine logs, with its level, and no other one.
func TestDocumentedLogLines(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`(?i)log(?:ger)?\.(Debug|Info|Warn|Error)Context\([^"\n]*"([^"]+)"|Logger\.Log\([^"\n]*"([^"]+)"`)
	code := map[string][]string{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, m := range call.FindAllStringSubmatch(read(t, file), -1) {
			if m[3] != "" {
				code[m[3]] = []string{"warn", "error"}
			} else if level := strings.ToLower(m[1]); !slices.Contains(code[m[2]], level) {
				code[m[2]] = append(code[m[2]], level)
			}
		}
	}
	if len(code) < 20 {
		t.Fatalf("found %d messages in the code", len(code))
	}
	_, section, _ := strings.Cut(read(t, "docs/operations.md"), "\n## Log lines\n")
	section, _, _ = strings.Cut(section, "\n## ")
	documented := map[string]bool{}
	for line := range strings.Lines(section) {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) != 3 || strings.HasPrefix(line, "| message") {
			continue
		}
		message := strings.TrimPrefix(cells[0], "| ")
		documented[message] = true
		levels := strings.Split(cells[1], ", ")
		want := slices.Clone(code[message])
		slices.Sort(levels)
		slices.Sort(want)
		if !slices.Equal(levels, want) {
			t.Errorf("%q has the levels %v in docs/operations.md, and %v in the code", message, levels, want)
		}
	}
	for message := range code {
		if !documented[message] {
			t.Errorf("%q is not in docs/operations.md", message)
		}
	}
}
