package ota_test

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
	stored := ota.Numbers{Epoch: 5, Control: 6, Progress: 7}
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
				have := ota.Numbers{Epoch: epoch, Control: control, Progress: progress}
				if err := stored.Refuse(have); !errors.Is(err, want) || (err == nil) != (want == nil) {
					t.Errorf("%+v: got error %v, want %v", have, err, want)
				}
			}
		}
	}
	require.Equal(t, ota.Numbers{8, 6, 9}, stored.With(ota.Numbers{Epoch: 8, Progress: 9}))
	require.Equal(t, stored, stored.With(ota.Numbers{}))
}

var day = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Each field of a query, with what selects the item below and what does not.
var (
	somePlan = ota.PlanRow{
		ID: "plan-1", Source: "plan-0", Key: "key", Created: day, Names: ota.Names{Name: "Edge Ünit 7", Labels: map[string]string{"zone": "eu", "empty": ""}},
		Head: ota.Head{Status: ota.StatusPaused, Hold: ota.ReasonPaused, Person: true, Owner: "engine-1", Coverage: ota.CoveragePartial},
	}
	planCases = map[string]struct{ yes, no []ota.PlanQuery }{
		"Status":   {[]ota.PlanQuery{{Status: []ota.Status{ota.StatusRunning, ota.StatusPaused}}}, []ota.PlanQuery{{Status: []ota.Status{ota.StatusRunning}}}},
		"Hold":     {[]ota.PlanQuery{{Hold: []ota.Reason{ota.ReasonPaused}}}, []ota.PlanQuery{{Hold: []ota.Reason{ota.ReasonNone, ota.ReasonRate}}}},
		"Coverage": {[]ota.PlanQuery{{Coverage: []ota.Coverage{ota.CoveragePartial}}}, []ota.PlanQuery{{Coverage: []ota.Coverage{ota.CoverageNone, ota.CoverageAll}}}},
		"Owners":   {[]ota.PlanQuery{{Owners: []string{"x", "engine-1"}}}, []ota.PlanQuery{{Owners: []string{"engine-2"}}}},
		"Labels": {
			[]ota.PlanQuery{{Labels: map[string]string{"zone": "eu", "empty": ""}}},
			[]ota.PlanQuery{{Labels: map[string]string{"zone": "us"}}, {Labels: map[string]string{"zone": "eu", "none": ""}}},
		},
		"Source": {[]ota.PlanQuery{{Source: "plan-0"}}, []ota.PlanQuery{{Source: "plan"}}},
		"Key":    {[]ota.PlanQuery{{Key: "key"}}, []ota.PlanQuery{{Key: "ke"}}},
		"Search": {
			[]ota.PlanQuery{{Search: "edge"}, {Search: "GE Ü"}, {Search: "plan-"}, {Search: "7"}},
			[]ota.PlanQuery{{Search: "ünit"}, {Search: "PLAN-"}, {Search: "lan-1"}, {Search: "%"}},
		},
		"Person": {[]ota.PlanQuery{{Person: true}}, nil},
		"After":  {[]ota.PlanQuery{{After: day}, {After: day.Add(-1)}}, []ota.PlanQuery{{After: day.Add(1)}}},
		"Before": {[]ota.PlanQuery{{Before: day.Add(1)}}, []ota.PlanQuery{{Before: day}}},
	}
	someRow = ota.Row{
		Kind: ota.KindAgent, Number: 5, ID: "web-5", Labels: map[string]string{"zone": "eu"},
		Status: uint8(ota.TaskFailed), Reason: ota.ReasonTimeout,
	}
	rowCases = map[string]struct{ yes, no []ota.RowQuery }{
		"Kind":   {[]ota.RowQuery{{}}, []ota.RowQuery{{Kind: ota.KindBatch}, {Kind: 9}}},
		"From":   {[]ota.RowQuery{{From: 5}}, []ota.RowQuery{{From: 6}}},
		"To":     {[]ota.RowQuery{{To: 6}}, []ota.RowQuery{{To: 5}}},
		"IDs":    {[]ota.RowQuery{{IDs: []string{"x", "web-5"}}}, []ota.RowQuery{{IDs: []string{"web-"}}}},
		"Status": {[]ota.RowQuery{{Status: []uint8{uint8(ota.TaskFailed)}}}, []ota.RowQuery{{Status: []uint8{0}}}},
		"Reason": {[]ota.RowQuery{{Reason: []ota.Reason{ota.ReasonTimeout}}}, []ota.RowQuery{{Reason: []ota.Reason{ota.ReasonError}}}},
		"Prefix": {[]ota.RowQuery{{Prefix: "web-"}}, []ota.RowQuery{{Prefix: "eb-"}, {Prefix: "WEB"}}},
		"Label": {
			[]ota.RowQuery{{Label: ota.Label{"zone", "eu"}}, {Label: ota.Label{"rack", ""}}},
			[]ota.RowQuery{{Label: ota.Label{"zone", "us"}}, {Label: ota.Label{"zone", ""}}, {Label: ota.Label{"rack", "1"}}},
		},
	}
	someRecord = ota.LogRow{Revision: 5}
	logCases   = map[string]struct{ yes, no []ota.LogQuery }{
		"After":   {[]ota.LogQuery{{After: 4}}, []ota.LogQuery{{After: 5}}},
		"Before":  {[]ota.LogQuery{{Before: 6}}, []ota.LogQuery{{Before: 5}}},
		"Notable": {nil, []ota.LogQuery{{Notable: true}}},
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
	allFields[ota.PlanQuery](t, planCases)
	allFields[ota.RowQuery](t, rowCases)
	allFields[ota.LogQuery](t, logCases)
	for field, c := range planCases {
		for _, q := range c.yes {
			require.True(t, q.Match(&somePlan), "%s: %+v", field, q)
		}
		for _, q := range c.no {
			require.False(t, q.Match(&somePlan), "%s: %+v", field, q)
		}
	}
	require.False(t, (&ota.PlanQuery{Person: true}).Match(&ota.PlanRow{}))
	require.True(t, (&ota.PlanQuery{}).Match(&ota.PlanRow{}))
	for field, c := range rowCases {
		for _, q := range c.yes {
			q.Kind = ota.KindAgent
			require.True(t, q.Match(&someRow), "%s: %+v", field, q)
		}
		for _, q := range c.no {
			if field != "Kind" {
				q.Kind = ota.KindAgent
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
	require.True(t, (&ota.LogQuery{Notable: true}).Match(&ota.LogRow{Revision: 5, Notable: true}))
}
