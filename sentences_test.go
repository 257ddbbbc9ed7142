package ota

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fullPolicy has every rule, and each of its fields has an effect.
func fullPolicy() Policy {
	threshold := 0.2
	return Policy{
		Concurrency: 7, FailureThreshold: &threshold, Scope: ScopePlan, Expect: &Expect{Normal: 0.02, Alpha: 0.03},
		OnBreach: ActionRollback, Halve: true, Reserve: true, MaxConsecutive: 4, MaxAbandoned: 9,
		Budgets:        []Budget{{Label: "cluster", Max: 1, Each: map[string]int{"db": 3}, Values: 2}},
		Hold:           Hold{Batches: []int{1, 3}},
		Windows:        []Window{{Days: []time.Weekday{time.Saturday}, Start: 22 * time.Hour, Length: 8 * time.Hour, Zone: "Europe/Berlin", Margin: time.Hour}},
		Soak:           Soak{Duration: time.Hour, Stable: time.Minute, Grace: time.Minute, Interval: time.Minute, ToEnd: true, Misses: 5, Sample: 20, Compare: 5},
		Retry:          RetryPolicy{Max: 2, Backoff: time.Minute, MaxBackoff: time.Hour},
		AttemptTimeout: 10 * time.Minute, UnreachableTimeout: 2 * time.Hour, BatchTimeout: 3 * time.Hour, PlanTimeout: 4 * time.Hour,
		Rate: Rate{Starts: 10, Per: time.Second}, Gate: Gate{Interval: time.Minute, MaxInconclusive: 1, MaxErrors: 2},
		Complete: Complete{Min: 0.95, Within: 24 * time.Hour}, Stragglers: Stragglers{Share: 0.1, After: time.Minute},
		Stages: []Stage{{Batch: 1, Soak: new(2 * time.Hour), FailureThreshold: new(0.3), Concurrency: 3, Hold: new(true)}},
	}
}

// Every field of a policy is in its text: the text differs when the field does.
func TestEveryFieldOfAPolicyIsInItsText(t *testing.T) {
	t.Parallel()
	text, changed := fullPolicy().String(), 0
	eachField(reflect.ValueOf(new(fullPolicy())).Elem(), "Policy", func(name string, set func(p reflect.Value)) {
		p := fullPolicy()
		set(reflect.ValueOf(&p).Elem())
		require.NotEqual(t, text, p.String(), "%s has another value", name)
		changed++
	})
	require.Greater(t, changed, 40)
}

// eachField calls test for each field of a struct, and of those inside it, with a function that
// gives this field of a struct of the same type another value.
func eachField(v reflect.Value, name string, test func(name string, set func(reflect.Value))) {
	for i := range v.NumField() {
		name := name + "." + v.Type().Field(i).Name
		inside := func(set func(reflect.Value)) func(reflect.Value) {
			return func(p reflect.Value) { set(p.Field(i)) }
		}
		f := v.Field(i)
		switch {
		case f.Kind() == reflect.Pointer && f.Elem().Kind() == reflect.Struct:
			eachField(f.Elem(), name, func(name string, set func(reflect.Value)) {
				test(name, inside(func(p reflect.Value) { set(p.Elem()) }))
			})
		case f.Kind() == reflect.Struct:
			eachField(f, name, func(name string, set func(reflect.Value)) { test(name, inside(set)) })
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct:
			eachField(f.Index(0), name, func(name string, set func(reflect.Value)) {
				test(name, inside(func(p reflect.Value) { set(p.Index(0)) }))
			})
			test(name, inside(func(p reflect.Value) { p.SetZero() }))
		default:
			test(name, inside(another))
		}
	}
}

// another gives a field another value.
func another(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		another(v.Elem())
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8:
		v.SetUint((v.Uint() + 1) % 2)
	case reflect.Float64:
		v.SetFloat(v.Float() * 1.0001)
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Slice:
		another(v.Index(0))
	case reflect.Map:
		v.SetMapIndex(reflect.ValueOf("web"), reflect.ValueOf(7))
	default:
		panic("a field of kind " + v.Kind().String())
	}
}

// A policy reads as sentences of plain English, one a line.
func TestPolicyAsSentences(t *testing.T) {
	t.Parallel()
	require.Equal(t, strings.TrimSpace(`
At most 5 agents are upgraded at once.
More failures than 10 % of the first batch are a breach.
Usually at most 1 % of agents fail: more failures than that explains are a breach. It stops a good release by mistake in at most 1 % of plans.
On a breach the plan pauses, and a person decides.
An attempt may take 30m; a failed one is not repeated.
An agent that is unreachable for more than 1h fails.
A batch is not observed for any time after its last agent.
A Prober is asked every 10s; 3 questions in a row without an answer count as unhealthy. An unhealthy agent fails at once.`), Policy{}.String())
	require.Equal(t, strings.TrimSpace(`
At most 7 agents are upgraded at once. Each batch with a failure halves that; each batch without one doubles it again.
More failures than 20 % of the plan are a breach.
Usually at most 2 % of agents fail: more failures than that explains are a breach. It stops a good release by mistake in at most 3 % of plans.
More than 4 failures in a row are a breach.
Also a breach: a batch that takes longer than 3h; a plan that takes longer than 4h.
On a breach the plan rolls back the agents that it may have changed.
Agents start only while, if all open ones fail, at most one more has failed than is tolerated.
Of the agents with the same cluster, at most 1 may be unavailable at once; with cluster "db" at most 3; at most 2 values of cluster at a time.
Batches 1 and 3 wait for Promote.
In batch 1: concurrency 3, failure threshold 30 %, soak 2h, waits for Promote.
Agents start only in these windows: Sat 22:00 for 8h in Europe/Berlin, not in the last 1h.
At most 10 attempts start in 1s.
An attempt may take 10m; a failed one is repeated at most 2 times, after 1m, then twice as long each time, never after more than 1h.
An agent that is unreachable for more than 2h fails.
A batch is observed for 1h after its last agent, and until all have been healthy for another 1m.
A Prober is asked every 1m; 5 questions in a row without an answer count as unhealthy. An unhealthy agent fails after 1m.
Agents of earlier batches are observed until the plan ends; a round asks 20 agents.
A breach is compared with 5 agents that the plan has not begun.
A Gater is asked every 1m after a batch; more than 1 inconclusive answer or 2 errors pause the plan.
A batch goes on without its last 10 % of agents, 1m after its last start.
The plan is completed once 95 % of its agents are at the target, or 24h after its last agent; Promote completes it as it is.
More than 9 calls that do not return after the timeout pause the plan.`), fullPolicy().String())
	for text, p := range map[string]Policy{
		"The first failure in a batch is a breach.":                                                         {FailureThreshold: new(0.0)},
		"No number of failures is a breach.":                                                                {FailureThreshold: new(1.0)},
		"On a breach the plan records it and continues.":                                                    {OnBreach: ActionContinue},
		"Each batch but the first waits for Promote.":                                                       {Hold: Hold{All: true}},
		"Batch 2 waits for Promote.":                                                                        {Hold: Hold{Batches: []int{2}}},
		"Agents start only in these windows: daily 00:00 for 1h30m in UTC.":                                 {Windows: []Window{{Length: 90 * time.Minute}}},
		"Of the agents with the same rack, any number may be open at once; with rack \"a\" at most 1.":      {Budgets: []Budget{{Label: "rack", Of: OpenAgents, Each: map[string]int{"a": 1}}}},
		"An attempt may take any time; a failed one is repeated at most 1 time, after 1m.":                  {AttemptTimeout: NoTimeout, Retry: RetryPolicy{Max: 1, Backoff: time.Minute}},
		"An attempt may take 30m; a failed one is repeated at most 3 times, at once.":                       {Retry: RetryPolicy{Max: 3}},
		"The plan waits for an unreachable agent for any time.":                                             {UnreachableTimeout: NoTimeout},
		"An agent that is unreachable for more than 1h is skipped, which is no failure.":                    {OnUnreachable: UnreachableSkipped},
		"A batch is observed until all its agents have been healthy for 1m.":                                {Soak: Soak{Stable: time.Minute}},
		"A Prober is asked every 10s; its batch waits for an agent that does not answer.":                   {Soak: Soak{Misses: Off}},
		"While the next batch waits, a round asks 1 agent of the batch before.":                             {Soak: Soak{Sample: 1}},
		"Agents of earlier batches are observed until the plan ends; a round asks 1 % of them, 10 to 1000.": {Soak: Soak{ToEnd: true}},
	} {
		require.Contains(t, p.String(), text)
	}
	require.NotContains(t, Policy{Expect: &Expect{Normal: 0.1}}.String(), "No number")
}
