package simulate

import (
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

var rewriteGolden = flag.Bool("golden", false, "rewrite testdata/golden.txt")

type goldenPolicy struct {
	name    string
	policy  ota.Policy
	shape   ota.Shape
	options Options
}

// goldenPolicies are policies that lead runs along different ways.
var goldenPolicies = []goldenPolicy{
	{name: "default"},
	ready("careful", ota.Careful),
	ready("standard", ota.Standard),
	ready("push", ota.Push),
	{name: "accept", options: Options{Accept: true}},
	{name: "retry", policy: ota.Policy{
		Concurrency: 7, AttemptTimeout: 9 * time.Minute, Retry: ota.RetryPolicy{Max: 2, Backoff: time.Minute, MaxBackoff: time.Hour},
	}},
	{name: "rollback", policy: ota.Policy{OnBreach: ota.ActionRollback, FailureThreshold: ptr(0.05)}, shape: ota.Shape{Size: 60}},
	{name: "hold", policy: ota.Policy{Hold: ota.Hold{All: true}}, options: Options{Promote: true, Accept: true}},
	{name: "window", policy: ota.Policy{Windows: []ota.Window{{Start: 2 * time.Hour, Length: time.Hour}}}, options: Options{Accept: true}},
	{name: "rate", policy: ota.Policy{Rate: ota.Rate{Starts: 5}, Halve: true}, options: Options{MaxTime: 3 * time.Hour}},
	{name: "budget", policy: ota.Policy{
		Concurrency: 12, Budgets: []ota.Budget{{Label: "site", Max: 2}}, OnBreach: ota.ActionContinue,
	}},
	{
		name: "represent", policy: ota.Policy{Soak: ota.Soak{Duration: 5 * time.Minute}},
		shape: ota.Shape{Canary: 1, Represent: []string{"site"}, Size: 40},
	},
}

// ready is a row of goldenPolicies with a policy to begin with.
func ready(name string, of func() (ota.Shape, ota.Policy)) (row goldenPolicy) {
	row.name = name
	row.shape, row.policy = of()
	return row
}

// goldenModels are fleets whose latencies are the same on every processor: none is drawn.
var goldenModels = []struct {
	name  string
	model AgentModel
}{
	{"good", AgentModel{}},
	{"flaky", AgentModel{Fails: 0.01, Flaky: 0.1}},
	{"bad", AgentModel{Fails: 0.06, GroupFails: 0.3}},
}

func goldenSpec(policy ota.Policy, shape ota.Shape) ota.Spec {
	agents := make([]ota.Agent, 300)
	for i := range agents {
		agents[i] = ota.Agent{ID: fmt.Sprintf("agent-%03d", i), Labels: map[string]string{"site": fmt.Sprint(i % 17)}}
	}
	agents[7].Version = "0.9"
	agents[8].Tasks = []ota.TaskSpec{{Component: ota.Component{Name: "a"}}, {Component: ota.Component{Name: "b"}}}
	return ota.Spec{Name: "x", FromVersion: "1", ToVersion: "2", Agents: listed(agents), Policy: policy, Shape: shape}
}

// ownLatency gives each agent a latency of its own.
func ownLatency(m AgentModel) Model {
	return func(a ota.Agent) AgentModel {
		h := fnv.New32a()
		h.Write([]byte(a.ID))
		m := m
		m.Latency.Median = time.Duration(h.Sum32()%600_000+1) * time.Millisecond
		if m.GroupFails > 0 {
			m.Group = "board " + a.Labels["site"]
		}
		return m
	}
}

// goldenFleet is a drawn fleet that also answers all questions.
type goldenFleet struct{ Fleet }

func (goldenFleet) SimulateHealth(a ota.Attempt, at time.Time) Health {
	n := len(a.Agent) + int(at.Unix())
	return Health{Latency: time.Duration(n%7) * time.Second, Health: ota.Health{Healthy: !strings.HasSuffix(a.Agent, "99")}}
}

func (goldenFleet) SimulatePrecheck(a ota.Attempt, _ time.Time) Precheck {
	if strings.HasSuffix(a.Agent, "50") {
		return Precheck{Precheck: ota.Precheck{State: ota.PrecheckBlocked}}
	}
	return Precheck{Latency: 3 * time.Second}
}

func (goldenFleet) SimulateGate(ota.Plan, ota.Batch, time.Time) Gate {
	return Gate{Latency: time.Second, Verdict: ota.GatePass}
}

// goldenRun is what one run decides: its log without the texts, and the agents at the end.
func goldenRun(t *testing.T, spec ota.Spec, fleet Fleet, o Options) (all []byte, line string) {
	t.Helper()
	r, err := Run(t.Context(), spec, fleet, o)
	require.NoError(t, err)
	plans := []string{r.Plan.ID}
	if r.Rollback != nil {
		plans = append(plans, r.Rollback.ID)
	}
	for _, id := range plans {
		for rec, err := range r.Records(id) {
			require.NoError(t, err)
			all = fmt.Appendln(all, rec.Revision, rec.At, rec.Status)
			for _, e := range rec.Events {
				all = fmt.Appendln(all, e.Kind, e.Batch, e.Agent, e.Number, e.Reason)
			}
		}
		page, err := r.Agents(id, ota.AgentQuery{Limit: 500})
		require.NoError(t, err)
		for _, a := range page.Items {
			all = fmt.Appendln(all, a.ID, a.Status, a.Changed, a.Unhealthy)
			for _, task := range a.Tasks {
				all = fmt.Appendln(all, task.Status, task.Reason, task.Attempts, task.StartedAt, task.EndedAt)
			}
		}
	}
	return all, fmt.Sprintf("%s after %v, %d failed, %d calls", r.Plan.Status, r.Took(), r.Plan.Counts.Bad(), r.Calls)
}

// Runs and trials do what they did when the golden file was written, to the bit: for each policy and
// fleet, the hash of all trials, and that of what one run decides, with and without questions.
func TestResultsStayTheSame(t *testing.T) {
	var got strings.Builder
	for _, p := range goldenPolicies {
		for _, f := range goldenModels {
			model := ownLatency(f.model)
			for seed := range uint64(2) {
				r, err := Trials(t.Context(), goldenSpec(p.policy, p.shape), model, TrialOptions{Runs: 6, Seed: seed, Run: p.options})
				require.NoError(t, err)
				b, err := json.Marshal(r)
				require.NoError(t, err)
				last := r.Runs[len(r.Runs)-1]
				fmt.Fprintf(&got, "%s/%s/%d trials %.8x %s after %v, %d failed, %d calls\n",
					p.name, f.name, seed, sha256.Sum256(b), last.Status, last.Took, last.Failed, last.Calls)
			}
			d, err := drawn(goldenSpec(p.policy, p.shape), model)
			require.NoError(t, err)
			b, line := goldenRun(t, goldenSpec(p.policy, p.shape), d.fleet(3, 1), p.options)
			fmt.Fprintf(&got, "%s/%s run %.8x %s\n", p.name, f.name, sha256.Sum256(b), line)
			b, line = goldenRun(t, goldenSpec(p.policy, p.shape), goldenFleet{d.fleet(3, 1)}, p.options)
			fmt.Fprintf(&got, "%s/%s asked %.8x %s\n", p.name, f.name, sha256.Sum256(b), line)
		}
	}
	if *rewriteGolden {
		require.NoError(t, os.WriteFile("testdata/golden.txt", []byte(got.String()), 0o644))
	}
	want, err := os.ReadFile("testdata/golden.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), got.String())
}
