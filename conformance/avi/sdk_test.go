package avi

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/avi"
	"github.com/seed-19b57ce3/ota/internal/testserver"
	"github.com/seed-19b57ce3/ota/otatest"
	"github.com/vmware/alb-sdk/go/clients"
	"github.com/vmware/alb-sdk/go/models"
	"github.com/vmware/alb-sdk/go/session"
)

// TestMain gives the SDK's log a folder, and removes it afterwards.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "avi-sdk")
	if err == nil {
		err = flag.Set("log_dir", dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// controller is a server that the SDK uses as an Avi controller.
type controller struct {
	t      *testing.T
	engine *ota.Engine
	fleet  *otatest.Fleet
	h      atomic.Pointer[http.ServeMux]
	host   string
}

func newController(t *testing.T) *controller {
	t.Helper()
	c := &controller{t: t}
	c.engine, c.fleet = testserver.Engine(t, 0)
	c.restart()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.h.Load().ServeHTTP(w, r) }))
	t.Cleanup(s.Close)
	c.host = s.Listener.Addr().String()
	return c
}

// restart makes the server forget every login.
func (c *controller) restart() {
	h, err := avi.New(c.engine, avi.Options{Auth: httpapi.Tokens(map[string]string{"pw": "ann"})})
	if err != nil {
		c.t.Fatal(err)
	}
	mux := http.NewServeMux()
	avi.Mount(mux, h)
	c.h.Store(mux)
}

func (c *controller) client(options ...func(*session.AviSession) error) *clients.AviClient {
	c.t.Helper()
	options = append([]func(*session.AviSession) error{
		session.SetPassword("pw"), session.SetTenant("admin"), session.SetVersion("30.2.1"), session.SetInsecure,
	}, options...)
	cl, err := clients.NewAviClient(c.host, "admin", options...)
	if err != nil {
		c.t.Fatal(err)
	}
	return cl
}

// plan makes a plan for agents with a prefix, and names its node.
func (c *controller) plan(node string, agents []string, size int) string {
	c.t.Helper()
	p, err := c.engine.Create(c.t.Context(), ota.Spec{
		Name: node, FromVersion: "22.1.3", ToVersion: "30.2.1", Agents: ota.AgentIDs(agents...), Shape: ota.Shape{Size: size},
		Labels: map[string]string{"node": node},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return p.ID
}

func (c *controller) start(id string, until ota.Status) {
	c.t.Helper()
	if _, err := c.engine.Start(c.t.Context(), id, ota.Request{}); err != nil {
		c.t.Fatal(err)
	}
	c.until(id, until)
}

func (c *controller) until(id string, want ota.Status) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	for record, err := range c.engine.Watch(ctx, id, 0) {
		if err != nil {
			c.t.Fatal(err)
		}
		p, err := c.engine.Plan(ctx, id)
		if err != nil {
			c.t.Fatal(err)
		}
		if p.Status == want && record.Status == want {
			return
		}
	}
}

// refused checks that the SDK understands a refusal.
func refused(t *testing.T, err error, status int, text string) {
	t.Helper()
	var e session.AviError
	if !errors.As(err, &e) || e.HttpStatusCode != status || e.Message == nil || !strings.Contains(*e.Message, text) {
		t.Errorf("got %v, want %d %s", err, status, text)
	}
}

func TestRead(t *testing.T) {
	c := newController(t)
	id := c.plan("grp1", otatest.IDs("ok-", 5), 2)
	other := c.plan("grp 2", otatest.IDs("ok-b", 3), 3)
	c.start(id, ota.StatusCompleted)
	cl := c.client()
	o, err := cl.UpgradeStatusInfo.Get(id)
	if err != nil {
		t.Fatal(err)
	}
	if *o.UUID != id || *o.Name != "grp1" || *o.State.State != "UPGRADE_FSM_COMPLETED" || *o.Progress != 100 || *o.TotalTasks != 5 ||
		*o.Version != "30.2.1" || *o.PreviousVersion != "22.1.3" || !*o.EnableRollback || len(o.UpgradeEvents) != 3 || len(o.History) != 1 ||
		len(o.SegStatus.SeUpgradeCompleted) != 5 || *o.SegStatus.State != "SE_UPGRADE_COMPLETE" || !strings.HasPrefix(*o.URL, "https://"+c.host) ||
		*o.Params.SeGroupOptions.ActionOnError != "SUSPEND_UPGRADE_OPS_ON_ERROR" || *o.State.LastChangedTime.Secs < 1 {
		t.Errorf("got %+v", o)
	}
	all, err := cl.UpgradeStatusInfo.GetAll()
	if err != nil || len(all) != 2 || *all[0].UUID != other {
		t.Errorf("got %d objects, %v", len(all), err)
	}
	if o, err = cl.UpgradeStatusInfo.GetByName("grp1"); err != nil || *o.UUID != id {
		t.Errorf("got %+v, %v", o, err)
	}
	all, err = cl.UpgradeStatusInfo.GetAll(session.SetParams(map[string]string{"name": "grp1", "fields": "name,progress"}))
	if err != nil || len(all) != 1 || *all[0].UUID != id || all[0].State != nil {
		t.Errorf("got %+v, %v", all, err)
	}
	_, err = cl.UpgradeStatusInfo.Get("nobody")
	refused(t, err, 404, "UpgradeStatusInfo object not found!")
	_, err = cl.UpgradeStatusInfo.Update(o)
	refused(t, err, 405, "error")
	_, err = cl.UpgradeStatusInfo.Create(&models.UpgradeStatusInfo{})
	refused(t, err, 405, "error")
	refused(t, cl.UpgradeStatusInfo.Delete(id), 405, "error")
}

func ptr[T any](v T) *T { return &v }

func TestPatch(t *testing.T) {
	c := newController(t)
	id := c.plan("grp1", otatest.IDs("ok-", 2), 1)
	cl := c.client()
	o, err := cl.UpgradeStatusInfo.Patch(id, &models.UpgradeStatusInfo{
		UpgradeOps: ptr("ROLLBACK"), EnableRollback: ptr(true), PatchList: []*models.PatchData{{PatchVersion: ptr("6p1")}},
	}, "add")
	if err != nil || *o.UpgradeOps != "ROLLBACK" || !*o.EnableRollback || len(o.PatchList) != 1 || *o.UUID != id {
		t.Fatalf("got %+v, %v", o, err)
	}
	modified := *o.LastModified
	o, err = cl.UpgradeStatusInfo.Patch(id, map[string]any{"patch_list": []any{map[string]any{"patch_version": "6p1"}}, "upgrade_ops": ""}, "delete")
	if err != nil || len(o.PatchList) != 0 || *o.UpgradeOps != "UPGRADE" || *o.LastModified <= modified {
		t.Fatalf("got %+v, %v", o, err)
	}
	o, err = cl.UpgradeStatusInfo.Patch(id, map[string]any{
		"params": map[string]any{"se_group_options": map[string]any{"action_on_error": "CONTINUE_UPGRADE_OPS_ON_ERROR"}},
	}, "replace")
	if err != nil || *o.Params.SeGroupOptions.ActionOnError != "CONTINUE_UPGRADE_OPS_ON_ERROR" {
		t.Fatalf("got %+v, %v", o, err)
	}
	p, err := c.engine.Plan(t.Context(), id)
	if err != nil || p.Policy.OnBreach != ota.ActionContinue {
		t.Errorf("the plan's action is %v, %v", p.Policy.OnBreach, err)
	}
	_, err = cl.UpgradeStatusInfo.Patch(id, map[string]any{"progress": 7}, "replace")
	refused(t, err, 400, "progress cannot be set")
	if o, err = cl.UpgradeStatusInfo.Patch(id, map[string]any{"name": "x"}, "remove"); err != nil {
		t.Errorf("remove: got %+v, %v", o, err)
	}
	_, err = cl.UpgradeStatusInfo.Patch(id, map[string]any{"name": "x"}, "purge")
	refused(t, err, 400, "/purge is none of add, replace, delete and remove")
	// The example body of the vendor's document: an empty object.
	answer, err := cl.AviSession.RestRequest(http.MethodPatch, "api/upgradestatusinfo/"+id, map[string]any{}, "", nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("got %+v, %v", answer, err)
	}
	_ = answer.Body.Close()
}

// A client of this API has only this way to continue after a breach.
func TestResume(t *testing.T) {
	c := newController(t)
	id := c.plan("grp1", append(otatest.IDs("fail-", 2), otatest.IDs("ok-", 4)...), 3)
	c.start(id, ota.StatusPaused)
	cl := c.client()
	o, err := cl.UpgradeStatusInfo.Get(id)
	if err != nil || *o.State.State != "UPGRADE_FSM_SUSPENDED" || len(o.SegStatus.SeUpgradeSuspended) == 0 || len(o.SeUpgradeEvents) == 0 {
		t.Fatalf("got %+v, %v", o, err)
	}
	options := &models.SeGroupResumeOptions{ActionOnError: ptr("CONTINUE_UPGRADE_OPS_ON_ERROR"), SkipSuspended: ptr(true)}
	o, err = cl.UpgradeStatusInfo.Patch(id, &models.UpgradeStatusInfo{Params: &models.UpgradeOpsParam{SeGroupResumeOptions: options}}, "replace")
	if err != nil || *o.Params.SeGroupResumeOptions.SkipSuspended != true {
		t.Fatalf("got %+v, %v", o, err)
	}
	c.until(id, ota.StatusCompleted)
	if o, err = cl.UpgradeStatusInfo.Get(id); err != nil || *o.TasksCompleted != 6 || len(o.SegStatus.SeUpgradeFailed) != 2 {
		t.Errorf("got %+v, %v", o, err)
	}
}

func TestSession(t *testing.T) {
	c := newController(t)
	id := c.plan("grp1", otatest.IDs("ok-", 1), 1)
	_, err := clients.NewAviClient(c.host, "admin", session.SetPassword("wrong"), session.SetInsecure)
	refused(t, err, 401, "Invalid credentials")
	cl := c.client(session.SetPassword(""), session.SetAuthToken("pw"))
	if _, err := cl.UpgradeStatusInfo.Get(id); err != nil {
		t.Fatal(err)
	}
	// The server has restarted: the SDK logs in again and repeats its request.
	c.restart()
	o, err := cl.UpgradeStatusInfo.Patch(id, map[string]any{"name": "after"}, "replace")
	if err != nil || *o.Name != "after" {
		t.Fatalf("got %+v, %v", o, err)
	}
	if err := cl.AviSession.Logout(); err != nil {
		t.Fatal(err)
	}
	var out any
	if err := cl.AviSession.Get("api/cluster/status", &out); err != nil {
		t.Error(err)
	}
}
