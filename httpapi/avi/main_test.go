package avi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/avi"
	"github.com/seed-19b57ce3/ota/internal/testserver"
	"github.com/seed-19b57ce3/ota/otatest"
)

var tokens = map[string]string{"ann-token": "ann", "bob-token": "bob"}

// world is a handler on a real port, over an engine that drives a simulated fleet.
type world struct {
	t      testing.TB
	url    string
	engine *ota.Engine
	fleet  *otatest.Fleet
	h      *avi.Handler
}

func newWorld(t testing.TB, opt avi.Options) *world {
	t.Helper()
	w := &world{t: t}
	w.engine, w.fleet = testserver.Engine(t, 0)
	if opt.Auth.Verify == nil {
		opt.Auth = httpapi.Tokens(tokens)
	}
	var err error
	if w.h, err = avi.New(w.engine, opt); err != nil {
		t.Fatal(err)
	}
	testserver.Run(t, w.h.Run)
	mux := http.NewServeMux()
	avi.Mount(mux, w.h)
	w.url = testserver.Serve(t, mux)
	return w
}

// plan makes a plan that is not started.
func (w *world) plan(agents []string, change func(*ota.Spec)) ota.Plan {
	w.t.Helper()
	spec := ota.Spec{Name: "node-1", FromVersion: "1.2.0", ToVersion: "1.3.0", Agents: ota.AgentIDs(agents...), Actor: "ann"}
	if change != nil {
		change(&spec)
	}
	p, err := w.engine.Create(w.t.Context(), spec)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// start starts a plan and waits until it is in this status.
func (w *world) start(id string, until ota.Status) ota.Plan {
	w.t.Helper()
	if _, err := w.engine.Start(w.t.Context(), id, ota.Request{Actor: "ann"}); err != nil {
		w.t.Fatal(err)
	}
	return w.until(id, until)
}

func (w *world) until(id string, want ota.Status) ota.Plan {
	w.t.Helper()
	for range 12_000 { // a minute
		p, err := w.engine.Plan(w.t.Context(), id)
		if err != nil {
			w.t.Fatal(err)
		}
		if p.Status == want {
			return p
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.t.Fatalf("plan %s did not come to be %s", id, want)
	return ota.Plan{}
}

// suspended makes a plan whose breach has paused it: one of its two batches of four has two
// failures.
func (w *world) suspended() ota.Plan {
	w.t.Helper()
	ids := append(otatest.IDs("fail-", 2), otatest.IDs("ok-", 6)...)
	p := w.plan(ids, func(s *ota.Spec) { s.Shape.Size = 4; s.Policy.Concurrency = 4; s.Policy.FailureThreshold = new(0.1) })
	return w.start(p.ID, ota.StatusPaused)
}

type answer struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

// send sends a request as ann, unless it has headers of its own.
func (w *world) send(method, path, body string, headers ...string) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if len(headers) == 0 {
		headers = []string{"Authorization", "Bearer ann-token"}
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	a, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	out := answer{status: a.StatusCode, header: a.Header, text: string(b)}
	if len(b) > 0 {
		out.body = decode(w.t, bytes.NewReader(b))
	}
	return out
}

func decode(t testing.TB, r io.Reader) (out map[string]any) {
	t.Helper()
	d := json.NewDecoder(r)
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

const root = "/api/upgradestatusinfo"

func (w *world) get(id string) map[string]any {
	w.t.Helper()
	a := w.send("GET", root+"/"+id, "")
	if a.status != 200 {
		w.t.Fatalf("GET %s: %d %s", id, a.status, a.text)
	}
	return a.body
}

func (w *world) patch(id, body string) answer {
	w.t.Helper()
	return w.send("PATCH", root+"/"+id, body)
}

// at follows names and indexes into a value.
func at(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			list, _ := v.([]any)
			if step >= len(list) {
				return nil
			}
			v = list[step]
		}
	}
	return v
}

// js is a value as JSON.
func js(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
