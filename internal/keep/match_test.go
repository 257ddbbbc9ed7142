package keep

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// Every combination of numbers that are not compared, equal, too low and too high.
func TestNumbersRefuse(t *testing.T) {
	t.Parallel()
	stored := Numbers{Epoch: 5, Control: 6, Progress: 7}
	for _, epoch := range []uint64{0, 5, 4, 6} {
		for _, control := range []uint64{0, 6, 5, 7} {
			for _, progress := range []uint64{0, 7, 6, 8} {
				var want error
				switch {
				case epoch != 0 && epoch != 5:
					want = ota.ErrFenced
				case control != 0 && control != 6, progress != 0 && progress != 7:
					want = ota.ErrConflict
				}
				have := Numbers{Epoch: epoch, Control: control, Progress: progress}
				if err := stored.Refuse(have); !errors.Is(err, want) || (err == nil) != (want == nil) {
					t.Errorf("%+v: got error %v, want %v", have, err, want)
				}
			}
		}
	}
	require.Equal(t, Numbers{8, 6, 9}, stored.With(Numbers{Epoch: 8, Progress: 9}))
	require.Equal(t, stored, stored.With(Numbers{}))
}

var day = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Each field of a query, with what selects the item below and what does not.
var (
	somePlan = PlanRow{
		ID: "plan-1", Source: "plan-0", Key: "key", Created: day, Names: Names{Name: "Edge Ünit 7", Labels: map[string]string{"zone": "eu", "empty": ""}},
		Head: Head{Status: ota.StatusPaused, Hold: ota.ReasonPaused, Person: true, Owner: "engine-1", Coverage: CoveragePartial},
	}
	planCases = map[string]struct{ yes, no []PlanQuery }{
		"Status":   {[]PlanQuery{{Status: []ota.Status{ota.StatusRunning, ota.StatusPaused}}}, []PlanQuery{{Status: []ota.Status{ota.StatusRunning}}}},
		"Hold":     {[]PlanQuery{{Hold: []ota.Reason{ota.ReasonPaused}}}, []PlanQuery{{Hold: []ota.Reason{ota.ReasonNone, ota.ReasonRate}}}},
		"Coverage": {[]PlanQuery{{Coverage: []Coverage{CoveragePartial}}}, []PlanQuery{{Coverage: []Coverage{CoverageNone, CoverageAll}}}},
		"Owners":   {[]PlanQuery{{Owners: []string{"x", "engine-1"}}}, []PlanQuery{{Owners: []string{"engine-2"}}}},
		"Labels": {
			[]PlanQuery{{Labels: map[string]string{"zone": "eu", "empty": ""}}},
			[]PlanQuery{{Labels: map[string]string{"zone": "us"}}, {Labels: map[string]string{"zone": "eu", "none": ""}}},
		},
		"Source": {[]PlanQuery{{Source: "plan-0"}}, []PlanQuery{{Source: "plan"}}},
		"Key":    {[]PlanQuery{{Key: "key"}}, []PlanQuery{{Key: "ke"}}},
		"Search": {
			[]PlanQuery{{Search: "edge"}, {Search: "GE Ü"}, {Search: "plan-"}, {Search: "7"}},
			[]PlanQuery{{Search: "ünit"}, {Search: "PLAN-"}, {Search: "lan-1"}, {Search: "%"}},
		},
		"Person": {[]PlanQuery{{Person: true}}, nil},
		"After":  {[]PlanQuery{{After: day}, {After: day.Add(-1)}}, []PlanQuery{{After: day.Add(1)}}},
		"Before": {[]PlanQuery{{Before: day.Add(1)}}, []PlanQuery{{Before: day}}},
	}
	someRow = Row{
		Kind: KindAgent, Number: 5, ID: "web-5", Labels: map[string]string{"zone": "eu"},
		Status: uint8(ota.TaskFailed), Reason: ota.ReasonTimeout,
	}
	rowCases = map[string]struct{ yes, no []RowQuery }{
		"Kind":   {[]RowQuery{{}}, []RowQuery{{Kind: KindBatch}, {Kind: 9}}},
		"From":   {[]RowQuery{{From: 5}}, []RowQuery{{From: 6}}},
		"To":     {[]RowQuery{{To: 6}}, []RowQuery{{To: 5}}},
		"IDs":    {[]RowQuery{{IDs: []string{"x", "web-5"}}}, []RowQuery{{IDs: []string{"web-"}}}},
		"Status": {[]RowQuery{{Status: []uint8{uint8(ota.TaskFailed)}}}, []RowQuery{{Status: []uint8{0}}}},
		"Reason": {[]RowQuery{{Reason: []ota.Reason{ota.ReasonTimeout}}}, []RowQuery{{Reason: []ota.Reason{ota.ReasonError}}}},
		"Prefix": {[]RowQuery{{Prefix: "web-"}}, []RowQuery{{Prefix: "eb-"}, {Prefix: "WEB"}}},
		"Label": {
			[]RowQuery{{Label: Label{"zone", "eu"}}, {Label: Label{"rack", ""}}},
			[]RowQuery{{Label: Label{"zone", "us"}}, {Label: Label{"zone", ""}}, {Label: Label{"rack", "1"}}},
		},
	}
	someRecord = LogRow{Revision: 5}
	logCases   = map[string]struct{ yes, no []LogQuery }{
		"After":   {[]LogQuery{{After: 4}}, []LogQuery{{After: 5}}},
		"Before":  {[]LogQuery{{Before: 6}}, []LogQuery{{Before: 5}}},
		"Notable": {nil, []LogQuery{{Notable: true}}},
	}
)

// paging are the fields of a query that select nothing.
var paging = []string{"Sort", "Cursor", "Offset", "Limit", "Total", "Buffer"}

// allFields fails for a field of a query that has no case.
func allFields[Q, C any](t *testing.T, cases map[string]C) {
	t.Helper()
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Q]()) {
		if _, ok := cases[f.Name]; !ok && !slices.Contains(paging, f.Name) {
			t.Errorf("%s.%s has no case", reflect.TypeFor[Q](), f.Name)
		}
	}
}

func TestQueriesMatch(t *testing.T) {
	t.Parallel()
	allFields[PlanQuery](t, planCases)
	allFields[RowQuery](t, rowCases)
	allFields[LogQuery](t, logCases)
	for field, c := range planCases {
		for _, q := range c.yes {
			require.True(t, q.Match(&somePlan), "%s: %+v", field, q)
		}
		for _, q := range c.no {
			require.False(t, q.Match(&somePlan), "%s: %+v", field, q)
		}
	}
	require.False(t, (&PlanQuery{Person: true}).Match(&PlanRow{}))
	require.True(t, (&PlanQuery{}).Match(&PlanRow{}))
	for field, c := range rowCases {
		for _, q := range c.yes {
			q.Kind = KindAgent
			require.True(t, q.Match(&someRow), "%s: %+v", field, q)
		}
		for _, q := range c.no {
			if field != "Kind" {
				q.Kind = KindAgent
			}
			require.False(t, q.Match(&someRow), "%s: %+v", field, q)
		}
	}
	for field, c := range logCases {
		for _, q := range c.yes {
			require.True(t, q.Match(&someRecord), "%s: %+v", field, q)
		}
		for _, q := range c.no {
			require.False(t, q.Match(&someRecord), "%s: %+v", field, q)
		}
	}
	require.True(t, (&LogQuery{Notable: true}).Match(&LogRow{Revision: 5, Notable: true}))
}
