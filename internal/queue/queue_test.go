package queue

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFIFO(t *testing.T) {
	var f FIFO
	for i := range 5 {
		f.Push(i)
	}
	require.Equal(t, 5, f.Len())
	for i := range 5 {
		require.Equal(t, i, f.Front())
		require.Equal(t, i, f.Pop())
	}
	require.Zero(t, f.Len())
	f.Push(9)
	require.Equal(t, 9, f.Pop())
}

// A FIFO that was emptied starts again at the front of its memory.
func TestFIFOReusesItsMemory(t *testing.T) {
	var f FIFO
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		f.Push(1)
		f.Push(2)
		f.Pop()
		f.Pop()
	}), 0.0)
	require.Equal(t, 2, cap(f.items))
}

func TestFIFORemove(t *testing.T) {
	var f FIFO
	for i := range 5 {
		f.Push(i)
	}
	f.Pop()
	require.False(t, f.Remove(0), "it was popped")
	require.True(t, f.Remove(2))
	require.False(t, f.Remove(2))
	require.Equal(t, 3, f.Len())
	require.Equal(t, []int{1, 3, 4}, []int{f.Pop(), f.Pop(), f.Pop()})
}

func TestTimersInOrder(t *testing.T) {
	var ts Timers
	for _, at := range []int64{5, 3, 9, 3, 1} {
		ts.Push(Timer{At: at, Item: int(10 - at)})
	}
	ts.Push(Timer{At: 3, Item: 1})
	var got []Timer
	for ts.Len() > 0 {
		first := ts.First()
		got = append(got, ts.Pop())
		require.Equal(t, first, got[len(got)-1])
	}
	require.Equal(t, []Timer{{At: 1, Item: 9}, {At: 3, Item: 1}, {At: 3, Item: 7}, {At: 3, Item: 7}, {At: 5, Item: 5}, {At: 9, Item: 1}}, got)
}

// Timers agree with a sorted slice, over pushes, pops and deletions in random order.
func TestTimersAgreeWithASortedSlice(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	order := func(a, b Timer) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Item, b.Item)) }
	var ts Timers
	var want []Timer
	for i := range 20_000 {
		switch n := draw.IntN(100); {
		case n == 0:
			kind := uint8(draw.IntN(2))
			del := func(t Timer) bool { return t.Kind == kind }
			ts.DeleteFunc(del)
			want = slices.DeleteFunc(want, del)
		case n < 40 && len(want) > 0:
			require.Equal(t, want[0], ts.Pop())
			want = want[1:]
		default:
			x := Timer{At: draw.Int64N(50), Item: i, Kind: uint8(draw.IntN(2))}
			ts.Push(x)
			at, _ := slices.BinarySearchFunc(want, x, order)
			want = slices.Insert(want, at, x)
		}
		require.Equal(t, len(want), ts.Len())
		if len(want) > 0 {
			require.Equal(t, want[0], ts.First())
		}
	}
}

func TestLanes(t *testing.T) {
	ls := NewLanes(2)
	for i := range 2 {
		require.False(t, ls.Wait("a", i), "a slot is free")
		ls.Count("a", 1)
	}
	require.False(t, ls.Wait("b", 9), "another lane has slots of its own")
	for i := range 3 {
		require.True(t, ls.Wait("a", 2+i))
	}
	require.Equal(t, 3, ls.InLine())
	require.Zero(t, ls.Ready())
	require.Equal(t, -1, first(&ls), "no slot is free")
	ls.Count("a", -1)
	require.True(t, ls.Wait("a", 5), "no item overtakes the line")
	require.Equal(t, 1, ls.Ready())
	require.Equal(t, 2, first(&ls), "the first comes first")
	ls.Pop()
	ls.Count("a", 1)
	require.Equal(t, -1, first(&ls))
	ls.Remove(4)
	ls.Remove(77)
	require.Equal(t, 2, ls.InLine())
	ls.Count("a", -1)
	require.Equal(t, 3, first(&ls))
	ls.Pop()
	require.Equal(t, 5, first(&ls), "4 was removed")
}

// first is -1 where no item can get a slot.
func first(ls *Lanes) int {
	if item, ok := ls.First(); ok {
		return item
	}
	return -1
}

// A lane whose line was emptied by Remove loses its turn, and gets one again with the next item.
func TestALaneWithoutALine(t *testing.T) {
	ls := NewLanes(1)
	ls.Count("a", 1)
	ls.Wait("a", 1)
	ls.Count("a", -1)
	ls.Remove(1)
	require.Equal(t, -1, first(&ls))
	ls.Count("a", 1)
	ls.Wait("a", 2)
	require.Equal(t, -1, first(&ls))
	ls.Count("a", -1)
	require.Equal(t, 2, first(&ls))
}

// Lanes take turns, so that a long line does not block a short one.
func TestLanesTakeTurns(t *testing.T) {
	ls := NewLanes(3)
	for i, key := range []string{"a", "b"} {
		ls.Count(key, 3)
		for k := range 3 {
			require.True(t, ls.Wait(key, 10*i+k))
		}
	}
	ls.Count("a", -3)
	ls.Count("b", -3)
	var order []int
	for ls.InLine() > 0 {
		order = append(order, first(&ls))
		ls.Pop()
	}
	require.Equal(t, []int{0, 10, 1, 11, 2, 12}, order)
}

func TestMinSet(t *testing.T) {
	var s MinSet
	require.Equal(t, 7, s.Lowest(7))
	require.False(t, s.Has(3))
	for _, o := range []int{3, 5, 9, 4} {
		s.Add(o)
	}
	require.Equal(t, 3, s.Lowest(10))
	s.Remove(3)
	s.Remove(5)
	require.Equal(t, 2, s.Len())
	require.Equal(t, 4, s.Lowest(10))
	require.Equal(t, 2, s.Lowest(2))
	s.Add(3)
	require.Equal(t, 3, s.Lowest(10), "again")
	for _, o := range []int{3, 4, 9} {
		s.Remove(o)
	}
	require.Equal(t, 10, s.Lowest(10))
}

func BenchmarkFIFO(b *testing.B) {
	var f FIFO
	b.ReportAllocs()
	for b.Loop() {
		for i := range 64 {
			f.Push(i)
		}
		for f.Len() > 0 {
			f.Pop()
		}
	}
}

// BenchmarkTimers pushes and pops one timer beside a thousand others.
func BenchmarkTimers(b *testing.B) {
	var ts Timers
	for i := range 1001 {
		ts.Push(Timer{At: int64(i * 7919 % 1001), Item: i})
	}
	b.ReportAllocs()
	for b.Loop() {
		t := ts.Pop()
		t.At += int64(t.Item)
		ts.Push(t)
	}
}

// BenchmarkLanes takes 64 items of eight full lanes through their lines.
func BenchmarkLanes(b *testing.B) {
	var keys [8]string
	for i := range keys {
		keys[i] = strconv.Itoa(i)
	}
	ls := NewLanes(1)
	b.ReportAllocs()
	for b.Loop() {
		for i := range 64 {
			if i < len(keys) {
				ls.Count(keys[i], 1)
			}
			ls.Wait(keys[i%len(keys)], i)
		}
		for _, key := range keys {
			ls.Count(key, -1)
		}
		for ls.InLine() > 0 {
			if _, ok := ls.First(); ok {
				ls.Pop()
			}
		}
	}
}
