package sqlstore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The DSN chooses the database, in capitals too, and no DSN of another kind makes a file. TestDSN
// of package sqlite has every form of a file's name.
func TestOpenChoosesByDSN(t *testing.T) {
	const nowhere = `PostgreSQL database "fleet" at "127.0.0.1"`
	for _, c := range []struct{ dsn, file, refusal string }{
		{dsn: "fleet.db", file: "fleet.db"},
		{dsn: "sqlite:fleet.db", file: "fleet.db"},
		{dsn: "file:fleet.db", file: "fleet.db"},
		{dsn: "postgres.db", file: "postgres.db"},
		{dsn: "postgres:u:secret@127.0.0.1/fleet", refusal: "PostgreSQL"},
		{dsn: "postgres://u:secret@127.0.0.1:1/fleet", refusal: nowhere},
		{dsn: "postgresql://u:secret@127.0.0.1:1/fleet", refusal: nowhere},
		{dsn: "POSTGRES://u:secret@127.0.0.1:1/fleet", refusal: nowhere},
		{dsn: "PostgreSQL://u:secret@127.0.0.1:1/fleet", refusal: nowhere},
		{dsn: "postgres://u:secret@127.0.0.1:x/fleet", refusal: "PostgreSQL"},
		{dsn: "host=127.0.0.1 port=1 password=secret dbname=fleet", refusal: "postgres://user@host/database"},
		{dsn: "mysql://u:secret@127.0.0.1/fleet", refusal: `"mysql"`},
		{dsn: "file:fleet.db?cache=shared&mode=memory", refusal: "not allowed"},
		{dsn: "", refusal: "want the name of a file"},
	} {
		t.Chdir(t.TempDir())
		s, err := Open(t.Context(), c.dsn, Options{})
		if err == nil {
			s.Close()
		}
		made, _ := filepath.Glob("*")
		switch {
		case c.refusal == "" && (err != nil || len(made) != 1 || made[0] != c.file):
			t.Errorf("%q: made %q, %v; want the file %s", c.dsn, made, err, c.file)
		case c.refusal != "" && (err == nil || len(made) > 0 || !strings.Contains(err.Error(), c.refusal)):
			t.Errorf("%q: made %q, %v; want an error with %q", c.dsn, made, err, c.refusal)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("%q: the error shows the password: %v", c.dsn, err)
		}
	}
	if _, err := Open(t.Context(), "fleet.db", Options{Schema: "s"}); err == nil {
		t.Error("a schema was accepted for SQLite")
	}
	if _, err := os.Stat("fleet.db"); err == nil {
		t.Error("refused options made a file")
	}
}
