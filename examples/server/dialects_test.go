package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/client"
)

// await repeats a command until its output contains a text.
func (s *server) await(t *testing.T, command, want string) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		out := s.curl(t, "", command)
		if strings.Contains(out, want) {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%s\nnever said %q, but %s\n%s", command, want, out, s.log.String())
		}
	}
}

// install uses the lifecycle API to bring agents to a version, as the patch with that name.
func install(t *testing.T, c *client.Client, from, to, patch string) {
	t.Helper()
	p, err := c.Create(t.Context(), ota.Spec{
		Name: patch, FromVersion: from, ToVersion: to, ToRelease: "1", Agents: ota.AgentIDs("ok-1", "ok-2"), Labels: map[string]string{"patch": patch},
	})
	if err == nil {
		_, err = c.Start(t.Context(), p.ID, ota.Request{})
	}
	if err != nil {
		t.Fatal(err)
	}
	for rec, err := range c.Watch(t.Context(), p.ID, 0) {
		if err != nil || rec.Status.Ended() && rec.Status != ota.StatusCompleted {
			t.Fatal(rec, err)
		}
	}
}

// The four APIs are on one server, over one engine, and refuse every caller without the token.
func TestDialects(t *testing.T) {
	t.Parallel()
	s := start(t, "-addr", "127.0.0.1:0", "-token", "T", "-latency", "20ms", "-db", filepath.Join(t.TempDir(), "ota.db"),
		"-app", "myapp/app1=node-1,node-2,node-3,node-4,node-5,node-6")

	const fabric = `curl "$H/Applications/myapp~app1/$/`
	if out := s.curl(t, "", fabric+`Upgrade?api-version=6.0" -H "Authorization: Bearer $T" -d '{"Name":"fabric:/myapp/app1",
		"TargetApplicationTypeVersion":"1.3.0","Parameters":[],"UpgradeKind":"Rolling","RollingUpgradeMode":"UnmonitoredAuto"}'`); out != "" {
		t.Error(out)
	}
	s.await(t, fabric+`GetUpgradeProgress?api-version=6.0" -H "Authorization: Bearer $T"`, `"RollingForwardCompleted"`)
	s.await(t, fabric+`GetUpgradeProgress?api-version=6.0" -w "%{http_code}"`, "401")

	c := s.client(t, "T")
	install(t, c, "10.9.0.500", "10.9.0.505", "pat_1_505")
	install(t, c, "10.9.0.505", "10.9.0.506", "pat_2_506")
	const upgrades = `curl "$H/context/admin/system/upgrades`
	s.await(t, upgrades+`/checkRollback" -d "f=json&token=$T"`, `"pat_1_505"`)
	s.await(t, upgrades+`/rollback" -d 'versionManifest={"id": "pat_1_505"}&f=json' -d "token=$T"`, `"in_progress"`)
	s.await(t, upgrades+`?f=json&token=$T"`, `"success"`)
	s.await(t, upgrades+`?f=json"`, `499`)
	for _, want := range []string{"on=true", "on=false"} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log does not say %q of read-only mode: %s", want, s.log.String())
		}
	}

	jar := filepath.Join(t.TempDir(), "cookies")
	login := `curl -c ` + jar + ` "$H/login" -H 'Content-Type: application/json' -w "%{http_code}" -d '{"username":"admin","password":"`
	s.await(t, login+`wrong"}'`, "401")
	s.await(t, login+`'$T'"}'`, "200")
	s.await(t, `curl -b `+jar+` "$H/api/upgradestatusinfo?fields=name,state"`, `"count":4`)
	s.await(t, `curl "$H/api/upgradestatusinfo" -w "%{http_code}"`, "401")
	s.stop(t)
}
