package sqlite

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// dsns has each form of a DSN: the file that it names, or what the refusal says. {dir} is a folder.
var dsns = []struct {
	dsn     string
	file    string // in the folder
	refusal string
}{
	{dsn: "fleet.db", file: "fleet.db"},
	{dsn: "./fleet.db", file: "fleet.db"},
	{dsn: "{dir}/fleet.db", file: "fleet.db"},
	{dsn: "a b%20#c.db", file: "a b%20#c.db"},
	{dsn: "ünï.db", file: "ünï.db"},
	{dsn: "./plans:1.db", file: "plans:1.db"},
	{dsn: "sqlite:fleet.db", file: "fleet.db"},
	{dsn: "SQLite:fleet.db", file: "fleet.db"},
	{dsn: "sqlite:plans:1.db", file: "plans:1.db"},
	{dsn: "sqlite:{dir}/a%20b.db", file: "a%20b.db"},
	{dsn: "sqlite://{dir}/fleet.db", file: "fleet.db"},
	{dsn: "sqlite:fleet.db?mode=rwc&cache=private", file: "fleet.db"},
	{dsn: "sqlite:fleet.db?_pragma=cache_size(-4000)&_pragma=mmap_size=1000&_pragma=foreign_keys(on)", file: "fleet.db"},
	{dsn: "file:fleet.db", file: "fleet.db"},
	{dsn: "FILE:fleet.db", file: "fleet.db"},
	{dsn: "file:a%20b%3Fc.db", file: "a b?c.db"},
	{dsn: "file:{dir}/fleet.db?mode=rwc", file: "fleet.db"},
	{dsn: "file://{dir}/fleet.db", file: "fleet.db"},
	{dsn: "file://localhost{dir}/fleet.db", file: "fleet.db"},

	{dsn: "", refusal: "want the name of a file"},
	{dsn: "sqlite:", refusal: "want the name of a file"},
	{dsn: "file:", refusal: "want the name of a file"},
	{dsn: "file:?mode=rwc", refusal: "want the name of a file"},
	{dsn: ":memory:", refusal: "memstore.New"},
	{dsn: "sqlite::memory:", refusal: "memstore.New"},
	{dsn: "file::memory:?cache=private", refusal: "memstore.New"},
	{dsn: "a\x00b.db", refusal: "control character"},
	{dsn: "sqlite:a\x00b.db", refusal: "control character"},
	{dsn: "file:a%00b.db", refusal: "control character"},
	{dsn: "fleet.db\n", refusal: "control character"},
	{dsn: " fleet.db", refusal: "begins or ends with a blank"},
	{dsn: "sqlite:fleet.db ", refusal: "begins or ends with a blank"},
	{dsn: "fleet/", refusal: "folder"},
	{dsn: "{dir}", refusal: "not a regular file"},
	{dsn: "fleet.db?mode=ro", refusal: "sqlite:fleet.db?mode=ro"},
	{dsn: "file:fleet.db#part", refusal: "%23"},
	{dsn: "file:a%zz.db", refusal: "escape"},
	{dsn: "file://host/fleet.db", refusal: `"host" stands where a host stands`},
	{dsn: "sqlite://fleet.db", refusal: `"fleet.db" stands where a host stands`},
	{dsn: "postgres://user:secret@host/db", refusal: `"postgres"`},
	{dsn: "mysql://user:secret@host/db", refusal: `"mysql"`},
	{dsn: "sqlite3:fleet.db", refusal: `"sqlite3"`},
	{dsn: "plans:1.db", refusal: "./plans:"},
	{dsn: "host=db user=u password=secret dbname=fleet", refusal: "postgres://"},
	{dsn: "sqlite:fleet.db?mode=memory", refusal: "mode=memory"},
	{dsn: "sqlite:fleet.db?mode=ro&mode=memory", refusal: "mode=memory"},
	{dsn: "sqlite:fleet.db?cache=shared", refusal: "cache=shared"},
	{dsn: "sqlite:fleet.db?cache=shared&mode=memory", refusal: "not allowed"},
	{dsn: "file:fleet.db?nolock=1", refusal: "nolock"},
	{dsn: "file:fleet.db?%6eolock=1", refusal: "nolock"},
	{dsn: "sqlite:fleet.db?immutable=1", refusal: "immutable"},
	{dsn: "sqlite:fleet.db?vfs=memdb", refusal: "vfs"},
	{dsn: "sqlite:fleet.db?psow=0", refusal: "psow"},
	{dsn: "sqlite:fleet.db?modeof=/etc/passwd", refusal: "modeof"},
	{dsn: "sqlite:fleet.db?_txlock=deferred", refusal: "_txlock"},
	{dsn: "sqlite:fleet.db?_journal_mode=OFF", refusal: "_journal_mode"},
	{dsn: "sqlite:fleet.db?_pragma=journal_mode(off)", refusal: "journal_mode"},
	{dsn: "sqlite:fleet.db?_pragma=synchronous(0)", refusal: "synchronous"},
	{dsn: "sqlite:fleet.db?_pragma=locking_mode(exclusive)", refusal: "locking_mode"},
	{dsn: "sqlite:fleet.db?_pragma=cache_size(1);ATTACH'x.db'AS+x", refusal: "semicolon"},
	{dsn: "sqlite:fleet.db?_pragma=cache_size(1)%3BATTACH'x.db'AS+x", refusal: "ATTACH"},
	{dsn: "sqlite:fleet.db?a=%zz", refusal: "escape"},
}

// Each form opens the file that it names and makes no other, or is refused and makes none.
func TestDSN(t *testing.T) {
	for i, c := range dsns {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			s, err := Open(t.Context(), strings.ReplaceAll(c.dsn, "{dir}", dir), Options{})
			if err == nil {
				s.Close()
			}
			made, _ := filepath.Glob("*")
			switch {
			case c.refusal == "" && (err != nil || !slices.Equal(made, []string{c.file})):
				t.Errorf("%q: made %q, %v; want %q", c.dsn, made, err, c.file)
			case c.refusal != "" && (err == nil || len(made) > 0 || !strings.Contains(err.Error(), c.refusal)):
				t.Errorf("%q: made %q, %v; want a refusal with %q", c.dsn, made, err, c.refusal)
			case err != nil && strings.Contains(err.Error(), "secret"):
				t.Errorf("the error shows a password: %v", err)
			}
		})
	}
}

// Only the owner of the files reads and writes them, and the files of other people keep their
// permissions.
func TestFilesAreTheirOwners(t *testing.T) {
	if os.PathSeparator == '\\' {
		t.Skip("Windows has no such permissions")
	}
	p := sqlitePlace(t)
	for _, want := range []os.FileMode{0o600, 0o640} {
		s := p.open(t)
		for _, suffix := range []string{"", "-wal", "-shm"} {
			info, err := os.Stat(p.dsn + suffix)
			if err != nil || info.Mode().Perm() != want {
				t.Errorf("fleet.db%s: %v, %v, want %v", suffix, info.Mode(), err, want)
			}
		}
		s.Close()
		if err := os.Chmod(p.dsn, 0o640); err != nil {
			t.Fatal(err)
		}
	}
}

// Errors of opening name the file.
func TestErrorsOfOpenNameTheFile(t *testing.T) {
	garbage := filepath.Join(t.TempDir(), "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dsn := range []string{
		garbage,
		filepath.Join(t.TempDir(), "missing", "fleet.db"),
		"sqlite:" + filepath.Join(t.TempDir(), "fleet.db") + "?mode=rw",
		"sqlite:" + filepath.Join(t.TempDir(), "fleet.db") + "?mode=ro",
	} {
		_, err := Open(t.Context(), dsn, Options{})
		name, _, _ := strings.Cut(strings.TrimPrefix(dsn, "sqlite:"), "?")
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want an error that names the file", dsn, err)
		}
	}
}
