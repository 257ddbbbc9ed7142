package client_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/client"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
	"github.com/seed-19b57ce3/ota/internal/testserver"
	"github.com/seed-19b57ce3/ota/memstore"
)

// stoppedFleet has plans as an engine left them that has ended: one held, one with a breach, one
// paused, one completed, and one that was never started. It returns an engine that drives none.
func stoppedFleet(t *testing.T) *ota.Engine {
	t.Helper()
	store, none := memstore.New(), 0.0
	driver, err := ota.New(store, ota.ExecutorFunc(failing), ota.Options{Name: "driver"})
	require.NoError(t, err)
	reader, err := ota.New(store, ota.ExecutorFunc(failing), ota.Options{Name: "reader"})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- driver.Run(ctx) }()
	want := map[string]ota.Reason{}
	create := func(name string, why ota.Reason, policy ota.Policy, agents ...string) {
		p, err := driver.Create(t.Context(), ota.Spec{
			ID: name, Name: name, ToVersion: "2", Agents: ota.AgentIDs(agents...), Shape: ota.Shape{Size: 1}, Policy: policy,
			Labels: map[string]string{"first": name[:1]},
		})
		require.NoError(t, err)
		want[p.ID] = why
		if why != ota.ReasonPending {
			_, err = driver.Start(t.Context(), p.ID, ota.Request{})
			require.NoError(t, err)
		}
	}
	create("pending", ota.ReasonPending, ota.Policy{}, "a")
	create("held", ota.ReasonHeld, ota.Policy{Hold: ota.Hold{All: true}}, "b", "c")
	create("breached", ota.ReasonBreached, ota.Policy{FailureThreshold: &none}, "bad-1", "d")
	create("soaking", ota.ReasonSoaking, ota.Policy{Soak: ota.Soak{Duration: 24 * time.Hour}}, "e")
	create("completed", ota.ReasonNone, ota.Policy{}, "f")
	create("paused", ota.ReasonPaused, ota.Policy{Soak: ota.Soak{Duration: 24 * time.Hour}}, "g")
	_, err = driver.Pause(t.Context(), "paused", ota.Request{Actor: "ann", Reason: "lunch"})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		page, err := driver.Plans(t.Context(), ota.PlanQuery{})
		require.NoError(t, err)
		return !slices.ContainsFunc(page.Items, func(p ota.Plan) bool {
			why := ota.ReasonNone
			if p.Waiting != nil {
				why = p.Waiting.Reason
			}
			return why != want[p.ID] || want[p.ID] == ota.ReasonNone && !p.Status.Ended()
		})
	}, time.Minute, 10*time.Millisecond)
	stop()
	require.NoError(t, <-ended)
	return reader
}

// Each parameter of a list selects the same plans with the same total, on pages of any length, for
// everybody and where an authorizer decides about each plan.
func TestListsSelectAndSort(t *testing.T) {
	e := stoppedFleet(t)
	held, err := e.Plan(t.Context(), "held")
	require.NoError(t, err)
	needs := func(all ...ota.Needs) client.PlanQuery { return client.PlanQuery{Needs: all} }
	reason := func(all ...ota.Reason) client.PlanQuery { return client.PlanQuery{Reason: all} }
	for _, authorize := range []func(context.Context, httpapi.Principal, httpapi.Access) error{
		nil,
		func(context.Context, httpapi.Principal, httpapi.Access) error { return nil },
	} {
		c := lists(t, e, authorize)
		for name, x := range map[string]struct {
			q    client.PlanQuery
			want []string
		}{
			"all":          {client.PlanQuery{}, []string{"paused", "completed", "soaking", "breached", "held", "pending"}},
			"person":       {needs(ota.NeedsPerson), []string{"paused", "breached", "held", "pending"}},
			"engine":       {needs(ota.NeedsEngine), []string{"soaking", "held"}},
			"time":         {needs(ota.NeedsTime), nil},
			"time, engine": {needs(ota.NeedsTime, ota.NeedsEngine), []string{"soaking", "held"}},
			"breached":     {reason(ota.ReasonBreached), []string{"breached"}},
			"paused, lost": {reason(ota.ReasonPaused, ota.ReasonNoEngine), []string{"paused", "soaking", "held"}},
			"search":       {client.PlanQuery{Search: "PA"}, []string{"paused"}},
			"label":        {client.PlanQuery{Labels: map[string]string{"first": "p"}}, []string{"paused", "pending"}},
			"status":       {client.PlanQuery{Status: []ota.Status{ota.StatusPending, ota.StatusCompleted}}, []string{"completed", "pending"}},
			"coverage":     {client.PlanQuery{Coverage: []ota.Coverage{ota.CoveragePartial}}, []string{"held"}},
			"after":        {client.PlanQuery{CreatedAfter: held.CreatedAt, Needs: []ota.Needs{ota.NeedsPerson}}, []string{"paused", "breached", "held"}},
			"before":       {client.PlanQuery{CreatedBefore: held.CreatedAt}, []string{"pending"}},
			"oldest":       {client.PlanQuery{Sort: ota.SortOldest}, []string{"pending", "held", "breached", "soaking", "completed", "paused"}},
			"name":         {client.PlanQuery{Sort: ota.SortName}, []string{"breached", "completed", "held", "paused", "pending", "soaking"}},
		} {
			for _, limit := range []int{0, 1} {
				q, got := x.q, []string(nil)
				q.Limit = limit
				for {
					page, err := c.Plans(t.Context(), q)
					require.NoError(t, err)
					require.Equal(t, len(x.want), page.Total, name)
					for _, p := range page.Items {
						got = append(got, p.Name)
					}
					if q.Offset += len(page.Items); len(page.Items) == 0 || q.Offset >= page.Total {
						break
					}
				}
				require.Equal(t, x.want, got, name)
			}
		}
		page, err := c.Plans(t.Context(), client.PlanQuery{Sort: ota.SortSince})
		require.NoError(t, err)
		require.Equal(t, "pending", page.Items[0].Name)
		require.Equal(t, "completed", page.Items[5].Name) // it waits for nothing
	}
	hidden := lists(t, e, func(_ context.Context, _ httpapi.Principal, a httpapi.Access) error {
		if a.Plan != nil && a.Plan.Name == "held" {
			return ota.ErrNotFound
		}
		return nil
	})
	page, err := hidden.Plans(t.Context(), needs(ota.NeedsEngine))
	require.NoError(t, err)
	require.Equal(t, 1, page.Total)
	require.Equal(t, "soaking", page.Items[0].Name)
}

// lists serves the API over an engine that does not run.
func lists(t *testing.T, e *ota.Engine, authorize func(context.Context, httpapi.Principal, httpapi.Access) error) *client.Client {
	t.Helper()
	auth := httpapi.Tokens(map[string]string{"ann-token": "ann"})
	auth.Authorize = authorize
	h, err := httpapi.New(e, httpapi.Options{Auth: auth})
	require.NoError(t, err)
	return testserver.Client(t, testserver.Serve(t, h), client.Options{Token: "ann-token"})
}

// A plan of a list says what an operator needs to choose it, and the same as the plan by itself.
func TestPlansOfLists(t *testing.T) {
	e := stoppedFleet(t)
	c := lists(t, e, nil)
	page, err := c.Plans(t.Context(), client.PlanQuery{})
	require.NoError(t, err)
	byName := map[string]wire.Plan{}
	for _, p := range page.Items {
		want, err := e.Plan(t.Context(), p.ID)
		require.NoError(t, err)
		require.Nil(t, p.Batches)
		require.Equal(t, want.Counts, p.Counts)
		require.Equal(t, want.Changed, p.Touched)
		require.Equal(t, want.Batches, p.BatchCount)
		require.Equal(t, want.Owner, p.Owner)
		require.Equal(t, want.Generation, p.Generation)
		require.Equal(t, want.Revision, p.Revision)
		require.Len(t, p.Breaches, len(want.Breaches))
		require.Equal(t, want.Paused != nil, p.Paused != nil)
		byName[p.Name] = p
	}
	require.Equal(t, ota.ReasonThreshold, byName["breached"].Breaches[0].Reason)
	require.Equal(t, 1, byName["breached"].Counts.Failed)
	require.Equal(t, "ann", byName["paused"].Paused.Actor)
	require.Equal(t, "lunch", byName["paused"].Paused.Reason)
	require.False(t, byName["paused"].Paused.At.IsZero())
	held := byName["held"]
	require.Equal(t, ota.NeedsEngine, held.Waiting.Needs)
	require.Equal(t, ota.ReasonNoEngine, held.Waiting.Reason)
	require.Equal(t, "driver", held.Owner)
	require.False(t, held.Waiting.Since.IsZero())
	_, err = c.Pause(t.Context(), held.ID, ota.Request{Generation: held.Generation})
	require.NoError(t, err)
}
