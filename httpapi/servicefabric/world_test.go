package servicefabric_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/servicefabric"
	"github.com/seed-19b57ce3/ota/internal/testserver"
	"github.com/seed-19b57ce3/ota/otatest"
)

// world is an engine over a simulated fleet, with a handler in front.
type world struct {
	t      *testing.T
	engine *ota.Engine
	fleet  *otatest.Fleet
	h      *servicefabric.Handler
	do     func(*http.Request) (int, []byte)
}

const app = "/Applications/myapp~app1/$/"

func apps(t testing.TB, agents ...string) servicefabric.Apps {
	t.Helper()
	a := servicefabric.Apps{}
	if err := a.Add("myapp/app1", agents...); err != nil {
		t.Fatal(err)
	}
	return a
}

// newWorld serves an application with these agents without a network, so that it may be in a bubble
// of virtual time.
func newWorld(t *testing.T, latency time.Duration, agents ...string) *world {
	t.Helper()
	w := &world{t: t}
	w.engine, w.fleet = testserver.Engine(t, latency)
	w.handler(servicefabric.Options{Inventory: apps(t, agents...)})
	testserver.Run(t, w.h.Run)
	return w
}

// handler makes a handler and sends requests to it from now on.
func (w *world) handler(opt servicefabric.Options) {
	w.t.Helper()
	if opt.Auth.Verify == nil {
		opt.Auth = httpapi.Tokens(map[string]string{"ann-token": "ann", "eve-token": "eve"})
	}
	var err error
	if w.h, err = servicefabric.New(w.engine, opt); err != nil {
		w.t.Fatal(err)
	}
	w.do = func(r *http.Request) (int, []byte) {
		rec := httptest.NewRecorder()
		w.h.ServeHTTP(rec, r)
		return rec.Code, rec.Body.Bytes()
	}
}

// listen puts the handler on a real port, beside pages of a host.
func (w *world) listen() string {
	w.t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{any...}", func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "the host's own") })
	servicefabric.Mount(mux, w.h)
	url := testserver.Serve(w.t, mux)
	client := &http.Client{Transport: &http.Transport{}}
	w.t.Cleanup(client.CloseIdleConnections)
	w.do = func(r *http.Request) (int, []byte) {
		r.URL.Scheme, r.URL.Host, r.RequestURI = "http", strings.TrimPrefix(url, "http://"), ""
		answer, err := client.Do(r)
		if err != nil {
			w.t.Error(err)
			return 0, nil
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			w.t.Error(err)
		}
		if typ := answer.Header.Get("Content-Type"); typ != "application/json; charset=utf-8" && !bytes.HasPrefix(body, []byte("the host's")) {
			w.t.Errorf("%s %s: Content-Type %q", r.Method, r.URL, typ)
		}
		return answer.StatusCode, body
	}
	return url
}

// send sends one request of ann's and returns the status and the error's code and message.
func (w *world) send(method, path, body string) (status int, code, message string) {
	w.t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer ann-token")
	status, b := w.do(r)
	if status == http.StatusOK {
		if len(b) > 0 && method == http.MethodPost {
			w.t.Errorf("%s %s: got a body: %s", method, path, b)
		}
		return status, "", ""
	}
	var e struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal(b, &e); err != nil || e.Error.Code == "" || e.Error.Message == "" {
		w.t.Errorf("%s %s: %d is no FabricError: %s (%v)", method, path, status, b, err)
	}
	return status, e.Error.Code, e.Error.Message
}

// post says one call and compares the code, "" for success.
func (w *world) post(call, body, want string) {
	w.t.Helper()
	if status, code, message := w.send(http.MethodPost, app+call+"?api-version=6.0", body); code != want {
		w.t.Fatalf("%s: got %d %s %s, want %q", call, status, code, message, want)
	}
}

// state is what the tests look at of a progress.
type state struct {
	Name, TypeName, TargetApplicationTypeVersion, UpgradeState, NextUpgradeDomain, RollingUpgradeMode string

	UpgradeDomains     []struct{ Name, State string }
	UpgradeDescription struct {
		Name, TargetApplicationTypeVersion, RollingUpgradeMode string
		ForceRestart                                           bool
		Parameters                                             []struct{ Key, Value string }
		MonitoringPolicy                                       map[string]any
	}
	UpgradeDurationInMilliseconds, UpgradeDomainDurationInMilliseconds string

	UnhealthyEvaluations []struct {
		HealthEvaluation struct{ Kind, Description, AggregatedHealthState string }
	}
	CurrentUpgradeDomainProgress, UpgradeDomainProgressAtFailure struct {
		DomainName              string
		NodeUpgradeProgressList []struct{ NodeName, UpgradePhase string }
	}
	StartTimestampUtc, FailureTimestampUtc, FailureReason, UpgradeStatusDetails string
}

func (s *state) domains() string {
	var list []string
	for _, d := range s.UpgradeDomains {
		list = append(list, d.Name+" "+d.State)
	}
	return strings.Join(list, ", ")
}

func (w *world) progress() state {
	w.t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, app+"GetUpgradeProgress?api-version=6.0", nil)
	r.Header.Set("Authorization", "Bearer ann-token")
	status, b := w.do(r)
	var s state
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&s); err != nil || status != http.StatusOK {
		w.t.Fatalf("%d %s: %v", status, b, err)
	}
	if bytes.Contains(b, []byte("null")) {
		w.t.Fatalf("there is a null in %s", b)
	}
	return s
}

// wait waits until the progress is as wanted.
func (w *world) wait(what string, ok func(*state) bool) state {
	w.t.Helper()
	var s state
	for range 6000 { // a minute
		if s = w.progress(); ok(&s) {
			return s
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatalf("never %s: %+v", what, s)
	return s
}

func (w *world) waitState(want string) state {
	w.t.Helper()
	return w.wait(want, func(s *state) bool { return s.UpgradeState == want })
}

// all fails the test unless every one of these agents runs the version.
func (w *world) all(version string, agents ...string) {
	w.t.Helper()
	for _, a := range agents {
		if v := w.fleet.Version(a); v != version {
			w.t.Errorf("%s runs %q, want %q", a, v, version)
		}
	}
}

// plans returns the plans of the application, newest first.
func (w *world) plans() []ota.Plan {
	w.t.Helper()
	page, err := w.engine.Plans(context.Background(), ota.PlanQuery{Labels: map[string]string{"servicefabric.application": "fabric:/myapp/app1"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return slices.DeleteFunc(page.Items, func(p ota.Plan) bool { return p.Source != "" })
}

// describe is a description, with more members if they are given.
func describe(version, mode string, more ...string) string {
	s := `{"Name":"fabric:/myapp/app1","TargetApplicationTypeVersion":"` + version + `","UpgradeKind":"Rolling","RollingUpgradeMode":"` + mode + `"`
	for _, m := range more {
		s += "," + m
	}
	return s + "}"
}

func moveTo(domain string) string { return `{"UpgradeDomainName":"` + domain + `"}` }
