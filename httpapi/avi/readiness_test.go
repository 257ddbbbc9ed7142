package avi_test

import (
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/avi"
	"github.com/seed-19b57ce3/ota/otatest"
)

// What the last precheck found is the object's readiness: the worst of its checks is its state.
func TestReadiness(t *testing.T) {
	w := newWorld(t, avi.Options{})
	check := func(p ota.Plan, want map[string]string) {
		t.Helper()
		if _, err := w.engine.Precheck(t.Context(), p.ID, ota.Request{Actor: "ann"}); err != nil {
			t.Fatal(err)
		}
		expect(t, w.get(p.ID), want)
	}
	ids := otatest.IDs("ok-", 4)
	free := w.plan(ids, nil)
	expect(t, w.get(free.ID), map[string]string{"upgrade_readiness": "null"})
	check(free, map[string]string{
		"upgrade_readiness.state.state": `"UPGRADE_PRE_CHECK_SUCCESS"`, "upgrade_readiness.state.reason": `""`,
		"upgrade_readiness.total_checks": "4", "upgrade_readiness.checks_completed": "4", "upgrade_readiness.progress": "100",
		"upgrade_readiness.checks.3.check_code": `"CHECK_WINDOW"`, "upgrade_readiness.checks.3.description": `"agents may be started now"`,
	})

	later := w.plan(otatest.IDs("ok-1", 2), func(s *ota.Spec) {
		at := time.Now().UTC().Add(6 * time.Hour)
		s.Policy.Windows = []ota.Window{{Start: time.Duration(at.Hour()) * time.Hour, Length: time.Hour}}
	})
	check(later, map[string]string{
		"upgrade_readiness.state.state": `"UPGRADE_PRE_CHECK_WARNING"`, "upgrade_readiness.checks.3.state": `"UPGRADE_PRE_CHECK_WARNING"`,
		"upgrade_readiness.checks.2.state": `"UPGRADE_PRE_CHECK_SUCCESS"`,
	})

	held := w.plan(ids, func(s *ota.Spec) { s.Shape.Size, s.Policy.Hold.All = 2, true })
	if _, err := w.engine.Start(t.Context(), held.ID, ota.Request{}); err != nil {
		t.Fatal(err)
	}
	check(free, map[string]string{
		"upgrade_readiness.state.state": `"UPGRADE_PRE_CHECK_ERROR"`, "upgrade_readiness.state.reason": `"4 agents belong to other active plans"`,
		"upgrade_readiness.checks.2.error_details.0": js("ok-1: " + held.ID), "upgrade_readiness.checks.3.state": `"UPGRADE_PRE_CHECK_SUCCESS"`,
	})
}
