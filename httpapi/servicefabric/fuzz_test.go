package servicefabric_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/servicefabric"
	"github.com/seed-19b57ce3/ota/memstore"
)

// fuzz sends bodies to one call of an application that is being upgraded, and of one that is not.
// Whatever they are, the answer is 200 or a FabricError below 500.
func fuzz(f *testing.F, call string, seeds ...string) {
	for _, s := range seeds {
		f.Add(s, "6.0", "60", true)
		f.Add(s, "", "", false)
	}
	f.Fuzz(func(t *testing.T, body, version, timeout string, begun bool) {
		e, err := ota.New(memstore.New(), nil, ota.Options{})
		if err != nil {
			t.Fatal(err)
		}
		h, err := servicefabric.New(e, servicefabric.Options{Auth: httpapi.Open(), Inventory: apps(t, "a", "b")})
		if err != nil {
			t.Fatal(err)
		}
		send := func(call, body, query string) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(context.Background(), "POST", app+call, strings.NewReader(body))
			r.URL.RawQuery = query
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			return rec
		}
		if begun {
			if rec := send("Upgrade", describe("2", "UnmonitoredManual"), "api-version=6.0"); rec.Code != 200 {
				t.Fatalf("%d %s", rec.Code, rec.Body)
			}
		}
		if version != "" || timeout != "" {
			send(call, body, "api-version="+version+"&timeout="+timeout)
		}
		rec := send(call, body, "api-version=6.0")
		var e2 struct {
			Error struct{ Code, Message string }
		}
		if rec.Code == 200 {
			return
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &e2); err != nil || e2.Error.Code == "" || e2.Error.Message == "" || rec.Code >= 500 {
			t.Fatalf("%d %s: %v", rec.Code, rec.Body, err)
		}
	})
}

func FuzzUpgrade(f *testing.F) {
	fuzz(f, "Upgrade", "{}", describe("3", "Monitored", `"Parameters":[{"Key":"k","Value":"v"}]`,
		policy(`"FailureAction":"Rollback","HealthCheckWaitDurationInMilliseconds":"PT0H2M0S","UpgradeTimeoutInMilliseconds":"P10675199DT02H48M05.4775807S"`),
		`"ApplicationHealthPolicy":{"ConsiderWarningAsError":true,"MaxPercentUnhealthyDeployedApplications":10,"DefaultServiceTypeHealthPolicy":{"MaxPercentUnhealthyServices":1},"ServiceTypeHealthPolicyMap":[{"Key":"t","Value":{}}]}`,
		`"UpgradeReplicaSetCheckTimeoutInSeconds":60,"ForceRestart":false,"SortOrder":"ReverseNumeric","InstanceCloseDelayDurationInSeconds":4294967295`))
}

func FuzzUpdate(f *testing.F) {
	fuzz(f, "UpdateUpgrade", "", update(`"RollingUpgradeMode":"Monitored","ForceRestart":true,"ReplicaSetCheckTimeoutInMilliseconds":5,"FailureAction":"Manual","HealthCheckRetryTimeoutInMilliseconds":"5"`))
}

func FuzzMoveNext(f *testing.F) {
	fuzz(f, "MoveToNextUpgradeDomain", moveTo("UD1"), `{"UpgradeDomainName":null}`)
}
