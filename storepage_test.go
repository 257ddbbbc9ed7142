package ota_test

import (
	"fmt"
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
