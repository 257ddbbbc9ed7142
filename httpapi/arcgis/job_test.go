package arcgis_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
)

// inTime runs a test in virtual time.
func inTime(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.stop() }()
		test(t, w)
	})
}

// The whole life of a job: the document's codes in the document's order, at the times at which
// things happened.
func TestRollback(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.site.takes = 10 * time.Second
		modules := []string{"apps", "monitoring components", "main core rest APIs"}
		w.install("pat_345432_505", "10.9.0.504", "10.9.0.505", modules...)
		w.install("pat_345433_506", "10.9.0.505", "10.9.0.506", modules...)
		same(t, "versions to go back to", w.targets(), []string{"pat_345432_505"})

		began := time.Now().UnixMilli()
		r := w.back("pat_345432_505")
		if r.Status == nil || r.Status.State != "in_progress" || r.Status.Code != 1 {
			t.Fatalf("got %+v", r)
		}
		same(t, "codes at first", r.codes(), []int{2072})
		if m := r.Status.Messages[0]; m.When != began || m.Message != "Starting the rollback process from 10.9.0.506 to 10.9.0.505." {
			t.Errorf("got %+v", m)
		}

		r = w.finish()
		if r.Status.State != "success" || r.Status.Code != 3 {
			t.Errorf("got %+v", r.Status)
		}
		same(t, "codes", r.codes(), []int{
			2072, 2168, 2165, 2270, 2287, 2288, 2271, 2293, 2177, 2293, 2177, 2293, 2177, 2166, 2179, 2183, 2263, 2077, 2076,
		})
		var after []int64
		for _, m := range r.Status.Messages {
			after = append(after, (m.When-began)/1000)
		}
		same(t, "seconds", after, []int64{0, 0, 10, 10, 10, 10, 10, 10, 12, 12, 14, 14, 16, 26, 26, 26, 26, 26, 26})
		for i, want := range map[int]string{ // last in, first out
			7: "main core rest APIs", 8: "main core rest APIs has completed in 2000 millis (~ 0 minutes)", 9: "monitoring components", 11: "apps",
			17: "from 10.9.0.506 to 10.9.0.505 has completed in 00hr:00min:26sec:000millisec", 18: "from 10.9.0.506 to 10.9.0.505 successfully",
		} {
			if got := r.Status.Messages[i].Message; !strings.Contains(got, want) {
				t.Errorf("message %d is %q, want %q", i, got, want)
			}
		}
		same(t, "calls of the switch", w.site.log(), []bool{true, false})
		if w.site.on() || w.site.outside() > 0 {
			t.Errorf("read-only is %t, %d touched outside of it", w.site.on(), w.site.outside())
		}
		for _, m := range modules {
			if v := w.fleet.Version("ok-" + m); v != "10.9.0.505" {
				t.Errorf("%s runs %s", m, v)
			}
		}
		same(t, "versions to go back to", w.targets(), []string{})
		w.refused(w.back("pat_345432_505"), 400, "already")
	})
}

// Nothing below upgrades can be reached while a job, or an upgrade, is at work.
func TestClosed(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.install("pat_1", "1.0", "1.1")
		w.install("pat_2", "1.1", "1.2")
		upgrade := w.create("1.2", "1.3", map[string]string{"patch": "pat_3"}, "apps", "core")
		same(t, "while an upgrade is pending", w.targets(), []string{"pat_1"})
		w.refused(w.back("pat_1"), 400, "plan "+upgrade.ID+" is pending")
		if _, err := w.engine.Start(t.Context(), upgrade.ID, ota.Request{}); err != nil {
			t.Fatal(err)
		}
		closed := func(text string) {
			t.Helper()
			for _, path := range []string{"/checkRollback", "/rollback", "/history", "/rollback/"} {
				w.refused(w.post(path, "versionManifest", `{"id":"pat_1"}`), 400, "An upgrade or rollback is in progress. "+text)
			}
			if r := w.post(""); r.Status == nil {
				t.Errorf("got %+v", r)
			}
		}
		closed("plan " + upgrade.ID)
		if r := w.upgrades(); r.Status.State != "in_progress" || r.Status.Code != 1 || r.Status.Messages[0].Code != 9011 {
			t.Errorf("got %+v", r.Status)
		}
		if _, err := w.engine.Wait(t.Context(), upgrade.ID); err != nil {
			t.Fatal(err)
		}
		same(t, "after the upgrade", w.targets(), []string{"pat_2", "pat_1"})
		w.site.takes = time.Second
		w.back("pat_2")
		for range 5 { // while it enters, works and leaves
			closed("the rollback to 1.2")
			time.Sleep(900 * time.Millisecond)
		}
		w.finish()
		w.refused(w.post("/history"), 404, "nothing")
		same(t, "after the rollback", w.targets(), []string{"pat_1"})
	})
}

// Of many requests at once one begins a job.
func TestAtOnce(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.install("pat_1", "1.0", "1.1")
		w.install("pat_2", "1.1", "1.2")
		w.install("pat_3", "1.2", "1.3")
		var wg sync.WaitGroup
		replies := make([]reply, 20)
		for i := range replies {
			wg.Go(func() { replies[i] = w.back([]string{"pat_1", "pat_2"}[i%2]) })
		}
		wg.Wait()
		begun, to := 0, ""
		for _, r := range replies {
			if r.Error == nil {
				begun++
				to = r.Status.Messages[0].Message
			} else {
				w.refused(r, 400, "in progress")
			}
		}
		if begun != 1 {
			t.Errorf("%d jobs were begun", begun)
		}
		if r := w.finish(); r.Status.Code != 3 || r.Status.Messages[0].Message != to {
			t.Errorf("got %+v", r.Status)
		}
	})
}

// Several versions back is one job, the newest undone first, each when the one before has ended.
func TestSeveralSteps(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.install("pat_1", "1.0.0", "1.0.1")
		w.install("pat_2", "1.0.1", "1.0.2")
		w.install("pat_3", "1.0.2", "1.0.3", "apps")
		w.install("pat_4", "1.0.3", "1.0.4")
		same(t, "versions to go back to", w.targets(), []string{"pat_3", "pat_2", "pat_1"})
		w.back("pat_1")
		r := w.finish()
		same(t, "codes", r.codes(), []int{
			2072, 2168, 2165, 2270, 2287, 2288, 2271, 2293, 2177, 2293, 2177, 2293, 2177, 2293, 2177, 2293, 2177, 2166, 2179, 2183, 2263, 2077, 2076,
		})
		if m := r.Status.Messages; !strings.Contains(m[0].Message, "from 1.0.4 to 1.0.1") || !strings.Contains(m[22].Message, "from 1.0.4 to 1.0.1") {
			t.Errorf("got %+v", m)
		}
		for i := 1; i < len(r.Status.Messages); i++ {
			if r.Status.Messages[i].When < r.Status.Messages[i-1].When {
				t.Errorf("message %d is earlier than the one before", i)
			}
		}
		same(t, "calls of the switch", w.site.log(), []bool{true, false})
		for id, v := range w.fleet.Versions() {
			if v != "1.0.1" {
				t.Errorf("%s runs %s", id, v)
			}
		}
		same(t, "versions to go back to", w.targets(), []string{})
		w.install("pat_5", "1.0.1", "1.0.5") // and on again
		same(t, "versions to go back to", w.targets(), []string{"pat_1"})
	})
}

// Who asked for the job says its verbs, also those that follow later.
func TestActor(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.install("pat_1", "1", "2")
		w.install("pat_2", "2", "3")
		w.install("pat_3", "3", "4")
		w.post("/rollback", "versionManifest", `{"id":"pat_1"}`, "token", "bob-token")
		w.finish()
		page, err := w.engine.Plans(t.Context(), ota.PlanQuery{})
		if err != nil {
			t.Fatal(err)
		}
		rollbacks := 0
		for _, p := range page.Items {
			if p.Source == "" {
				continue
			}
			rollbacks++
			for rec, err := range w.engine.Watch(t.Context(), p.ID, 0) {
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range rec.Events {
					if k := e.Kind; (k == ota.EventCreated || k == ota.EventStarted || k == ota.EventAnnotated) && e.Actor != "bob" {
						t.Errorf("%s of %s is by %q", k, p.ID, e.Actor)
					}
				}
				if rec.Revision == p.Revision {
					break
				}
			}
		}
		if rollbacks != 2 {
			t.Errorf("%d rollback plans", rollbacks)
		}
	})
}

// A plan that holds its batches does not hold a job: nobody who speaks this API could promote them.
func TestHold(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.install("pat_1", "1.0", "1.1")
		p := w.create("1.1", "1.2", map[string]string{"patch": "pat_2"}, "apps", "core")
		if _, err := w.engine.Edit(t.Context(), p.ID, func(p *ota.Policy) { p.Hold.All = true }, ota.Request{}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.engine.Promote(t.Context(), p.ID, 1, ota.Request{}); err != nil {
			t.Fatal(err)
		}
		w.carryOut(p)
		w.back("pat_1")
		if r := w.finish(); r.Status.Code != 3 {
			t.Errorf("got %+v", r.Status)
		}
	})
}

// A job does not enter read-only mode to wait for a maintenance window.
func TestWindow(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) { // it is midnight, in UTC
		w.install("pat_1", "1.0", "1.1")
		p := w.create("1.1", "1.2", map[string]string{"patch": "pat_2"}, "apps")
		window := []ota.Window{{Start: 0, Length: time.Hour}}
		if _, err := w.engine.Edit(t.Context(), p.ID, func(p *ota.Policy) { p.Windows = window }, ota.Request{}); err != nil {
			t.Fatal(err)
		}
		w.carryOut(p)
		time.Sleep(2 * time.Hour)
		w.refused(w.back("pat_1"), 400, "may be touched from 2000-01-02T00:00:00Z on")
		time.Sleep(22 * time.Hour)
		w.back("pat_1")
		if r := w.finish(); r.Status.Code != 3 {
			t.Errorf("got %+v", r.Status)
		}
	})
}

// Whom the authorizer does not let do it is told so; what they may not see is not there.
func TestAuthorize(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.install("pat_1", "1.0", "1.1")
		w.install("pat_2", "1.1", "1.2")
		deny := map[httpapi.Action]bool{}
		w.stop()
		w.opt.Auth.Authorize = func(_ context.Context, p httpapi.Principal, a httpapi.Access) error {
			if p.Name == "bob" && deny[a.Action] {
				return errors.New("no")
			}
			return nil
		}
		w.start()
		bob := func(path string) reply {
			return w.post(path, "versionManifest", `{"id":"pat_1"}`, "token", "bob-token")
		}
		deny[httpapi.ActionList] = true
		for _, path := range []string{"", "/rollback", "/checkRollback", "/history"} {
			w.refused(bob(path), 403, "not allowed")
		}
		deny[httpapi.ActionList] = false
		deny[httpapi.VerbAction(ota.VerbRollback)] = true
		w.refused(bob("/rollback"), 403, "not allowed")
		deny[httpapi.ActionRead] = true
		w.refused(bob("/rollback"), 403, "not allowed")
		if r := bob("/checkRollback"); r.Error != nil || len(r.Updates) != 0 {
			t.Errorf("got %+v", r)
		}
		w.back("pat_1")
		w.finish()
		if r := bob(""); r.Status == nil || r.Status.State != "no_upgrade" {
			t.Errorf("got %+v", r)
		}
		if r := w.upgrades(); r.Status.Code != 3 {
			t.Errorf("got %+v", r)
		}
	})
}
