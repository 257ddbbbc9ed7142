package main

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// The log of a server has where each API is, each change of a plan and its reason, and each refused
// caller. It has no token.
func TestLog(t *testing.T) {
	t.Parallel()
	s := start(t, "-addr", "127.0.0.1:0", "-token", "s3cret", "-latency", "10ms")
	c := s.client(t, "s3cret")
	p, err := c.Create(t.Context(), ota.Spec{Name: "at night", FromVersion: "1", ToVersion: "2", ToRelease: "2", Agents: ota.AgentIDs("fail-1", "ok-2")})
	if err == nil {
		_, err = c.Start(t.Context(), p.ID, ota.Request{})
	}
	if err != nil {
		t.Fatal(err)
	}
	s.curl(t, p.ID, `curl "$H/api/v1/lifecycle/upgrade-plans/$ID" -H "Authorization: Bearer wrong"`)
	s.curl(t, p.ID, `curl "$H/context/admin/system/upgrades?f=json&token=s3cre"`)
	s.curl(t, p.ID, `curl "$H/context/admin/system/upgrades?f=json&token=s3cret"`)
	for _, want := range [][]string{
		{"msg=mounted", "api=lifecycle", "at=/api/v1/lifecycle"},
		{"msg=mounted", `api="Service Fabric"`, "at=/Applications"},
		{"msg=mounted", "api=ArcGIS", "at=/context/admin/system/upgrades"},
		{"msg=mounted", "api=Avi", "/api/upgradestatusinfo"},
		{"level=WARN", `msg="plan breached"`, "plan=" + p.ID, `name="at night"`, `why="Failure threshold exceeded: 1 of the 2 agents of batch 0 failed`, "action=pause"},
		{"level=WARN", `msg="plan paused"`, "plan=" + p.ID, `name="at night"`, "failed=1"},
		{"level=INFO", "msg=request", "method=GET", "path=/api/v1/lifecycle/upgrade-plans/" + p.ID, "status=401", "unauthenticated"},
		{"level=INFO", "msg=request", "path=/context/admin/system/upgrades", "Invalid Token."},
	} {
		for began := time.Now(); !s.says(want); time.Sleep(20 * time.Millisecond) {
			if time.Since(began) > time.Minute {
				t.Fatalf("no line says %q:\n%s", want, s.log.String())
			}
		}
	}
	s.stop(t)
	if log := s.log.String(); strings.Contains(log, "s3cre") || strings.Contains(log, "method=POST") {
		t.Errorf("it logs a token, or requests that were not refused:\n%s", log)
	}
}

// says reports whether a line of the log contains all of these.
func (s *server) says(want []string) bool {
lines:
	for line := range strings.Lines(s.log.String()) {
		for _, w := range want {
			if !strings.Contains(line, w) {
				continue lines
			}
		}
		return true
	}
	return false
}
