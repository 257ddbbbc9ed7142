package httpapi

import (
	"encoding/hex"
	"testing"

	"github.com/google/uuid"
)

func TestIdentity(t *testing.T) {
	want := uuid.NewSHA1(identitySpace, []byte("node:agent-1"))
	if got := identity("node:", "agent-1"); got != hex.EncodeToString(want[:]) {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The UUID of a task finds the task again, whatever its plan is called.
func TestTaskKey(t *testing.T) {
	for _, plan := range []string{"plan-6f1c2b1e-0d5a-4f6e-9a3b-0123456789ab", "plan-6F1C2B1E-0d5a-4f6e-9a3b-0123456789ab", "p", "0123456789abcdef", "plan-"} {
		for _, k := range []taskKey{{plan, 0, 0}, {plan, 1<<30 - 1, 65535}, {plan, 77, 3}} {
			got, ok := parseTaskKey(k.String())
			if !ok || got != k {
				t.Errorf("%+v became %s and %+v, %v", k, k, got, ok)
			}
		}
	}
	for _, s := range []string{"", "0", "zz000000000010", "00000000000000", "ffffffff0000070", "000000000000170", "0000000000000ab", "00000000000017G"} {
		if k, ok := parseTaskKey(s); ok && k.String() != s {
			t.Errorf("%q is %+v", s, k)
		}
	}
}
