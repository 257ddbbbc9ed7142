package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
	"github.com/seed-19b57ce3/ota/internal/testserver"
)

// The documents' own commands, but for host and token.
func TestCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	c, e, url := testserver.Lifecycle(t, ota.ExecutorFunc(testserver.Quick), httpapi.Options{})
	run := func(command string, out any) string {
		t.Helper()
		command = strings.NewReplacer("{host}", url, "{token}", "ann-token", "curl ", `curl -sS -w '\n%{http_code}' `).Replace(command)
		var stderr bytes.Buffer
		cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
		cmd.Stderr = &stderr
		b, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, stderr.String())
		}
		body, status, _ := strings.Cut(string(b), "\n\n")
		if err := json.Unmarshal([]byte(body), out); err != nil {
			t.Fatalf("%v in %s", err, b)
		}
		return strings.TrimSpace(status)
	}
	const create = `curl -X POST '{host}/api/v1/lifecycle/upgrade-plans' -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' -d '{"name":"Upgrade agents to v1.3.0","fromVersion":"1.2.0","toVersion":"1.3.0","toRelease":"221","agentIds":"item1,item2","batchSize":10,"failureThreshold":0.1,"concurrency":5,"createdBy":"admin","observeDuration":"value"}'`
	var p wire.Plan
	if status := run(create, &p); status != "200" || p.Status != ota.StatusPending || len(p.Batches[0].Tasks) != 2 {
		t.Fatalf("got %s, %+v", status, p)
	}
	const rollback = `curl -X POST '{host}/api/v1/lifecycle/plans/rollback' -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' -d '{"sourcePlanUuid":"a1b2c3d4-e5f6-7890-abcd-ef1234567890","observeDuration":"value"}'`
	var problem wire.Problem
	if status := run(rollback, &problem); status != "404" {
		t.Fatalf("got %s, %+v", status, problem)
	}
	if status := run(strings.Replace(rollback, "a1b2c3d4-e5f6-7890-abcd-ef1234567890", p.ID, 1), &problem); status != "409" {
		t.Fatalf("got %s, %+v", status, problem)
	}
	if _, err := c.Start(t.Context(), p.ID, ota.Request{}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Wait(t.Context(), p.ID); err != nil {
		t.Fatal(err)
	}
	var r wire.RollbackAnswer
	if status := run(strings.Replace(rollback, "a1b2c3d4-e5f6-7890-abcd-ef1234567890", p.ID, 1), &r); status != "200" {
		t.Fatalf("got %s, %+v", status, r)
	}
	if r.Plan.SourcePlanUUID != p.ID || r.Plan.FromVersion != "1.3.0" || r.Plan.ToVersion != "1.2.0" || r.Warnings == nil || r.Plan.TotalAgents != 2 {
		t.Errorf("got %+v", r)
	}
}

// A client that does not read is cut off, and the plan goes on meanwhile.
func TestStalledWatcher(t *testing.T) {
	c, e, url := testserver.Lifecycle(t, ota.ExecutorFunc(testserver.Quick), httpapi.Options{Limits: httpapi.Limits{Write: 200 * time.Millisecond, Watchers: 1}})
	p, err := c.Create(t.Context(), ota.Spec{
		Name: "n", FromVersion: "1", ToVersion: "2", ToRelease: "2", Agents: ota.AgentIDs(names("ok", 60_000)...), Shape: ota.Shape{Size: 1000},
		Policy: ota.Policy{Concurrency: 100},
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	fmt.Fprintf(conn, "GET /api/v1/lifecycle/upgrade-plans/%s/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ann-token\r\n\r\n", p.ID)
	if _, err := c.Start(t.Context(), p.ID, ota.Request{}); err != nil {
		t.Fatal(err)
	}
	if p, err := e.Wait(t.Context(), p.ID); err != nil || p.Status != ota.StatusCompleted {
		t.Fatal(p.Status, err)
	}
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) { // its place is free once it is cut off
		for _, err = range c.Watch(watchOnce(t), p.ID, 0) {
			break
		}
		if err == nil {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatal("it was not cut off:", err)
		}
	}
}

func watchOnce(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// A body that drips in is refused once its time is over, and one that comes steadily is not.
func TestSlowBody(t *testing.T) {
	_, _, url := testserver.Lifecycle(t, ota.ExecutorFunc(testserver.Quick), httpapi.Options{Limits: httpapi.Limits{Slow: 200 * time.Millisecond}})
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /api/v1/lifecycle/upgrade-plans HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ann-token\r\nContent-Length: 1000\r\n\r\n{")
	go func() {
		for range 999 { // the whole body takes a minute at least
			time.Sleep(61 * time.Millisecond)
			if _, err := fmt.Fprint(conn, " "); err != nil {
				return
			}
		}
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("got %d", resp.StatusCode)
	}
}

// A client whose body does not come, and is not needed, is answered in time all the same, and the
// connection ends.
func TestUnreadBody(t *testing.T) {
	_, e, url := testserver.Lifecycle(t, ota.ExecutorFunc(testserver.Quick), httpapi.Options{Limits: httpapi.Limits{Slow: 50 * time.Millisecond, CreateBody: 10}})
	p, err := e.Create(t.Context(), ota.Spec{ID: "p", Name: "n", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("a")})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct{ method, path, want string }{
		{"GET", "/upgrade-plans", "HTTP/1.1 200 "},
		{"GET", "/upgrade-plans/" + p.ID, "HTTP/1.1 200 "},
		{"GET", "/upgrade-plans/" + p.ID + "/summary", "HTTP/1.1 200 "},
		{"GET", "/openapi.json", "HTTP/1.1 200 "},
		{"GET", "/nothing", "HTTP/1.1 404 "},
		{"PUT", "/upgrade-plans", "HTTP/1.1 405 "},
		{"POST", "/upgrade-plans", "HTTP/1.1 413 "}, // it is announced as too large
	} {
		answer := testserver.Stall(t, url, r.method, "/api/v1/lifecycle"+r.path, http.Header{"Authorization": {"Bearer ann-token"}}, "")
		if !strings.HasPrefix(answer, r.want) {
			t.Errorf("%s %s: got %q", r.method, r.path, answer)
		}
	}
}

func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s-%06d", prefix, i)
	}
	return out
}
