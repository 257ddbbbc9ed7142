package httpapi

import (
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota/httpapi/internal/strictjson"
)

// Numbers are read as 64 bits before they are compared with their bounds. .ci/run runs this with
// GOARCH=386, too.
func TestNumbersBeyondAnInt(t *testing.T) {
	for text, fits := range map[string][2]bool{ // as an integer up to 1<<30, as one up to 1<<53
		"7": {true, true}, "1073741824": {true, true}, "1073741825": {false, true}, "2147483648": {false, true},
		"4294967297": {false, true}, "4294967303.0": {false, true}, "9007199254740992": {false, true}, "9.007199254740992e15": {false, true},
		"9007199254740993": {false, false}, "1e300": {false, false}, "18446744073709551617": {false, false},
	} {
		var got [2]bool
		read := func(of func(*decoder) field) {
			d := &decoder{Reader: strictjson.NewReader(strings.NewReader(text), strictjson.Limits{Depth: 4})}
			if err := of(d).read(); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
		read(func(d *decoder) field { return d.integer(1, 1<<30, func(int) { got[0] = true }) })
		read(func(d *decoder) field { return d.integer64(1, 1<<53, func(int64) { got[1] = true }) })
		if got != fits {
			t.Errorf("%s: taken %v, want %v", text, got, fits)
		}
	}
}
