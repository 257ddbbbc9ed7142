package avi_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/avi"
)

// The commands of docs/avi.md run as they are, against a plan that a breach has suspended.
func TestDocumentedCommands(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("there is no curl")
	}
	page, err := os.ReadFile("../../docs/avi.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks of commands", len(blocks))
	}
	w := newWorld(t, avi.Options{})
	p := w.suspended()
	for _, b := range blocks {
		cmd := exec.CommandContext(t.Context(), "sh", "-euc", b[1])
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "H="+w.url, "T=ann-token", "ID="+p.ID)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s\n%s", err, b[1], out)
		} else if n := strings.Count(string(out), "\n"); n != strings.Count(b[1], "curl ") {
			t.Errorf("%d answers:\n%s", n, out)
		}
	}
	q := w.until(p.ID, ota.StatusCompleted)
	if q.Policy.OnBreach != ota.ActionContinue || !strings.Contains(q.Annotations["avi.kept"], "6p1") {
		t.Errorf("got %v, %v", q.Policy.OnBreach, q.Annotations)
	}
}
