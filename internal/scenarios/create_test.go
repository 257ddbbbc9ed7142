package scenarios

import (
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// Whoever calls Create is the actor in the history, whatever CreatedBy claims.
func TestCreateActor(t *testing.T) {
	for _, c := range []struct{ createdBy, actor, want string }{
		{"somebody", "ann", "ann"}, {"somebody", "", "somebody"}, {"", "ann", "ann"},
	} {
		e, err := ota.New(memstore.New(), nil, ota.Options{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := e.Create(t.Context(), ota.Spec{Name: "x", ToVersion: "2", Agents: ota.AgentIDs("a"), CreatedBy: c.createdBy, Actor: c.actor})
		if err != nil {
			t.Fatal(err)
		}
		for rec, err := range e.Watch(t.Context(), p.ID, 0) {
			if err != nil || rec.Events[0].Actor != c.want || p.CreatedBy != c.createdBy {
				t.Errorf("%+v: got %+v, %v", c, rec, err)
			}
			break
		}
	}
}
