package ota

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/stretchr/testify/require"
)

func TestTolerated(t *testing.T) {
	for _, c := range []struct {
		p    float64
		n    int
		want int
	}{
		{0.29, 100, 29}, // int(0.29*100) is 28
		{0.57, 100, 57},
		{0.58, 100, 58},
		{0.07, 100, 7},
		{1.0 / 3, 3, 1},
		{2.0 / 3, 3, 2},
		{0, 0, 0},
		{0, 1, 0},
		{0, 9, 0},
		{1, 0, 0},
		{1, 1, 1},
		{1, 3, 3},
		{1, 9, 9},
		{0.5, 0, 0},
		{0.5, 1, 0},
		{0.5, 3, 1},
		{0.5, 4, 2},
		{0.5, 9, 4},
		{0.01, 1, 0},
		{0.01, 9, 0},
		{0.01, 99, 0},
		{0.01, 100, 1},
		{0.05, 9, 0},
		{0.05, 20, 1},
		{0.1, 1, 0},
		{0.1, 3, 0},
		{0.1, 9, 0},
		{0.1, 10, 1},
		{0.1, 19, 1},
		{0.1, 20, 2},
		{0.1, 1_000_000, 100_000},
		{0.1, -5, 0},
		{math.NaN(), 10, 0},
		{-1, 10, 0},
		{2, 10, 10},
		{math.Nextafter(1, 0), 10, 9},
		{math.SmallestNonzeroFloat64, 10, 0},
	} {
		require.Equal(t, c.want, Tolerated(c.p, c.n), "%v of %d", c.p, c.n)
	}
}

func FuzzTolerated(f *testing.F) {
	f.Add(0.29, 100)
	f.Add(0.1, 10)
	f.Fuzz(func(t *testing.T, p float64, n int) {
		if n < 1 || n > 1<<30 || !(p >= 0 && p <= 1) {
			return
		}
		m := Tolerated(p, n)
		if m < 0 || m > n || float64(m)/float64(n) > p || m < n && float64(m+1)/float64(n) <= p {
			t.Fatalf("Tolerated(%v, %d) = %d is not the largest", p, n, m)
		}
	})
}

func TestPolicyDefaults(t *testing.T) {
	p := Policy{}.withDefaults()
	require.Equal(t, Policy{
		Concurrency: 5, FailureThreshold: ptr(0.1), Scope: ScopeFirst, Expect: &Expect{Normal: 0.01, Alpha: 0.01},
		AttemptTimeout: 30 * time.Minute, UnreachableTimeout: time.Hour, MaxAbandoned: 5,
		Soak: Soak{Interval: 10 * time.Second, Misses: 3, Compare: 20}, Gate: Gate{Interval: 30 * time.Second},
	}, p)
	require.Equal(t, 0.0, *Policy{FailureThreshold: ptr(0.0)}.withDefaults().FailureThreshold, "a threshold of 0 is 0")
	given := Policy{FailureThreshold: ptr(0.5), Expect: &Expect{Normal: 0.1}, Hold: Hold{Batches: []int{1}}}
	with := given.withDefaults()
	*with.FailureThreshold, with.Expect.Normal, with.Hold.Batches[0] = 0.7, 0.4, 9
	require.Equal(t, 0.5, *given.FailureThreshold, "nothing is shared with what was given")
	require.Equal(t, Expect{Normal: 0.1}, *given.Expect)
	require.Equal(t, 1, given.Hold.Batches[0])
}

// A threshold that is given stands alone, and so does an Expect; without both, both judge. Filling in
// defaults twice is the same as once.
func TestDefaultsOfWhatJudgesFailures(t *testing.T) {
	usual := &Expect{Normal: 0.01, Alpha: 0.01}
	own := &Expect{Normal: 0.2, Alpha: 0.001}
	for name, c := range map[string]struct {
		given     Policy
		threshold float64
		scope     Scope
		expect    *Expect
		rollback  Policy
	}{
		"neither":              {Policy{}, 0.1, ScopeFirst, usual, Policy{FailureThreshold: ptr(0.1)}},
		"neither, of plan":     {Policy{Scope: ScopePlan}, 0.1, ScopePlan, usual, Policy{FailureThreshold: ptr(0.1), Scope: ScopePlan}},
		"threshold":            {Policy{FailureThreshold: ptr(0.3)}, 0.3, ScopeBatch, nil, Policy{FailureThreshold: ptr(0.3)}},
		"threshold 0":          {Policy{FailureThreshold: ptr(0.0)}, 0, ScopeBatch, nil, Policy{FailureThreshold: ptr(0.0)}},
		"threshold, of first":  {Policy{FailureThreshold: ptr(0.3), Scope: ScopeFirst}, 0.3, ScopeFirst, nil, Policy{FailureThreshold: ptr(0.3)}},
		"threshold of all":     {Policy{FailureThreshold: ptr(1.0)}, 1, ScopeBatch, nil, Policy{FailureThreshold: ptr(1.0)}},
		"expect":               {Policy{Expect: own}, 1, ScopeBatch, own, Policy{FailureThreshold: ptr(0.1)}},
		"expect without alpha": {Policy{Expect: &Expect{Normal: 0.2}}, 1, ScopeBatch, &Expect{Normal: 0.2, Alpha: 0.01}, Policy{FailureThreshold: ptr(0.1)}},
		"both":                 {Policy{FailureThreshold: ptr(0.3), Scope: ScopePlan, Expect: own}, 0.3, ScopePlan, own, Policy{FailureThreshold: ptr(0.3), Scope: ScopePlan}},
	} {
		got := c.given.withDefaults()
		require.Equal(t, c.threshold, *got.FailureThreshold, name)
		require.Equal(t, c.scope, got.Scope, name)
		require.Equal(t, c.expect, got.Expect, name)
		require.Equal(t, got, got.withDefaults(), name)
		back := c.given.judgedAsRollback()
		c.rollback.Soak.Compare = Off
		require.Equal(t, c.rollback.withDefaults(), back, name)
		require.Nil(t, back.Expect, name)
		require.Equal(t, back, got.judgedAsRollback(), "%s: from a copy of Plan.Policy", name)
	}
}

func TestHoldHolds(t *testing.T) {
	require.False(t, Hold{}.holds(1))
	require.False(t, Hold{All: true}.holds(0), "the first batch needs only Start")
	require.True(t, Hold{All: true}.holds(1))
	require.True(t, Hold{Batches: []int{2, 5}}.holds(5))
	require.False(t, Hold{Batches: []int{2, 5}}.holds(3))
}

const hour = time.Hour

func days(d ...time.Weekday) []time.Weekday { return d }

func TestWindowsThatNeverOpen(t *testing.T) {
	noon := time.Date(2024, 5, 3, 12, 0, 0, 0, time.UTC)
	evening := []Window{{Start: 20 * hour, Length: hour}}
	for _, p := range []Policy{
		{Windows: []Window{{Length: hour, Zone: "Mars/Olympus"}}},
		{Windows: []Window{{Length: hour, Zone: "Local"}}},
		{Windows: []Window{{Length: hour, Margin: hour}}},
		{Windows: []Window{{Length: hour, Days: days(9)}}},
		{Windows: []Window{{}}},
	} {
		require.Zero(t, p.NextOpen(noon))
		require.True(t, neverOpens(p.Windows, noon, noon.AddDate(9, 0, 0)))
	}
	require.Zero(t, Policy{Windows: evening}.NextOpen(time.Time{}))
	require.Zero(t, Policy{Windows: evening}.NextOpen(noon.AddDate(1000, 0, 0)))
	require.False(t, neverOpens(nil, noon, noon.Add(1)))
	require.False(t, neverOpens(evening, noon, time.Time{}), "there is no limit")
	require.False(t, neverOpens(evening, noon, noon.Add(8*hour+1)))
	require.True(t, neverOpens(evening, noon, noon.Add(8*hour)))
	require.False(t, neverOpens(evening, noon.Add(8*hour), noon.Add(9*hour)))
}

func TestWindowLimit(t *testing.T) {
	at := time.Unix(0, noon).UTC()
	v := someView(func(v *view) {
		v.c.Policy.Windows = []Window{{Start: time.Duration(noon%int64(24*hour)) + hour, Length: hour}}
		v.slotted = 2
	})
	require.Equal(t, decision{wake: noon + int64(hour)}, v.decide())
	require.Equal(t, []Blocker{{Reason: ReasonWindow, Until: at.Add(hour)}}, v.explain())
	v.wake = noon + 5
	require.Equal(t, decision{wake: noon + 5}, v.decide(), "a timer that is due before")
	v.b.Status = BatchPending
	require.Equal(t, decision{wake: noon + int64(hour)}, v.decide(), "no batch begins either")
	v.now += int64(hour)
	require.Equal(t, decision{action: actOpenBatch}, v.decide())
	v.b.Status = BatchRunning
	require.Equal(t, decision{action: actStart, all: 6, fresh: 4}, v.decide())
	v.c.Policy.Windows[0].Zone = "Mars/Olympus"
	require.Equal(t, []Blocker{{Reason: ReasonWindow, Text: "unknown here: the zone Mars/Olympus"}}, v.explain())
}

func TestWindowChecks(t *testing.T) {
	for _, c := range []struct {
		w    Window
		want string
	}{
		{Window{Length: time.Millisecond}, ""},
		{Window{Days: days(0, 6), Start: 24*hour - 1, Length: 168 * hour, Zone: "Europe/Berlin", Margin: 168*hour - 1}, ""},
		{Window{Days: days(7), Length: hour}, "windows[0].days (7) is no day of the week; allowed: 0 (Sunday) to 6 (Saturday); empty means every day"},
		{Window{Days: days(-1), Length: hour}, "windows[0].days (-1) is no day of the week; allowed: 0 (Sunday) to 6 (Saturday); empty means every day"},
		{Window{Days: days(1, 2, 1), Length: hour}, "windows[0].days (Monday) is there twice; allowed: every day once; empty means every day"},
		{Window{Start: -1, Length: hour}, "windows[0].start (-1ns) is no time of day; allowed: 0 to less than 24h"},
		{Window{Start: 24 * hour, Length: hour}, "windows[0].start (24h0m0s) is no time of day; allowed: 0 to less than 24h"},
		{Window{}, "windows[0].length (0s) is out of range; allowed: more than 0, at most 168h"},
		{Window{Length: 168*hour + 1}, "windows[0].length (168h0m0.000000001s) is out of range; allowed: more than 0, at most 168h"},
		{Window{Length: hour, Margin: hour}, "windows[0].margin (1h0m0s) is out of range; allowed: 0 or more, less than the length"},
		{Window{Length: hour, Margin: -1}, "windows[0].margin (-1ns) is out of range; allowed: 0 or more, less than the length"},
		{Window{Length: hour, Zone: "Local"}, `windows[0].zone ("Local") is unknown; allowed: an IANA name such as Europe/Berlin, which the system or time/tzdata has; empty means UTC`},
		{Window{Length: hour, Zone: "../UTC"}, `windows[0].zone ("../UTC") is unknown; allowed: an IANA name such as Europe/Berlin, which the system or time/tzdata has; empty means UTC`},
	} {
		var m mistakes
		Policy{Windows: []Window{c.w}}.check(&m, 0)
		all := FieldErrors(m.result())
		if c.want == "" {
			require.Empty(t, all, "%+v", c.w)
			continue
		}
		require.Len(t, all, 1)
		require.Equal(t, c.want, all[0].Error())
	}
	var m mistakes
	Policy{Windows: make([]Window, 65)}.check(&m, 0)
	require.ErrorContains(t, m.result(), "windows (65) are too many; allowed: at most 64")
}

func TestWindowAsJSON(t *testing.T) {
	w := Window{Days: days(time.Friday), Start: 22 * hour, Length: 8 * hour, Zone: "Europe/Berlin", Margin: hour}
	b, err := json.Marshal(w)
	require.NoError(t, err)
	require.JSONEq(t, `{"days":[5],"start":79200000000000,"length":28800000000000,"zone":"Europe/Berlin","margin":3600000000000}`, string(b))
	var back Window
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, w, back)
	with := Policy{Windows: []Window{w}}.withDefaults()
	with.Windows[0].Days[0], with.Windows[0].Length = time.Monday, 1
	require.Equal(t, time.Friday, w.Days[0], "nothing is shared with what was given")
}

func FuzzWindow(f *testing.F) {
	f.Add([]byte{5}, int64(22*hour), int64(8*hour), "Europe/Berlin", int64(hour), int64(1711843200))
	f.Add([]byte{}, int64(0), int64(hour), "", int64(0), int64(0))
	f.Add([]byte{5, 5, 9}, int64(-1), int64(0), "../x", int64(-1), int64(-1))
	f.Add([]byte{5}, int64(12*hour), int64(hour), "Pacific/Apia", int64(0), int64(1325116800))
	f.Fuzz(func(t *testing.T, week []byte, start, length int64, name string, margin, at int64) {
		w := Window{Start: time.Duration(start), Length: time.Duration(length), Zone: name, Margin: time.Duration(margin)}
		for _, d := range week {
			w.Days = append(w.Days, time.Weekday(int8(d)))
		}
		var m mistakes
		p := Policy{Windows: []Window{w}}
		p.check(&m, 0)
		now := time.Unix(at%5_000_000_000, 0)
		next := p.NextOpen(now)
		if err := m.result(); err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			require.NotEmpty(t, FieldErrors(err))
			for _, e := range FieldErrors(err) {
				require.Regexp(t, `^windows\[0\]\.(days|start|length|zone|margin)$`, e.Field)
			}
			return
		}
		require.False(t, next.Before(now))
		require.Less(t, next.Sub(now), 21*24*hour, "every valid window opens")
		require.True(t, next.Equal(p.NextOpen(next)))
	})
}

func BenchmarkWindowLimit(b *testing.B) {
	berlin := Window{Days: days(1, 2, 3, 4, 5), Start: 22 * hour, Length: 8 * hour, Zone: "Europe/Berlin"}
	for _, c := range []struct {
		name    string
		windows []Window
	}{
		{"none", nil},
		{"one", []Window{berlin}},
		{"UTC", []Window{{Start: 22 * hour, Length: 8 * hour}}},
		{"three", []Window{berlin, {Days: days(6), Length: 4 * hour, Zone: "Asia/Tokyo"}, {Days: days(0), Length: 24 * hour, Zone: "America/New_York"}}},
	} {
		for _, at := range []int64{noon, noon + int64(11*hour)} {
			b.Run(fmt.Sprintf("%s/%d", c.name, at), func(b *testing.B) {
				v := someView(func(v *view) { v.c.Policy.Windows, v.now = c.windows, at })
				b.ReportAllocs()
				for b.Loop() {
					windowLimit(v)
				}
			})
		}
	}
}

// unitless are durations that are numbers without a unit.
var unitless = []time.Duration{1, 30, 999_999}

// TestDurationsHaveUnits sets every duration of a Policy and of Options to a number without a unit.
// A new field of these types is tested without a change here.
func TestDurationsHaveUnits(t *testing.T) {
	t.Parallel()
	policies := durationsOf(reflect.TypeFor[Policy](), nil)
	require.Len(t, policies, 17, "the durations of a policy, its windows among them")
	for _, field := range policies {
		for _, d := range unitless {
			p := Policy{Windows: []Window{{Start: time.Hour, Length: time.Hour}}, Rate: Rate{Starts: 1}, Complete: Complete{Min: 1}, Stragglers: Stragglers{Share: 1, After: time.Minute}}
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
