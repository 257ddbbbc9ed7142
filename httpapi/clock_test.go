package httpapi_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// wallClock are the functions of package time that read or wait by the wall clock.
var wallClock = regexp.MustCompile(`\btime\.(Now|Since|Until|After|AfterFunc|NewTimer|NewTicker|Tick|Sleep)\(|context\.With(Timeout|Deadline)\(`)

// All APIs go by the Engine's clock. Deadlines of connections are the network's, and the client has
// no Engine.
func TestNoWallClock(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path == "client" || path == "apitest" || path == filepath.Join("internal", "netlimit") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		b, err := os.ReadFile(path)
		for i, line := range strings.Split(string(b), "\n") {
			if found := wallClock.FindString(line); found != "" {
				t.Errorf("%s:%d: %s does not go by the Engine's clock", path, i+1, found)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
