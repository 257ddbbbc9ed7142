package simulate

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// sickFleet tells of agents whose IDs begin with sick that they are unhealthy, each after a time of
// its own.
type sickFleet struct{ FleetFunc }

func (sickFleet) SimulateHealth(a ota.Attempt, _ time.Time) Health {
	n, _ := strconv.Atoi(a.Agent[len(a.Agent)-3:])
	return Health{Latency: time.Duration(n) * time.Second / 100, Health: ota.Health{Healthy: !strings.HasPrefix(a.Agent, "sick")}}
}

func TestEveryAnswerAboutHealthCounts(t *testing.T) {
	one := 1.0
	policy := ota.Policy{FailureThreshold: &one, Soak: ota.Soak{Duration: time.Minute, Interval: time.Hour}}
	s := simSpec(policy, ids("sick", 100)...)
	s.Shape.Size = 100
	sim, err := Run(t.Context(), s, sickFleet{simFail}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if sim.Plan.Counts.Failed != 100 {
		t.Errorf("got %+v, want all 100 to have failed at their first question", sim.Plan.Counts)
	}
}

// cautious is a simulated fleet with a precheck that takes ten seconds.
type cautious struct{ FleetFunc }

func (cautious) SimulatePrecheck(a ota.Attempt, _ time.Time) Precheck {
	if a.Agent == "a-001" {
		return Precheck{Precheck: ota.Precheck{State: ota.PrecheckBlocked}}
	}
	return Precheck{Latency: 10 * time.Second}
}

func TestPrechecksAreSimulated(t *testing.T) {
	fleet := cautious{func(a ota.Attempt, _ time.Time) Call {
		return Call{Latency: time.Minute, Result: ota.Result{Version: a.ToVersion}}
	}}
	sim := simulate(t, simSpec(ota.Policy{Concurrency: 1}, names("a", 4)...), fleet, Options{})
	require.Equal(t, 3*70*time.Second, sim.Took())
	require.Equal(t, 1, sim.Plan.Counts.Skipped)
	require.Equal(t, 3, sim.Calls)
}

// The events of a simulation and its rollback plan are in the order of time, however far apart.
func TestTimelineOfAMonthIsInOrder(t *testing.T) {
	t.Parallel()
	s := simSpec(ota.Policy{OnBreach: ota.ActionRollback, FailureThreshold: ptr(0.0), Soak: ota.Soak{Duration: 30 * 24 * time.Hour}}, append(ids("ok", 2), ids("fail", 2)...)...)
	s.Shape.Size = 2
	sim := simulate(t, s, simFail, Options{})
	require.NotNil(t, sim.Rollback)
	require.Greater(t, sim.Took(), 30*24*time.Hour)
	for i, e := range sim.Timeline[1:] {
		require.GreaterOrEqual(t, e.After, sim.Timeline[i].After)
	}
}

// A simulation knows the same versions as the engine.
func TestSameVersionIsSimulated(t *testing.T) {
	same := func(a, b string) bool { return strings.TrimPrefix(a, "v") == b }
	spec := ota.Spec{Name: "x", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("a")}
	fleet := FleetFunc(func(ota.Attempt, time.Time) Call { return Call{Result: ota.Result{Version: "v2"}} })
	sim, err := Run(t.Context(), spec, fleet, Options{SameVersion: same})
	require.NoError(t, err)
	require.Equal(t, ota.StatusCompleted, sim.Plan.Status)
	spec.Agents = ota.AgentIDs("a")
	sim, err = Run(t.Context(), spec, fleet, Options{})
	require.NoError(t, err)
	require.Equal(t, 1, sim.Plan.Counts.Failed)
}

// Tasks that a Resolver found are simulated like any other.
func TestResolvedTasksAreSimulated(t *testing.T) {
	two := []ota.TaskSpec{{Component: ota.Component{Name: "a"}}, {Component: ota.Component{Name: "b"}}}
	resolve := ota.ResolverFunc(func(_ context.Context, _ ota.Spec, a ota.Agent) ([]ota.TaskSpec, error) {
		if a.ID == "plain" {
			return []ota.TaskSpec{{}}, nil
		}
		return two, nil
	})
	spec := simSpec(ota.Policy{})
	spec.Agents = listed([]ota.Agent{{ID: "ok-1"}, {ID: "plain"}, {ID: "own", Tasks: two[:1]}})
	e, err := ota.New(newStore(), nil, ota.Options{Resolver: resolve})
	require.NoError(t, err)
	for _, s := range []ota.Spec{ota.Resolved(t.Context(), spec, resolve), e.Resolved(t.Context(), spec)} {
		require.Equal(t, 4, simulate(t, s, steady, Options{}).Calls)
	}
}

func ids(prefix string, n int) []string { return names(prefix, n) }

// names returns n IDs with a prefix.
func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s-%03d", prefix, i)
	}
	return out
}

func ptr[T any](v T) *T { return &v }

// The earliest times are those of a plan in which every call succeeds and every held batch is
// promoted at once.
func TestEarliest(t *testing.T) {
	spec := simSpec(ota.Policy{Concurrency: 3, Soak: ota.Soak{Duration: time.Minute}, Hold: ota.Hold{All: true}}, names("a", 25)...)
	spec.Shape.Size = 9
	s, err := Earliest(t.Context(), spec, 10*time.Second, time.Time{})
	require.NoError(t, err)
	require.Equal(t, &Schedule{Takes: 270 * time.Second, Batches: []BatchTime{
		{0, 90 * time.Second}, {90 * time.Second, 180 * time.Second}, {180 * time.Second, 270 * time.Second},
	}}, s)

	spec.Policy.Windows = []ota.Window{{Start: 3 * time.Hour, Length: time.Hour}}
	s, err = Earliest(t.Context(), spec, 10*time.Second, time.Date(2030, 1, 1, 1, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	require.Equal(t, 2*time.Hour+270*time.Second, s.Takes, "the window opens two hours after the start")

	for _, call := range []time.Duration{-1, maxDuration + 1} {
		_, err := Earliest(t.Context(), spec, call, time.Time{})
		require.ErrorIs(t, err, ota.ErrInvalid)
		require.ErrorContains(t, err, "call")
	}
	_, err = Earliest(t.Context(), ota.Spec{}, time.Second, time.Time{})
	require.ErrorIs(t, err, ota.ErrInvalid)
}

// A rollback waits for abandoned calls of its source, as the engine does.
func TestASimulatedRollbackWaitsForAbandonedCalls(t *testing.T) {
	fleet := FleetFunc(func(a ota.Attempt, _ time.Time) Call {
		if a.IsRollback {
			return Call{Result: ota.Result{Version: a.ToVersion}}
		}
		return Call{Latency: 5 * time.Hour, IgnoresContext: true}
	})
	policy := ota.Policy{AttemptTimeout: time.Hour, OnBreach: ota.ActionRollback}
	for limit, want := range map[time.Duration]struct {
		took            time.Duration
		succeeds, fails int
	}{
		ota.NoTimeout:  {5 * time.Hour, 1, 0},
		10 * time.Hour: {5 * time.Hour, 1, 0},
		2 * time.Hour:  {3*time.Hour + 5*time.Second, 0, 1}, // after the call was abandoned
	} {
		policy.UnreachableTimeout = limit
		sim := simulate(t, simSpec(policy, "a"), fleet, Options{})
		require.Equal(t, ota.StatusRolledBack, sim.Plan.Status, "%s", sim)
		require.Equal(t, want.took, sim.Took(), "%s", sim)
		require.Equal(t, ota.Counts{Succeeded: want.succeeds, Failed: want.fails}, sim.Rollback.Counts)
	}
}
