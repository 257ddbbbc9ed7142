package client_test

import (
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/client"
)

// by is who calls in these tests. The server knows the actor by the token.
var by = ota.Request{Reason: "because", ID: "key"}

// methods has a test of each method of Client against a real server.
var methods = map[string]func(*world){
	"Create": func(w *world) {
		p, err := w.c.Create(w.ctx, spec("ok-1", "ok-2"))
		w.ok(err)
		if got := w.stored(p.ID); got.Agents != 2 || got.CreatedBy != "ann" {
			w.t.Errorf("made %+v", got)
		}
	},
	"Preview": func(w *world) {
		p, err := w.c.Preview(w.ctx, spec("ok-1", "ok-2"), time.Second)
		if w.ok(err); p.TotalAgents != 2 || p.Duration == 0 {
			w.t.Errorf("got %+v", p)
		}
	},
	"Plan": func(w *world) {
		id := w.create(ota.Policy{}, "ok-1")
		p, err := w.c.Plan(w.ctx, id)
		if w.ok(err); p.ID != id || p.Batches != nil || p.Generation != w.stored(id).Generation {
			w.t.Errorf("got %+v", p)
		}
	},
	"Detail": func(w *world) {
		p, err := w.c.Detail(w.ctx, w.create(ota.Policy{}, "ok-1"))
		if w.ok(err); len(p.Batches) != 1 || p.Batches[0].Tasks[0].AgentID != "ok-1" {
			w.t.Errorf("got %+v", p)
		}
	},
	"Plans": func(w *world) {
		id := w.create(ota.Policy{}, "ok-1")
		list, err := w.c.Plans(w.ctx, client.PlanQuery{Status: []ota.Status{ota.StatusPending}})
		if w.ok(err); list.Total != 1 || list.Items[0].ID != id {
			w.t.Errorf("got %+v", list)
		}
	},
	"Summary": func(w *world) {
		s, err := w.c.Summary(w.ctx, w.create(ota.Policy{}, "ok-1", "ok-2"))
		if w.ok(err); s.TotalAgents != 2 || s.PendingCount != 2 {
			w.t.Errorf("got %+v", s)
		}
	},
	"Explain": func(w *world) {
		x, err := w.c.Explain(w.ctx, w.create(ota.Policy{}, "ok-1"))
		if w.ok(err); x.Status != ota.StatusPending || x.Blockers[0].Verb != "start" {
			w.t.Errorf("got %+v", x)
		}
	},
	"Tasks": func(w *world) {
		var agents []string
		for task, err := range w.c.Tasks(w.ctx, w.create(ota.Policy{}, "ok-1", "ok-2")) {
			w.ok(err)
			agents = append(agents, task.AgentID)
		}
		if !slices.Equal(agents, []string{"ok-1", "ok-2"}) {
			w.t.Errorf("got %q", agents)
		}
	},
	"History": func(w *world) {
		id := w.ended("ok-1")
		list, err := w.c.History(w.ctx, client.HistoryQuery{PlanID: id, Status: "completed"})
		if w.ok(err); list.Total != 1 || list.Items[0].AgentID != "ok-1" {
			w.t.Errorf("got %+v", list)
		}
	},
	"HistoryLogs": func(w *world) {
		list, err := w.c.History(w.ctx, client.HistoryQuery{PlanID: w.ended("fail-1")})
		w.ok(err)
		h, err := w.c.HistoryLogs(w.ctx, list.Items[0].UUID)
		w.ok(err)
		if h.UUID != list.Items[0].UUID || !strings.Contains(h.Logs, "disk full") || h.CreateDate.IsZero() {
			w.t.Errorf("got %+v", h)
		}
	},
	"Start": func(w *world) {
		id := w.create(ota.Policy{}, "ok-1")
		p, err := w.c.Start(w.ctx, id, by)
		w.did(p, err, id, ota.EventStarted)
	},
	"Pause": func(w *world) {
		id := w.busy("wait-1")
		p, err := w.c.Pause(w.ctx, id, by)
		w.did(p, err, id, ota.EventPaused)
	},
	"Resume": func(w *world) {
		id := w.busy("wait-1")
		_, err := w.e.Pause(w.ctx, id, ota.Request{})
		w.ok(err)
		p, err := w.c.Resume(w.ctx, id, client.Decision{}, by)
		w.did(p, err, id, ota.EventResumed)
		for _, d := range []client.Decision{
			{Word: "accept", Failed: 1}, {Word: "retry"}, {Word: "raise", FailureThreshold: 1},
		} {
			id := w.breached()
			p, err := w.c.Resume(w.ctx, id, d, ota.Request{Reason: by.Reason})
			w.did(p, err, id, ota.EventResumed)
		}
	},
	"Cancel": func(w *world) {
		for interrupt, reason := range map[bool]ota.Reason{
			true: ota.ReasonInterrupted, false: ota.ReasonNone,
		} {
			id := w.create(ota.Policy{}, "ok-1")
			p, err := w.c.Cancel(w.ctx, id, interrupt, by)
			if got := w.did(p, err, id, ota.EventCanceled); got.Reason != reason {
				w.t.Errorf("interrupt %v: got %+v", interrupt, got)
			}
		}
	},
	"Promote": func(w *world) {
		for asked, want := range map[int]int{1: 1, -1: 0} {
			id := w.create(ota.Policy{Hold: ota.Hold{All: true, Batches: []int{1}}}, w.new("ok"), w.new("ok"))
			_, err := w.e.Start(w.ctx, id, ota.Request{})
			w.ok(err)
			w.until(id, ota.EventStarted)
			p, err := w.c.Promote(w.ctx, id, asked, ota.Request{Reason: by.Reason})
			if got := w.did(p, err, id, ota.EventPromoted); asked == want && got.Batch != want {
				w.t.Errorf("batch %d: got %+v", asked, got)
			}
		}
	},
	"Skip": func(w *world) {
		id := w.create(ota.Policy{}, "ok-1", "ok-2")
		p, err := w.c.Skip(w.ctx, id, []string{"ok-2"}, by)
		w.did(p, err, id, ota.EventOrdered)
		_, err = w.e.Start(w.ctx, id, ota.Request{})
		w.ok(err)
		if got := w.until(id, ota.EventTaskSkipped); got.Agent != "ok-2" {
			w.t.Errorf("got %+v", got)
		}
	},
	"Retry": func(w *world) {
		for _, agents := range [][]string{nil, {"fail-1"}} {
			id := w.busy("fail-1", "wait-1")
			w.until(id, ota.EventTaskFailed)
			p, err := w.c.Retry(w.ctx, id, agents, ota.Request{Reason: by.Reason})
			w.did(p, err, id, ota.EventOrdered)
			if got := w.until(id, ota.EventTaskRetried); got.Agent != "fail-1" {
				w.t.Errorf("got %+v", got)
			}
			_, err = w.e.Cancel(w.ctx, id, true, ota.Request{})
			w.ok(err)
			_, err = w.e.Wait(w.ctx, id)
			w.ok(err)
		}
	},
	"Now": func(w *world) {
		id := w.create(ota.Policy{Hold: ota.Hold{All: true}}, w.new("ok"), w.new("ok"))
		_, err := w.e.Start(w.ctx, id, ota.Request{})
		w.ok(err)
		agents, err := w.e.Agents(w.ctx, id, ota.AgentQuery{})
		w.ok(err)
		last := agents.Items[len(agents.Items)-1].ID
		p, err := w.c.Now(w.ctx, id, []string{last}, by)
		w.did(p, err, id, ota.EventOrdered)
		if got := w.until(id, ota.EventTaskWaiting); got.Agent != last || got.Reason != ota.ReasonOperator {
			w.t.Errorf("got %+v", got)
		}
	},
	"GiveUp": func(w *world) {
		id := w.busy("wait-1")
		w.until(id, ota.EventTaskStarted)
		p, err := w.c.GiveUp(w.ctx, id, []string{"wait-1"}, by)
		w.did(p, err, id, ota.EventOrdered)
		if got := w.until(id, ota.EventTaskUnknown); got.Agent != "wait-1" || got.Reason != ota.ReasonOperator {
			w.t.Errorf("got %+v", got)
		}
	},
	"Edit": func(w *world) {
		id := w.create(ota.Policy{Concurrency: 9}, "ok-1")
		p, err := w.c.Edit(w.ctx, id, map[string]any{"concurrency": 3}, by)
		w.did(p, err, id, ota.EventEdited)
		if got := w.stored(id).Policy.Concurrency; got != 3 {
			w.t.Errorf("the concurrency is %d", got)
		}
		id = w.busy("wait-1")
		w.until(id, ota.EventTaskStarted)
		p, err = w.c.Edit(w.ctx, id, map[string]any{"attemptLimit": "1m"}, by)
		if w.ok(err); !strings.Contains(strings.Join(p.Warnings, "\n"), "1 call in flight keeps the old limit") {
			w.t.Errorf("the answer has the warnings %q", p.Warnings)
		}
	},
	"CreateRollback": func(w *world) {
		id := w.ended("ok-1")
		r, err := w.c.CreateRollback(w.ctx, id, "10s", map[string]any{"name": "back"}, by)
		if w.ok(err); r.Plan.SourcePlanUUID != id || r.Plan.Name != "back" || r.Plan.ETag == "" {
			w.t.Errorf("got %+v", r)
		}
		w.until(id, ota.EventFrozen)
	},
	"Downgrade": func(w *world) {
		p, err := w.c.Downgrade(w.ctx, "down", to("p", "1.9", "19"), []string{"ok-1"},
			map[string]any{"batchSize": 1, "observeDuration": "0s"})
		w.ok(err)
		if got := w.stored(p.ID); got.ToVersion != "1.9" || got.Agents != 1 {
			w.t.Errorf("made %+v", got)
		}
	},
	"Rollback": func(w *world) {
		id := w.ended("ok-1")
		p, err := w.c.Rollback(w.ctx, id, map[string]any{"name": "back"}, by)
		if w.ok(err); p.SourcePlanUUID != id || p.Name != "back" {
			w.t.Errorf("got %+v", p)
		}
		if got := w.until(p.ID, ota.EventStarted); got.Actor != "ann" {
			w.t.Errorf("got %+v", got)
		}
	},
	"Precheck": func(w *world) {
		id := w.create(ota.Policy{}, "full-1")
		p, err := w.c.Precheck(w.ctx, id, "executor", ota.Request{Reason: by.Reason})
		if w.ok(err); p.Allowed || len(p.Items) != 1 {
			w.t.Errorf("got %+v", p)
		}
		w.until(id, ota.EventPrechecked)
	},
	"ReportHealth": func(w *world) {
		id := w.create(ota.Policy{Soak: ota.Soak{Duration: time.Hour, Grace: time.Hour}}, "ok-1")
		_, err := w.e.Start(w.ctx, id, ota.Request{})
		w.ok(err)
		w.until(id, ota.EventBatchSoaking)
		w.ok(w.c.ReportHealth(w.ctx, id, []ota.HealthReport{{Agent: "ok-1", Reason: "no heartbeat"}}))
		if got := w.until(id, ota.EventHealth); got.Agent != "ok-1" {
			w.t.Errorf("got %+v", got)
		}
	},
	"ReportOutcomes": func(w *world) {
		id := w.busy("wait-1")
		r := ota.ReportOf(w.begun(id), ota.Result{Version: "2"}, nil)
		w.ok(w.c.ReportOutcomes(w.ctx, id, []ota.OutcomeReport{r}))
		w.until(id, ota.EventTaskSucceeded)
	},
	"ReportOutcome": func(w *world) {
		id := w.busy("wait-1")
		w.ok(w.c.ReportOutcome(w.ctx, w.begun(id).Key(), ota.Result{Version: "2"}, nil))
		w.until(id, ota.EventTaskSucceeded)
	},
	"Watch": func(w *world) {
		id, last := w.ended("ok-1"), uint64(0)
		for rec, err := range w.c.Watch(w.ctx, id, 0) {
			w.ok(err)
			last = rec.Revision
		}
		if want := endOf(w.t, w.e, id); last != want {
			w.t.Errorf("the last of %d records was %d", want, last)
		}
	},
}

// Every method of Client has a test against a server, and together they call every operation.
func TestEveryMethod(t *testing.T) {
	var mu sync.Mutex
	called := map[string]bool{}
	for m := range reflect.TypeFor[*client.Client]().Methods() {
		if methods[m.Name] == nil {
			t.Errorf("there is no test of Client.%s", m.Name)
		}
	}
	for name, test := range methods {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				called[r.Method+" "+r.URL.Path] = true
			})
			test(w)
		})
	}
	h := newWorld(t, nil).h
	for r := range h.Routes() {
		pattern := regexp.MustCompile("^" + r.Method + " " +
			regexp.MustCompile(`\{\w+\}`).ReplaceAllString(r.Pattern, "[^/]+") + "$")
		if r.Operation == "GetOpenAPI" { // the document itself
			continue
		}
		found := false
		for request := range called {
			found = found || pattern.MatchString(request)
		}
		if !found {
			t.Errorf("no method of Client calls %s", r.Operation)
		}
	}
}
