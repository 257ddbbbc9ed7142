package ota

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCutter(t *testing.T) {
	for _, c := range []struct {
		name   string
		shape  Shape
		agents int
		want   []int
	}{
		{"default", Shape{}, 25, []int{10, 10, 5}},
		{"exact", Shape{Size: 5}, 10, []int{5, 5}},
		{"one more", Shape{Size: 5}, 11, []int{5, 5, 1}},
		{"ones", Shape{Size: 1}, 3, []int{1, 1, 1}},
		{"larger than all", Shape{Size: 100}, 3, []int{3}},
		{"list", Shape{Batches: []BatchShape{{Name: "canary", Size: 1}, {Name: "half", Size: 4}, {Name: "rest", Size: 5}}}, 10, []int{1, 4, 5}},
		{"shares", shares(1, 10, 50, 0), 1000, []int{10, 100, 500, 390}},
		{"shares of few", shares(1, 10, 50, 0), 10, []int{1, 1, 5, 3}},
		{"rounded up in all", shares(25, 25, 25, 25), 10, []int{3, 2, 3, 2}},
		{"thirds", shares(33.3, 33.3, 33.4), 1000, []int{333, 333, 334}},
		{"at least one", shares(0.1, 0.1, 0), 3, []int{1, 1, 1}},
		{"a size, a share, the rest", Shape{Batches: []BatchShape{{Size: 5}, {Percent: 20}, {}}}, 100, []int{5, 20, 75}},
	} {
		cut := newCutter(c.shape)
		cut.agents = c.agents
		require.Equal(t, c.want, c.shape.sizes(c.agents), c.name)
		for range c.agents {
			_, ok := cut.next()
			require.True(t, ok, c.name)
		}
		var m mistakes
		cut.check(&m)
		require.NoError(t, m.result(), c.name)
		first := 0
		for i, b := range cut.rows() {
			require.Equal(t, c.want[i], b.Size, c.name)
			require.Equal(t, first, b.First, c.name)
			require.Equal(t, first, b.Cursor, c.name)
			require.Equal(t, i, b.Index, c.name)
			require.Equal(t, Counts{Pending: b.Size}, b.Counts, c.name)
			if len(c.shape.Batches) > 0 {
				require.Equal(t, c.shape.Batches[i].Name, b.Name)
			}
			first += b.Size
		}
		require.Len(t, cut.rows(), len(c.want), c.name)
		require.Equal(t, c.agents, first, c.name)
	}
}

func TestShuffle(t *testing.T) {
	all := func() (out []Agent) {
		for _, id := range names("a", 100) {
			out = append(out, Agent{ID: id})
		}
		return out
	}
	one, again, other := all(), all(), all()
	shuffle(one, 1)
	shuffle(again, 1)
	shuffle(other, 2)
	require.Equal(t, one, again)
	require.NotEqual(t, one, other)
	require.NotEqual(t, all(), one)
	require.ElementsMatch(t, all(), one)
	require.True(t, slices.ContainsFunc(one[:10], func(a Agent) bool { return a.ID > "a-010" }))
}

func TestShapes(t *testing.T) {
	for _, c := range []struct {
		name   string
		shape  Shape
		agents int
		want   []int
	}{
		{"ten by default", Shape{}, 25, []int{10, 10, 5}},
		{"percent of one", Shape{Percent: 5}, 1, []int{1}},
		{"percent of three", Shape{Percent: 10}, 3, []int{1, 1, 1}},
		{"percent of four", Shape{Percent: 50}, 4, []int{2, 2}},
		{"percent of nine, rounded up", Shape{Percent: 25}, 9, []int{3, 3, 3}},
		{"a hundredth of a percent", Shape{Percent: 0.01}, 3, []int{1, 1, 1}},
		{"all at once", Shape{Percent: 100}, 9, []int{9}},
		{"exactly a tenth", Shape{Percent: 10}, 1000, []int{100, 100, 100, 100, 100, 100, 100, 100, 100, 100}},
		{"canary first", Shape{Canary: 2, Size: 4}, 9, []int{2, 4, 3}},
		{"canary larger than all", Shape{Canary: 20}, 9, []int{9}},
		{"growth", Shape{Growth: Growth{First: 1}}, 20, []int{1, 2, 4, 8, 5}},
		{"growth by half, at least one more", Shape{Growth: Growth{First: 1, Factor: 1.5}}, 13, []int{1, 2, 3, 4, 3}},
		{"growth with a cap, after a canary", Shape{Canary: 1, Growth: Growth{First: 2, Factor: 3, Max: 7}}, 24, []int{1, 2, 6, 7, 7, 1}},
		{"constant growth", Shape{Growth: Growth{First: 3, Factor: 1}}, 7, []int{3, 3, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cut := newCutter(c.shape)
			cut.agents = c.agents
			for range c.agents {
				_, ok := cut.next()
				require.True(t, ok)
			}
			var got []int
			for _, b := range cut.rows() {
				got = append(got, b.Size)
			}
			require.Equal(t, c.want, got)
		})
	}
}

// What depends on the width of an int: .ci/run runs these with GOARCH=386, too.

func TestGrowthEndsAtTheLargestPlan(t *testing.T) {
	t.Parallel()
	for _, first := range []int{1 << 10, 1 << 24, maxAgents - 1} {
		require.Equal(t, maxAgents, Growth{First: first, Factor: 100}.size(5), "from %d", first)
	}
}

// A number that does not fit is a damaged record, not a negative length.
func TestRecordWithALargeNumber(t *testing.T) {
	t.Parallel()
	for _, n := range []uint64{math.MaxInt32, 1 << 31, 1 << 40, math.MaxInt64, math.MaxUint64} {
		data, _ := encodeRecord(time.Unix(0, noon), StatusRunning, "", Event{Kind: EventCreated, Batch: -1, Number: 1})
		data = binary.AppendUvarint(data[:len(data)-1], n)
		rec, err := decodeRecord("p", LogRow{Data: data})
		if n > math.MaxInt {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, n, uint64(rec.Events[0].Number))
	}
}

func TestAPreviewWritesNothing(t *testing.T) {
	inScene(t, func(s *scene) {
		busy := s.start(Policy{}, Shape{}, append(names("a", 40), "z")...)
		spec := Spec{
			Name: "x", FromVersion: "1", ToVersion: "2", Agents: AgentIDs(names("a", 25)...), Shape: Shape{Size: 9},
			Policy: Policy{Concurrency: 3, FailureThreshold: ptr(0.1), Soak: Soak{Duration: time.Minute}, Hold: Hold{All: true}},
		}
		p, err := s.e.Preview(s.ctx, spec, PreviewOptions{})
		require.NoError(s, err)
		require.Equal(s, 25, p.Agents)
		require.Equal(s, DefaultAttemptTimeout, p.Policy.AttemptTimeout)
		require.Len(s, p.Warnings, 2, "%v", p.Warnings)
		require.Contains(s, p.Warnings[1], "25 agents belong to another plan: a-000, a-001, a-002, … are in "+busy)
		require.Equal(s, []PreviewBatch{
			{Index: 0, Size: 9, Concurrency: 3, Soak: time.Minute}, {Index: 1, Size: 9, Concurrency: 3, Soak: time.Minute, Held: true}, {Index: 2, Size: 7, Concurrency: 3, Soak: time.Minute, Held: true},
		}, p.Batches)
		require.Equal(s, 25, p.Readiness.ConflictCount)
		require.Equal(s, Conflict{Agent: "a-000", Plan: busy}, p.Readiness.Conflicts[0])
		page, err := s.e.store.Plans(s.ctx, PlanQuery{})
		require.NoError(s, err)
		require.Len(s, page.Items, 1, "nothing was made")
	})
}

func TestAPreviewOfManyAgents(t *testing.T) {
	inScene(t, func(s *scene) {
		all := ids("a", 2500)
		s.start(Policy{}, Shape{}, all...)
		p, err := s.e.Preview(s.ctx, Spec{Name: "x", ToVersion: "2", Agents: AgentIDs(all...), Policy: Policy{FailureThreshold: ptr(0.1)}}, PreviewOptions{})
		require.NoError(s, err)
		require.Equal(s, 2500, p.Readiness.ConflictCount)
		require.Len(s, p.Readiness.Conflicts, 32)
		require.Equal(s, 1, p.Batches[249].Tolerated)
	})
}

// A preview refuses what Create refuses, with the same mistakes.
func TestAPreviewRefusesWhatCreateRefuses(t *testing.T) {
	inScene(t, func(s *scene) {
		for _, spec := range []Spec{
			{},
			{Name: "x", ToVersion: "2", Agents: AgentIDs()},
			{Name: "x", ToVersion: "2", Agents: AgentIDs("a", "a", "")},
			{Name: "x", ToVersion: "2", Agents: AgentIDs("a", "b"), Shape: Shape{Batches: []BatchShape{{Size: 1}}}},
			{Name: "x", ToVersion: "2", Agents: AgentIDs("a"), Policy: Policy{Concurrency: -1, Hold: Hold{Batches: []int{7}}}},
		} {
			_, previewed := s.e.Preview(s.ctx, spec, PreviewOptions{})
			_, created := s.e.Create(s.ctx, spec)
			require.NotEmpty(s, FieldErrors(created))
			require.Equal(s, FieldErrors(created), FieldErrors(previewed))
		}
	})
}
