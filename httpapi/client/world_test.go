package client_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/client"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
	"github.com/seed-19b57ce3/ota/internal/testserver"
	"github.com/seed-19b57ce3/ota/memstore"
)

// world is a server, its Engine and a client of it.
type world struct {
	t       *testing.T
	ctx     context.Context
	c       *client.Client
	e       *ota.Engine
	h       *httpapi.Handler
	agents  int
	waiting chan ota.Attempt
	sent    atomic.Value // the body of the last request
}

func newWorld(t *testing.T, seen func(*http.Request)) *world {
	w := &world{t: t, ctx: t.Context(), waiting: make(chan ota.Attempt, 16)}
	var err error
	if w.e, err = ota.New(memstore.New(), agents{w}, ota.Options{DrainTimeout: -1}); err != nil {
		t.Fatal(err)
	}
	testserver.Run(t, w.e.Run)
	auth := httpapi.Tokens(map[string]string{"ann-token": "ann"})
	if w.h, err = httpapi.New(w.e, httpapi.Options{Strict: true, Auth: auth}); err != nil {
		t.Fatal(err)
	}
	url := testserver.Serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if seen != nil {
			seen(r)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client went away
		}
		w.sent.Store(string(body))
		r.Body = io.NopCloser(bytes.NewReader(body))
		w.h.ServeHTTP(rw, r)
	}))
	w.c = testserver.Client(t, url, client.Options{Token: "ann-token"})
	return w
}

// agents are what the Executor of a world upgrades: as testserver.Quick, but an agent whose ID
// begins with "wait" reports its outcome itself.
type agents struct{ w *world }

func (x agents) Execute(ctx context.Context, a ota.Attempt) (ota.Result, error) {
	if !strings.HasPrefix(a.Agent, "wait") {
		return testserver.Quick(ctx, a)
	}
	return ota.Async(func(context.Context, ota.Attempt) error {
		x.w.waiting <- a
		return nil
	}).Execute(ctx, a)
}

func (x agents) Precheck(ctx context.Context, a ota.Attempt) (ota.Precheck, error) {
	return asked{}.Precheck(ctx, a)
}

func spec(ids ...string) ota.Spec {
	return ota.Spec{
		Name: "n", FromVersion: "1", ToVersion: "2", ToRelease: "2", Agents: ota.AgentIDs(ids...),
	}
}

func to(component, version, release string) []wire.DowngradeComponent {
	return []wire.DowngradeComponent{
		{ComponentUUID: component, ToVersion: version, ToRelease: release},
	}
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// new is the ID of an agent that no plan has.
func (w *world) new(prefix string) string {
	w.agents++
	return fmt.Sprint(prefix, "-", w.agents)
}

func (w *world) stored(id string) ota.Plan {
	w.t.Helper()
	p, err := w.e.Plan(w.ctx, id)
	w.ok(err)
	return p
}

// create makes a plan with a batch for each agent where the policy holds any, and else with one.
func (w *world) create(policy ota.Policy, ids ...string) string {
	w.t.Helper()
	s := spec(ids...)
	s.Policy = policy
	if policy.Hold.All {
		s.Shape.Size = 1
	}
	p, err := w.e.Create(w.ctx, s)
	w.ok(err)
	return p.ID
}

// ended is a plan that has ended and tolerates everything.
func (w *world) ended(ids ...string) string {
	w.t.Helper()
	id := w.busy(ids...)
	_, err := w.e.Wait(w.ctx, id)
	w.ok(err)
	return id
}

// busy is a plan that has started and tolerates everything.
func (w *world) busy(ids ...string) string {
	w.t.Helper()
	all := 1.0
	id := w.create(ota.Policy{FailureThreshold: &all, Concurrency: len(ids)}, ids...)
	_, err := w.e.Start(w.ctx, id, ota.Request{})
	w.ok(err)
	return id
}

// breached is a plan that is paused because one agent failed.
func (w *world) breached() string {
	w.t.Helper()
	none := 0.0
	id := w.create(ota.Policy{FailureThreshold: &none}, w.new("fail"))
	_, err := w.e.Start(w.ctx, id, ota.Request{})
	w.ok(err)
	_, err = w.e.Wait(w.ctx, id)
	w.ok(err)
	return id
}

// begun is the attempt of a plan that waits for its report.
func (w *world) begun(id string) ota.Attempt {
	w.t.Helper()
	a := <-w.waiting
	if a.Plan != id {
		w.t.Fatalf("an attempt of plan %s", a.Plan)
	}
	return a
}

// until waits for an event in a plan's log.
func (w *world) until(id string, kind ota.EventKind) ota.Event {
	w.t.Helper()
	for rec, err := range w.e.Watch(w.ctx, id, 0) {
		w.ok(err)
		for _, ev := range rec.Events {
			if ev.Kind == kind {
				return ev
			}
		}
	}
	w.t.Fatalf("plan %s has ended without %s", id, kind)
	return ota.Event{}
}

// did checks a verb that was applied: the reason in its request, the plan in its answer, and its
// actor in the log.
func (w *world) did(p wire.Plan, err error, id string, kind ota.EventKind) ota.Event {
	w.t.Helper()
	w.ok(err)
	if sent := w.sent.Load().(string); !strings.Contains(sent, `"reason":"`+by.Reason+`"`) {
		w.t.Errorf("%s was sent as %s", kind, sent)
	}
	if p.ID != id || p.Generation == 0 || p.Batches != nil {
		w.t.Errorf("%s answers %+v", kind, p)
	}
	ev := w.until(id, kind)
	if ev.Actor != "ann" {
		w.t.Errorf("the log has %+v", ev)
	}
	return ev
}
