package client_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi"
	"github.com/seed-19b57ce3/ota/httpapi/client"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
	"github.com/seed-19b57ce3/ota/internal/testserver"
)

// A list says of each plan what holds it, and finds the plans that need a person or an engine: alike
// for everybody, and where an authorizer decides about each plan.
func TestWhatNeedsMe(t *testing.T) {
	for _, auth := range []httpapi.Auth{{}, {Authorize: func(context.Context, httpapi.Principal, httpapi.Access) error { return nil }}} {
		c, e, _ := testserver.Lifecycle(t, ota.ExecutorFunc(failing), httpapi.Options{Auth: auth})
		ctx, none := t.Context(), 0.0
		create := func(name string, policy ota.Policy, agents ...string) string {
			p, err := e.Create(ctx, ota.Spec{Name: name, ToVersion: "2", Agents: ota.AgentIDs(agents...), Shape: ota.Shape{Size: 1}, Policy: policy})
			require.NoError(t, err)
			if name != "pending" {
				_, err = e.Start(ctx, p.ID, ota.Request{})
				require.NoError(t, err)
			}
			return p.ID
		}
		want := map[string]ota.Reason{
			create("pending", ota.Policy{}, "a"):                                            ota.ReasonPending,
			create("held", ota.Policy{Hold: ota.Hold{All: true}}, "b", "c"):                 ota.ReasonHeld,
			create("breached", ota.Policy{FailureThreshold: &none}, "bad-1", "d"):           ota.ReasonBreached,
			create("soaking", ota.Policy{Soak: ota.Soak{Duration: time.Hour}}, "e"):         ota.ReasonSoaking,
			create("completed", ota.Policy{FailureThreshold: &none, Concurrency: 1}, "f-1"): ota.ReasonNone,
		}
		list := func(q client.PlanQuery) (names []string) {
			page, err := c.Plans(ctx, q)
			require.NoError(t, err)
			require.Equal(t, len(page.Items), page.Total)
			for _, p := range page.Items {
				require.Empty(t, p.Batches)
				names = append(names, p.Name)
			}
			slices.Sort(names)
			return names
		}
		require.Eventually(t, func() bool {
			page, err := c.Plans(ctx, client.PlanQuery{})
			require.NoError(t, err)
			return !slices.ContainsFunc(page.Items, func(p wire.Plan) bool {
				why := ota.ReasonNone
				if p.Waiting != nil {
					why = p.Waiting.Reason
				}
				return why != want[p.ID]
			})
		}, time.Minute, 10*time.Millisecond)
		require.Equal(t, []string{"breached", "held", "pending"}, list(client.PlanQuery{Needs: []ota.Needs{ota.NeedsPerson}}))
		require.Equal(t, []string{"soaking"}, list(client.PlanQuery{Needs: []ota.Needs{ota.NeedsTime}}))
		require.Empty(t, list(client.PlanQuery{Needs: []ota.Needs{ota.NeedsEngine}}))
		require.Equal(t, []string{"breached", "held"}, list(client.PlanQuery{Reason: []ota.Reason{ota.ReasonHeld, ota.ReasonBreached}}))
		require.Equal(t, []string{"soaking"}, list(client.PlanQuery{Search: "OAK"}))
		require.Empty(t, list(client.PlanQuery{Search: "oak", Needs: []ota.Needs{ota.NeedsPerson}}))
	}
}

func failing(_ context.Context, a ota.Attempt) (ota.Result, error) {
	if strings.HasPrefix(a.Agent, "bad") {
		return ota.Result{}, errors.New("no")
	}
	return ota.Result{Version: a.ToVersion}, nil
}

// What a list cannot select or sort by is refused by name.
func TestUnknownNeeds(t *testing.T) {
	_, _, url := testserver.Lifecycle(t, ota.ExecutorFunc(failing), httpapi.Options{})
	for query, text := range map[string]string{
		"needs=me": "is no need", "reason=weather": "is no reason", "status=unknown": "is no status",
		"sort=up": "is no order", "sort=name&sort=name": "more than once", "createdAfter=yesterday": "is no time", "createdBefore=": "is no time", "q=a&q=b": "more than once",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/v1/lifecycle/upgrade-plans?"+query, nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer ann-token")
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		body := make([]byte, 4096)
		n, _ := answer.Body.Read(body)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusBadRequest, answer.StatusCode)
		require.Contains(t, string(body[:n]), text)
	}
}
