package sqlstore

import (
	"os/exec"
	"strings"
	"testing"
)

// A program links the driver of the database that it uses, and no other. Only package sqlstore,
// which chooses by the DSN, links both.
func TestPackagesLinkTheirDriverOnly(t *testing.T) {
	t.Parallel()
	const (
		self   = "github.com/seed-19b57ce3/ota/sqlstore"
		sqlite = "modernc.org/sqlite"
		pgx    = "github.com/jackc/pgx/v5"
	)
	for _, c := range []struct {
		pkg           string
		links, avoids []string
	}{
		{self, []string{sqlite, pgx, self + "/sqlite", self + "/postgres"}, []string{"testing"}},
		{self + "/sqlite", []string{sqlite}, []string{pgx, self, self + "/postgres", "testing"}},
		{self + "/postgres", []string{pgx}, []string{sqlite, "modernc.org/libc", self, self + "/sqlite", "testing"}},
		{self + "/internal/sqlcore", nil, []string{sqlite, pgx, self, self + "/sqlite", self + "/postgres", "testing"}},
		{self + "/internal/sqltest", nil, []string{sqlite, pgx, self, self + "/sqlite", self + "/postgres"}},
	} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", c.pkg).Output()
		if err != nil {
			t.Fatalf("go list -deps %s: %v", c.pkg, err)
		}
		linked := map[string]bool{}
		for line := range strings.Lines(string(out)) {
			linked[strings.TrimSpace(line)] = true
		}
		for _, dep := range c.links {
			if !linked[dep] {
				t.Errorf("%s does not link %s", c.pkg, dep)
			}
		}
		for _, dep := range c.avoids {
			if linked[dep] {
				t.Errorf("%s links %s", c.pkg, dep)
			}
		}
	}
}
