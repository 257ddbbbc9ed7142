package avi_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/avi"
	"github.com/seed-19b57ce3/ota/otatest"
)

// What clients set is kept with the plan, comes back, and hides what the Engine tells.
func TestKept(t *testing.T) {
	w := newWorld(t, avi.Options{})
	id := w.plan(otatest.IDs("ok-", 2), nil).ID
	for _, c := range []struct {
		name, body string
		want       map[string]string
	}{
		{"set", `{"replace":{"name":"x","upgrade_ops":"EVAL_UPGRADE","clean":true,"version":"9"}}`, map[string]string{
			"name": `"x"`, "upgrade_ops": `"EVAL_UPGRADE"`, "clean": "true", "version": `"9"`, "seg_status.controller_version": `"1.2.0"`,
		}},
		{"add sets a scalar too", `{"add":{"name":"y"}}`, map[string]string{"name": `"y"`, "clean": "true"}},
		{"delete shows the projection again", `{"delete":{"name":"","version":null,"upgrade_ops":"whatever"}}`, map[string]string{
			"name": `"node-1"`, "version": `"1.2.0"`, "upgrade_ops": `"UPGRADE"`,
		}},
		{"add appends", `{"add":{"patch_list":[{"patch_version":"6p1","patch_image_ref":"a"}]}}`, map[string]string{
			"patch_list": `[{"patch_image_ref":"a","patch_version":"6p1"}]`,
		}},
		{"twice", `{"add":{"patch_list":[{"patch_version":"6p5"}],"system_report_refs":["r1","r2"]}}`, map[string]string{
			"patch_list": `[{"patch_image_ref":"a","patch_version":"6p1"},{"patch_version":"6p5"}]`, "system_report_refs": `["r1","r2"]`,
		}},
		{"delete removes what is equal in all given keys", `{"delete":{"patch_list":[{"patch_version":"6p1"},{"patch_version":"6p5","patch_image_ref":"b"}],"system_report_refs":["r2","r3"]}}`, map[string]string{
			"patch_list": `[{"patch_version":"6p5"}]`, "system_report_refs": `["r1"]`,
		}},
		{"replace swaps", `{"replace":{"patch_list":[]}}`, map[string]string{"patch_list": "[]"}},
		{"in order", `{"delete":{"patch_list":[{"patch_version":"b"}]},"replace":{"patch_list":[{"patch_version":"b"},{"patch_version":"c"}]},"add":{"patch_list":[{"patch_version":"a"}]}}`, map[string]string{
			"patch_list": `[{"patch_version":"c"}]`,
		}},
		{"delete of all", `{"delete":{"patch_list":null,"system_report_refs":null}}`, map[string]string{"patch_list": "null", "system_report_refs": "null"}},
		{"a sub-object is a unit", `{"replace":{"dryrun_info":{"progress":50,"worker":"w","params":{"se_group_refs":["a"]}}}}`, map[string]string{
			"dryrun_info": `{"params":{"se_group_refs":["a"]},"progress":50,"worker":"w"}`,
		}},
		{"and is replaced as one", `{"dryrun_info":{"duration":3}}`, map[string]string{"dryrun_info": `{"duration":3}`}},
		{"params", `{"params":{"image_ref":"i","service_engine":{"se_connect_timeout":3},"se_group_options":{"disruptive":true}}}`, map[string]string{
			"params": `{"image_ref":"i","se_group_options":{"action_on_error":"SUSPEND_UPGRADE_OPS_ON_ERROR","disruptive":true},"service_engine":{"se_connect_timeout":3}}`,
		}},
		{"a member of params", `{"delete":{"params":{"image_ref":""}}}`, map[string]string{
			"params": `{"se_group_options":{"action_on_error":"SUSPEND_UPGRADE_OPS_ON_ERROR","disruptive":true},"service_engine":{"se_connect_timeout":3}}`,
		}},
		{"all of params", `{"delete":{"params":{}}}`, map[string]string{"params": `{"se_group_options":{"action_on_error":"SUSPEND_UPGRADE_OPS_ON_ERROR"}}`}},
		{"resume options of a plan that is not suspended", `{"replace":{"seg_params":{"se_group_resume_options":{"skip_suspended":true,"action_on_error":"CONTINUE_UPGRADE_OPS_ON_ERROR"}}}}`, map[string]string{
			"seg_params":  `{"se_group_options":{"action_on_error":"SUSPEND_UPGRADE_OPS_ON_ERROR"},"se_group_resume_options":{"action_on_error":"CONTINUE_UPGRADE_OPS_ON_ERROR","skip_suspended":true}}`,
			"state.state": `"UPGRADE_FSM_INIT"`,
		}},
	} {
		a := w.patch(id, c.body)
		if a.status != 200 {
			t.Fatalf("%s: %d %s", c.name, a.status, a.text)
		}
		expect(t, a.body, c.want)
		if o := w.get(id); js(o) != js(a.body) {
			t.Errorf("%s: PATCH answered %s, GET %s", c.name, a.text, js(o))
		}
		if t.Failed() {
			t.Fatal(c.name)
		}
	}
	p, err := w.engine.Plan(t.Context(), id)
	if err != nil || len(p.Labels) != 0 || len(p.Annotations) != 1 || p.Status != ota.StatusPending {
		t.Errorf("the plan has labels %v and annotations %v", p.Labels, p.Annotations)
	}
}

// A refused patch changes nothing of anything, and says what is wrong.
func TestRefusals(t *testing.T) {
	w := newWorld(t, avi.Options{Limits: httpapi.RequestLimits{Body: 200_000}})
	p := w.plan(otatest.IDs("ok-", 2), nil)
	before := js(w.get(p.ID))
	long := strings.Repeat(`{"patch_version":"1"},`, 1000)
	for _, c := range []struct {
		body, want string
		status     int
	}{
		{``, "is empty", 400},
		{`[]`, "is an array, not an object", 400},
		{`{"purge":{"name":"x"}}`, "/purge is none of add, replace, delete and remove", 400},
		{`{"Replace":{}}`, "/Replace is none of", 400},
		{`{"colour":"red"}`, "/colour is none of", 400},
		{`{"replace":{"colour":"red"}}`, "/replace/colour is no field", 400},
		{`{"replace":{"Name":"x"}}`, "/replace/Name is no field", 400},
		{`{"delete":{"colour":"red"}}`, "/delete/colour is no field", 400},
		{`{"replace":{"params":{"se_group_options":{"colour":1}}}}`, "/replace/params/se_group_options/colour is no field", 400},
		{`{"delete":{"params":{"colour":1}}}`, "/delete/params/colour is no field", 400},
		{`{"delete":{"params":3}}`, "/delete/params is no object", 400},
		{`{"name":"x","replace":{}}`, "/replace mixes fields", 400},
		{`{"add":{},"name":"x"}`, "/name mixes fields", 400},
		{`{"name":"x","name":"y"}`, "/name is there twice", 400},
		{`{"replace":{"name":"x"},"replace":{}}`, "/replace is there twice", 400},
		{`{"name":null}`, "/name is null, not a string", 400},
		{`{"name":1}`, "/name is a number, not a string", 400},
		{`{"clean":"true"}`, "/clean is a string, not a boolean", 400},
		{`{"patch_list":{}}`, "/patch_list is an object, not an array", 400},
		{`{"patch_list":["x"]}`, "/patch_list/0 is a string, not an object", 400},
		{`{"delete":{"patch_list":[{}]}}`, "names nothing", 400},
		{`{"patch_list":[` + long + `{}]}`, "one entry too many", 400},
		{`{"node_type":"NODE"}`, `/node_type is \"NODE\"; allowed: NODE_CONTROLLER_CLUSTER, NODE_SE_GROUP`, 400},
		{`{"upgrade_ops":"upgrade"}`, `/upgrade_ops is \"upgrade\"; allowed: UPGRADE, PATCH`, 400},
		{`{"params":{"se_group_options":{"action_on_error":"PANIC"}}}`, "allowed: SUSPEND_UPGRADE_OPS_ON_ERROR, ROLLBACK_UPGRADE_OPS_ON_ERROR", 400},
		{`{"progress":"x"}`, "/progress is a string, not a number", 400},
		{`{"progress":101}`, "/progress is 101; allowed: whole numbers from 0 to 100", 400},
		{`{"progress":-1}`, "allowed: whole numbers", 400},
		{`{"progress":1.5}`, "allowed: whole numbers", 400},
		{`{"duration":2147483648}`, "allowed: whole numbers from 0 to 2147483647", 400},
		{`{"progress":7}`, "progress cannot be set: the engine tells it", 400},
		{`{"uuid":"other"}`, "uuid cannot be set", 400},
		{`{"url":"http://x/"}`, "url cannot be set", 400},
		{`{"_last_modified":"1"}`, "_last_modified cannot be set", 400},
		{`{"add":{"state":{"state":"UPGRADE_FSM_COMPLETED"}}}`, "state cannot be set", 400},
		{`{"state":{"state":"DONE"}}`, "/state/state is", 400},
		{`{"end_time":"2026-01-01 00:00:00"}`, "end_time cannot be set", 400},
		{`{"upgrade_events":[{"task_name":"x"}]}`, "upgrade_events cannot be set", 400},
		{`{"seg_status":{"num_se":3}}`, "seg_status cannot be set", 400},
		{`{"upgrade_readiness":{}}`, "upgrade_readiness cannot be set", 400},
		{`{"delete":{"uuid":""}}`, "/delete/uuid cannot be deleted", 400},
		{`{"delete":{"progress":0}}`, "/delete/progress cannot be deleted", 400},
		{`{"name":"x","progress":7}`, "progress cannot be set", 400},
		{
			`{"params":{"se_group_options":{"action_on_error":"ROLLBACK_UPGRADE_OPS_ON_ERROR"}},"seg_params":{"se_group_options":{"action_on_error":"CONTINUE_UPGRADE_OPS_ON_ERROR"}}}`,
			"params.se_group_options and seg_params.se_group_options disagree", 400,
		},
		{`{"name":"` + strings.Repeat("x", 70_000) + `"}`, "what is kept would be 70011 bytes; allowed: 65536", 400},
		{`{"name":"` + strings.Repeat("x", 250_000) + `"}`, "more than 200000 bytes", 413},
		{"{\"name\":\"\x01\"}", "control character", 400},
		{`{"name":"x"} {}`, "is followed by more data", 400},
		{`{"name":"x"`, "ends too early", 400},
		{strings.Repeat(`{"params":`, 50), "is no field", 400},
	} {
		a := w.patch(p.ID, c.body)
		if a.status != c.status || !strings.Contains(a.text, c.want) || at(a.body, "error") == nil {
			t.Errorf("%.80s: %d %s, want %d %s", c.body, a.status, a.text, c.status, c.want)
		}
	}
	if after := js(w.get(p.ID)); after != before {
		t.Errorf("something was changed:\n%s\n%s", before, after)
	}
	for _, id := range []string{"nobody", "a%2fb", "%20", strings.Repeat("x", 200)} {
		if a := w.patch(id, `{"name":"x"}`); a.status != 404 || at(a.body, "error") != "UpgradeStatusInfo object not found!" {
			t.Errorf("%s: %d %s", id, a.status, a.text)
		}
	}
}

// An object can be sent back as it was read.
func TestRoundTrip(t *testing.T) {
	w := newWorld(t, avi.Options{})
	p := w.suspended()
	if a := w.patch(p.ID, `{"replace":{"image_ref":"i","patch_list":[{"patch_version":"1"}],"seg_params":{"image_ref":"i"}}}`); a.status != 200 {
		t.Fatal(a.text)
	}
	o := w.get(p.ID)
	delete(o, "duration") // the plan's clock goes on
	delete(o, "seg_status")
	if a := w.patch(p.ID, js(map[string]any{"replace": o})); a.status != 200 || a.body["_last_modified"] != o["_last_modified"] {
		t.Errorf("%d %s", a.status, a.text)
	}
	if again, err := w.engine.Plan(t.Context(), p.ID); err != nil || again.Status != ota.StatusPaused {
		t.Errorf("%v, %v", again.Status, err)
	}
}

func action(field, word string) string {
	return fmt.Sprintf(`{"replace":{%q:{"se_group_options":{"action_on_error":"%s_UPGRADE_OPS_ON_ERROR","disruptive":true}}}}`, field, word)
}

// action_on_error is the plan's own, before it is started and while it runs.
func TestActionOnError(t *testing.T) {
	w := newWorld(t, avi.Options{})
	p := w.plan(append(otatest.IDs("ok-", 3), "fail-1"), func(s *ota.Spec) {
		s.Shape.Size = 1
		s.Policy.Hold.Batches = []int{3}
		s.Policy.FailureThreshold = new(0.1)
	})
	shown := func(a answer, want string) {
		t.Helper()
		if got := at(a.body, "params", "se_group_options", "action_on_error"); a.status != 200 || got != want+"_UPGRADE_OPS_ON_ERROR" {
			t.Fatalf("%d %s", a.status, a.text)
		}
	}
	onBreach := func(want ota.Action) ota.Plan {
		t.Helper()
		q, err := w.engine.Plan(t.Context(), p.ID)
		if err != nil || q.Policy.OnBreach != want {
			t.Fatalf("%v, %v; want %v", q.Policy.OnBreach, err, want)
		}
		return q
	}
	shown(w.patch(p.ID, action("params", "CONTINUE")), "CONTINUE")
	onBreach(ota.ActionContinue)
	if a := w.patch(p.ID, `{"replace":{"params":{"image_ref":"i"}}}`); a.status != 200 {
		t.Fatal(a.text)
	}
	onBreach(ota.ActionContinue) // params without an action leave it
	shown(w.patch(p.ID, `{"delete":{"params":{"se_group_options":{}}}}`), "SUSPEND")
	onBreach(ota.ActionPause)
	shown(w.patch(p.ID, action("seg_params", "CONTINUE")), "CONTINUE")
	onBreach(ota.ActionContinue)
	w.start(p.ID, ota.StatusRunning)
	shown(w.patch(p.ID, action("params", "ROLLBACK")), "ROLLBACK")
	q := onBreach(ota.ActionRollback)
	if q.Annotations["avi.kept"] == "" || strings.Contains(q.Annotations["avi.kept"], "action_on_error") {
		t.Errorf("kept: %s", q.Annotations["avi.kept"])
	}
	// And it is what happens: the last agent fails, and the plan rolls back.
	for at(w.get(p.ID), "state", "state") != "UPGRADE_FSM_WAITING" {
		time.Sleep(5 * time.Millisecond)
	}
	if _, err := w.engine.Promote(t.Context(), p.ID, 3, ota.Request{}); err != nil {
		t.Fatal(err)
	}
	w.until(p.ID, ota.StatusRolledBack)
	for _, id := range otatest.IDs("ok-", 3) {
		if w.fleet.Version(id) != "1.2.0" {
			t.Errorf("%s runs %s", id, w.fleet.Version(id))
		}
	}
	// The plan has ended: nothing of the Engine's can be changed, what is kept can.
	a := w.patch(p.ID, action("params", "SUSPEND"))
	if a.status != 400 || !strings.Contains(a.text, "rolled_back") {
		t.Errorf("%d %s", a.status, a.text)
	}
	if a = w.patch(p.ID, `{"replace":{"image_path":"x"}}`); a.status != 200 || a.body["image_path"] != "x" {
		t.Errorf("%d %s", a.status, a.text)
	}
}

// The resume options of a suspended plan resume it in the same call.
func TestResume(t *testing.T) {
	t.Run("skip", func(t *testing.T) {
		w := newWorld(t, avi.Options{})
		p := w.suspended()
		expect(t, w.get(p.ID), map[string]string{
			"seg_status.se_upgrade_suspended":      `["/api/serviceengine/fail-1","/api/serviceengine/fail-2"]`,
			"seg_status.se_upgrade_skip_suspended": "[]", "seg_status.se_upgrade_failed": `["/api/serviceengine/fail-1","/api/serviceengine/fail-2"]`,
		})
		a := w.patch(p.ID, `{"replace":{"params":{"se_group_resume_options":{"action_on_error":"CONTINUE_UPGRADE_OPS_ON_ERROR","skip_suspended":true}}}}`)
		if a.status != 200 || at(a.body, "state", "state") == "UPGRADE_FSM_SUSPENDED" {
			t.Fatalf("%d %s", a.status, a.text)
		}
		q := w.until(p.ID, ota.StatusCompleted)
		if q.Counts.Failed != 2 || q.Counts.Succeeded != 6 || q.Policy.OnBreach != ota.ActionContinue {
			t.Errorf("got %+v, %v", q.Counts, q.Policy.OnBreach)
		}
		expect(t, w.get(p.ID), map[string]string{
			"seg_status.se_upgrade_suspended": "[]", "seg_status.se_upgrade_skip_suspended": `["/api/serviceengine/fail-1","/api/serviceengine/fail-2"]`,
			"params.se_group_resume_options.skip_suspended": "true",
		})
	})
	t.Run("retry", func(t *testing.T) {
		w := newWorld(t, avi.Options{})
		p := w.suspended()
		for _, id := range otatest.IDs("fail-", 2) {
			w.fleet.Set(id, otatest.OK)
		}
		if a := w.patch(p.ID, `{"seg_params":{"se_group_resume_options":{}}}`); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.text)
		}
		if q := w.until(p.ID, ota.StatusCompleted); q.Counts.Succeeded != 8 {
			t.Errorf("got %+v", q.Counts)
		}
	})
	t.Run("again", func(t *testing.T) { // the same call is as good the second time
		w := newWorld(t, avi.Options{})
		ids := append(append([]string{"fail-1"}, otatest.IDs("ok-", 3)...), "fail-2", "ok-4", "ok-5", "ok-6")
		p := w.plan(ids, func(s *ota.Spec) { s.Shape.Size = 4; s.Policy.FailureThreshold = new(0.1) })
		w.start(p.ID, ota.StatusPaused)
		const body = `{"replace":{"params":{"se_group_resume_options":{"skip_suspended":true}}}}`
		if a := w.patch(p.ID, body); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.text)
		}
		for {
			if q := w.until(p.ID, ota.StatusPaused); q.Batch == 1 {
				break
			}
		}
		if a := w.patch(p.ID, body); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.text)
		}
		w.until(p.ID, ota.StatusCompleted)
	})
	t.Run("disagreeing", func(t *testing.T) {
		w := newWorld(t, avi.Options{})
		p := w.suspended()
		for _, body := range []string{
			`{"params":{"se_group_resume_options":{"skip_suspended":true}},"seg_params":{"se_group_resume_options":{}}}`,
			`{"params":{"se_group_options":{"action_on_error":"SUSPEND_UPGRADE_OPS_ON_ERROR"},"se_group_resume_options":{"action_on_error":"CONTINUE_UPGRADE_OPS_ON_ERROR"}}}`,
		} {
			if a := w.patch(p.ID, body); a.status != 400 || !strings.Contains(a.text, "disagree") {
				t.Errorf("%d %s", a.status, a.text)
			}
		}
	})
	t.Run("refused", func(t *testing.T) { // a passed limit is not cured by another try, and the edit beside it is undone
		w := newWorld(t, avi.Options{})
		p := w.plan([]string{"slow-1", "ok-1"}, func(s *ota.Spec) {
			s.Shape.Size = 1
			s.Policy.PlanTimeout, s.Policy.Soak.Duration = time.Millisecond, 50*time.Millisecond
		})
		p = w.start(p.ID, ota.StatusPaused)
		a := w.patch(p.ID, `{"name":"x","params":{"se_group_resume_options":{"action_on_error":"CONTINUE_UPGRADE_OPS_ON_ERROR"}}}`)
		if a.status != 400 || !strings.Contains(a.text, "send skip_suspended true") {
			t.Fatalf("%d %s", a.status, a.text)
		}
		q, err := w.engine.Plan(t.Context(), p.ID)
		if err != nil || q.Policy.OnBreach != ota.ActionPause || q.Status != ota.StatusPaused || len(q.Annotations) != 0 {
			t.Errorf("got %v, %v, %v, %v", q.Policy.OnBreach, q.Status, q.Annotations, err)
		}
		if a = w.patch(p.ID, `{"name":"x","params":{"se_group_resume_options":{"skip_suspended":true}}}`); a.status != 200 || a.body["name"] != "x" {
			t.Fatalf("%d %s", a.status, a.text)
		}
		w.until(p.ID, ota.StatusCompleted)
	})
}

// No patch is lost when many come at once, and those of the lifecycle API come between them.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t, avi.Options{})
	p := w.plan(otatest.IDs("ok-", 2), nil)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			a := w.patch(p.ID, fmt.Sprintf(`{"add":{"system_report_refs":["r%d"]}}`, i))
			if a.status != 200 {
				t.Errorf("%d %s", a.status, a.text)
			}
		})
	}
	all.Wait()
	if refs, _ := w.get(p.ID)["system_report_refs"].([]any); len(refs) != 8 {
		t.Errorf("got %v", refs)
	}
}

// Annotations can be written by others: what is no object of ours shows nothing, and harms nobody.
func TestForeignAnnotation(t *testing.T) {
	w := newWorld(t, avi.Options{})
	for i, text := range []string{`x`, `{"name":1}`, `{"progress":7,"uuid":"x"}`, `{"name":"a"} {}`, ``, `[]`} {
		p := w.plan([]string{fmt.Sprintf("ok-%d", i)}, func(s *ota.Spec) { s.Annotations = map[string]string{"avi.kept": text} })
		if o := w.get(p.ID); o["name"] != "node-1" || js(o["progress"]) != "0" || o["uuid"] != p.ID {
			t.Errorf("%s shows %s", text, js(o))
		}
		if a := w.patch(p.ID, `{"name":"b"}`); a.status != 200 || a.body["name"] != "b" {
			t.Errorf("%d %s", a.status, a.text)
		}
	}
	p := w.plan([]string{"ok-x"}, func(s *ota.Spec) {
		s.Annotations = map[string]string{}
		for i := range 64 {
			s.Annotations[fmt.Sprintf("a%d", i)] = "x"
		}
	})
	if a := w.patch(p.ID, `{"params":{"se_group_options":{"action_on_error":"CONTINUE_UPGRADE_OPS_ON_ERROR"}}}`); a.status != 200 {
		t.Errorf("%d %s", a.status, a.text)
	}
	if a := w.patch(p.ID, `{"name":"b"}`); a.status != 400 || !strings.Contains(a.text, "64 annotations") {
		t.Errorf("%d %s", a.status, a.text)
	}
}
