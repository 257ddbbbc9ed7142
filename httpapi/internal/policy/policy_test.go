package policy

import (
	"reflect"
	"testing"

	"github.com/seed-19b57ce3/ota"
)

// Every field of ota.Policy, and of the structs in it, has a row in the table.
func TestEveryFieldHasARow(t *testing.T) {
	every(t, reflect.TypeFor[ota.Policy](), Members)
}

func every(t *testing.T, typ reflect.Type, rows []Member) {
	t.Helper()
	for f := range typ.Fields() {
		var row *Member
		for i := range rows {
			if reflect.DeepEqual(rows[i].field, f.Index) {
				row = &rows[i]
			}
		}
		switch {
		case row == nil:
			t.Errorf("wire/policy.go has no row for the field %s of %s", f.Name, typ)
		case row.Name == "":
			t.Errorf("the row for the field %s of %s has no json tag", f.Name, typ)
		case row.Kind == Object && f.Type.Kind() == reflect.Pointer:
			every(t, f.Type.Elem(), row.Members)
		case row.Kind == Object:
			every(t, f.Type, row.Members)
		case row.Kind == Objects:
			every(t, f.Type.Elem(), row.Members)
		}
	}
	if len(rows) != typ.NumField() {
		t.Errorf("wire/policy.go has %d rows for the %d fields of %s", len(rows), typ.NumField(), typ)
	}
}

// The words of an enum are all that it can be.
func TestWords(t *testing.T) {
	for _, m := range Members {
		if want, ok := map[string]string{
			"scope": "batch, plan, first", "onBreach": "pause, rollback, continue", "onAway": "fail, skip",
		}[m.Name]; ok && m.Allowed != want || !ok && m.Kind == Word {
			t.Errorf("%s: got %q, want %q", m.Name, m.Allowed, want)
		}
	}
}
