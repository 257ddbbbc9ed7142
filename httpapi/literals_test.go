package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/memstore"
)

// seen are the members and texts of many answers, by place.
type seen map[string]map[string]bool

func (s seen) add(place, what string) {
	if s[place] == nil {
		s[place] = map[string]bool{}
	}
	s[place][what] = true
}

// members adds the members of an object, and its texts as values of their places.
func (s seen) members(place string, v any) {
	m, _ := v.(map[string]any)
	for k, x := range m {
		s.add(place, k)
		if text, ok := x.(string); ok {
			s.add("value of "+k, text)
			s.add("value of "+place+" "+k, text)
		}
	}
}

func (s seen) plan(v any) {
	s.members("plan", v)
	m, _ := v.(map[string]any)
	batches, _ := m["batches"].([]any)
	for _, b := range batches {
		s.members("batch", b)
		tasks, _ := b.(map[string]any)["tasks"].([]any)
		for _, task := range tasks {
			s.members("task", task)
		}
	}
}

// Every member and every word in the examples of the two documents is sent, by the call that the
// document is about, in the life of one plan.
func TestLiterals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := minuteEngine(t)
		h, err := httpapi.New(e, httpapi.Options{Auth: httpapi.Open()})
		if err != nil {
			t.Fatal(err)
		}
		send := func(method, path, body string) map[string]any {
			t.Helper()
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest(method, "/api/v1/lifecycle"+path, strings.NewReader(body)))
			var v map[string]any
			if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil || rec.Code != 200 {
				t.Fatalf("%s %s: %d %s", method, path, rec.Code, rec.Body)
			}
			return v
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		follow := func(s seen, id string) {
			for range 20 {
				s.plan(send("GET", "/upgrade-plans/"+id, ""))
				time.Sleep(30 * time.Second)
			}
		}

		earlier := send("POST", "/upgrade-plans", `{"name":"earlier","fromVersion":"1.1.0","toVersion":"1.2.0","toRelease":"215","agentIds":["item1","item2"]}`)
		first, _ := earlier["id"].(string)
		send("POST", "/upgrade-plans/"+first+"/start", "")
		follow(seen{}, first)

		graduated := seen{}
		made := send("POST", "/upgrade-plans", `{"name":"Upgrade agents to v1.3.0","fromVersion":"1.2.0","toVersion":"1.3.0","toRelease":"221",
			"agentIds":"item1,fail,item2","batchSize":1,"failureThreshold":0.1,"concurrency":5,"createdBy":"admin","observeDuration":"value"}`)
		graduated.plan(made)
		id, _ := made["id"].(string)
		send("POST", "/upgrade-plans/"+id+"/start", "")
		follow(graduated, id)

		rollback := seen{}
		answer := send("POST", "/plans/rollback", `{"sourcePlanUuid":"`+strings.TrimPrefix(id, "plan-")+`","observeDuration":"value"}`)
		rollback.members("answer", answer)
		rollback.plan(answer["plan"])
		plan, _ := answer["plan"].(map[string]any)
		back, _ := plan["id"].(string)
		send("POST", "/upgrade-plans/"+back+"/start", "")
		rollback.plan(send("GET", "/upgrade-plans/"+back, "")) // its only batch runs to its end
		send("POST", "/upgrade-plans/"+back+"/pause", "")
		follow(rollback, back)
		send("POST", "/upgrade-plans/"+back+"/resume", "")
		follow(rollback, back)
		follow(graduated, id)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		compare(t, "graduated", graduated, "plan sourcePlanUuid")
		// A rollback of this plan does not fail, and its tasks are rollbacks.
		compare(t, "rollback", rollback, "plan error", "value of taskType update", "value of pauseReason Failure threshold exceeded", "value of error upgrade failed: ")
	})
}

// minuteEngine upgrades an agent in a minute. The agent "fail" fails.
func minuteEngine(t *testing.T) *ota.Engine {
	t.Helper()
	e, err := ota.New(memstore.New(), ota.ExecutorFunc(func(ctx context.Context, a ota.Attempt) (ota.Result, error) {
		select {
		case <-time.After(time.Minute):
		case <-ctx.Done():
		}
		if a.Agent == "fail" && !a.IsRollback {
			return ota.Result{}, errors.New("timeout")
		}
		return ota.Result{Version: a.ToVersion}, nil
	}), ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// compare checks that everything in the table was sent, but for what this plan does not have.
func compare(t *testing.T, table string, got seen, but ...string) {
	t.Helper()
	b, err := os.ReadFile("testdata/literals/" + table + ".tsv")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") {
			continue
		}
		rows++
		place, want := cells[1], cells[2]
		found := got[place][want]
		for text := range got[place] {
			found = found || strings.HasPrefix(place, "value of ") && strings.HasPrefix(text, want)
		}
		left := false
		for _, x := range but {
			left = left || x == place+" "+want
		}
		if found == left {
			t.Errorf("%s, %s: %s %s: sent is %v", table, cells[0], place, want, found)
		}
	}
	if rows < 43 {
		t.Errorf("%s has %d rows", table, rows)
	}
}
