package ota

import (
	"slices"
	"testing"

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
		{"list", Shape{Batches: []BatchShape{{"canary", 1}, {"half", 4}, {"rest", 5}}}, 10, []int{1, 4, 5}},
	} {
		cut := newCutter(c.shape)
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

func TestShuffledPlanIsTheSameTwice(t *testing.T) {
	inScene(t, func(s *scene) {
		order := func(seed uint64) (out []string) {
			p := s.create(Policy{}, Shape{Shuffle: seed}, names("ok", 30)...)
			page, err := s.e.Agents(s.ctx, p.ID, RowQuery{})
			require.NoError(s, err)
			for _, a := range page.Items {
				out = append(out, a.ID)
			}
			return out
		}
		require.Equal(s, order(7), order(7))
		require.NotEqual(s, order(7), order(8))
		require.Equal(s, names("ok", 30), order(0))
	})
}
