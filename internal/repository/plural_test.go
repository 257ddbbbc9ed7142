package repository

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A text that counts things says "1 agent", not "1 agents": it uses internal/plural. A total after "of" has its own number.
func TestTextsCountInEnglish(t *testing.T) {
	t.Parallel()
	fixed := regexp.MustCompile(`"[^"\n]*%d (agents|calls|batches|tasks|plans|errors|failures|records|attempts|questions|answers|times)\b[^"\n]*"`)
	joined := regexp.MustCompile(`Itoa\([^)\n]*\) ?\+ ?" (agents|calls|batches|tasks|plans|errors|failures)\b`)
	for _, dir := range []string{".", "httpapi", "simulate", "memstore", "otatest"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && dir == "." && path != ".":
				return filepath.SkipDir
			case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			text := read(t, path)
			for _, m := range append(fixed.FindAllString(text, -1), joined.FindAllString(text, -1)...) {
				t.Errorf("%s: %s: use internal/plural", path, m)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}
