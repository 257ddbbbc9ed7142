package sqlstore

import (
	"bytes"
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
		statuses := []ota.TaskStatus{ota.TaskPending, ota.TaskRunning, ota.TaskSucceeded, ota.TaskFailed, ota.TaskSkipped}
		want := make([]ota.TaskStatus, n)
		for i := range want {
			want[i] = statuses[r.IntN(4)]
			if i%sqlcore.BlockSize == 3 {
				want[i] = ota.TaskSkipped // one in each block
			}
			if want[i] != ota.TaskPending {
				c.Agents = append(c.Agents, ota.AgentRow{Ordinal: i, State: ota.AgentState{Status: want[i], Task: ota.TaskState{Status: want[i], Number: uint32(i)}}})
			}
		}
		if _, err := s.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		for range 300 {
			q := ota.RowQuery{From: r.IntN(n + 2), To: r.IntN(n + 40), Limit: r.IntN(n), Total: true}
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

func compareAgents(t *testing.T, s *Store, q ota.RowQuery, statuses []ota.TaskStatus) {
	t.Helper()
	var want []int
	for i, status := range statuses {
		id := fmt.Sprintf("agent-%07d", i)
		if i >= q.From && (q.To == 0 || i < q.To) && (len(q.Status) == 0 || slices.Contains(q.Status, status)) &&
			(len(q.IDs) == 0 || slices.Contains(q.IDs, id)) {
			want = append(want, i)
		}
	}
	page, err := s.Agents(t.Context(), "p", q)
	if err != nil {
		t.Fatal(err)
	}
	limit := q.Limit
	if limit == 0 {
		limit = ota.DefaultPage
	}
	first := want[:min(len(want), limit)]
	if len(page.Items) != len(first) || page.Total != len(want) || page.More != (len(want) > limit) {
		t.Fatalf("%+v: %d agents, total %d, more %t; want %d, %d", q, len(page.Items), page.Total, page.More, len(first), len(want))
	}
	for i, a := range page.Items {
		number := uint32(a.Ordinal)
		if statuses[a.Ordinal] == ota.TaskPending {
			number = 0
		}
		if a.Ordinal != first[i] || a.Agent.ID != fmt.Sprintf("agent-%07d", a.Ordinal) || a.State.Status != statuses[a.Ordinal] || a.State.Task.Number != number {
			t.Fatalf("%+v: agent %d is %+v, want %d, %v", q, i, a, first[i], statuses[first[i]])
		}
	}
}

// An agent that is not there is refused also where its block is, and nothing else of the commit
// stays.
func TestNoSuchPlaceInABlock(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		s := p.open(t)
		sqltest.Create(t, s, "p", sqlcore.BlockSize+3)
		before := everyAgent(t, s)
		for _, ordinal := range []int{sqlcore.BlockSize + 3, 2*sqlcore.BlockSize - 1, 2 * sqlcore.BlockSize, 100 * sqlcore.BlockSize} {
			c := sqltest.OwnerCommit(t, s, "p", 0, 2)
			c.Agents = append(c.Agents, ota.AgentRow{Ordinal: ordinal})
			if _, err := s.Commit(t.Context(), c); err == nil {
				t.Errorf("agent %d of %d was committed", ordinal, sqlcore.BlockSize+3)
			}
			if after := everyAgent(t, s); !slices.EqualFunc(before, after, func(a, b ota.AgentRow) bool { return a.State.Status == b.State.Status }) {
				t.Errorf("agent %d was refused, and others were changed", ordinal)
			}
		}
	})
}

func everyAgent(t *testing.T, s *Store) []ota.AgentRow {
	t.Helper()
	page, err := s.Agents(t.Context(), "p", ota.RowQuery{})
	if err != nil {
		t.Fatal(err)
	}
	return page.Items
}

// Older tables can be had back, with all that is in them.
func TestStatesGoBack(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		s := p.open(t)
		fillGolden(t, s)
		sqltest.Create(t, s, "long", 2*sqlcore.BlockSize+1)
		c := sqltest.OwnerCommit(t, s, "long", sqlcore.BlockSize-1, 3)
		c.Agents[0].State.Task.More = &ota.TaskMore{Error: string(bytes.Repeat([]byte("long "), 5_000))}
		if _, err := s.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		before := everything(t, s)
		for _, version := range []int{3, Latest()} {
			if err := s.Migrate(t.Context(), version); err != nil {
				t.Fatal(err)
			}
		}
		if after := everything(t, s); !bytes.Equal(before, after) {
			t.Errorf("there and back again it is\n%s\nand was\n%s", after, before)
		}
	})
}

// Each row of a commit gets its own values, in whatever order and however far apart the rows are.
func TestRowsGetTheirOwn(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		s := p.open(t)
		sqltest.Create(t, s, "other", 5_000)
		sqltest.Create(t, s, "p", 5_000)
		c := sqltest.OwnerCommit(t, s, "p", 0, 0)
		agents, batches := map[int]uint32{}, map[int]string{}
		for i := range 300 {
			ordinal := (i * 1_009) % 5_000 // each once, in no order
			agents[ordinal] = uint32(i + 1)
			c.Agents = append(c.Agents, ota.AgentRow{Ordinal: ordinal, State: ota.AgentState{
				Status: ota.TaskWaiting, Flags: ota.AgentOpen | ota.AgentChanged, Task: ota.TaskState{Status: ota.TaskWaiting, Number: agents[ordinal]},
			}})
		}
		for i := range 12 {
			index := (i * 7) % 50
			batches[index] = fmt.Sprintf(`batch "%d" \`, i)
			c.Batches = append(c.Batches, ota.BatchRow{
				Index: index, Name: batches[index], First: 100 * index, Size: 100, Status: ota.BatchRunning, Open: i, StartedAt: sqltest.Created,
			})
		}
		if _, err := s.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		for at := 0; at < 5_000; {
			page, err := s.Agents(t.Context(), "p", ota.RowQuery{From: at, Limit: 1_000})
			if err != nil || len(page.Items) == 0 {
				t.Fatal(len(page.Items), err)
			}
			for _, a := range page.Items {
				want := ota.TaskPending
				if agents[a.Ordinal] != 0 {
					want = ota.TaskWaiting
				}
				if a.State.Status != want || a.State.Task.Number != agents[a.Ordinal] {
					t.Fatalf("agent %d is %v with number %d, want %d", a.Ordinal, a.State.Status, a.State.Task.Number, agents[a.Ordinal])
				}
			}
			at += len(page.Items)
		}
		page, err := s.Batches(t.Context(), "p", ota.RowQuery{Limit: 50})
		if err != nil || len(page.Items) != 50 {
			t.Fatal(len(page.Items), err)
		}
		for _, b := range page.Items {
			name, in := batches[b.Index]
			if in && (b.Name != name || b.Size != 100 || b.StartedAt != sqltest.Created || b.First != 100*b.Index) || !in && b.Status == ota.BatchRunning {
				t.Fatalf("batch %d is %+v, want name %q", b.Index, b, name)
			}
		}
		if other, err := s.Agents(t.Context(), "other", ota.RowQuery{Status: []ota.TaskStatus{ota.TaskWaiting}}); err != nil || len(other.Items) != 0 {
			t.Fatal("agents of another plan were changed", len(other.Items), err)
		}
	})
}
