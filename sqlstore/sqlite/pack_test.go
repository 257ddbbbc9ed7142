package sqlite

import (
	"bytes"
	"slices"
	"testing"
)

func TestDamagedBlock(t *testing.T) {
	for _, c := range []struct{ sizes, all string }{
		{"", "abc"},
		{"[]", ""},
		{"[2]", "abc"},
		{"[4]", "abc"},
		{"[-1,4]", "abc"},
		{"[1,3]", "abc"},
		{"[x]", "abc"},
		{"[2,,2]", "abcd"},
		{"[99999999999999999999]", "abc"},
	} {
		if states, err := unpack([]byte(c.sizes), []byte(c.all)); err == nil {
			t.Errorf("%s of %q is %q, want an error", c.sizes, c.all, states)
		}
	}
	want := [][]byte{[]byte("ab"), []byte("cde"), []byte("fghi")}
	sizes, all := pack(want)
	if have, err := unpack([]byte(sizes), all); err != nil || !slices.EqualFunc(have, want, bytes.Equal) {
		t.Errorf("%s of %q is %q, %v", sizes, all, have, err)
	}
}
