// Package servicefabric tests the Service Fabric API with Microsoft's own client, the Azure SDK for
// Go.
package servicefabric

import (
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	sdk "github.com/Azure/azure-sdk-for-go/services/servicefabric/7.2/servicefabric"
	"github.com/Azure/go-autorest/autorest"
	"github.com/Azure/go-autorest/autorest/azure"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/servicefabric"
	"github.com/seed-19b57ce3/ota/internal/testserver"
	"github.com/seed-19b57ce3/ota/otatest"
)

// app is the application's ID in the URLs of version 6.0.
const app, name = "myapp~app1", "fabric:/myapp/app1"

// world is the SDK's client and its server, which has one application with these agents.
type world struct {
	*testing.T
	client sdk.BaseClient
	fleet  *otatest.Fleet
}

func newWorld(t *testing.T, latency time.Duration, agents ...string) *world {
	t.Helper()
	e, fleet := testserver.Engine(t, latency)
	apps := servicefabric.Apps{}
	if err := apps.Add("myapp/app1", agents...); err != nil {
		t.Fatal(err)
	}
	h, err := servicefabric.New(e, servicefabric.Options{Auth: httpapi.Tokens(map[string]string{"s3cret": "ann"}), Inventory: apps})
	if err != nil {
		t.Fatal(err)
	}
	testserver.Run(t, h.Run)
	mux := http.NewServeMux()
	servicefabric.Mount(mux, h)
	w := &world{t, sdk.NewWithBaseURI(testserver.Serve(t, mux)), fleet}
	w.client.Authorizer = autorest.NewBearerAuthorizer(token("s3cret"))
	w.client.RetryDuration = time.Millisecond
	return w
}

type token string

func (t token) OAuthToken() string { return string(t) }

// refused fails the test unless err is the refusal with this status and code. With code "" it
// expects no error.
func (w *world) refused(err error, status int, code string) {
	w.Helper()
	if code == "" {
		if err != nil {
			w.Fatal(err)
		}
		return
	}
	var detailed autorest.DetailedError
	var request *azure.RequestError
	if !errors.As(err, &detailed) || !errors.As(detailed.Original, &request) {
		w.Fatalf("got %v, want %d %s", err, status, code)
	}
	if detailed.StatusCode != status || request.ServiceError.Code != code || request.ServiceError.Message == "" {
		w.Errorf("got %v %+v, want %d %s", detailed.StatusCode, request.ServiceError, status, code)
	}
}

func (w *world) progress() sdk.ApplicationUpgradeProgressInfo {
	w.Helper()
	info, err := w.client.GetApplicationUpgrade(w.Context(), app, nil)
	if err != nil {
		w.Fatal(err)
	}
	if info.StatusCode != http.StatusOK {
		w.Errorf("status %d", info.StatusCode)
	}
	return info
}

func (w *world) until(ok func(sdk.ApplicationUpgradeProgressInfo) bool) sdk.ApplicationUpgradeProgressInfo {
	w.Helper()
	for range 6000 { // a minute
		if info := w.progress(); ok(info) {
			return info
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.Fatalf("got stuck: %s, next %q, %s", w.progress().UpgradeState, *w.progress().NextUpgradeDomain, *w.progress().UpgradeStatusDetails)
	panic("unreachable")
}

func (w *world) state(want sdk.UpgradeState) sdk.ApplicationUpgradeProgressInfo {
	w.Helper()
	return w.until(func(i sdk.ApplicationUpgradeProgressInfo) bool { return i.UpgradeState == want })
}

func (w *world) start(version string, mode sdk.UpgradeMode, policy *sdk.MonitoringPolicyDescription) error {
	_, err := w.client.StartApplicationUpgrade(w.Context(), app, sdk.ApplicationUpgradeDescription{
		Name: ptr(name), TargetApplicationTypeVersion: ptr(version), Parameters: &[]sdk.ApplicationParameter{{Key: ptr("k"), Value: ptr("v")}},
		UpgradeKind: sdk.UpgradeKindRolling, RollingUpgradeMode: mode, UpgradeReplicaSetCheckTimeoutInSeconds: ptr(int64(60)),
		ForceRestart: ptr(false), SortOrder: sdk.UpgradeSortOrderDefault, MonitoringPolicy: policy,
		ApplicationHealthPolicy: &sdk.ApplicationHealthPolicy{MaxPercentUnhealthyDeployedApplications: ptr(int32(0))},
	}, nil)
	return err
}

func (w *world) rollback(id string) error {
	r, err := w.client.RollbackApplicationUpgrade(w.Context(), id, nil)
	if err == nil && r.StatusCode != http.StatusOK {
		w.Errorf("status %d", r.StatusCode)
	}
	return err
}

func (w *world) move(domain string) error {
	_, err := w.client.ResumeApplicationUpgrade(w.Context(), app, sdk.ResumeApplicationUpgradeDescription{UpgradeDomainName: ptr(domain)}, nil)
	return err
}

func ptr[T any](v T) *T { return &v }

// The document's call: an upgrade that rolls forward is rolled back, and the changed agents have
// their old version again.
func TestRollback(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, otatest.IDs("ok-", 10)...)
	w.refused(w.rollback(app), 400, "FABRIC_E_APPLICATION_NOT_UPGRADING")
	w.refused(w.rollback("myapp~other"), 404, "FABRIC_E_APPLICATION_NOT_FOUND")
	w.refused(w.start("1.3.0", sdk.UpgradeModeUnmonitoredManual, nil), 0, "")
	w.refused(w.start("1.3.0", sdk.UpgradeModeUnmonitoredManual, nil), 409, "FABRIC_E_APPLICATION_UPGRADE_IN_PROGRESS")
	w.state(sdk.UpgradeStateRollingForwardPending)
	w.refused(w.move("UD3"), 400, "E_INVALIDARG")
	w.refused(w.move("UD0"), 400, "FABRIC_E_UPGRADE_DOMAIN_ALREADY_COMPLETED")
	w.refused(w.move("UD1"), 0, "")
	info := w.until(func(i sdk.ApplicationUpgradeProgressInfo) bool {
		return i.UpgradeState == sdk.UpgradeStateRollingForwardPending && *i.NextUpgradeDomain == "UD2"
	})
	domains := *info.UpgradeDomains
	if len(domains) != 5 || *domains[0].Name != "UD2" || domains[0].State != sdk.UpgradeDomainStatePending || domains[4].State != sdk.UpgradeDomainStateCompleted {
		t.Errorf("got %+v", domains)
	}
	d := info.UpgradeDescription
	if *info.Name != name || *info.TypeName != "app1Type" || *info.TargetApplicationTypeVersion != "1.3.0" || info.RollingUpgradeMode != sdk.UpgradeModeUnmonitoredManual ||
		*d.UpgradeReplicaSetCheckTimeoutInSeconds != 60 || *d.ForceRestart || *(*d.Parameters)[0].Key != "k" || d.UpgradeKind != sdk.UpgradeKindRolling {
		t.Errorf("got %+v, %+v", info, d)
	}
	if v := w.fleet.Version("ok-07"); v != "1.3.0" {
		t.Errorf("ok-07 runs %s", v)
	}

	w.refused(w.rollback("myapp/app1"), 0, "") // the ID as before version 6.0
	w.refused(w.rollback(app), 0, "")
	if _, err := w.client.UpdateApplicationUpgrade(w.Context(), app, sdk.ApplicationUpgradeUpdateDescription{
		Name: ptr(name), UpgradeKind: sdk.UpgradeKindRolling,
		UpdateDescription: &sdk.RollingUpgradeUpdateDescription{RollingUpgradeMode: sdk.UpgradeModeUnmonitoredAuto},
	}, nil); err != nil {
		t.Error(err)
	}
	info = w.state(sdk.UpgradeStateRollingBackCompleted)
	if *info.TargetApplicationTypeVersion != "1.0.0" || info.FailureReason != sdk.Interrupted || !strings.HasPrefix(*info.FailureTimestampUtc, "20") {
		t.Errorf("got %+v", info)
	}
	for _, id := range []string{"ok-01", "ok-02", "ok-06", "ok-07"} {
		if v := w.fleet.Version(id); v != "1.0.0" {
			t.Errorf("%s runs %s", id, v)
		}
	}
	w.refused(w.rollback(app), 400, "FABRIC_E_APPLICATION_NOT_UPGRADING")
}

// The SDK has limits for timeout; both sides accept the largest value.
func TestTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, "ok-1")
	for _, bad := range []int64{0, math.MaxUint32 + 1} {
		if _, err := w.client.RollbackApplicationUpgrade(t.Context(), app, &bad); err == nil || errors.As(err, new(*azure.RequestError)) {
			t.Errorf("%d: got %v", bad, err)
		}
	}
	_, err := w.client.RollbackApplicationUpgrade(t.Context(), app, ptr(int64(math.MaxUint32)))
	w.refused(err, 400, "FABRIC_E_APPLICATION_NOT_UPGRADING")
}

// A monitored upgrade that is not healthy rolls itself back, and the SDK reads the reason.
func TestMonitored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, "ok-1", "sick-2", "ok-3")
	policy := &sdk.MonitoringPolicyDescription{
		FailureAction: sdk.FailureActionRollback, HealthCheckWaitDurationInMilliseconds: ptr("PT0H0M0S"),
		HealthCheckStableDurationInMilliseconds: ptr("200"), HealthCheckRetryTimeoutInMilliseconds: ptr("PT0.1S"),
		UpgradeTimeoutInMilliseconds: ptr("P10675199DT02H48M05.4775807S"), UpgradeDomainTimeoutInMilliseconds: ptr("PT1H"),
	}
	w.refused(w.start("2", sdk.UpgradeModeMonitored, &sdk.MonitoringPolicyDescription{UpgradeDomainTimeoutInMilliseconds: ptr("PT1M")}), 400, "FABRIC_E_APPLICATION_UPGRADE_VALIDATION_ERROR")
	w.refused(w.start("2", sdk.UpgradeModeMonitored, policy), 0, "")
	info := w.state(sdk.UpgradeStateRollingBackCompleted)
	if info.FailureReason != sdk.HealthCheck || *info.UpgradeDomainProgressAtFailure.DomainName != "UD1" ||
		*(*info.UpgradeDomainProgressAtFailure.NodeUpgradeProgressList)[0].NodeName != "sick-2" {
		t.Errorf("got %+v", info)
	}
	x, ok := (*info.UnhealthyEvaluations)[0].HealthEvaluation.AsDeployedApplicationsHealthEvaluation()
	if !ok || x.AggregatedHealthState != sdk.HealthStateError || *x.TotalCount != 3 || !strings.Contains(*x.Description, "sick-2") {
		t.Errorf("got %+v", x)
	}
	if w.fleet.Version("sick-2") != "1.0.0" || w.fleet.Version("ok-3") != "" {
		t.Errorf("got %v", w.fleet.Versions())
	}
}

// A rollback interrupts calls in flight. A replacement upgrade starts after it.
func TestAnotherUpgrade(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, "ok-1", "hang-2", "ok-3")
	w.refused(w.start("2", sdk.UpgradeModeUnmonitoredAuto, nil), 0, "")
	w.until(func(i sdk.ApplicationUpgradeProgressInfo) bool {
		now := i.CurrentUpgradeDomainProgress
		return *now.DomainName == "UD1" && len(*now.NodeUpgradeProgressList) == 1 && (*now.NodeUpgradeProgressList)[0].UpgradePhase == sdk.NodeUpgradePhaseUpgrading
	})
	w.fleet.Set("hang-2", otatest.OK)
	w.refused(w.start("3", sdk.UpgradeModeUnmonitoredAuto, nil), 0, "")
	w.until(func(i sdk.ApplicationUpgradeProgressInfo) bool {
		return i.UpgradeState == sdk.UpgradeStateRollingForwardCompleted && *i.TargetApplicationTypeVersion == "3"
	})
	for _, id := range []string{"ok-1", "hang-2", "ok-3"} {
		if v := w.fleet.Version(id); v != "3" {
			t.Errorf("%s runs %s", id, v)
		}
	}
	w.refused(w.start("3", sdk.UpgradeModeUnmonitoredAuto, nil), 409, "FABRIC_E_APPLICATION_ALREADY_IN_TARGET_VERSION")
}

// A request without a credential changes nothing, and the SDK reports the refusal.
func TestNoCredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, "ok-1")
	w.client.Authorizer = autorest.NullAuthorizer{}
	w.refused(w.start("2", sdk.UpgradeModeUnmonitoredAuto, nil), 401, "E_ACCESSDENIED")
}
