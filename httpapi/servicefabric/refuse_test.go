package servicefabric_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/servicefabric"
	"github.com/seed-19b57ce3/ota/internal/testserver"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

// Every path, verb and api-version that is not one of ours is 400 E_INVALIDARG, behind a mux of the
// host too, and both forms of an ID name the same application.
func TestPaths(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, "ok-1")
	w.listen()
	const no, notUpgrading, unknown = "E_INVALIDARG", "FABRIC_E_APPLICATION_NOT_UPGRADING", "FABRIC_E_APPLICATION_NOT_FOUND"
	for _, c := range []struct{ method, path, want string }{
		{"POST", "/Applications/myapp~app1/$/RollbackUpgrade?api-version=6.0", notUpgrading},
		{"POST", "/Applications/myapp/app1/$/RollbackUpgrade?api-version=6.0", notUpgrading},
		{"POST", "/Applications/myapp%2Fapp1/$/RollbackUpgrade?api-version=6.0&timeout=60", notUpgrading},
		{"POST", "/Applications/myapp%7Eapp1/%24/RollbackUpgrade?api-version=6.0", notUpgrading},
		{"POST", "/Applications/myapp~app1/$/RollbackUpgrade?api-version=6.0&timeout=soon", notUpgrading},
		{"POST", "/Applications/myapp~app1/$/RollbackUpgrade?api-version=6.0&timeout=0", notUpgrading},
		{"POST", "/Applications/myapp~app1/$/RollbackUpgrade?api-version=6.0&timeout=4294967295", notUpgrading},
		{"POST", "/Applications/myapp~app1/$/RollbackUpgrade?api-version=6.0&timeout=4294967296", notUpgrading},
		{"POST", "/Applications/myapp~app1/$/RollbackUpgrade?api-version=1.0", notUpgrading},
		{"POST", "/Applications/myapp~app1/$/RollbackUpgrade?api-version=6.4-preview", notUpgrading},
		{"POST", "/Applications/myapp~app1/$/RollbackUpgrade?api-version=7.2", notUpgrading},
		{"POST", "/Applications/myapp/$/RollbackUpgrade?api-version=6.0", unknown},
		{"POST", "/Applications/my%20app~%C3%A9%00%ff/$/RollbackUpgrade?api-version=6.0", unknown},
		{"POST", "/Applications/myapp~app1/$/RollbackUpgrade", no},
		{"POST", "/Applications/myapp~app1/$/RollbackUpgrade?api-version=", no},
		{"POST", "/Applications/myapp~app1/$/RollbackUpgrade?api-version=0.9", no},
		{"POST", "/Applications/myapp~app1/$/RollbackUpgrade?api-version=99", no},
		{"POST", "/Applications/myapp~app1/$/RollbackUpgrade?api-version=six", no},
		{"POST", "/Applications/myapp~app1/$/RollbackUpgrade?api-version=6.0.1", no},
		{"POST", "/Applications/myapp~app1/$/RollbackUpgrade?api-version=Inf", no},
		{"POST", "/Applications/myapp~app1/$/RollbackUpgrade?api-version=6.0&x=%zz", no},
		{"GET", "/Applications/myapp~app1/$/RollbackUpgrade?api-version=6.0", no},
		{"PUT", "/Applications/myapp~app1/$/RollbackUpgrade?api-version=6.0", no},
		{"DELETE", "/Applications/myapp~app1/$/Upgrade?api-version=6.0", no},
		{"POST", "/Applications/myapp~app1/$/GetUpgradeProgress?api-version=6.0", no},
		{"POST", "/Applications/myapp~app1/$/Rollback?api-version=6.0", no},
		{"POST", "/Applications/myapp~app1/$/rollbackupgrade?api-version=6.0", no},
		{"POST", "/Applications/myapp~app1/$/RollbackUpgrade/?api-version=6.0", no},
		{"POST", "/Applications/myapp~app1/RollbackUpgrade?api-version=6.0", no},
		{"POST", "/Applications/$/RollbackUpgrade?api-version=6.0", no},
		{"POST", "/$/RollbackUpgrade?api-version=6.0", no},
		{"GET", "/Applications/?api-version=6.0", no},
		{"GET", "/Applications?api-version=6.0", no},
	} {
		if status, code, message := w.send(c.method, c.path, ""); code != c.want {
			t.Errorf("%s %s: got %d %s %s, want %s", c.method, c.path, status, code, message, c.want)
		} else if want := map[string]int{no: 400, notUpgrading: 400, unknown: 404}[code]; status != want {
			t.Errorf("%s %s: %s has status %d, want %d", c.method, c.path, code, status, want)
		}
	}
	if status, _, _ := w.send("GET", "/elsewhere", ""); status != http.StatusOK {
		t.Errorf("the host's own page is %d", status)
	}
}

// What a description must not say is refused before anything happens.
func TestDescriptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, "ok-1")
	list := apps(t, "ok-1")
	a := list["fabric:/myapp/app1"]
	a.Versions = []string{"1.0.0", "2"}
	list["fabric:/myapp/app1"] = a
	w.handler(servicefabric.Options{Inventory: list})
	const no, validation = "E_INVALIDARG", "FABRIC_E_APPLICATION_UPGRADE_VALIDATION_ERROR"
	monitored := func(members string) string { return describe("2", "Monitored", policy(members)) }
	for body, want := range map[string]string{
		"": no, "x": no, "[]": no, "null": no, "{}": no, describe("2", "UnmonitoredAuto") + "x": no,
		describe("2", "Invalid"): no, describe("2", "Sometimes"): no, describe("", "UnmonitoredAuto"): no,
		describe(strings.Repeat("2", 256), "UnmonitoredAuto"):                                                         no,
		describe("3", "UnmonitoredAuto"):                                                                              "FABRIC_E_APPLICATION_TYPE_NOT_FOUND",
		describe("3", "Invalid"):                                                                                      no,
		strings.Replace(describe("2", "UnmonitoredAuto"), "app1", "app2", 1):                                          no,
		strings.Replace(describe("2", "UnmonitoredAuto"), "Rolling", "Invalid", 1):                                    no,
		strings.Replace(describe("2", "UnmonitoredAuto"), `"Name"`, `"name"`, 1):                                      no,
		describe("2", "UnmonitoredAuto", `"Name":"fabric:/myapp/app1"`):                                               no,
		describe("2", "UnmonitoredAuto", `"SortOrder":"Invalid"`):                                                     no,
		describe("2", "UnmonitoredAuto", `"SortOrder":1`):                                                             no,
		describe("2", "UnmonitoredAuto", `"ForceRestart":"yes"`):                                                      no,
		describe("2", "UnmonitoredAuto", `"Parameters":{}`):                                                           no,
		describe("2", "UnmonitoredAuto", `"Parameters":[{"Value":"v"}]`):                                              no,
		describe("2", "UnmonitoredAuto", `"Parameters":[{"Key":"k"},{"Key":"k"}]`):                                    no,
		describe("2", "UnmonitoredAuto", `"UpgradeReplicaSetCheckTimeoutInSeconds":-1`):                               no,
		describe("2", "UnmonitoredAuto", `"UpgradeReplicaSetCheckTimeoutInSeconds":1.5`):                              no,
		describe("2", "UnmonitoredAuto", `"InstanceCloseDelayDurationInSeconds":4294967296`):                          no,
		describe("2", "UnmonitoredAuto", `"ApplicationHealthPolicy":{"MaxPercentUnhealthyDeployedApplications":101}`): no,
		describe("2", "UnmonitoredAuto", `"Parameters":[{"Key":"k","Value":"`+strings.Repeat("v", 70_000)+`"}]`):      "FABRIC_E_VALUE_TOO_LARGE",
		describe("2", "UnmonitoredAuto", `"X":"`+strings.Repeat("v", 1<<20)+`"`):                                      "FABRIC_E_VALUE_TOO_LARGE",
		describe("2", "UnmonitoredAuto", `"X":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)):                      no,

		monitored(`"FailureAction":"Panic"`):                                                           no,
		monitored(`"HealthCheckWaitDurationInMilliseconds":"-5"`):                                      no,
		monitored(`"HealthCheckWaitDurationInMilliseconds":"2m"`):                                      no,
		monitored(`"FailureAction":"Invalid"`):                                                         validation,
		monitored(`"UpgradeTimeoutInMilliseconds":"PT10M"`):                                            validation,
		monitored(`"UpgradeDomainTimeoutInMilliseconds":"600000"`):                                     validation,
		monitored(`"HealthCheckWaitDurationInMilliseconds":"P10675199D"`):                              validation,
		monitored(`"HealthCheckStableDurationInMilliseconds":"P4000D"`):                                validation,
		monitored(`"UpgradeDomainTimeoutInMilliseconds":"PT2H","UpgradeTimeoutInMilliseconds":"PT1H"`): validation,
	} {
		status, code, message := w.send("POST", app+"Upgrade?api-version=6.0", body)
		if code != want {
			t.Errorf("%.200s: got %d %s %s, want %s", body, status, code, message, want)
		}
	}
	if n := len(w.plans()); n != 0 {
		t.Errorf("%d plans were made", n)
	}
	w.post("Upgrade", monitored(`"UpgradeDomainTimeoutInMilliseconds":"P10675199DT02H48M05.4775807S","UpgradeTimeoutInMilliseconds":"P10675199DT2H48M5.4775807S","HealthCheckWaitDurationInMilliseconds":null`), "")
	if p := w.plans()[0].Policy; p.BatchTimeout != 0 || p.PlanTimeout != 0 || p.Soak.Stable != 2*time.Minute || p.Soak.Grace != 10*time.Minute {
		t.Errorf("got %+v", p)
	}
}

// Nobody gets in without a credential, and the authorizer is asked about every call, with the
// application and its plan.
func TestAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, "ok-1", "ok-2", "ok-3")
	var asked []string
	auth := httpapi.Tokens(map[string]string{"ann-token": "ann", "eve-token": "eve", "down-token": "down"})
	auth.Authorize = func(_ context.Context, p httpapi.Principal, a httpapi.Access) error {
		asked = append(asked, fmt.Sprintf("%s %s %v", a.Action, a.Tenant, a.Plan != nil))
		switch {
		case p.Name == "down":
			return httpapi.ErrUnavailable
		case p.Name == "eve" && a.Action != httpapi.ActionRead:
			return errors.New("no")
		default:
			return nil
		}
	}
	w.handler(servicefabric.Options{Inventory: apps(t, "ok-1", "ok-2", "ok-3"), Auth: auth})
	as := func(token, method, call, body string) (int, string) {
		r := httptest.NewRequestWithContext(t.Context(), method, app+call+"?api-version=6.0", strings.NewReader(body))
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		status, b := w.do(r)
		return status, string(b)
	}
	bodies := map[string]string{
		"Upgrade": describe("2", "UnmonitoredManual"), "MoveToNextUpgradeDomain": moveTo("UD1"), "UpdateUpgrade": update(`"ForceRestart":true`), "RollbackUpgrade": "",
	}
	for _, begun := range []bool{false, true} {
		if begun {
			w.post("Upgrade", bodies["Upgrade"], "")
			w.waitState("RollingForwardPending")
		}
		for call, body := range bodies {
			for token, want := range map[string]int{"": 401, "wrong": 401, "eve-token": 403, "down-token": 503} {
				if status, b := as(token, "POST", call, body); status != want || !strings.Contains(b, `"Error":{"Code":"`) {
					t.Errorf("%s as %q: got %d %s, want %d", call, token, status, b, want)
				}
			}
		}
		if status, _ := as("eve-token", "GET", "GetUpgradeProgress", ""); status != 200 {
			t.Errorf("eve may read, and got %d", status)
		}
	}
	asked = nil
	w.post("MoveToNextUpgradeDomain", bodies["MoveToNextUpgradeDomain"], "")
	w.post("RollbackUpgrade", "", "")
	if got := strings.Join(asked, ", "); got != "promote fabric:/myapp/app1 true, rollback fabric:/myapp/app1 true" {
		t.Errorf("asked %s", got)
	}
}

// broken is a store that fails, or does not answer.
type broken struct {
	*memstore.Store
	silent bool
}

func (s broken) Plans(ctx context.Context, _ ota.PlanQuery) (ota.Page[ota.PlanRow], error) {
	if s.silent {
		<-ctx.Done()
		return ota.Page[ota.PlanRow]{}, context.Cause(ctx)
	}
	return ota.Page[ota.PlanRow]{}, errors.New("secret: disk on fire")
}

// A store that fails is 503, one that does not answer is 504 after the timeout of the caller, and
// neither tells more than it must.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	for _, silent := range []bool{false, true} {
		e, err := ota.New(broken{memstore.New(), silent}, nil, ota.Options{})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, engine: e}
		w.handler(servicefabric.Options{Inventory: apps(t, "a")})
		status, code, message := w.send("POST", app+"RollbackUpgrade?api-version=6.0&timeout=1", "")
		want := "503 FABRIC_E_NOT_READY"
		if silent {
			want = "504 FABRIC_E_TIMEOUT"
		}
		if got := fmt.Sprint(status, " ", code); got != want || strings.Contains(message, "secret") {
			t.Errorf("got %s %s, want %s", got, message, want)
		}
	}
}

// A client whose body does not come gets its answer all the same, and the connection ends.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0, "ok-1")
	w.handler(servicefabric.Options{Inventory: apps(t, "ok-1"), Limits: httpapi.RequestLimits{Slow: 50 * time.Millisecond}})
	url := w.listen()
	for _, c := range []struct{ call, begin, want string }{
		{"Upgrade", "{", "HTTP/1.1 408 "},
		{"Upgrade", "x", "HTTP/1.1 400 "},
		{"RollbackUpgrade", "", "HTTP/1.1 400 "},
	} {
		answer := testserver.Stall(t, url, "POST", app+c.call+"?api-version=6.0", http.Header{"Authorization": {"Bearer ann-token"}}, c.begin)
		if !strings.HasPrefix(answer, c.want) || !strings.Contains(answer, `{"Error":{"Code":"`) {
			t.Errorf("%s %q: got %q", c.call, c.begin, answer)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	e, err := ota.New(memstore.New(), otatest.NewFleet(otatest.Options{}), ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := servicefabric.New(nil, servicefabric.Options{}); err == nil {
		t.Error("no engine was accepted")
	}
	_, err = servicefabric.New(e, servicefabric.Options{Concurrency: -1, Limits: httpapi.RequestLimits{Body: -1, Depth: -1, Slow: -1, Write: -1}, Poll: -1})
	for _, field := range []string{"auth", "inventory", "concurrency", "limits.body", "limits.depth", "limits.slow", "limits.write", "poll"} {
		if err == nil || !strings.Contains(err.Error(), field+" is") {
			t.Errorf("%s is not named in %v", field, err)
		}
	}
}

func TestApps(t *testing.T) {
	t.Parallel()
	a := servicefabric.Apps{}
	for _, s := range []string{"", "x", "=a", "a//b=c", "/a=b", "a~b=c", "x=", "x=a,,b", "x=a,a", strings.Repeat("x", 241) + "=a"} {
		if err := a.Set(s); !errors.Is(err, ota.ErrInvalid) {
			t.Errorf("%q: got %v", s, err)
		}
	}
	if err := a.Set("myapp/app1=a,b,c,d,e,f,g"); err != nil {
		t.Fatal(err)
	}
	if err := a.Set("fabric:/myapp/app1=a"); err == nil {
		t.Error("the same name was accepted twice")
	}
	got, err := a.Application(t.Context(), "fabric:/myapp/app1")
	want := servicefabric.Application{TypeName: "app1Type", TypeVersion: "1.0.0", UpgradeDomains: []servicefabric.UpgradeDomain{
		{Name: "UD0", Agents: []string{"a", "f"}},
		{Name: "UD1", Agents: []string{"b", "g"}},
		{Name: "UD2", Agents: []string{"c"}},
		{Name: "UD3", Agents: []string{"d"}},
		{Name: "UD4", Agents: []string{"e"}},
	}}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := a.Application(t.Context(), "fabric:/other"); !errors.Is(err, ota.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if s := a.String(); s != "fabric:/myapp/app1" {
		t.Errorf("got %s", s)
	}
}
