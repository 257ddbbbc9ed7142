//go:build unix

package crashtest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore"
	"github.com/seed-19b57ce3/ota/sqlstore/pgtest"
)

// A plan whose owner dies is taken over by a replica that lives. How soon is tested in virtual time.
func TestTakeover(t *testing.T) {
	t.Parallel()
	dsn, schema := pgtest.Schema(t)
	s, err := sqlstore.Open(t.Context(), dsn, sqlstore.Options{Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e, err := ota.New(s, nil, ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := startFleet(t, 30*time.Millisecond)
	o := order{DSN: dsn, Schema: schema, Fleet: f.address(), Lease: replicaLease, Stay: true}
	owners := map[string]*child{}
	begin := func(n int) {
		o.Name = fmt.Sprintf("replica-%d", n)
		c := startChild(t, o)
		t.Cleanup(c.kill)
		<-c.up
		owners[o.Name] = c
	}
	begin(0)
	begin(1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	spec := ota.Spec{ID: "p", Name: "p", ToVersion: "2", Agents: ota.AgentIDs(story{ID: "p", Agents: 5000}.agents()...), Shape: ota.Shape{Size: 5000}}
	spec.Policy.FailureThreshold = new(1.0)
	if _, err := e.Create(ctx, spec); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Start(ctx, "p", operator); err != nil {
		t.Fatal(err)
	}
	var took []time.Duration
	owner := awaitOwner(t, ctx, e, "")
	for n := range amount(12, 6, 4) {
		time.Sleep(50 * time.Millisecond)
		owners[owner].kill()
		began := time.Now()
		owner = awaitOwner(t, ctx, e, owner)
		took = append(took, time.Since(began))
		begin(n + 2)
	}
	slices.Sort(took)
	t.Logf("taken over after %v at the median, %v at most, with a lease of %v", took[len(took)/2], took[len(took)-1], replicaLease)
}

// awaitOwner waits until the plan is driven by somebody else.
func awaitOwner(t *testing.T, ctx context.Context, e *ota.Engine, before string) string {
	t.Helper()
	for {
		p, err := e.Plan(ctx, "p")
		if err != nil {
			t.Fatal(err)
		}
		if p.Owner != "" && p.Owner != before {
			return p.Owner
		}
		time.Sleep(time.Millisecond)
	}
}
