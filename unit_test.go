package ota

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// unitless are durations that are numbers without a unit.
var unitless = []time.Duration{1, 30, 999_999}

// TestDurationsHaveUnits sets every duration of a Policy and of Options to a number without a unit.
// A new field of these types is tested without a change here.
func TestDurationsHaveUnits(t *testing.T) {
	t.Parallel()
	policies := durationsOf(reflect.TypeFor[Policy](), nil)
	require.Len(t, policies, 15, "the durations of a policy, its windows among them")
	for _, field := range policies {
		for _, d := range unitless {
			p := Policy{Windows: []Window{{Start: time.Hour, Length: time.Hour}}, Rate: Rate{Starts: 1}}
			setDuration(&p, field, d)
			var m mistakes
			p.check(&m, 0)
			refusedUnit(t, m.result(), d, field)
			require.Len(t, FieldErrors(m.result()), 1)
			setDuration(&p, field, time.Millisecond)
			m = mistakes{}
			p.check(&m, 0)
			require.NoError(t, m.result(), "%v", field)
		}
	}
	options := durationsOf(reflect.TypeFor[Options](), nil)
	require.Len(t, options, 4)
	for _, field := range options {
		for _, d := range unitless {
			var o Options
			setDuration(&o, field, d)
			refusedUnit(t, o.check(), d, field)
			setDuration(&o, field, 100*time.Millisecond)
			require.NoError(t, o.check(), "%v", field)
		}
	}
}

func refusedUnit(t *testing.T, err error, d time.Duration, field []int) {
	t.Helper()
	require.ErrorIs(t, err, ErrInvalid, "%v", field)
	unit := "time.Second"
	if d > 86400 {
		unit = "time.Millisecond"
	}
	require.ErrorContains(t, err, fmt.Sprintf("(%s) is less than a millisecond (did you mean %d * %s?); allowed: ", d, d, unit), "%v", field)
}

// durationsOf lists the paths of fields to every duration in a struct. An element of a slice is its
// first one.
func durationsOf(t reflect.Type, at []int) (paths [][]int) {
	for i := range t.NumField() {
		f := t.Field(i).Type
		path := append(append([]int{}, at...), i)
		if f.Kind() == reflect.Slice {
			f = f.Elem()
		}
		switch {
		case f == reflect.TypeFor[time.Duration]():
			paths = append(paths, path)
		case f.Kind() == reflect.Struct && f.PkgPath() == t.PkgPath():
			paths = append(paths, durationsOf(f, path)...)
		}
	}
	return paths
}

func setDuration(v any, path []int, d time.Duration) {
	f := reflect.ValueOf(v).Elem()
	for _, i := range path {
		if f.Kind() == reflect.Slice {
			f = f.Index(0)
		}
		f = f.Field(i)
	}
	f.SetInt(int64(d))
}

// TestProbableMistakesAreWarned makes plans that are legal and look like a mistake. Create and
// Preview show the same warnings.
func TestProbableMistakesAreWarned(t *testing.T) {
	for want, change := range map[string]func(*Spec){
		"": func(*Spec) {},
		"fromVersion and toVersion are both 2: the plan would bring agents to the version that they have": func(s *Spec) { s.FromVersion = " 2 " },
		"shape.percent 0.25 is 0.25 % of the agents; for the fraction 0.25, use 25":                       func(s *Spec) { s.Shape.Percent, s.Policy.Scope = 0.25, ScopePlan },
		"the canary of 3 agents is larger than the plan of 2: it is the only batch":                       func(s *Spec) { s.Shape.Canary = 3 },
		"the canary of 2 agents is larger than the rest of 0":                                             func(s *Spec) { s.Shape.Canary = 2 },
		"failureThreshold 1 tolerates every failure; for one percent, use 0.01":                           func(s *Spec) { s.Policy.FailureThreshold = ptr(1.0) },
		"retry.maxBackoff 1s is less than retry.backoff 1m0s: no wait is longer than 1s": func(s *Spec) {
			s.Policy.Retry = RetryPolicy{Max: 1, Backoff: time.Minute, MaxBackoff: time.Second}
		},
		"rate.per 5ms allows 2000 starts per second":               func(s *Spec) { s.Policy.Rate = Rate{Starts: 10, Per: 5 * time.Millisecond} },
		"observe.wait 5ms observes a batch for less than a second": func(s *Spec) { s.Policy.Soak.Duration = 5 * time.Millisecond },
		"observe.stable 5ms is less than a second":                 func(s *Spec) { s.Policy.Soak.Stable = 5 * time.Millisecond },
	} {
		inScene(t, func(s *scene) {
			spec := Spec{Name: "x", ToVersion: "2", FromVersion: "1", Agents: AgentIDs("a", "b"), Policy: Policy{FailureThreshold: ptr(0.5)}}
			change(&spec)
			p, err := s.e.Create(s.ctx, spec)
			require.NoError(s, err)
			v, err := s.e.Preview(s.ctx, spec, PreviewOptions{})
			require.NoError(s, err)
			require.Equal(s, p.Warnings, v.Warnings)
			if want == "" {
				require.Empty(s, p.Warnings)
			} else {
				require.Equal(s, []string{want}, p.Warnings)
			}
			edited, err := s.e.Edit(s.ctx, p.ID, func(p *Policy) { p.Concurrency = 7 }, Request{})
			require.NoError(s, err)
			require.Equal(s, p.Warnings, edited.Warnings, "an edit of something else keeps the warning")
		})
	}
}
