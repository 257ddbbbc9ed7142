package ota_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/stretchr/testify/require"
)

// manyPlans have times and names that several share, so that only the ID tells those apart.
func manyPlans(n int) (plans []*ota.PlanRow) {
	for i := range n {
		p := &ota.PlanRow{ID: fmt.Sprintf("p%02d", i*7%n), Created: day.Add(time.Duration(i/3) * time.Hour), Names: ota.Names{Name: fmt.Sprint("name ", i%4)}}
		if i%2 == 0 {
			p.Head.Since = day.Add(time.Duration(i/4) * time.Minute)
		}
		plans = append(plans, p)
	}
	return plans
}

func ids(plans []ota.PlanRow) (ids []string) {
	for i := range plans {
		ids = append(ids, plans[i].ID)
	}
	return ids
}

func TestPlansAreSorted(t *testing.T) {
	t.Parallel()
	at := func(h int) time.Time { return day.Add(time.Duration(h) * time.Hour) }
	plan := func(id string, created int, name string, since time.Time) *ota.PlanRow {
		return &ota.PlanRow{ID: id, Created: at(created), Names: ota.Names{Name: name}, Head: ota.Head{Since: since}}
	}
	plans := []*ota.PlanRow{plan("a", 1, "y", time.Time{}), plan("b", 2, "x", at(9)), plan("c", 2, "x", at(8)), plan("d", 3, "Z", time.Time{})}
	for sort, want := range map[ota.Sort][]string{
		ota.SortNewest: {"d", "b", "c", "a"}, ota.SortOldest: {"a", "b", "c", "d"}, ota.SortName: {"d", "b", "c", "a"}, ota.SortSince: {"c", "b", "a", "d"},
	} {
		page, err := (&ota.PlanQuery{Sort: sort}).Page(slices.Clone(plans))
		require.NoError(t, err)
		require.Equal(t, want, ids(page.Items), "sort %d", sort)
	}
}

// Following Next gives every item once, in order, whatever the length of a page, also when other
// items come and go.
func TestPlanPages(t *testing.T) {
	t.Parallel()
	for sort := ota.SortNewest; sort <= ota.SortSince; sort++ {
		whole, err := (&ota.PlanQuery{Sort: sort, Total: true}).Page(manyPlans(30))
		require.NoError(t, err)
		require.Equal(t, 30, whole.Total)
		for limit := 1; limit <= 31; limit++ {
			var got []ota.PlanRow
			q := ota.PlanQuery{Sort: sort, Limit: limit, Total: true}
			for pages := 0; ; pages++ {
				plans := manyPlans(30)
				others := &ota.PlanRow{ID: fmt.Sprint("other", pages), Created: day.Add(time.Hour), Names: ota.Names{Labels: map[string]string{"other": ""}}}
				page, err := q.Page(append(plans, others))
				require.NoError(t, err)
				require.Less(t, pages, 100, "the pages come to no end")
				require.Equal(t, page.More, page.Next != "")
				require.Equal(t, 31, page.Total)
				got = append(got, page.Items...)
				if !page.More {
					break
				}
				q.Cursor, q.Offset = page.Next, 5
			}
			got = slices.DeleteFunc(got, func(p ota.PlanRow) bool { return p.Names.Labels != nil })
			require.Equal(t, ids(whole.Items), ids(got), "sort %d, limit %d", sort, limit)
		}
		q := ota.PlanQuery{Sort: sort, Limit: 10}
		page, err := q.Page(manyPlans(30))
		require.NoError(t, err)
		gone := whole.Items[10].ID
		q.Cursor = page.Next
		page, err = q.Page(slices.DeleteFunc(manyPlans(30), func(p *ota.PlanRow) bool { return p.ID == gone }))
		require.NoError(t, err)
		require.Equal(t, ids(whole.Items[11:21]), ids(page.Items), "sort %d: the item that the cursor names was deleted", sort)
	}
	page, err := (&ota.PlanQuery{Offset: 28, Limit: 10, Total: true}).Page(manyPlans(30))
	require.NoError(t, err)
	require.Len(t, page.Items, 2)
	require.Equal(t, 30, page.Total)
	require.False(t, page.More)
}

func TestRowPages(t *testing.T) {
	t.Parallel()
	var rows []ota.Row
	for i := range 40 {
		rows = append(rows, ota.Row{Kind: ota.KindAgent, Number: i, Status: uint8(i % 3)})
	}
	for limit := 1; limit < 20; limit++ {
		q, got := ota.RowQuery{Kind: ota.KindAgent, From: 4, To: 35, Status: []uint8{1, 2}, Limit: limit, Total: true}, 0
		for last := 0; ; {
			page, err := q.Page(rows)
			require.NoError(t, err)
			require.Equal(t, 21, page.Total)
			for _, r := range page.Items {
				require.Greater(t, r.Number, last)
				last = r.Number
			}
			got += len(page.Items)
			require.Less(t, got, 100, "the pages come to no end")
			if require.Equal(t, page.More, page.Next != ""); !page.More {
				break
			}
			q.Cursor = page.Next
		}
		require.Equal(t, 21, got)
	}
	page, err := (&ota.RowQuery{Kind: ota.KindAgent}).Page(make([]ota.Row, 0))
	require.NoError(t, err)
	require.Zero(t, page)
}

func TestLogPages(t *testing.T) {
	t.Parallel()
	var log, all []ota.LogRow
	for i := range uint64(9) {
		log = append(log, ota.LogRow{Plan: "a", Revision: i + 1, Notable: i%2 == 0, At: day.Add(time.Duration(i/4) * time.Second)})
	}
	revisions := func(q ota.LogQuery, log []ota.LogRow) (out []uint64, more bool) {
		page, err := q.Page(log, false)
		require.NoError(t, err)
		for _, r := range page.Items {
			out = append(out, r.Revision)
		}
		return out, page.More
	}
	for _, test := range []struct {
		q    ota.LogQuery
		want []uint64
		more bool
	}{
		{ota.LogQuery{}, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9}, false},
		{ota.LogQuery{After: 7}, []uint64{8, 9}, false},
		{ota.LogQuery{After: 2, Limit: 3}, []uint64{3, 4, 5}, true},
		{ota.LogQuery{Before: 4}, []uint64{3, 2, 1}, false},
		{ota.LogQuery{Before: 100, Limit: 2}, []uint64{9, 8}, true},
		{ota.LogQuery{Before: 8, Notable: true, Limit: 2}, []uint64{7, 5}, true},
		{ota.LogQuery{Before: 8, After: 5}, []uint64{7, 6}, false},
	} {
		got, more := revisions(test.q, log)
		require.Equal(t, test.want, got, "%+v", test.q)
		require.Equal(t, test.more, more, "%+v", test.q)
	}
	require.Equal(t, uint64(1), log[0].Revision, "a page changes nothing")
	for _, r := range log {
		r.Plan = "b"
		all = append(all, r)
	}
	all = append(all, log...)
	var got []string
	q := ota.LogQuery{Limit: 3}
	for {
		page, err := q.Page(all, true)
		require.NoError(t, err)
		for _, r := range page.Items {
			got = append(got, fmt.Sprint(r.Plan, r.Revision))
		}
		require.Less(t, len(got), 100, "the pages come to no end")
		if !page.More {
			break
		}
		q.Cursor = page.Next
	}
	require.Equal(t, []string{"a9", "b9", "a7", "a5", "b7", "b5", "a3", "a1", "b3", "b1"}, got)
}

func TestBadCursorsAreRefused(t *testing.T) {
	t.Parallel()
	for _, cursor := range []string{"x", "-1", "{}", `{"id":""}`, "\x00"} {
		_, err1 := (&ota.PlanQuery{Cursor: cursor}).Page(nil)
		_, err2 := (&ota.RowQuery{Cursor: cursor}).Page(nil)
		_, err3 := (&ota.LogQuery{Cursor: cursor}).Page(nil, true)
		for _, err := range []error{err1, err2, err3} {
			require.ErrorIs(t, err, ota.ErrRefused, "%q", cursor)
		}
	}
}

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
