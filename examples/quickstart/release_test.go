package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestInstallAndActivate(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "releases"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"1.2.0", "1.3.0", "1.3.0", "1.2.0"} { // again, and back
		if err := install(home, version); err != nil {
			t.Fatal(err)
		}
		if err := activate(home, version); err != nil {
			t.Fatal(err)
		}
		if r, err := readRelease(filepath.Join(home, "current")); err != nil || r.Version != version {
			t.Fatalf("current is %q, %v, want %s", r.Version, err, version)
		}
	}
	if entries, err := os.ReadDir(home); err != nil || len(entries) != 2 {
		t.Errorf("the folder holds %v, %v, want releases and current", entries, err)
	}
	if err := install(home, "9.9.9"); err == nil {
		t.Error("a release that was never published was installed")
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		line  string
		width int
		want  string
	}{
		{"batch", 9, "batch"},
		{"batch", 3, "bat\x1b[0m"},
		{"\x1b[31m■■\x1b[0m·", 3, "\x1b[31m■■\x1b[0m·"},
		{"\x1b[31m■■\x1b[0m·", 2, "\x1b[31m■■\x1b[0m\x1b[0m"},
	} {
		if got := fit(c.line, c.width); got != c.want {
			t.Errorf("fit(%q, %d) = %q, want %q", c.line, c.width, got, c.want)
		}
	}
}
