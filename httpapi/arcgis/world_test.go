package arcgis_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/arcgis"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/otatest"
)

// organization is what the read-only switch switches.
type organization struct {
	mu       sync.Mutex
	readOnly bool
	calls    []bool
	failOn   int           // how many calls with true fail
	failOff  int           // how many calls with false fail
	panics   bool          // instead of failing
	takes    time.Duration // how long a call takes
	touched  int           // rollbacks of an agent while it was not in read-only mode
}

func (o *organization) set(ctx context.Context, on bool) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(o.takes):
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls = append(o.calls, on)
	n := &o.failOff
	if on {
		n = &o.failOn
	}
	if *n > 0 {
		*n--
		if o.panics {
			panic("the switch is broken")
		}
		return errors.New("the switch is stuck")
	}
	o.readOnly = on
	return nil
}

func (o *organization) on() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.readOnly
}

func (o *organization) log() []bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.calls)
}

func (o *organization) outside() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.touched
}

// guarded is the fleet, with an eye on read-only mode.
type guarded struct {
	*otatest.Fleet
	site *organization
}

func (g guarded) Execute(ctx context.Context, a ota.Attempt) (ota.Result, error) {
	if a.IsRollback && !g.site.on() {
		g.site.mu.Lock()
		g.site.touched++
		g.site.mu.Unlock()
	}
	return g.Fleet.Execute(ctx, a)
}

// world is a deployment with everything around it, in virtual time.
type world struct {
	t      *testing.T
	store  ota.Store
	fleet  *otatest.Fleet
	site   *organization
	engine *ota.Engine
	opt    arcgis.Options
	h      *arcgis.Handler
	stop   func()
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, store: memstore.New(), fleet: otatest.NewFleet(otatest.Options{Latency: 2 * time.Second}), site: &organization{}}
	w.opt = arcgis.Options{
		Auth: httpapi.Tokens(map[string]string{"ann-token": "ann", "bob-token": "bob"}), Prefix: "/context/admin", ReadOnly: w.site.set,
	}
	w.start()
	return w
}

// start starts an engine and a handler, as a host does.
func (w *world) start() {
	w.t.Helper()
	var err error
	w.engine, err = ota.New(w.store, guarded{w.fleet, w.site}, ota.Options{Name: "engine-1", DrainTimeout: -1})
	if err != nil {
		w.t.Fatal(err)
	}
	if w.h, err = arcgis.New(w.engine, w.opt); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.engine.Run(ctx); err != nil {
			w.t.Error(err)
		}
	})
	h := w.h
	wg.Go(func() {
		if err := h.Run(ctx); err != nil {
			w.t.Error(err)
		}
	})
	w.stop = func() {
		cancel()
		wg.Wait()
	}
}

// create makes a plan of one agent for each module.
func (w *world) create(from, to string, labels map[string]string, modules ...string) ota.Plan {
	w.t.Helper()
	spec := ota.Spec{Name: "Update " + to, FromVersion: from, ToVersion: to, Labels: labels}
	var ids []string
	for _, m := range modules {
		spec.Shape.Batches = append(spec.Shape.Batches, ota.BatchShape{Name: m, Size: 1})
		ids = append(ids, "ok-"+m)
	}
	spec.Agents = ota.AgentIDs(ids...)
	p, err := w.engine.Create(w.t.Context(), spec)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// install brings the deployment to a version.
func (w *world) install(id, from, to string, modules ...string) ota.Plan {
	w.t.Helper()
	if len(modules) == 0 {
		modules = []string{"apps", "core"}
	}
	return w.carryOut(w.create(from, to, map[string]string{"patch": id}, modules...))
}

func (w *world) carryOut(p ota.Plan) ota.Plan {
	w.t.Helper()
	if _, err := w.engine.Start(w.t.Context(), p.ID, ota.Request{}); err != nil {
		w.t.Fatal(err)
	}
	p, err := w.engine.Wait(w.t.Context(), p.ID)
	if err != nil || p.Status != ota.StatusCompleted {
		w.t.Fatal(p.Status, err)
	}
	time.Sleep(time.Minute) // so that versions are apart
	return p
}

// reply is every answer there is.
type reply struct {
	Status *struct {
		State    string
		Code     int
		Messages []struct {
			Message string
			When    int64
			Code    int
		}
	}
	Updates []map[string]any
	Error   *struct {
		Code    int
		Message string
		Details []string
	}
}

func (r reply) codes() []int {
	codes := make([]int, len(r.Status.Messages))
	for i, m := range r.Status.Messages {
		codes[i] = m.Code
	}
	return codes
}

func (w *world) send(r *http.Request) (out reply) {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		w.t.Errorf("%s %s: HTTP status %d", r.Method, r.URL, rec.Code)
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
		w.t.Fatalf("%v in %s", err, rec.Body)
	}
	return out
}

func (w *world) post(path string, fields ...string) reply {
	w.t.Helper()
	form := url.Values{"f": {"json"}, "token": {"ann-token"}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, "/context/admin/system/upgrades"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.send(r)
}

// back asks for a rollback to a version.
func (w *world) back(id string) reply {
	w.t.Helper()
	return w.post("/rollback", "versionManifest", fmt.Sprintf(`{"id":%q}`, id))
}

func (w *world) upgrades() reply {
	w.t.Helper()
	return w.send(httptest.NewRequest(http.MethodGet, "/context/admin/system/upgrades?f=json&token=ann-token", nil))
}

// finish waits for the end of the job.
func (w *world) finish() reply {
	w.t.Helper()
	for range 1000 {
		if r := w.upgrades(); r.Status.Code != 1 {
			return r
		}
		time.Sleep(time.Second)
	}
	w.t.Fatalf("the job does not end: %+v", w.upgrades())
	return reply{}
}

func (w *world) targets() []string {
	w.t.Helper()
	r := w.post("/checkRollback")
	if r.Error != nil {
		w.t.Fatal(r.Error)
	}
	ids := []string{}
	for _, u := range r.Updates {
		ids = append(ids, u["id"].(string))
	}
	return ids
}

func (w *world) refused(r reply, code int, text string) {
	w.t.Helper()
	if r.Error == nil || r.Error.Code != code || !strings.Contains(r.Error.Message+" "+strings.Join(r.Error.Details, " "), text) {
		w.t.Errorf("got %+v, want an error %d with %q", r.Error, code, text)
	}
	if r.Error != nil && r.Error.Details == nil {
		w.t.Error("details is null")
	}
}

func same[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func (w *world) startPlan(id string) {
	w.t.Helper()
	if _, err := w.engine.Start(w.t.Context(), id, ota.Request{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) wait(id string) {
	w.t.Helper()
	if _, err := w.engine.Wait(w.t.Context(), id); err != nil {
		w.t.Fatal(err)
	}
}

func mountOn(mux *http.ServeMux, h *arcgis.Handler) { arcgis.Mount(mux, h) }
