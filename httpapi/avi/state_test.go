package avi

import (
	"testing"

	"github.com/seed-19b57ce3/ota"
)

// A fault of the Engine's own cannot be made from outside; it outweighs every other breach.
func TestFault(t *testing.T) {
	for _, status := range []ota.Status{ota.StatusPaused, ota.StatusPausing} {
		p := &ota.Plan{Status: status, Breaches: []ota.Breach{{Reason: ota.ReasonThreshold}, {Reason: ota.ReasonFault}}}
		word, err := (&look{plan: p}).fsm()
		if word != "UPGRADE_FSM_ERROR" || segState(p) != "SE_UPGRADE_ERROR" || err != nil {
			t.Errorf("%s, %s, %v", word, segState(p), err)
		}
	}
}
