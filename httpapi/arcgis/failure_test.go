package arcgis_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/arcgis"
	"github.com/seed-19b57ce3/ota/otatest"
)

// Two hosts that both run the job do it once, and leave read-only mode, also when one of them is
// slow.
func TestTwoHosts(t *testing.T) {
	for i, slow := range []time.Duration{0, 3 * time.Second, 9 * time.Second, time.Minute, time.Second} {
		inTime(t, func(t *testing.T, w *world) {
			w.install("pat_1", "1.0", "1.1")
			w.install("pat_2", "1.1", "1.2")
			opt := w.opt
			opt.ReadOnly = func(ctx context.Context, on bool) error {
				time.Sleep(slow)
				if on && i == 4 {
					return errors.New("not from here")
				}
				return w.site.set(ctx, on)
			}
			other, err := arcgis.New(w.engine, opt)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { _ = other.Run(ctx) })
			w.back("pat_1")
			r := w.finish()
			time.Sleep(5 * time.Minute)
			if r.Status.Code != 3 || w.site.on() || w.site.outside() > 0 {
				t.Errorf("slow by %v: %+v, read-only is %t, calls %v", slow, r.Status, w.site.on(), w.site.log())
			}
			same(t, "the log of a job that is done", w.upgrades().Status.Messages, r.Status.Messages)
			cancel()
			wg.Wait()
		})
	}
}

// A job whose work has begun does not fail because read-only mode cannot be switched on once more.
func TestNotEnteredAgain(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.install("pat_1", "1.0", "1.1")
		w.install("pat_2", "1.1", "1.2")
		w.back("pat_1")
		time.Sleep(time.Second)
		w.stop()
		w.site.failOn = 3
		w.start()
		if r := w.finish(); r.Status.Code != 3 || w.site.failOn > 0 || w.site.on() {
			t.Errorf("got %+v, read-only is %t", r.Status, w.site.on())
		}
	})
}

// A rollback that fails says so, leaves read-only mode, and begins no further step.
func TestBreach(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.install("pat_1", "1.0", "1.1")
		w.install("pat_2", "1.1", "1.2")
		w.install("pat_3", "1.2", "1.3")
		w.fleet.SetRollback("ok-apps", otatest.Fail) // the second module: the last batch goes first
		w.back("pat_1")
		r := w.finish()
		if r.Status.State != "failed" || r.Status.Code != 2 {
			t.Errorf("got %+v", r.Status)
		}
		same(t, "codes", r.codes(), []int{2072, 2168, 2165, 2270, 2287, 2288, 2271, 2293, 2177, 2293, 9001, 2166})
		text := r.Status.Messages[10].Message
		page, err := w.engine.Plans(t.Context(), ota.PlanQuery{Status: []ota.Status{ota.StatusPaused}})
		if err != nil || len(page.Items) != 1 {
			t.Fatal(page, err)
		}
		back := page.Items[0]
		if !strings.Contains(text, back.ID) || !strings.Contains(text, "1 agent failed: ok-apps") {
			t.Errorf("got %q", text)
		}
		if w.site.on() || w.fleet.Version("ok-core") != "1.2" {
			t.Errorf("read-only is %t, core runs %s", w.site.on(), w.fleet.Version("ok-core"))
		}
		w.refused(w.post("/checkRollback"), 400, "plan "+back.ID) // until somebody looks

		w.fleet.SetRollback("ok-apps", otatest.OK)
		if _, err := w.engine.Resume(t.Context(), back.ID, ota.RetryFailed(), ota.Request{}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.engine.Wait(t.Context(), back.Source); err != nil {
			t.Fatal(err)
		}
		same(t, "versions to go back to", w.targets(), []string{"pat_1"})
		if again := w.upgrades(); again.Status.Code != 2 {
			t.Errorf("got %+v", again.Status)
		}
		w.back("pat_1")
		if r := w.finish(); r.Status.Code != 3 {
			t.Errorf("got %+v", r.Status)
		}
	})
}

// Read-only mode that cannot be entered ends the job before anything is touched.
func TestNotEntered(t *testing.T) {
	for _, panics := range []bool{false, true} {
		inTime(t, func(t *testing.T, w *world) {
			w.install("pat_1", "1.0", "1.1")
			p := w.install("pat_2", "1.1", "1.2")
			w.site.failOn, w.site.failOff, w.site.panics = 1, 2, panics
			w.back("pat_1")
			r := w.finish()
			same(t, "codes", r.codes(), []int{2072, 2168, 9003})
			if r.Status.Code != 2 || !strings.Contains(r.Status.Messages[2].Message, "switch is ") {
				t.Errorf("got %+v", r.Status)
			}
			same(t, "calls of the switch", w.site.log(), []bool{true, false, false, false}) // who knows how far it came
			if w.fleet.Version("ok-apps") != "1.2" || w.site.outside() > 0 {
				t.Error("something was touched")
			}
			if p, err := w.engine.Plan(t.Context(), p.ID); err != nil || p.Status != ota.StatusCompleted || p.RollbackPlan != "" {
				t.Error(p.Status, p.RollbackPlan, err)
			}
			same(t, "versions to go back to", w.targets(), []string{"pat_1"})
			w.back("pat_1")
			if r := w.finish(); r.Status.Code != 3 {
				t.Errorf("got %+v", r.Status)
			}
		})
	}
}

// Leaving read-only mode is tried until it succeeds; the job is not done before.
func TestNotLeft(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.install("pat_1", "1.0", "1.1")
		w.install("pat_2", "1.1", "1.2")
		w.site.failOff = 6
		w.back("pat_1")
		time.Sleep(15 * time.Second)
		r := w.upgrades()
		if r.Status.Code != 1 || r.codes()[len(r.codes())-1] != 2177 || !w.site.on() {
			t.Errorf("got %+v", r.Status)
		}
		r = w.finish()
		if r.Status.Code != 3 || w.site.on() || w.site.failOff != 0 {
			t.Errorf("got %+v, read-only is %t", r.Status, w.site.on())
		}
	})
}

// A rollback plan that is canceled, before or while it runs, ends the job.
func TestCanceled(t *testing.T) {
	for _, when := range []time.Duration{0, 3 * time.Second, 9 * time.Second} {
		inTime(t, func(t *testing.T, w *world) {
			w.site.takes = 2 * time.Second
			w.install("pat_1", "1.0", "1.1")
			w.install("pat_2", "1.1", "1.2", "apps", "core", "maps")
			w.back("pat_1")
			time.Sleep(when)
			p, err := w.engine.Plans(t.Context(), ota.PlanQuery{Limit: 1})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.engine.Cancel(t.Context(), p.Items[0].ID, false, ota.Request{}); err != nil {
				t.Log(err) // at the latest moment it may have ended
			}
			r := w.finish()
			if codes := r.codes(); when < 8*time.Second && (r.Status.Code != 2 || codes[len(codes)-2] != 9002 && codes[len(codes)-1] != 9002) {
				t.Errorf("after %v: got %+v", when, r.Status)
			}
			if w.site.on() {
				t.Errorf("after %v: still in read-only mode", when)
			}
		})
	}
}

// An operator who pauses the rollback plan keeps the organization in read-only mode until the plan
// is resumed.
func TestPaused(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.install("pat_1", "1.0", "1.1")
		w.install("pat_2", "1.1", "1.2")
		w.back("pat_1")
		time.Sleep(time.Second)
		page, err := w.engine.Plans(t.Context(), ota.PlanQuery{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.engine.Pause(t.Context(), page.Items[0].ID, ota.Request{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if r := w.upgrades(); r.Status.Code != 1 || !w.site.on() {
			t.Errorf("got %+v", r.Status)
		}
		if _, err := w.engine.Resume(t.Context(), page.Items[0].ID, ota.Decision{}, ota.Request{}); err != nil {
			t.Fatal(err)
		}
		if r := w.finish(); r.Status.Code != 3 || w.site.on() {
			t.Errorf("got %+v", r.Status)
		}
	})
}

// What the Engine refuses in the middle ends the job, and what was not started is withdrawn.
func TestConflict(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.install("pat_1", "1.0", "1.1")
		p := w.install("pat_2", "1.1", "1.2")
		other := w.create("1", "2", nil, "core", "other")
		w.fleet.Set("ok-other", otatest.Slow)
		if _, err := w.engine.Start(t.Context(), other.ID, ota.Request{}); err != nil {
			t.Fatal(err)
		}
		w.back("pat_1")
		r := w.finish()
		same(t, "codes", r.codes(), []int{2072, 2168, 2165, 2270, 2287, 2288, 9004, 2166})
		if r.Status.Code != 2 || !strings.Contains(r.Status.Messages[6].Message, other.ID) || w.site.on() {
			t.Errorf("got %+v", r.Status)
		}
		if p, err := w.engine.Plan(t.Context(), p.ID); err != nil || p.Status != ota.StatusCompleted || p.RollbackPlan != "" {
			t.Error(p.Status, p.RollbackPlan, err)
		}
	})
}

// An error of the Store is never an answer that looks like success, and tells nothing about itself.
func TestStoreDown(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w.stop()
		w.opt.Auth.Authorize = func(ctx context.Context, _ httpapi.Principal, _ httpapi.Access) error { return nil }
		w.store = downStore{w.store}
		w.start()
		for _, path := range []string{"", "/checkRollback", "/rollback", "/history"} {
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/context/admin/system/upgrades"+path, strings.NewReader(`f=json&token=ann-token&versionManifest={"id":"pat_1"}`))
			got := w.send(r)
			w.refused(got, 500, "later")
			if strings.Contains(got.Error.Message, "disk") {
				t.Errorf("got %+v", got.Error)
			}
		}
	})
}

type downStore struct{ ota.Store }

func (d downStore) Unwrap() ota.Store { return d.Store }

func (downStore) Plans(context.Context, ota.PlanQuery) (ota.Page[ota.PlanRow], error) {
	return ota.Page[ota.PlanRow]{}, errors.New("disk full")
}
