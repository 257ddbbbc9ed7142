package scenarios

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

func ids(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s-%03d", prefix, i)
	}
	return out
}

func TestSmoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exec := ota.ExecutorFunc(func(ctx context.Context, a ota.Attempt) (ota.Result, error) {
			time.Sleep(time.Second)
			if strings.HasPrefix(a.Agent, "fail") && !a.IsRollback {
				return ota.Result{}, errors.New("no")
			}
			return ota.Result{Version: a.ToVersion}, nil
		})
		e, err := ota.New(memstore.New(), exec, ota.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		p, err := e.Create(ctx, ota.Spec{Name: "x", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs(append(ids("ok", 15), ids("fail", 5)...)...)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Start(ctx, p.ID, ota.Request{Actor: "ann"}); err != nil {
			t.Fatal(err)
		}
		p, err = e.RunPlan(ctx, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(p.Status, p.Counts, p.Breaches)
		x, err := e.Explain(ctx, p.ID)
		t.Log(x.Sentence(), err)
		r, err := e.Rollback(ctx, p.ID, ota.RollbackSpec{}, ota.Request{Actor: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		r, err = e.RunPlan(ctx, r.ID)
		t.Log(r.Status, r.Counts, err)
		p, _ = e.Plan(ctx, p.ID)
		t.Log(p.Status)
		n := 0
		wctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		for rec, err := range e.Watch(wctx, p.ID, 0) {
			if err != nil {
				break
			}
			n++
			for _, ev := range rec.Events {
				t.Log(rec.Revision, rec.At.Format("15:04:05"), rec.Status, ev.Kind, ev.Batch, ev.Agent, ev.Reason, ev.Text)
			}
		}
	})
}
