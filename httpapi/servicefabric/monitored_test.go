package servicefabric_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/servicefabric"
	"github.com/seed-19b57ce3/ota/otatest"
)

// bubble is a world in virtual time. Its agents take 10 seconds.
func bubble(t *testing.T, agents []string, f func(t *testing.T, w *world)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { f(t, newWorld(t, 10*time.Second, agents...)) })
}

func policy(members string) string { return `"MonitoringPolicy":{` + members + `}` }

// A monitored upgrade goes on after Wait and Stable, after the last domain too.
func TestMonitored(t *testing.T) {
	bubble(t, otatest.IDs("ok-", 2), func(t *testing.T, w *world) {
		w.post("Upgrade", describe("2", "Monitored", policy(`"HealthCheckWaitDurationInMilliseconds":"60000","HealthCheckStableDurationInMilliseconds":"PT2M"`)), "")
		time.Sleep(11 * time.Second)
		s := w.progress()
		if s.UpgradeState != "RollingForwardPending" || s.NextUpgradeDomain != "UD1" || s.UpgradeDurationInMilliseconds != "PT0H0M11S" {
			t.Errorf("being observed: %+v", s)
		}
		w.post("MoveToNextUpgradeDomain", moveTo("UD1"), "E_INVALIDARG")
		time.Sleep(2*time.Minute + 55*time.Second) // 3:06; the domain was settled at 0:10
		if s = w.progress(); s.UpgradeState != "RollingForwardPending" {
			t.Errorf("before Wait and Stable are over: %+v", s)
		}
		time.Sleep(10 * time.Second)
		if s = w.progress(); s.UpgradeState != "RollingForwardInProgress" || s.CurrentUpgradeDomainProgress.DomainName != "UD1" {
			t.Errorf("after: %+v", s)
		}
		time.Sleep(2 * time.Minute)
		if s = w.progress(); s.UpgradeState != "RollingForwardInProgress" || s.domains() != "UD0 Completed, UD1 Completed" {
			t.Errorf("the last domain: %+v", s)
		}
		time.Sleep(2 * time.Minute)
		if s = w.progress(); s.UpgradeState != "RollingForwardCompleted" || s.RollingUpgradeMode != "Monitored" {
			t.Errorf("the end: %+v", s)
		}
	})
}

// FailureAction Rollback takes an unhealthy upgrade back by itself.
func TestFailureActionRollback(t *testing.T) {
	bubble(t, []string{"ok-1", "sick-2", "ok-3"}, func(t *testing.T, w *world) {
		w.post("Upgrade", describe("2", "Monitored", policy(`"FailureAction":"Rollback","HealthCheckRetryTimeoutInMilliseconds":"PT1M","HealthCheckStableDurationInMilliseconds":"PT1M"`)), "")
		time.Sleep(95 * time.Second) // UD0 is done and verified, UD1 is unhealthy
		if s := w.progress(); s.UpgradeState != "RollingForwardPending" || s.NextUpgradeDomain != "UD2" || s.FailureReason != "None" {
			t.Errorf("before the retry timeout: %+v", s)
		}
		time.Sleep(2 * time.Minute)
		s := w.progress()
		if s.UpgradeState != "RollingBackCompleted" || s.FailureReason != "HealthCheck" || s.RollingUpgradeMode != "UnmonitoredAuto" || s.TargetApplicationTypeVersion != "1.0.0" {
			t.Errorf("got %+v", s)
		}
		if at := s.UpgradeDomainProgressAtFailure; at.DomainName != "UD1" || len(at.NodeUpgradeProgressList) != 1 || at.NodeUpgradeProgressList[0].NodeName != "sick-2" {
			t.Errorf("at the failure: %+v", at)
		}
		if len(s.UnhealthyEvaluations) != 1 || s.UnhealthyEvaluations[0].HealthEvaluation.Kind != "DeployedApplications" ||
			s.UnhealthyEvaluations[0].HealthEvaluation.Description != "1 of 3 agents unhealthy; failed: sick-2" || !strings.Contains(s.UpgradeStatusDetails, "sick-2") {
			t.Errorf("evaluations: %+v, %s", s.UnhealthyEvaluations, s.UpgradeStatusDetails)
		}
		w.all("1.0.0", "ok-1", "sick-2")
		w.all("", "ok-3")
		w.post("Upgrade", describe("1.0.0", "UnmonitoredAuto"), "FABRIC_E_APPLICATION_ALREADY_IN_TARGET_VERSION")
	})
}

// FailureAction Manual makes the mode UnmonitoredManual: the upgrade waits, and
// MoveToNextUpgradeDomain takes it on.
func TestFailureActionManual(t *testing.T) {
	bubble(t, []string{"fail-1", "ok-2", "ok-3"}, func(t *testing.T, w *world) {
		w.post("Upgrade", describe("2", "Monitored", policy(`"HealthCheckStableDurationInMilliseconds":"PT1M"`)), "")
		time.Sleep(15 * time.Second)
		s := w.progress()
		if s.UpgradeState != "RollingForwardPending" || s.RollingUpgradeMode != "UnmonitoredManual" || s.FailureReason != "HealthCheck" || s.NextUpgradeDomain != "UD1" {
			t.Errorf("got %+v", s)
		}
		w.post("MoveToNextUpgradeDomain", moveTo("UD1"), "")
		time.Sleep(15 * time.Second)
		s = w.progress()
		if s.UpgradeState != "RollingForwardPending" || s.RollingUpgradeMode != "UnmonitoredManual" || s.FailureReason != "HealthCheck" || s.NextUpgradeDomain != "UD2" {
			t.Errorf("after one move: %+v", s)
		}
		w.post("MoveToNextUpgradeDomain", moveTo("UD2"), "")
		time.Sleep(15 * time.Second)
		if s = w.progress(); s.UpgradeState != "RollingForwardCompleted" {
			t.Errorf("after two: %+v", s)
		}
	})
}

// With fewer at once than a domain has, a domain that was stopped on its way is the next one, and
// goes on by itself alone.
func TestFailureActionManualWithinADomain(t *testing.T) {
	agents := []string{"fail-1", "ok-2", "ok-3", "ok-4", "ok-5", "ok-6", "ok-7"}
	bubble(t, agents, func(t *testing.T, w *world) {
		w.handler(servicefabric.Options{Inventory: apps(t, agents...), Concurrency: 1})
		w.post("Upgrade", describe("2", "Monitored", policy(`"HealthCheckStableDurationInMilliseconds":"PT1M"`)), "")
		time.Sleep(time.Minute)
		s := w.progress()
		if s.UpgradeState != "RollingForwardPending" || s.NextUpgradeDomain != "UD0" || s.RollingUpgradeMode != "UnmonitoredManual" {
			t.Errorf("stopped: %+v", s)
		}
		w.all("", "ok-2", "ok-6")
		w.post("MoveToNextUpgradeDomain", moveTo("UD1"), "E_INVALIDARG")
		w.post("MoveToNextUpgradeDomain", moveTo("UD0"), "")
		time.Sleep(time.Minute)
		if s = w.progress(); s.UpgradeState != "RollingForwardPending" || s.NextUpgradeDomain != "UD1" {
			t.Errorf("gone on: %+v", s)
		}
		w.all("2", "ok-6")
		w.all("", "ok-2", "ok-7")
	})
}

// After FailureAction Manual in the last domain an update takes the upgrade to its end.
func TestUpdateAfterManual(t *testing.T) {
	bubble(t, []string{"ok-1", "fail-2"}, func(t *testing.T, w *world) {
		w.post("Upgrade", describe("2", "Monitored", policy(`"HealthCheckStableDurationInMilliseconds":"PT1M"`)), "")
		time.Sleep(2 * time.Minute)
		s := w.progress()
		if s.RollingUpgradeMode != "UnmonitoredManual" || s.NextUpgradeDomain != "" || w.plans()[0].Status != ota.StatusPaused {
			t.Errorf("got %+v", s)
		}
		w.post("MoveToNextUpgradeDomain", moveTo("UD1"), "FABRIC_E_APPLICATION_NOT_UPGRADING")
		w.post("UpdateUpgrade", update(`"RollingUpgradeMode":"UnmonitoredAuto"`), "")
		time.Sleep(time.Second)
		if s = w.progress(); s.UpgradeState != "RollingForwardCompleted" || s.FailureReason != "HealthCheck" {
			t.Errorf("got %+v", s)
		}
	})
}

// A domain, and the upgrade, that take too long fail by their own reasons.
func TestTimeouts(t *testing.T) {
	for name, c := range map[string]struct{ members, reason string }{
		"domain":  {`"UpgradeDomainTimeoutInMilliseconds":"PT5M","HealthCheckRetryTimeoutInMilliseconds":"0"`, "UpgradeDomainTimeout"},
		"overall": {`"UpgradeTimeoutInMilliseconds":"PT8M","UpgradeDomainTimeoutInMilliseconds":"PT8M","HealthCheckStableDurationInMilliseconds":"PT4M","HealthCheckRetryTimeoutInMilliseconds":"0"`, "OverallUpgradeTimeout"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []string{"ok-1", "hang-2", "ok-3"}, func(t *testing.T, w *world) {
				w.post("Upgrade", describe("2", "Monitored", policy(`"FailureAction":"Rollback",`+c.members)), "")
				time.Sleep(10 * time.Minute)
				if s := w.progress(); s.FailureReason != c.reason || s.UpgradeState != "RollingBackInProgress" { // hang-2 drains until its attempt's limit
					t.Errorf("got %+v", s)
				}
				time.Sleep(time.Hour)
				if s := w.progress(); s.FailureReason != c.reason || s.UpgradeState != "RollingBackCompleted" {
					t.Errorf("got %+v", s)
				}
			})
		})
	}
}

// A percentage of unhealthy agents is tolerated in every domain.
func TestTolerated(t *testing.T) {
	bubble(t, []string{"fail-1", "ok-2", "ok-3", "ok-4", "ok-5", "ok-6", "ok-7", "ok-8", "ok-9", "ok-10"}, func(t *testing.T, w *world) {
		w.post("Upgrade", describe("2", "Monitored", policy(`"HealthCheckStableDurationInMilliseconds":"PT1M"`),
			`"ApplicationHealthPolicy":{"MaxPercentUnhealthyDeployedApplications":50}`), "")
		time.Sleep(10 * time.Minute)
		if s := w.progress(); s.UpgradeState != "RollingForwardCompleted" {
			t.Errorf("got %+v", s)
		}
	})
}

func update(members string) string {
	return `{"Name":"fabric:/myapp/app1","UpgradeKind":"Rolling","UpdateDescription":{` + members + `}}`
}

// UpdateUpgrade changes what it names: the mode, and how a monitored upgrade is observed.
func TestUpdate(t *testing.T) {
	bubble(t, otatest.IDs("ok-", 5), func(t *testing.T, w *world) {
		const validation = "FABRIC_E_APPLICATION_UPGRADE_VALIDATION_ERROR"
		w.post("UpdateUpgrade", update(`"ForceRestart":true`), "FABRIC_E_APPLICATION_NOT_UPGRADING")
		w.post("Upgrade", describe("2", "UnmonitoredManual"), "")
		for _, bad := range []string{
			`{"Name":"fabric:/other","UpdateDescription":{"ForceRestart":true}}`, `{"UpdateDescription":{"ForceRestart":true}}`,
			`{"Name":"fabric:/myapp/app1"}`, `{"Name":"fabric:/myapp/app1","UpgradeKind":"Invalid","UpdateDescription":{"ForceRestart":true}}`,
			update(`"RollingUpgradeMode":"Invalid"`), update(`"RollingUpgradeMode":"Monitored","FailureAction":"Invalid"`),
			update(`"RollingUpgradeMode":"Monitored","UpgradeDomainTimeoutInMilliseconds":"PT1S"`),
		} {
			w.post("UpdateUpgrade", bad, validation)
		}
		w.post("UpdateUpgrade", update(`"RollingUpgradeMode":"whatever"`), "E_INVALIDARG")
		w.post("UpdateUpgrade", update(`"HealthCheckStableDurationInMilliseconds":"soon"`), "E_INVALIDARG")

		w.post("UpdateUpgrade", update(`"RollingUpgradeMode":"Monitored","HealthCheckStableDurationInMilliseconds":"PT1M","FailureAction":"Rollback","ReplicaSetCheckTimeoutInMilliseconds":1500`), "")
		time.Sleep(15 * time.Second)
		s := w.progress()
		if s.RollingUpgradeMode != "Monitored" || s.UpgradeState != "RollingForwardPending" || s.UpgradeDescription.MonitoringPolicy["HealthCheckStableDurationInMilliseconds"] != "PT0H1M0S" {
			t.Errorf("monitored: %+v", s)
		}
		if p := w.plans()[0]; p.Policy.Soak.Stable != time.Minute || p.Policy.OnBreach != ota.ActionRollback || p.Annotations["servicefabric.replicaSetCheckTimeout"] != "2" {
			t.Errorf("got %+v", p)
		}
		time.Sleep(time.Minute) // 1:15: the first domain is verified, the second one runs
		w.post("UpdateUpgrade", update(`"RollingUpgradeMode":"UnmonitoredManual"`), "")
		time.Sleep(time.Minute)
		if s = w.progress(); s.UpgradeState != "RollingForwardPending" || s.NextUpgradeDomain != "UD2" {
			t.Errorf("manual: %+v", s)
		}
		if p := w.plans()[0]; p.Policy.Soak.Stable != 0 || p.Policy.OnBreach != ota.ActionContinue {
			t.Errorf("got %+v", p.Policy)
		}
		w.post("RollbackUpgrade", "", "")
		time.Sleep(time.Minute)
		if s = w.progress(); s.UpgradeState != "RollingBackPending" {
			t.Errorf("back: %+v", s)
		}
		for _, bad := range []string{
			update(`"RollingUpgradeMode":"Monitored"`), update(`"FailureAction":"Manual"`), update(`"UpgradeTimeoutInMilliseconds":"PT1H"`),
			`{"Name":"fabric:/myapp/app1","ApplicationHealthPolicy":{}}`,
		} {
			w.post("UpdateUpgrade", bad, validation)
		}
		w.post("UpdateUpgrade", update(`"RollingUpgradeMode":"UnmonitoredAuto","ForceRestart":true`), "")
		time.Sleep(time.Minute)
		if s = w.progress(); s.UpgradeState != "RollingBackCompleted" || !s.UpgradeDescription.ForceRestart || s.RollingUpgradeMode != "UnmonitoredAuto" {
			t.Errorf("end: %+v", s)
		}
		w.post("UpdateUpgrade", update(`"ForceRestart":true`), validation)
	})
}
