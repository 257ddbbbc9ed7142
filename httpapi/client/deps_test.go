package client_test

import (
	"os/exec"
	"strings"
	"testing"
)

// A program with a client links neither the server nor anything that only the server needs.
func TestClientDoesNotLinkTheServer(t *testing.T) {
	const self = "github.com/seed-19b57ce3/ota/httpapi"
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	allowed := map[string]bool{
		self + "/client": true, self + "/wire": true,
		self + "/internal/protocol": true, self + "/internal/texts": true, self + "/internal/policy": true,
		self + "/internal/setting": true, self + "/internal/duration": true,
	}
	seen := 0
	for pkg := range strings.FieldsSeq(string(out)) {
		if pkg != self && !strings.HasPrefix(pkg, self+"/") {
			continue
		}
		if !allowed[pkg] {
			t.Errorf("the client links %s", pkg)
		}
		seen++
	}
	if seen != len(allowed) {
		t.Errorf("the client links %d of our packages, want %d", seen, len(allowed))
	}
}
