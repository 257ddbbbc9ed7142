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

// each is a limit of so many slots for each key.
func each(slots int) func(string) int { return func(string) int { return slots } }

func TestLanes(t *testing.T) {
	ls := NewLanes(each(2))
	for i := range 2 {
		require.False(t, ls.Wait(i, "a"), "a slot is free")
		ls.Count(0, "a", 1)
	}
	require.False(t, ls.Wait(9, "b"), "another lane has slots of its own")
	for i := range 3 {
		require.True(t, ls.Wait(2+i, "a"))
	}
	require.Equal(t, 3, ls.InLine())
	require.Zero(t, ls.Ready())
	require.Equal(t, -1, first(&ls), "no slot is free")
	ls.Count(0, "a", -1)
	require.True(t, ls.Wait(5, "a"), "no item overtakes the line")
	require.Equal(t, 1, ls.Ready())
	require.Equal(t, 2, first(&ls), "the first comes first")
	ls.Pop()
	ls.Count(0, "a", 1)
	require.Equal(t, -1, first(&ls))
	ls.Remove(4)
	ls.Remove(77)
	require.Equal(t, 2, ls.InLine())
	ls.Count(0, "a", -1)
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
	ls := NewLanes(each(1))
	ls.Count(0, "a", 1)
	ls.Wait(1, "a")
	ls.Count(0, "a", -1)
	ls.Remove(1)
	require.Equal(t, -1, first(&ls))
	ls.Count(0, "a", 1)
	ls.Wait(2, "a")
	require.Equal(t, -1, first(&ls))
	ls.Count(0, "a", -1)
	require.Equal(t, 2, first(&ls))
}

// Lanes take turns, so that a long line does not block a short one.
func TestLanesTakeTurns(t *testing.T) {
	ls := NewLanes(each(3))
	for i, key := range []string{"a", "b"} {
		ls.Count(0, key, 3)
		for k := range 3 {
			require.True(t, ls.Wait(10*i+k, key))
		}
	}
	ls.Count(0, "a", -3)
	ls.Count(0, "b", -3)
	var order []int
	for ls.InLine() > 0 {
		order = append(order, first(&ls))
		ls.Pop()
	}
	require.Equal(t, []int{0, 10, 1, 11, 2, 12}, order)
}

// An item needs a slot of every limit. It waits for the one that is taken, and no item with other keys
// waits for it.
func TestLanesWithTwoLimits(t *testing.T) {
	ls := NewLanes(each(1), func(key string) int {
		if key == "wide" {
			return 3
		}
		return 1
	})
	take := func(by int, keys ...string) {
		for i, key := range keys {
			ls.Count(i, key, by)
		}
	}
	require.False(t, ls.Wait(1, "a", "x"))
	take(1, "a", "x")
	require.True(t, ls.Wait(2, "a", "y"), "a is taken")
	require.True(t, ls.Wait(3, "b", "x"), "x is taken")
	require.True(t, ls.Wait(4, "a", "x"), "both are taken")
	require.False(t, ls.Wait(5, "b", "y"))
	take(1, "b", "y")
	require.True(t, ls.Full("c", "y"))
	require.False(t, ls.Over(0, "a"))
	take(-1, "a", "x")
	require.Equal(t, 4, first(&ls), "2 waits for y, and 3 for b")
	take(1, "a", "x")
	require.Equal(t, -1, first(&ls))
	take(-1, "b", "y")
	require.Equal(t, -1, first(&ls), "2 still waits for a, and 3 for x")
	take(-1, "a", "x")
	got := []int{}
	for item, ok := ls.First(); ok; item, ok = ls.First() {
		got = append(got, item)
		ls.Pop()
	}
	require.ElementsMatch(t, []int{2, 3, 4}, got)
	for i := range 3 {
		require.False(t, ls.Wait(i, string(rune('d'+i)), "wide"))
		take(1, string(rune('d'+i)), "wide")
	}
	require.True(t, ls.Wait(9, "z", "wide"), "three of it are taken")
}

// Lanes agree with a search through all items: no item that could get its slots is left in line, and
// none gets slots that are taken.
func TestLanesAgreeWithASearch(t *testing.T) {
	draw := rand.New(rand.NewPCG(3, 4))
	key := func() string { return strconv.Itoa(draw.IntN(3)) }
	for range 200 {
		most := 1 + draw.IntN(2)
		ls := NewLanes(each(most), each(most))
		taken := [2]map[string]int{{}, {}}
		room := func(k [2]string) bool { return taken[0][k[0]] < most && taken[1][k[1]] < most }
		var inLine, out [][2]string
		count := func(k [2]string, by int) {
			for i := range k {
				ls.Count(i, k[i], by)
				taken[i][k[i]] += by
			}
		}
		items := map[int][2]string{}
		for n := range 200 {
			if draw.IntN(3) == 0 && len(out) > 0 {
				k := draw.IntN(len(out))
				count(out[k], -1)
				out = slices.Delete(out, k, k+1)
			} else {
				k := [2]string{key(), key()}
				if ls.Wait(n, k[0], k[1]) {
					items[n], inLine = k, append(inLine, k)
				} else {
					require.True(t, room(k))
					count(k, 1)
					out = append(out, k)
				}
			}
			for item, ok := ls.First(); ok; item, ok = ls.First() {
				k := items[item]
				require.True(t, room(k))
				ls.Pop()
				at := slices.Index(inLine, k)
				inLine, out = slices.Delete(inLine, at, at+1), append(out, k)
				count(k, 1)
			}
			require.False(t, slices.ContainsFunc(inLine, room), "an item waits although it has room")
			require.Len(t, inLine, ls.InLine())
			total := 0
			for _, n := range ls.Lines {
				total += n
			}
			require.Equal(t, total, ls.InLine())
		}
	}
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
	ls := NewLanes(each(1))
	b.ReportAllocs()
	for b.Loop() {
		for i := range 64 {
			if i < len(keys) {
				ls.Count(0, keys[i], 1)
			}
			ls.Wait(i, keys[i%len(keys)])
		}
		for _, key := range keys {
			ls.Count(0, key, -1)
		}
		for ls.InLine() > 0 {
			if _, ok := ls.First(); ok {
				ls.Pop()
			}
		}
	}
}
