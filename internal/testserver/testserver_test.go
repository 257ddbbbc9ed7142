package testserver

import (
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/client"
	"github.com/seed-19b57ce3/ota/otatest"
)

// A plan on the server that clients are tested against completes.
func TestServe(t *testing.T) {
	e, fleet := Engine(t, 0)
	h, err := httpapi.New(e, httpapi.Options{Auth: httpapi.Open()})
	if err != nil {
		t.Fatal(err)
	}
	c := Client(t, Serve(t, h), client.Options{})
	p, err := e.Create(t.Context(), ota.Spec{Name: "n", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs(otatest.IDs("ok-", 3)...)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Start(t.Context(), p.ID, ota.Request{}); err != nil {
		t.Fatal(err)
	}
	if p, err = e.Wait(t.Context(), p.ID); err != nil || p.Status != ota.StatusCompleted || fleet.Version("ok-3") != "2" {
		t.Errorf("got %v, %v; ok-3 runs %s", p.Status, err, fleet.Version("ok-3"))
	}
}
