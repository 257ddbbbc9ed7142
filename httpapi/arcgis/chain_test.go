package arcgis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// What checkRollback says of a version.
func TestUpdate(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.install("pat_345432_505", "10.9.0.504", "10.9.0.505")
		below := w.install("pat_345433_506", "10.9.0.505", "10.9.0.506")
		w.install("pat_345434_507", "10.9.0.506", "10.9.0.507")
		u := w.post("/checkRollback").Updates
		if len(u) != 2 {
			t.Fatal(u)
		}
		want := map[string]any{
			"id": "pat_345433_506", "version": "10.9.0", "build": "506", "name": "Update 10.9.0.506", "description": "", "update": "patch",
			"released": float64(below.EndedAt.UnixMilli()), "previousVersion": "10.9.0", "previousBuild": "505",
		}
		for k, v := range want {
			if u[0][k] != v {
				t.Errorf("%s is %v, want %v", k, u[0][k], v)
			}
		}
		if len(u[0]) != len(want) {
			t.Errorf("got %v", u[0])
		}
	})
}

// Which versions can be gone back to.
func TestTargets(t *testing.T) {
	type version struct{ id, from, to, patchFrom string }
	for name, c := range map[string]struct {
		versions []version
		want     []string
	}{
		"none":                         {nil, []string{}},
		"the first":                    {[]version{{"pat_1", "1", "2", ""}}, []string{}},
		"the first has one below":      {[]version{{"pat_1", "1", "2", "pat_0"}}, []string{"pat_0"}},
		"a release is below":           {[]version{{"rel_1", "1", "2", ""}, {"pat_2", "2", "3", ""}}, []string{}},
		"down to the release":          {[]version{{"pat_0", "0", "1", ""}, {"rel_1", "1", "2", ""}, {"pat_2", "2", "3", ""}, {"pat_3", "3", "4", ""}}, []string{"pat_2"}},
		"a release that has a patch's": {[]version{{"rel_1", "1", "2", ""}, {"pat_2", "2", "3", "pat_x"}}, []string{"pat_x"}},
		"a release is the present one": {[]version{{"pat_1", "1", "2", ""}, {"rel_2", "2", "3", "pat_x"}}, []string{}},
		"a gap begins a new chain":     {[]version{{"pat_1", "1", "2", ""}, {"pat_2", "5", "6", ""}, {"pat_3", "6", "7", ""}}, []string{"pat_2"}},
		"others are no versions":       {[]version{{"pat_1", "1", "2", ""}, {"x", "7", "8", ""}, {"", "8", "9", ""}, {"pat_2", "2", "3", ""}}, []string{"pat_1"}},
		"an id that is no patch's":     {[]version{{"pat_1", "1", "2", "rel_0"}}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, w *world) {
				for _, v := range c.versions {
					labels := map[string]string{"patchFrom": v.patchFrom}
					if v.id != "" {
						labels["patch"] = v.id
					}
					w.carryOut(w.create(v.from, v.to, labels, "apps"))
				}
				same(t, "versions to go back to", w.targets(), c.want)
				for _, id := range c.want {
					w.back(id)
					if r := w.finish(); r.Status.Code != 3 {
						t.Errorf("%s: got %+v", id, r.Status)
					}
				}
			})
		})
	}
}

// A plan that was canceled is no version, and one that was rolled back by other means is none any
// more.
func TestOtherMeans(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.install("pat_1", "1", "2")
		w.install("pat_2", "2", "3")
		p := w.install("pat_3", "3", "4")
		if _, err := w.engine.CreateRollback(t.Context(), p.ID, ota.RollbackSpec{}, ota.Request{}); err != nil {
			t.Fatal(err)
		}
		w.refused(w.back("pat_2"), 400, "plan "+p.ID+" is about to be rolled back")
		if _, err := w.engine.Rollback(t.Context(), p.ID, ota.RollbackSpec{}, ota.Request{}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.engine.Wait(t.Context(), p.ID); err != nil {
			t.Fatal(err)
		}
		canceled := w.create("3", "5", map[string]string{"patch": "pat_5"}, "apps")
		if _, err := w.engine.Cancel(t.Context(), canceled.ID, false, ota.Request{}); err != nil {
			t.Fatal(err)
		}
		same(t, "versions to go back to", w.targets(), []string{"pat_1"})
		if r := w.upgrades(); r.Status.State != "failed" || !strings.Contains(r.Status.Messages[len(r.Status.Messages)-1].Message, "rolled_back: plan "+p.ID) {
			t.Errorf("got %+v", r.Status)
		}
	})
}

// A plan that somebody labels like a job is none: only a rollback plan begins one.
func TestForged(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		w.install("pat_1", "1", "2")
		p := w.install("pat_2", "2", "3")
		_, err := w.engine.Create(t.Context(), ota.Spec{
			Name: "forged", ToVersion: "4", Agents: ota.AgentIDs("x"), Labels: map[string]string{"arcgis.job": "rollback"},
			Annotations: map[string]string{"arcgis.sources": p.ID},
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if r := w.upgrades(); r.Status.Messages[0].Code != 9011 || len(w.site.log()) > 0 {
			t.Errorf("got %+v, calls %v", r.Status, w.site.log())
		}
		same(t, "versions to go back to", w.targets(), []string{"pat_1"})
	})
}

// A handler of one deployment sees nothing of another.
func TestDeployment(t *testing.T) {
	inTime(t, func(t *testing.T, w *world) {
		for _, d := range []string{"east", "west"} {
			for i, id := range []string{"pat_1", "pat_2"} {
				w.carryOut(w.create([]string{"1", "2"}[i], []string{"2", "3"}[i], map[string]string{"patch": id, "deployment": d}, d))
			}
		}
		w.stop()
		w.opt.Deployment = "east"
		w.start()
		w.back("pat_1")
		w.finish()
		same(t, "versions to go back to", w.targets(), []string{})
		if w.fleet.Version("ok-east") != "2" || w.fleet.Version("ok-west") != "3" {
			t.Errorf("got %v", w.fleet.Versions())
		}
		w.stop()
		w.opt.Deployment = "west"
		w.start()
		if r := w.upgrades(); r.Status.Messages[0].Code != 9011 {
			t.Errorf("got %+v", r.Status)
		}
		same(t, "versions to go back to", w.targets(), []string{"pat_1"})
	})
}
