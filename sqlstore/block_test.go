package sqlstore

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqltest"
)

// Whatever is asked for, the agents are those that one finds by looking at all of them, across the
// borders of blocks.
func TestAgentsAcrossBlocks(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		const n = 3*sqlcore.BlockSize + 5
		s := p.open(t)
		sqltest.Create(t, s, "other", n)
		sqltest.Create(t, s, "p", n)
		r := rand.New(rand.NewPCG(1, 2))
		c := sqltest.OwnerCommit(t, s, "p", 0, 0)
		statuses := []uint8{0, 1, 3, 4, 15}
		want := everyAgent(t, s)
		for i := range want {
			a := &want[i]
			if a.Status = statuses[r.IntN(4)]; i%sqlcore.BlockSize == 3 {
				a.Status = 15 // one in each block
			}
			if a.Status != 0 {
				a.Reason, a.State = ota.Reason(r.IntN(256)), fmt.Appendf(nil, "state %d", i)
				c.Rows = append(c.Rows, *a)
			}
		}
		if _, err := s.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		for range 300 {
			q := ota.RowQuery{Kind: ota.KindAgent, From: r.IntN(n + 2), To: r.IntN(n + 40), Limit: r.IntN(n), Total: true}
			if r.IntN(4) > 0 {
				at := r.IntN(len(statuses))
				q.Status = statuses[at:][:1+r.IntN(len(statuses)-at)]
			}
			if r.IntN(2) == 0 {
				q.Limit = r.IntN(6)
			}
			if r.IntN(4) == 0 {
				for range 1 + r.IntN(9) {
					q.IDs = append(q.IDs, fmt.Sprintf("agent-%07d", r.IntN(n+3)))
				}
			}
			compareAgents(t, s, q, want)
		}
	})
}

func compareAgents(t *testing.T, s *Store, q ota.RowQuery, all []ota.Row) {
	t.Helper()
	want, err := q.Page(all)
	if err != nil {
		t.Fatal(err)
	}
	page, err := s.Rows(t.Context(), "p", q)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(page.Items, want.Items, sameAgent) || page.Total != want.Total || page.More != want.More || page.Next != want.Next {
		t.Fatalf("%+v:\n%+v\nwant\n%+v", q, page, want)
	}
}

func sameAgent(a, b ota.Row) bool {
	return a.Number == b.Number && a.ID == b.ID && a.Batch == b.Batch && a.Status == b.Status && a.Reason == b.Reason && string(a.State) == string(b.State)
}

// An agent that is not there is refused also where its block is, and nothing else of the commit
// stays.
func TestNoSuchPlaceInABlock(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		s := p.open(t)
		sqltest.Create(t, s, "p", sqlcore.BlockSize+3)
		before := everyAgent(t, s)
		for _, number := range []int{sqlcore.BlockSize + 3, 2*sqlcore.BlockSize - 1, 2 * sqlcore.BlockSize, 100 * sqlcore.BlockSize} {
			c := sqltest.OwnerCommit(t, s, "p", 0, 2)
			c.Rows = append(c.Rows, sqltest.Agent(number, 1))
			if _, err := s.Commit(t.Context(), c); err == nil {
				t.Errorf("agent %d of %d was committed", number, sqlcore.BlockSize+3)
			}
			if after := everyAgent(t, s); !slices.EqualFunc(before, after, sameAgent) {
				t.Errorf("agent %d was refused, and others were changed", number)
			}
		}
	})
}

func everyAgent(t *testing.T, s *Store) []ota.Row {
	t.Helper()
	page, err := s.Rows(t.Context(), "p", ota.RowQuery{Kind: ota.KindAgent})
	if err != nil {
		t.Fatal(err)
	}
	return page.Items
}

// A query by what no index has looks at ScanLimit agents, says so, and can be continued.
func TestScansAreBounded(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		const agents = 3*ota.ScanLimit - 10
		s := p.open(t)
		row, first := sqltest.NewPlan("p", agents)
		row.Index = []string{"zone"}
		err := s.Create(t.Context(), row, func(yield func(ota.Row, error) bool) {
			for r, err := range sqltest.AgentRows(agents) {
				if r.Number == agents-5 {
					r.Labels = map[string]string{"zone": "far", "rack": "far"}
				}
				if !yield(r, err) {
					return
				}
			}
		}, first)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]int{"zone": 1, "rack": 3} {
			q, pages, found := ota.RowQuery{Kind: ota.KindAgent, Label: ota.Label{Name: name, Value: "far"}, Total: true}, 0, 0
			for more := true; more; pages++ {
				page, err := s.Rows(t.Context(), "p", q)
				if err != nil || page.Partial != (page.Total == -1) && pages == 0 || pages > 5 {
					t.Fatal(page.Partial, page.Total, pages, err)
				}
				q.Cursor, more = page.Next, page.More
				found += len(page.Items)
			}
			if pages != want || found != 1 {
				t.Errorf("by %s: %d pages with %d agents, want %d pages with 1", name, pages, found, want)
			}
		}
	})
}
