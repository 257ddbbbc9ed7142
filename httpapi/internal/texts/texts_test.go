package texts

import (
	"errors"
	"fmt"
	"testing"

	"github.com/seed-19b57ce3/ota"
)

// An answer leaves out the name of package ota, and no part of another word.
func TestPlain(t *testing.T) {
	for want, err := range map[string]error{
		"not found":                           ota.ErrNotFound,
		"start plan p: not found":             fmt.Errorf("ota: start plan p: %w", ota.ErrNotFound),
		"not found\nalready exists":           errors.Join(ota.ErrNotFound, ota.ErrExists),
		"quota: exceeded":                     errors.New("quota: exceeded"),
		"start plan quota: the quota: is out": errors.New("ota: start plan quota: the quota: is out"),
	} {
		if got := Plain(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
