package httpapi_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
	"github.com/seed-19b57ce3/ota/internal/testserver"
)

// inventory knows two components; asking for the third fails.
type inventory struct{}

var errInventory = errors.New("the inventory is away")

func (inventory) AgentsOf(_ context.Context, component string) iter.Seq2[httpapi.Installation, error] {
	return func(yield func(httpapi.Installation, error) bool) {
		proxy := ota.Component{Name: "proxy", ID: "p"}
		switch component {
		case "p":
			_ = yield(httpapi.Installation{Agent: "b", Component: proxy, FromVersion: "2.1", FromRelease: "21"}, nil) &&
				yield(httpapi.Installation{Agent: "a", Component: proxy, FromVersion: "2.0"}, nil)
		case "s":
			yield(httpapi.Installation{Agent: "a", FromVersion: "7"}, nil)
		case "away":
			yield(httpapi.Installation{}, errInventory)
		}
	}
}

// The inventory says which agents a downgrade is about, and each of their tasks goes from where it
// is to where it was told.
func TestDowngradeByInventory(t *testing.T) {
	var mu sync.Mutex
	var calls []string
	c, e, _ := testserver.Lifecycle(t, ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, a.Agent+" "+a.Component.Name+" "+a.FromVersion+"/"+a.FromRelease+" to "+a.ToVersion+"/"+a.ToRelease)
		return ota.Result{Version: a.ToVersion}, nil
	}), httpapi.Options{Strict: true, Inventory: inventory{}})
	ctx := t.Context()
	more := map[string]any{"batchSize": 10, "observeDuration": "0s", "concurrency": 1, "createdBy": "ann", "fromVersion": "3"}
	p, err := c.Downgrade(ctx, "back", append(to("p", "1.9", "19"), to("s", "6", "60")...), nil, more)
	if err != nil || p.Status != ota.StatusPending || p.TotalAgents != 2 || p.ToVersion != "1.9" || p.CreatedBy != "ann" {
		t.Fatalf("got %+v, %v", p, err)
	}
	if _, err := c.Start(ctx, p.ID, ota.Request{}); err != nil {
		t.Fatal(err)
	}
	if done, err := e.Wait(ctx, p.ID); err != nil || done.Status != ota.StatusCompleted || done.Tasks.Succeeded != 3 {
		t.Fatal(done.Status, done.Tasks, err)
	}
	want := []string{"b proxy 2.1/21 to 1.9/19", "a proxy 2.0/ to 1.9/19", "a s 7/ to 6/60"}
	if !slices.Equal(calls, want) {
		t.Errorf("called\n%q, want\n%q", calls, want)
	}
	_, err = c.Downgrade(ctx, "back", to("nowhere", "1", "1"), nil, more)
	if f := ota.FieldErrors(err); len(f) != 1 || f[0].Field != "/components/0/componentUuid" {
		t.Errorf("a component that is nowhere: %v", err)
	}
	if _, err = c.Downgrade(ctx, "back", to("away", "1", "1"), nil, more); err == nil || ota.FieldErrors(err) != nil {
		t.Errorf("an inventory that fails: %v", err)
	}
	p, err = c.Downgrade(ctx, "back", to("p", "1", "1"), []string{"x"}, more)
	if err != nil || p.TotalAgents != 1 {
		t.Errorf("agents that are named go before the inventory: %+v, %v", p, err)
	}
}

func to(component, version, release string) []wire.DowngradeComponent {
	return []wire.DowngradeComponent{{ComponentUUID: component, ToVersion: version, ToRelease: release}}
}
