package simulate

import (
	"errors"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

func tried(t *testing.T, p ota.Policy, m AgentModel, o TrialOptions, agents int) *TrialResult {
	t.Helper()
	r, err := Trials(t.Context(), simSpec(p, ids("a", agents)...), SameAgents(m), o)
	require.NoError(t, err)
	require.Len(t, r.Runs, o.Runs)
	return r
}

func TestTrialsAreRepeatable(t *testing.T) {
	m := AgentModel{Fails: 0.05, Flaky: 0.1, Latency: Latency{Median: time.Minute, P99: 10 * time.Minute}}
	o := TrialOptions{Runs: 60, Seed: 7, Run: Options{Accept: true}}
	one := tried(t, ota.Policy{Retry: ota.RetryPolicy{Max: 1}}, m, o, 100)
	old := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(old)
	require.Equal(t, one, tried(t, ota.Policy{Retry: ota.RetryPolicy{Max: 1}}, m, o, 100), "on one processor")
	o.Seed = 8
	require.NotEqual(t, one, tried(t, ota.Policy{Retry: ota.RetryPolicy{Max: 1}}, m, o, 100))
}

// With a threshold that tolerates everything, what fails is what the model says.
func TestTrialsFollowTheModel(t *testing.T) {
	all := 1.0
	o := TrialOptions{Runs: 400, Seed: 1}
	r := tried(t, ota.Policy{FailureThreshold: &all}, AgentModel{Fails: 0.1, Latency: Latency{Median: time.Minute}}, o, 100)
	require.InDelta(t, 10, r.Failed().Mean, 0.6) // four standard errors
	require.InDelta(t, 1, r.Completed(), 0)
	require.InDelta(t, 0, r.Breached(), 0)
	variance := 0.0
	for _, run := range r.Runs {
		variance += math.Pow(float64(run.Failed)-10, 2) / float64(len(r.Runs))
	}
	require.InDelta(t, 9, variance, 3, "agents fail independently of each other")
	require.Equal(t, Spread[time.Duration]{
		Runs: 400, Mean: float64(20 * time.Minute), P50: 20 * time.Minute, P90: 20 * time.Minute, P99: 20 * time.Minute, Max: 20 * time.Minute,
	}, r.Took())

	flaky := tried(t, ota.Policy{FailureThreshold: &all, Retry: ota.RetryPolicy{Max: 1}}, AgentModel{Flaky: 0.3}, o, 100)
	require.InDelta(t, 9, flaky.Failed().Mean, 0.6, "both attempts fail with 0.3 × 0.3")
}

func TestLatenciesFollowTheirPercentiles(t *testing.T) {
	d, err := drawn(simSpec(ota.Policy{}, ids("a", 20_000)...), SameAgents(AgentModel{Latency: Latency{Median: time.Minute, P99: time.Hour}}))
	require.NoError(t, err)
	fleet := d.fleet(3, 4)
	var half, most int
	for _, a := range d.agents {
		switch l := fleet.SimulateCall(ota.Attempt{Agent: a.ID, Number: 1}, time.Time{}).Latency; {
		case l <= time.Minute:
			half++
			fallthrough
		case l <= time.Hour:
			most++
		}
	}
	require.InDelta(t, 10_000, half, 300)
	require.InDelta(t, 19_800, most, 60)
}

// A policy that pauses early has fewer failures than one that does not, on the same fleets; and one
// that rolls back ends.
func TestTrialsTellPoliciesApart(t *testing.T) {
	bad := AgentModel{Fails: 0.4, Latency: Latency{Median: time.Minute}}
	o := TrialOptions{Runs: 100, Seed: 1}
	tenth := 0.1
	careful := tried(t, ota.Policy{Concurrency: 1, FailureThreshold: &tenth}, bad, o, 60)
	bold := tried(t, ota.Policy{Concurrency: 10, FailureThreshold: &tenth}, bad, o, 60)
	require.InDelta(t, 1, careful.Breached(), 0.02)
	require.Equal(t, map[ota.Reason]float64{ota.ReasonThreshold: careful.Breached()}, round(careful.Breaches()))
	require.Less(t, careful.Failed().Mean, bold.Failed().Mean)
	require.Zero(t, careful.Took().Runs-int(math.Round(100*careful.Completed())))

	o.Run.Accept = true
	on := tried(t, ota.Policy{Concurrency: 1, FailureThreshold: &tenth}, bad, o, 60)
	require.InDelta(t, 1, on.Completed(), 0)
	require.InDelta(t, careful.Breached(), on.Breached(), 0, "the first breach is remembered though it was accepted")
	back := tried(t, ota.Policy{OnBreach: ota.ActionRollback}, bad, o, 60)
	require.InDelta(t, back.Breached(), back.Share(func(t Trial) bool { return t.Status == ota.StatusRolledBack }), 0)
}

func round(m map[ota.Reason]float64) map[ota.Reason]float64 {
	for k, v := range m {
		m[k] = math.Round(v*1e6) / 1e6
	}
	return m
}

func TestTrialsAreChecked(t *testing.T) {
	spec := simSpec(ota.Policy{}, "a")
	model := SameAgents(AgentModel{})
	for _, c := range []struct {
		spec  ota.Spec
		model Model
		o     TrialOptions
		field string
	}{
		{spec, nil, TrialOptions{}, "model"},
		{spec, model, TrialOptions{Runs: -1}, "runs"},
		{spec, model, TrialOptions{Run: Options{MaxTime: -1}}, "maxTime"},
		{spec, SameAgents(AgentModel{Fails: math.NaN()}), TrialOptions{}, "model.fails"},
		{spec, SameAgents(AgentModel{Flaky: 2}), TrialOptions{}, "model.flaky"},
		{spec, SameAgents(AgentModel{Latency: Latency{Median: -1}}), TrialOptions{}, "model.latency.median"},
		{spec, SameAgents(AgentModel{Latency: Latency{Median: 2, P99: 1}}), TrialOptions{}, "model.latency.p99"},
		{simSpec(ota.Policy{}, "a", "a"), model, TrialOptions{}, "agents[1].id"},
		{simSpec(ota.Policy{}), model, TrialOptions{}, "agents"},
	} {
		_, err := Trials(t.Context(), c.spec, c.model, c.o)
		require.NotEmpty(t, ota.FieldErrors(err), c.field)
		require.Equal(t, c.field, ota.FieldErrors(err)[0].Field)
	}
	broken := spec
	broken.Agents = func(yield func(ota.Agent, error) bool) { yield(ota.Agent{}, errors.New("no list")) }
	_, err := Trials(t.Context(), broken, model, TrialOptions{})
	require.ErrorContains(t, err, "no list")
}

func TestSpreads(t *testing.T) {
	t.Parallel()
	all := make([]int, 0, 200)
	for i := range 200 {
		all = append(all, 200-i)
	}
	require.Equal(t, Spread[int]{Runs: 200, Mean: 100.5, P50: 100, P90: 180, P99: 198, Max: 200}, round1(spreadOf(all)))
	require.Equal(t, Spread[int]{Runs: 1, Mean: 3, P50: 3, P90: 3, P99: 3, Max: 3}, spreadOf([]int{3}))
	require.Zero(t, spreadOf[int](nil))
}

func round1(s Spread[int]) Spread[int] { s.Mean = math.Round(s.Mean*1e6) / 1e6; return s }

func TestAgentsOfAGroupFailTogether(t *testing.T) {
	group := func(a ota.Agent) AgentModel {
		m := AgentModel{Latency: Latency{Median: time.Second}}
		if a.ID < "a-010" {
			m.Group, m.GroupFails = "old boards", 0.25
		}
		return m
	}
	spec := simSpec(ota.Policy{Concurrency: 20, FailureThreshold: ptr(1.0)}, names("a", 20)...)
	res, err := Trials(t.Context(), spec, group, TrialOptions{Runs: 400})
	require.NoError(t, err)
	together := 0
	for _, run := range res.Runs {
		require.Contains(t, []int{0, 10}, run.Failed, "all of them, or none")
		if run.Failed > 0 {
			together++
		}
	}
	require.InDelta(t, 100, together, 30)
}
