package main

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/examples/internal/program"
	"github.com/seed-19b57ce3/ota/httpapi/client"
	"github.com/seed-19b57ce3/ota/otatest"
	"github.com/seed-19b57ce3/ota/sqlstore/pgtest"
)

// Runs the commands of docs/http.md in order, except those that start a program.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	text, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		whole := regexp.MustCompile(`\\?\n  +`).ReplaceAllString(block[1], " ") // an indented line continues a command
		lines = append(lines, strings.Split(strings.TrimSpace(whole), "\n")...)
	}
	s := start(t, "-addr", "127.0.0.1:0", "-token", "T", "-latency", "200ms", "-db", filepath.Join(t.TempDir(), "ota.db"))
	id, code, said := "", "", map[string]int{}
	for _, line := range lines {
		switch {
		case strings.HasPrefix(line, "#"):
			if _, what, wait := strings.Cut(line, `once explain says "`); wait {
				what, _, _ = strings.Cut(what, `"`)
				s.await(t, `curl "$H/api/v1/lifecycle/upgrade-plans/`+id+`/explain" -H "Authorization: Bearer $T"`, `"`+what+`"`)
			}
			if strings.Contains(line, "refused with 409") {
				code = "breach"
			}
		case strings.HasPrefix(line, "curl "):
			if made := s.documented(t, id, line, code); made != "" {
				id = made
			}
			code = ""
			_, verb, _ := strings.Cut(line, "/$ID")
			verb, _, _ = strings.Cut(verb, `"`)
			said[verb]++
		case !strings.HasPrefix(line, "go run "):
			t.Errorf("what is %q?", line)
		}
	}
	for _, verb := range []string{"", "/start", "/pause", "/resume", "/cancel", "/promote", "/skip", "/retry", "/rollback", "/reports", "/health", "/precheck"} {
		if said[verb] == 0 {
			t.Errorf("docs/http.md has no command for %q", verb)
		}
	}
	s.stop(t)
}

// documented runs one command of the documentation, checks the documented status, and returns the
// ID of the plan that it made.
func (s *server) documented(t *testing.T, id, command, code string) string {
	t.Helper()
	out := s.curl(t, id, strings.Replace(command, "curl -N", "curl --max-time 5 -N", 1))
	if strings.Contains(command, "/events") {
		if !strings.Contains(out, "id: 1\n") || !strings.Contains(out, `"kind":"batch_observing"`) {
			t.Errorf("%s\ngot %s", command, out)
		}
		return ""
	}
	var p struct {
		ID   string
		Code string
	}
	if json.Unmarshal([]byte(out), &p) != nil || p.Code != code {
		t.Errorf("%s\ngot %s", command, out)
	}
	if strings.Contains(command, `/upgrade-plans" `) {
		return p.ID
	}
	return ""
}

// Killed in the middle of a plan and started again, several times, the server continues the plan.
// Each watcher sees every event once.
func TestKill(t *testing.T) {
	for name, db := range map[string]func(*testing.T) string{
		"SQLite":     func(t *testing.T) string { return filepath.Join(t.TempDir(), "ota.db") },
		"PostgreSQL": func(t *testing.T) string { return pgtest.Empty(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			killAndStart(t, db(t))
		})
	}
}

func killAndStart(t *testing.T, db string) {
	const agents, kills = 400, 4
	args := []string{"-addr", "127.0.0.1:0", "-db", db, "-token", "T", "-latency", "100ms"}
	s := start(t, args...)
	args[1] = strings.TrimPrefix(s.url, "http://") // the same port from now on, so that the watcher finds it again
	c := s.client(t, "T")
	p, err := c.Create(t.Context(), ota.Spec{
		Name: "n", FromVersion: "1", ToVersion: "2", ToRelease: "2", Agents: ota.AgentIDs(otatest.IDs("ok-", agents)...),
		Shape: ota.Shape{Size: 100}, Policy: ota.Policy{Concurrency: 4},
	})
	if err != nil {
		t.Fatal(err)
	}
	records := make(chan ota.Record, 1000)
	go func() {
		defer close(records)
		for rec, err := range c.Watch(t.Context(), p.ID, 0) {
			if t.Context().Err() != nil {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			records <- rec
		}
	}()
	if _, err := c.Start(t.Context(), p.ID, ota.Request{}); err != nil {
		t.Fatal(err)
	}
	for range kills {
		time.Sleep(100*time.Millisecond + rand.N(500*time.Millisecond))
		s.kill(t)
		killed := time.Now()
		s = start(t, args...)
		for rec := range records { // its first commit takes the plan over
			if rec.Status.Ended() {
				t.Fatal("the plan ended before it was killed in the middle")
			}
			if rec.At.After(killed) && slices.ContainsFunc(rec.Events, func(e ota.Event) bool { return e.Kind == ota.EventOwned }) {
				break
			}
		}
	}
	if p, err = c.Plan(t.Context(), p.ID); err != nil || p.Status != ota.StatusRunning {
		t.Fatal("the plan is not running any more, so it was not in the middle:", p.Status, err)
	}
	if _, err := c.Edit(t.Context(), p.ID, map[string]any{"concurrency": 50}, ota.Request{Reason: "it has been killed enough"}); err != nil {
		t.Fatal(err)
	}
	for rec := range records {
		if rec.Status.Ended() && rec.Status != ota.StatusCompleted {
			t.Errorf("it ended as %s", rec.Status)
		}
	}
	whole(t, c, p.ID, agents)
	s.stop(t)
}

// whole checks that a completed plan's log has each event once.
func whole(t *testing.T, c *client.Client, id string, agents int) {
	t.Helper()
	n := uint64(0)
	ended, started := map[string]int{}, map[string]int{}
	for rec, err := range c.Watch(t.Context(), id, 0) {
		if n++; err != nil || rec.Revision != n {
			t.Fatalf("record %d is number %d: %v", n, rec.Revision, err)
		}
		for _, e := range rec.Events {
			switch e.Kind {
			case ota.EventTaskStarted:
				started[e.Agent]++
			case ota.EventTaskSucceeded:
				ended[e.Agent]++
			}
		}
	}
	for _, agent := range otatest.IDs("ok-", agents) {
		if started[agent] != 1 || ended[agent] != 1 {
			t.Errorf("%s was started %d times and succeeded %d times", agent, started[agent], ended[agent])
		}
	}
	sum, err := c.Summary(t.Context(), id)
	if err != nil || sum.CompletedCount != agents || sum.Status != ota.StatusCompleted {
		t.Errorf("got %+v, %v", sum, err)
	}
}

// A server that gets a stop signal ends, with watchers, with working agents, and with an agent that
// ignores the signal.
func TestStop(t *testing.T) {
	t.Parallel()
	s := start(t, "-addr", "127.0.0.1:0", "-open", "-latency", "1m")
	c := s.client(t, "T")
	p, err := c.Create(t.Context(), ota.Spec{
		Name: "n", FromVersion: "1", ToVersion: "2", ToRelease: "2", Agents: ota.AgentIDs("ok-1", "stuck-1"),
	})
	if err == nil {
		_, err = c.Start(t.Context(), p.ID, ota.Request{})
	}
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(s.url + "/api/v1/lifecycle/upgrade-plans/" + p.ID + "/events")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	defer resp.Body.Close()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if p, err := c.Summary(t.Context(), p.ID); err == nil && p.RunningCount == 2 {
			break
		} else if time.Since(began) > time.Minute {
			t.Fatal(p, err)
		}
	}
	s.stop(t)
	if !strings.Contains(s.log.String(), "left behind") {
		t.Errorf("it logged %q", s.log.String())
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	s := start(t, "-addr", "127.0.0.1:0", "-token", "T")
	for token, want := range map[string]int{"T": 200, "": 401, "t": 401} {
		r, err := http.NewRequest(http.MethodGet, s.url+"/api/v1/lifecycle/upgrade-plans", nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("with the token %q: %s", token, resp.Status)
		}
	}
	again := program.Command("-addr", strings.TrimPrefix(s.url, "http://"), "-token", "T")
	if out, err := again.CombinedOutput(); err == nil || !strings.Contains(string(out), "address already in use") {
		t.Errorf("a second one on the same port: %v, %s", err, out)
	}
	s.stop(t)
}

func TestFlags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, want string }{
		{"", "-token is missing"},
		{"-token T -open", "exclude each other"},
		{"-open x", "no arguments"},
		{"-open -latency -1s", "is negative"},
		{"-open -sick-after 0s", "is not positive"},
		{"-open -name=", "-name is empty"},
		{"-open -app a", "has no agents"},
		{"-open -app a=", "is empty or there twice"},
		{"-open -app =x", "is no name"},
		{"-open -app a=x -app a=y", "is there twice"},
	} {
		var usage strings.Builder
		if _, err := parseFlags(strings.Fields(c.args), &usage); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.args, err, c.want)
		}
	}
	c, err := parseFlags(strings.Fields("-open -app myapp/app1=a,b -app b=c"), nil)
	if err != nil || len(c.apps) != 2 || len(c.apps["fabric:/myapp/app1"].UpgradeDomains) != 2 {
		t.Errorf("got %v, %v", c.apps, err)
	}
}
