package servicefabric_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/servicefabric"
	"github.com/seed-19b57ce3/ota/memstore"
)

// lone returns a handler whose Engine drives no plan.
func lone(t *testing.T, opt servicefabric.Options) *world {
	t.Helper()
	w := &world{t: t}
	var err error
	w.engine, err = ota.New(memstore.New(), ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		return ota.Result{Version: a.ToVersion}, nil
	}), ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	opt.Inventory = apps(t, "a", "b")
	w.handler(opt)
	return w
}

// Every api-version from 1.0 up to that of the runtime is served, as the document says.
func TestVersions(t *testing.T) {
	for runtime, versions := range map[string]map[string]bool{
		"":    {"1.0": true, "6.0": true, "7.2": true, "8.2": true, "9.1": true, "11.3": true, "9.1-preview": true, "11.4": false, "12.0": false, "0.9": false},
		"6.1": {"6.0": true, "6.1": true, "6.2": false, "7.2": false},
	} {
		w := lone(t, servicefabric.Options{Runtime: runtime})
		for version, served := range versions {
			status, code, message := w.send("GET", app+"GetUpgradeProgress?api-version="+version, "")
			if served != (status == http.StatusOK) || !served && (code != "E_INVALIDARG" || !strings.Contains(message, "from 1.0 to ")) {
				t.Errorf("runtime %q, api-version %s: got %d %s %s", runtime, version, status, code, message)
			}
		}
	}
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"six", "0.5", "-1", "6.0.1"} {
		_, err := servicefabric.New(e, servicefabric.Options{Auth: httpapi.Open(), Inventory: servicefabric.Apps{}, Runtime: bad})
		if err == nil || !strings.Contains(err.Error(), "runtime") {
			t.Errorf("%s: got %v", bad, err)
		}
	}
}

// However a client writes a duration, the progress has it as the real server prints it.
func TestDurationsOfProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for given, want := range map[string]string{
			"PT2M": "PT0H2M0S", "120000": "PT0H2M0S", "PT0H2M0S": "PT0H2M0S", "PT90S": "PT0H1M30S", "P1DT1H": "P1DT1H0M0S", "1.5": "PT0H0M0.0015S",
			"P10675199DT02H48M05.4775807S": "P10675199DT2H48M5.4775807S",
		} {
			w := lone(t, servicefabric.Options{})
			w.post("Upgrade", `{"Name":"fabric:/myapp/app1","TargetApplicationTypeVersion":"2","Parameters":[],"UpgradeKind":"Rolling",
				"RollingUpgradeMode":"Monitored","MonitoringPolicy":{"FailureAction":"Manual","UpgradeDomainTimeoutInMilliseconds":"P2D",
				"HealthCheckWaitDurationInMilliseconds":"0","HealthCheckStableDurationInMilliseconds":"0","HealthCheckRetryTimeoutInMilliseconds":"0","UpgradeTimeoutInMilliseconds":"`+
				given+`"}}`, map[bool]string{true: "", false: "FABRIC_E_APPLICATION_UPGRADE_VALIDATION_ERROR"}[len(want) > 20])
			if len(want) > 20 {
				if got := w.progress().UpgradeDescription.MonitoringPolicy["UpgradeTimeoutInMilliseconds"]; got != want {
					t.Errorf("%s: got %v, want %s", given, got, want)
				}
				continue
			}
			w.post("Upgrade", `{"Name":"fabric:/myapp/app1","TargetApplicationTypeVersion":"2","Parameters":[],"UpgradeKind":"Rolling",
				"RollingUpgradeMode":"UnmonitoredManual","MonitoringPolicy":{"FailureAction":"Manual","HealthCheckStableDurationInMilliseconds":"`+given+`"}}`, "")
			if got := w.progress().UpgradeDescription.MonitoringPolicy["HealthCheckStableDurationInMilliseconds"]; got != want {
				t.Errorf("%s: got %v, want %s", given, got, want)
			}
		}
	})
}

// An upgrade that was just started is not called undriven; one that nobody drives is, later.
func TestDetailsOfTheFirstSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := lone(t, servicefabric.Options{})
		w.post("Upgrade", describe("2", "UnmonitoredAuto"), "")
		const undriven = "No engine drives the plan"
		for range 9 {
			if s := w.progress().UpgradeStatusDetails; strings.Contains(s, undriven) || s == "" {
				t.Errorf("got %q", s)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(2 * time.Second)
		if s := w.progress().UpgradeStatusDetails; !strings.Contains(s, undriven) {
			t.Errorf("after 11 s got %q", s)
		}
	})
}

// Every literal of the document is sent.
func TestLiterals(t *testing.T) {
	w := lone(t, servicefabric.Options{})
	var all strings.Builder
	record := func(method, call, body string) int {
		r := httptest.NewRequest(method, app+call+"?api-version=6.0&timeout=60", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer ann-token")
		status, b := w.do(r)
		all.Write(b)
		return status
	}
	if status := record("POST", "RollbackUpgrade", ""); status != http.StatusBadRequest {
		t.Errorf("before an upgrade: %d", status)
	}
	w.post("Upgrade", describe("2", "UnmonitoredAuto"), "")
	if status := record("POST", "RollbackUpgrade", ""); status != http.StatusOK {
		t.Errorf("a rollback: %d, the document says 200", status)
	}
	b, err := os.ReadFile("../testdata/literals/servicefabric.tsv")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		section, literal, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") {
			continue
		}
		n++
		if !ok || !strings.Contains(all.String(), literal) {
			t.Errorf("%s: %s is not sent", section, literal)
		}
	}
	if n == 0 || !json.Valid([]byte(strings.SplitAfter(all.String(), "}}")[0])) {
		t.Errorf("%d literals in %s", n, all.String())
	}
}
