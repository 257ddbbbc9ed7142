package avi_test

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/avi"
	"github.com/seed-19b57ce3/ota/otatest"
)

// expect compares fields of an object, as JSON.
func expect(t *testing.T, o map[string]any, want map[string]string) {
	t.Helper()
	for path, v := range want {
		var steps []any
		for step := range strings.SplitSeq(path, ".") {
			if n, err := strconv.Atoi(step); err == nil {
				steps = append(steps, n)
			} else {
				steps = append(steps, step)
			}
		}
		if got := js(at(o, steps...)); got != v {
			t.Errorf("%s is %s, want %s", path, got, v)
		}
	}
}

func TestPending(t *testing.T) {
	w := newWorld(t, avi.Options{})
	p := w.plan(otatest.IDs("ok-", 12), func(s *ota.Spec) { s.Shape.Size = 5 })
	o := w.get(p.ID)
	expect(t, o, map[string]string{
		"uuid": js(p.ID), "url": js(w.url + root + "/" + p.ID), "name": `"node-1"`, "node_type": `"NODE_SE_GROUP"`, "upgrade_ops": `"UPGRADE"`,
		"state.state": `"UPGRADE_FSM_INIT"`, "state.rebooted": "false", "state.reason": `"The plan has not been started; cleared by start"`,
		"reason": `"The plan has not been started; cleared by start"`, "total_tasks": "12", "tasks_completed": "0", "progress": "0",
		"start_time": "null", "end_time": "null", "duration": "null", "version": `"1.2.0"`, "previous_version": "null",
		"enable_rollback": "false", "enable_patch_rollback": "false", "system": "false", "upgrade_events": "[]", "se_upgrade_events": "[]",
		"history": "[]", "params": `{"se_group_options":{"action_on_error":"SUSPEND_UPGRADE_OPS_ON_ERROR"}}`, "seg_params": "null",
		"seg_status.state": `"SE_UPGRADE_NOT_STARTED"`, "seg_status.num_se": "12", "seg_status.in_progress": "false",
		"seg_status.se_upgrade_not_started.11": `"/api/serviceengine/ok-12"`, "seg_status.notes.0": `"tolerates 0 of 5 in batch 1"`,
		"upgrade_readiness": "null", "dryrun_info": "null",
		"state.last_changed_time.secs": strconv.FormatInt(p.CreatedAt.Unix(), 10),
		"_last_modified":               js(strconv.FormatInt(p.CreatedAt.UnixMicro(), 10)),
		"enqueue_time":                 js(p.CreatedAt.Format("2006-01-02 15:04:05")),
	})
	// An ID is as good without its prefix, and the document prints its path without /api.
	for _, path := range []string{root + "/" + strings.TrimPrefix(p.ID, "plan-"), "/upgradestatusinfo/" + p.ID, root + "/" + p.ID + "/?&"} {
		if a := w.send("GET", path, ""); a.status != 200 || js(a.body) != js(o) {
			t.Errorf("%s: %d %s, want %s", path, a.status, a.text, js(o))
		}
	}
}

func TestCompleted(t *testing.T) {
	w := newWorld(t, avi.Options{})
	ids := append(otatest.IDs("ok-", 9), "fail-x/y z")
	p := w.plan(ids, func(s *ota.Spec) {
		s.Shape.Size = 5
		half := 0.5
		s.Policy.FailureThreshold = &half
		s.Labels = map[string]string{"node": "grp1", "node_type": "NODE_SE_TYPE", "patch": "pat_6p1"}
	})
	p = w.start(p.ID, ota.StatusCompleted)
	o := w.get(p.ID)
	expect(t, o, map[string]string{
		"name": `"grp1"`, "node_type": `"NODE_SE_TYPE"`, "upgrade_ops": `"PATCH"`, "state.state": `"UPGRADE_FSM_COMPLETED"`, "state.reason": `""`,
		"reason": `""`, "total_tasks": "10", "tasks_completed": "10", "progress": "100", "version": `"1.3.0"`, "previous_version": `"1.2.0"`,
		"enable_rollback": "true", "enable_patch_rollback": "true", "duration": "0",
		"seg_status.state": `"SE_UPGRADE_COMPLETE"`, "seg_status.duration": `"0"`, "seg_status.se_upgrade_failed": `["/api/serviceengine/fail-x%2Fy%20z"]`,
		"seg_status.se_upgrade_completed.8": `"/api/serviceengine/ok-9"`, "seg_status.se_upgrade_suspended": "[]", "seg_status.progress": "100",
		"upgrade_events.0.task_name": `"Batch 1 of 2"`, "upgrade_events.0.sub_events.0.message": `"5 of 5 ended, 0 failed"`,
		"upgrade_events.0.sub_events.0.status": "true", "upgrade_events.0.sub_events.0.sub_tasks": "[]",
		"upgrade_events.1.sub_events.0.message": `"5 of 5 ended, 1 failed"`, "upgrade_events.1.sub_events.0.status": "false", "upgrade_events.2": "null",
		"se_upgrade_events.0.se_ref": `"/api/serviceengine/fail-x%2Fy%20z"`, "se_upgrade_events.0.task": `"agent"`,
		"se_upgrade_events.0.traffic_status": `"TRAFFIC_NOT_DISRUPTED"`, "se_upgrade_events.1": "null",
		"history.0.ops": `"PATCH"`, "history.0.version": `"1.3.0"`, "history.0.state.state": `"UPGRADE_FSM_COMPLETED"`, "history.1": "null",
		"history.0.seg_status.num_se": "10", "history.0.seg_status.se_upgrade_failed": "null",
		"end_time": js(p.EndedAt.Format("2006-01-02 15:04:05")), "state.last_changed_time.secs": strconv.FormatInt(p.EndedAt.Unix(), 10),
	})
	if why := js(at(o, "se_upgrade_events", 0, "reason", 0)); len(why) < 4 {
		t.Errorf("the failure's reason is %s", why)
	}
}

// A rollback is an object of its own; its source goes back to where it was.
func TestRolledBack(t *testing.T) {
	w := newWorld(t, avi.Options{})
	p := w.plan(otatest.IDs("ok-", 3), func(s *ota.Spec) { s.Labels = map[string]string{"patch": "pat_1"} })
	w.start(p.ID, ota.StatusCompleted)
	r, err := w.engine.Rollback(t.Context(), p.ID, ota.RollbackSpec{}, ota.Request{Actor: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	w.until(p.ID, ota.StatusRolledBack)
	expect(t, w.get(p.ID), map[string]string{
		"state.state": `"UPGRADE_FSM_COMPLETED"`, "upgrade_ops": `"ROLLBACKPATCH"`, "version": `"1.2.0"`, "previous_version": `"1.3.0"`,
		"enable_rollback": "false", "enable_patch_rollback": "false", "seg_status.state": `"SE_UPGRADE_COMPLETE"`,
		"history.0.ops": `"ROLLBACKPATCH"`, "history.0.version": `"1.2.0"`,
	})
	expect(t, w.get(r.ID), map[string]string{
		"uuid": js(r.ID), "upgrade_ops": `"ROLLBACKPATCH"`, "version": `"1.2.0"`, "previous_version": `"1.3.0"`, "enable_rollback": "false",
	})
}

// The past of a node is what plans with its label did, the oldest first, and at most 20 of them.
func TestHistory(t *testing.T) {
	w := newWorld(t, avi.Options{})
	var ids []string
	for i := range 22 {
		node := func(s *ota.Spec) { s.Labels = map[string]string{"node": "grp1"} }
		p := w.plan([]string{"ok-" + strconv.Itoa(i)}, node)
		if i == 21 {
			if _, err := w.engine.Cancel(t.Context(), p.ID, false, ota.Request{}); err != nil {
				t.Fatal(err)
			}
		} else {
			w.start(p.ID, ota.StatusCompleted)
		}
		if a := w.patch(p.ID, `{"patch_version":"6p`+strconv.Itoa(i)+`"}`); a.status != 200 {
			t.Fatal(a.text)
		}
		ids = append(ids, p.ID)
	}
	w.plan([]string{"ok-x"}, func(s *ota.Spec) { s.Labels = map[string]string{"node": "grp2"} })
	expect(t, w.get(ids[0]), map[string]string{
		"history.0.seg_status.se_group_uuid": js(ids[2]), "history.0.patch_version": `"6p2"`, "history.0.state.state": `"UPGRADE_FSM_COMPLETED"`,
		"history.19.seg_status.se_group_uuid": js(ids[21]), "history.19.state.state": `"UPGRADE_FSM_ABORTED"`, "history.19.start_time": "null",
		"history.19.version": `"1.2.0"`, "history.20": "null",
	})
}

// Each status has its word.
func TestStates(t *testing.T) {
	w := newWorld(t, avi.Options{})
	state := func(id string) string {
		o := w.get(id)
		word, _ := at(o, "state", "state").(string)
		seg, _ := at(o, "seg_status", "state").(string)
		return strings.TrimPrefix(word, "UPGRADE_FSM_") + " " + strings.TrimPrefix(seg, "SE_UPGRADE_")
	}
	check := func(what, id, want string) {
		t.Helper()
		if got := state(id); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	ctx, by := t.Context(), ota.Request{Actor: "ann"}

	held := w.plan(otatest.IDs("ok-a", 4), func(s *ota.Spec) { s.Shape.Size = 2; s.Policy.Hold.All = true })
	w.start(held.ID, ota.StatusRunning)
	for range 12_000 { // a minute
		if state(held.ID) == "WAITING IN_PROGRESS" {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	check("held", held.ID, "WAITING IN_PROGRESS")
	if _, err := w.engine.Pause(ctx, held.ID, by); err != nil {
		t.Fatal(err)
	}
	check("paused", held.ID, "PAUSED IN_PROGRESS")
	if _, err := w.engine.Resume(ctx, held.ID, ota.Decision{}, by); err != nil {
		t.Fatal(err)
	}
	r, err := w.engine.CreateRollback(ctx, held.ID, ota.RollbackSpec{}, by)
	if err != nil {
		t.Fatal(err)
	}
	w.until(held.ID, ota.StatusPaused)
	check("frozen by its rollback plan", held.ID, "SUSPENDED SUSPENDED")
	if a := w.patch(held.ID, `{"params":{"se_group_resume_options":{"skip_suspended":true}}}`); a.status != 400 || !strings.Contains(a.text, r.ID) {
		t.Errorf("resumed a frozen plan: %d %s", a.status, a.text)
	}
	if _, err := w.engine.Cancel(ctx, r.ID, false, by); err != nil {
		t.Fatal(err)
	}

	stuck := w.plan([]string{"hang-1", "ok-b1", "ok-b2"}, func(s *ota.Spec) { s.Policy.Concurrency = 1 })
	w.start(stuck.ID, ota.StatusRunning)
	w.waitInFlight(stuck.ID)
	check("running", stuck.ID, "IN_PROGRESS IN_PROGRESS")
	if _, err := w.engine.Pause(ctx, stuck.ID, by); err != nil {
		t.Fatal(err)
	}
	check("pausing", stuck.ID, "PAUSED IN_PROGRESS")
	if _, err := w.engine.Cancel(ctx, stuck.ID, false, by); err != nil {
		t.Fatal(err)
	}
	check("canceling", stuck.ID, "ABORT_IN_PROGRESS IN_PROGRESS")
	if _, err := w.engine.Cancel(ctx, stuck.ID, true, by); err != nil {
		t.Fatal(err)
	}
	w.until(stuck.ID, ota.StatusCanceled)
	check("canceled", stuck.ID, "ABORTED ERROR")

	check("breached", w.suspended().ID, "SUSPENDED SUSPENDED")
}

func (w *world) waitInFlight(id string) {
	w.t.Helper()
	for range 12_000 { // a minute
		p, err := w.engine.Plan(w.t.Context(), id)
		if err != nil {
			w.t.Fatal(err)
		}
		if p.InFlight() > 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.t.Fatal("nothing is in flight")
}

// Times follow the log: every change moves _last_modified, only a change of status moves
// last_changed_time.
func TestTimes(t *testing.T) {
	w := newWorld(t, avi.Options{})
	p := w.plan(otatest.IDs("ok-", 4), func(s *ota.Spec) { s.Shape.Size = 2; s.Policy.Hold.All = true })
	w.start(p.ID, ota.StatusRunning)
	for at(w.get(p.ID), "state", "state") != "UPGRADE_FSM_WAITING" {
		time.Sleep(5 * time.Millisecond)
	}
	stamps := func() (changed, modified int64) {
		o := w.get(p.ID)
		secs, _ := strconv.ParseInt(js(at(o, "state", "last_changed_time", "secs")), 10, 64)
		usecs, _ := strconv.ParseInt(js(at(o, "state", "last_changed_time", "usecs")), 10, 64)
		text, _ := o["_last_modified"].(string)
		modified, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Error(err)
		}
		return secs*1e6 + usecs, modified
	}
	c1, m1 := stamps()
	time.Sleep(2 * time.Millisecond)
	if a := w.patch(p.ID, `{"add":{"image_path":"x"}}`); a.status != 200 {
		t.Fatal(a.text)
	}
	c2, m2 := stamps()
	if c2 != c1 || m2 <= m1 {
		t.Errorf("after a PATCH: changed %d, then %d; modified %d, then %d", c1, c2, m1, m2)
	}
	for _, body := range []string{`{}`, `{"replace":{}}`, `{"add":{},"delete":{}}`, `{"replace":{"image_path":"x"}}`, `{"delete":{"image_ref":""}}`} {
		if a := w.patch(p.ID, body); a.status != 200 || js(a.body) != js(w.get(p.ID)) {
			t.Errorf("%s: %d %s", body, a.status, a.text)
		}
	}
	if _, m3 := stamps(); m3 != m2 {
		t.Errorf("a PATCH that changes nothing was a change: %d, then %d", m2, m3)
	}
	time.Sleep(2 * time.Millisecond)
	for _, verb := range []string{"pause", "resume"} {
		var err error
		if verb == "pause" {
			_, err = w.engine.Pause(t.Context(), p.ID, ota.Request{})
		} else {
			_, err = w.engine.Resume(t.Context(), p.ID, ota.Decision{}, ota.Request{})
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond)
		c4, _ := stamps()
		if c4 <= c2 {
			t.Errorf("%s was no change of status: %d, then %d", verb, c2, c4)
		}
		c2 = c4
	}
}

func TestList(t *testing.T) {
	w := newWorld(t, avi.Options{})
	var ids []string
	for i := range 30 {
		ids = append(ids, w.plan(otatest.IDs("ok-"+strconv.Itoa(i)+"-", 1), func(s *ota.Spec) {
			if i == 3 {
				s.Labels = map[string]string{"node": "grp 3"}
			}
		}).ID)
	}
	if a := w.patch(ids[4], `{"replace":{"name":"grp4"}}`); a.status != 200 || a.body["name"] != "grp4" {
		t.Fatal(a.text)
	}
	uuids := func(a answer) (out []string) {
		list, _ := a.body["results"].([]any)
		for _, o := range list {
			id, _ := at(o, "uuid").(string)
			out = append(out, id)
		}
		return out
	}
	all := w.send("GET", root, "")
	if got := uuids(all); len(got) != 25 || got[0] != ids[29] || js(all.body["count"]) != "30" {
		t.Errorf("%d objects from %s, count %s", len(got), got[0], js(all.body["count"]))
	}
	next, _ := all.body["next"].(string)
	if next != w.url+root+"?page=2" {
		t.Fatalf("next is %s", next)
	}
	second := w.send("GET", strings.TrimPrefix(next, w.url), "")
	if got := uuids(second); len(got) != 5 || got[4] != ids[0] || second.body["next"] != nil {
		t.Errorf("the second page is %v, next %v", got, second.body["next"])
	}
	for query, want := range map[string]string{
		"?name=grp+3&":                        ids[3],
		"?name=grp4&uuid=" + ids[4]:           ids[4],
		"?uuid=" + ids[7] + "&page_size=1":    ids[7],
		"?page_size=1&page=30&refers_to=what": ids[0],
	} {
		if got := uuids(w.send("GET", root+query, "")); len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %v, want %s", query, got, want)
		}
	}
	for _, query := range []string{"?name=grp3", "?uuid=nobody", "?uuid=" + ids[4] + "&name=x", "?page=100", "?uuid=" + url.QueryEscape("a/b")} {
		if a := w.send("GET", root+query, ""); a.status != 200 || js(a.body["results"]) != "[]" {
			t.Errorf("%s: %d %s", query, a.status, a.text)
		}
	}
	for _, query := range []string{"?page=0", "?page_size=201", "?page=x", "?skip_default=maybe", "?%zz"} {
		if a := w.send("GET", root+query, ""); a.status != 400 {
			t.Errorf("%s: %d %s", query, a.status, a.text)
		}
	}
	a := w.send("GET", root+"/"+ids[3]+"?fields=name,progress,system,upgrade_events&skip_default=true", "")
	if got := regexp.MustCompile(`[a-z_]+":`).FindAllString(js(a.body), -1); strings.Join(got, "") != `_last_modified":name":url":uuid":` {
		t.Errorf("fields and skip_default: %v", got)
	}
	if a := w.send("GET", root+"/"+ids[3]+"?name=grp+3", ""); a.status != 200 {
		t.Errorf("by its name: %d %s", a.status, a.text)
	}
	if a := w.send("GET", root+"/"+ids[3]+"?name=other", ""); a.status != 404 {
		t.Errorf("by another name: %d %s", a.status, a.text)
	}
}
