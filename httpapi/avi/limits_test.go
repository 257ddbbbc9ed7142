package avi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/avi"
	"github.com/seed-19b57ce3/ota/internal/testserver"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

// Lists of agents are cut, and the exact counts are told beside them.
func TestLongLists(t *testing.T) {
	w := newWorld(t, avi.Options{})
	p := w.plan(otatest.IDs("ok-", 1500), func(s *ota.Spec) { s.Shape.Size = 1 })
	o := w.get(p.ID)
	refs, _ := at(o, "seg_status", "se_upgrade_not_started").([]any)
	notes, _ := at(o, "seg_status", "notes", 1).(string)
	if len(refs) != 1000 || refs[999] != "/api/serviceengine/ok-1000" || !strings.HasSuffix(notes, "1500 not started") {
		t.Errorf("%d are named, and told is %q", len(refs), notes)
	}
}

// Of a plan with a long past only its newest records are read, and what it tells itself stands in
// for the rest.
func TestLongLog(t *testing.T) {
	w := newWorld(t, avi.Options{})
	p := w.plan(otatest.IDs("ok-", 1), nil)
	for i := range 10_001 {
		if _, err := w.engine.Annotate(t.Context(), p.ID, map[string]string{"a": strconv.Itoa(i)}, nil, ota.Request{}); err != nil {
			t.Fatal(err)
		}
	}
	last := time.Time{}
	for rec, err := range w.engine.Watch(t.Context(), p.ID, 10_001) {
		if err != nil {
			t.Fatal(err)
		}
		last = rec.At
		break
	}
	expect(t, w.get(p.ID), map[string]string{
		"_last_modified":                js(strconv.FormatInt(last.UnixMicro(), 10)),
		"state.last_changed_time.secs":  strconv.FormatInt(p.CreatedAt.Unix(), 10),
		"state.last_changed_time.usecs": strconv.Itoa(p.CreatedAt.Nanosecond() / 1000),
	})
}

// A client whose body does not come is answered in time, also where nobody reads it, and the
// connection ends.
func TestSlowBody(t *testing.T) {
	w := newWorld(t, avi.Options{Limits: httpapi.RequestLimits{Slow: 50 * time.Millisecond}})
	p := w.plan(otatest.IDs("ok-", 1), nil)
	for _, c := range []struct{ method, path, body, want string }{
		{"PATCH", root + "/" + p.ID, "{", "HTTP/1.1 408 "},
		{"GET", root + "/" + p.ID, "", "HTTP/1.1 200 "},
		{"GET", root, "{", "HTTP/1.1 200 "},
		{"GET", "/api/cluster/status", "", "HTTP/1.1 200 "},
		{"POST", "/logout", "", "HTTP/1.1 200 "},
		{"POST", root, "", "HTTP/1.1 405 "},
	} {
		answer := testserver.Stall(t, w.url, c.method, c.path, http.Header{"Authorization": {"Bearer ann-token"}}, c.body)
		if !strings.HasPrefix(answer, c.want) {
			t.Errorf("%s %s: got %q", c.method, c.path, answer)
		}
	}
}

// What depends on the clock: a closed window is waiting, an observed batch is not, and a duration
// goes on until the end.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := ota.New(memstore.New(), otatest.NewFleet(otatest.Options{Latency: time.Minute}), ota.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		h, err := avi.New(e, avi.Options{Auth: httpapi.Open()})
		if err != nil {
			t.Fatal(err)
		}
		patch := func(id, body string) map[string]any {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest(http.MethodPatch, root+"/"+id, strings.NewReader(body)))
			if rec.Code != 200 {
				t.Fatalf("%d %s", rec.Code, rec.Body)
			}
			return decode(t, rec.Body)
		}
		start := func(s ota.Spec) string {
			s.Name, s.FromVersion, s.ToVersion, s.Agents = "n", "1", "2", ota.AgentIDs("ok-"+s.ID)
			if s.Policy.Concurrency == 1 {
				s.Agents = ota.AgentIDs("ok-1"+s.ID, "ok-2"+s.ID)
			}
			p, err := e.Create(ctx, s)
			if err == nil {
				_, err = e.Start(ctx, p.ID, ota.Request{})
			}
			if err != nil {
				t.Fatal(err)
			}
			return p.ID
		}
		// The bubble's clock begins at midnight.
		windowed := start(ota.Spec{ID: "w", Policy: ota.Policy{Windows: []ota.Window{{Start: 2 * time.Hour, Length: time.Hour}}}})
		observed := start(ota.Spec{ID: "o", Policy: ota.Policy{Soak: ota.Soak{Duration: time.Hour, Interval: time.Minute}}})
		closing := start(ota.Spec{ID: "c", Policy: ota.Policy{Windows: []ota.Window{{Length: 20 * time.Second}}, Concurrency: 1}})
		time.Sleep(30 * time.Second)
		expect(t, patch(closing, `{}`), map[string]string{"state.state": `"UPGRADE_FSM_IN_PROGRESS"`}) // it has closed, but a call is out
		expect(t, patch(windowed, `{}`), map[string]string{"state.state": `"UPGRADE_FSM_WAITING"`, "duration": "30"})
		expect(t, patch(observed, `{}`), map[string]string{"state.state": `"UPGRADE_FSM_IN_PROGRESS"`, "progress": "0"})
		time.Sleep(time.Hour)
		expect(t, patch(closing, `{}`), map[string]string{"state.state": `"UPGRADE_FSM_WAITING"`, "progress": "50"})
		expect(t, patch(observed, `{}`), map[string]string{
			"state.state": `"UPGRADE_FSM_IN_PROGRESS"`, "seg_status.state": `"SE_UPGRADE_IN_PROGRESS"`, "duration": "3630", "progress": "100",
			"upgrade_events.0.sub_events.0.duration": "60",
		})
		time.Sleep(2 * time.Hour)
		expect(t, patch(windowed, `{}`), map[string]string{
			"state.state": `"UPGRADE_FSM_COMPLETED"`, "duration": "7260", "seg_status.duration": `"7260"`,
			"start_time": `"2000-01-01 00:00:00"`, "end_time": `"2000-01-01 02:01:00"`, "state.last_changed_time.usecs": "0",
			"state.last_changed_time.secs": "946692060",
		})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
