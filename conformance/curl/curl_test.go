// Package curl runs, with curl, the commands that the documents of the APIs print. Only host and
// token are replaced.
package curl

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/servicefabric"
	"github.com/seed-19b57ce3/ota/internal/testserver"
	"github.com/seed-19b57ce3/ota/otatest"
)

const (
	create         = `curl -X POST '{host}/api/v1/lifecycle/upgrade-plans' -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' -d '{"name":"Upgrade agents to v1.3.0","fromVersion":"1.2.0","toVersion":"1.3.0","toRelease":"221","agentIds":"item1,item2","batchSize":10,"failureThreshold":0.1,"concurrency":5,"createdBy":"admin","observeDuration":"value"}'`
	rollback       = `curl -X POST '{host}/api/v1/lifecycle/plans/rollback' -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' -d '{"sourcePlanUuid":"a1b2c3d4-e5f6-7890-abcd-ef1234567890","observeDuration":"value"}'`
	fabricRollback = `curl -X POST '{host}/Applications/{applicationId}/$/RollbackUpgrade?api-version=6.0&timeout={timeout}' -H 'Authorization: Bearer {token}'`
	fabricUpgrade  = `curl -X POST '{host}/Applications/{applicationId}/$/Upgrade?api-version=6.0' -H 'Authorization: Bearer {token}' -d '{"Name":"fabric:/myapp/app1","TargetApplicationTypeVersion":"1.3.0","Parameters":[],"UpgradeKind":"Rolling","RollingUpgradeMode":"UnmonitoredManual"}'`
	fabricProgress = `curl '{host}/Applications/{applicationId}/$/GetUpgradeProgress?api-version=6.0' -H 'Authorization: Bearer {token}'`
)

// world is a server with all agents of an application and of a plan.
type world struct {
	*testing.T
	engine *ota.Engine
	fleet  *otatest.Fleet
	host   string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("there is no curl")
	}
	w := &world{T: t}
	w.engine, w.fleet = testserver.Engine(t, 0)
	auth := httpapi.Tokens(map[string]string{"TOKEN123": "ann"})
	lifecycle, err := httpapi.New(w.engine, httpapi.Options{Auth: auth})
	if err != nil {
		t.Fatal(err)
	}
	apps := servicefabric.Apps{}
	if err := apps.Set("myapp/app1=" + strings.Join(otatest.IDs("ok-", 10), ",")); err != nil {
		t.Fatal(err)
	}
	fabric, err := servicefabric.New(w.engine, servicefabric.Options{Auth: auth, Inventory: apps})
	if err != nil {
		t.Fatal(err)
	}
	testserver.Run(t, fabric.Run)
	mux := http.NewServeMux()
	httpapi.Mount(mux, lifecycle)
	servicefabric.Mount(mux, fabric)
	w.host = testserver.Serve(t, mux)
	return w
}

// curl runs a command in a shell and returns the status and the body. The body must be JSON unless
// it is empty. replace are pairs: a printed text and its replacement.
func (w *world) curl(command string, replace ...string) (status string, body map[string]any) {
	w.Helper()
	command = strings.NewReplacer(append(replace, "{host}", w.host, "{token}", "TOKEN123", "curl ", `curl -sS -w '\n%{http_code}' `)...).Replace(command)
	cmd := exec.CommandContext(w.Context(), "sh", "-c", command)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		w.Fatalf("%v: %s", err, stderr.String())
	}
	i := strings.LastIndexByte(string(out), '\n')
	if text := strings.TrimSpace(string(out[:i])); text != "" {
		if err := json.Unmarshal([]byte(text), &body); err != nil {
			w.Fatalf("%v in %s", err, out)
		}
	}
	return string(out[i+1:]), body
}

// Documents 000 and 001: a plan is created, runs, and is rolled back.
func TestLifecycle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	status, p := w.curl(create)
	if status != "200" || p["status"] != "pending" || p["toRelease"] != "221" || p["observeDuration"] != "value" || p["createdBy"] != "admin" {
		t.Fatalf("got %s %v", status, p)
	}
	batch := p["batches"].([]any)[0].(map[string]any)
	if ids := batch["agentIds"].([]any); len(ids) != 2 || ids[0] != "item1" || len(batch["tasks"].([]any)) != 2 {
		t.Errorf("got %v", batch)
	}
	id := p["id"].(string)
	if status, body := w.curl(rollback); status != "404" {
		t.Errorf("an unknown source: got %s %v", status, body)
	}
	const source = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
	if status, body := w.curl(rollback, source, id); status != "409" {
		t.Errorf("a source that never started: got %s %v", status, body)
	}
	if status, body := w.curl(rollback, source, id, "{token}", "WRONG"); status != "401" {
		t.Errorf("a wrong token: got %s %v", status, body)
	}
	if _, err := w.engine.Start(t.Context(), id, ota.Request{}); err != nil {
		t.Fatal(err)
	}
	if q, err := w.engine.Wait(t.Context(), id); err != nil || q.Status != ota.StatusCompleted {
		t.Fatal(q.Status, err)
	}
	status, body := w.curl(rollback, source, strings.TrimPrefix(id, "plan-"))
	r, _ := body["plan"].(map[string]any)
	if _, ok := body["warnings"].([]any); status != "200" || !ok || r["sourcePlanUuid"] != id || r["fromVersion"] != "1.3.0" || r["toVersion"] != "1.2.0" {
		t.Fatalf("got %s %v", status, body)
	}
	if _, err := w.engine.Start(t.Context(), r["id"].(string), ota.Request{}); err != nil {
		t.Fatal(err)
	}
	if q, err := w.engine.Wait(t.Context(), r["id"].(string)); err != nil || q.Status != ota.StatusCompleted || w.fleet.Version("item1") != "1.2.0" {
		t.Errorf("got %v, %v; item1 runs %s", q.Status, err, w.fleet.Version("item1"))
	}
}

// Document 003: curl sends it without Content-Length and Content-Type.
func TestServiceFabric(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{"myapp~app1", "myapp/app1"} {
		again := func(command string) (string, map[string]any) {
			return w.curl(command, "{applicationId}", id, "{timeout}", "60", `"1.3.0"`, `"1.3.0-`+strings.ReplaceAll(id, "/", "-")+`"`)
		}
		code := func(body map[string]any) any {
			e, _ := body["Error"].(map[string]any)
			return e["Code"]
		}
		until := func(state string) {
			t.Helper()
			for range 6000 { // a minute
				if _, body := again(fabricProgress); body["UpgradeState"] == state {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Fatal("never", state)
		}
		if status, body := again(fabricRollback); status != "400" || code(body) != "FABRIC_E_APPLICATION_NOT_UPGRADING" {
			t.Errorf("nothing to roll back: got %s %v", status, body)
		}
		if status, body := again(fabricUpgrade); status != "200" || body != nil {
			t.Fatalf("got %s %v", status, body)
		}
		until("RollingForwardPending")
		if v := w.fleet.Version("ok-06"); !strings.HasPrefix(v, "1.3.0-") {
			t.Errorf("ok-06 runs %q", v)
		}
		if status, body := again(fabricRollback); status != "200" || body != nil {
			t.Fatalf("got %s %v", status, body)
		}
		until("RollingBackCompleted")
		if v := w.fleet.Version("ok-06"); v != "1.0.0" {
			t.Errorf("ok-06 runs %q", v)
		}
		if status, body := again(fabricRollback); status != "400" || code(body) != "FABRIC_E_APPLICATION_NOT_UPGRADING" {
			t.Errorf("rolled back: got %s %v", status, body)
		}
	}
	if status, _ := w.curl(fabricRollback, "{applicationId}", "other", "{timeout}", "60"); status != "404" {
		t.Errorf("an unknown application: got %s", status)
	}
}

// Runs the commands of docs/servicefabric.md in order.
func TestServiceFabricPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	page, err := os.ReadFile("../../docs/servicefabric.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "```sh\n")
	block, _, _ = strings.Cut(block, "```")
	commands := strings.Split(block, "\ncurl ")
	if len(commands) != 6 {
		t.Fatalf("the page has %d commands", len(commands)-1)
	}
	for _, command := range commands[1:] {
		command = "H='{host}' T='{token}'; " + commands[0] + "\ncurl " + strings.TrimSpace(command)
		var status string
		var body map[string]any
		for range 6000 { // a minute, until the upgrade is in a state that allows the command
			if status, body = w.curl(command); status == "200" {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if status != "200" {
			t.Fatalf("%s: got %s %v", command, status, body)
		}
	}
}
