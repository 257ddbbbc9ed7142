package ota

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTolerated(t *testing.T) {
	for _, c := range []struct {
		p    float64
		n    int
		want int
	}{
		{0.29, 100, 29}, // int(0.29*100) is 28
		{0.57, 100, 57},
		{0.58, 100, 58},
		{0.07, 100, 7},
		{1.0 / 3, 3, 1},
		{2.0 / 3, 3, 2},
		{0, 0, 0},
		{0, 1, 0},
		{0, 9, 0},
		{1, 0, 0},
		{1, 1, 1},
		{1, 3, 3},
		{1, 9, 9},
		{0.5, 0, 0},
		{0.5, 1, 0},
		{0.5, 3, 1},
		{0.5, 4, 2},
		{0.5, 9, 4},
		{0.01, 1, 0},
		{0.01, 9, 0},
		{0.01, 99, 0},
		{0.01, 100, 1},
		{0.05, 9, 0},
		{0.05, 20, 1},
		{0.1, 1, 0},
		{0.1, 3, 0},
		{0.1, 9, 0},
		{0.1, 10, 1},
		{0.1, 19, 1},
		{0.1, 20, 2},
		{0.1, 1_000_000, 100_000},
		{0.1, -5, 0},
		{math.NaN(), 10, 0},
		{-1, 10, 0},
		{2, 10, 10},
		{math.Nextafter(1, 0), 10, 9},
		{math.SmallestNonzeroFloat64, 10, 0},
	} {
		require.Equal(t, c.want, Tolerated(c.p, c.n), "%v of %d", c.p, c.n)
	}
}

func FuzzTolerated(f *testing.F) {
	f.Add(0.29, 100)
	f.Add(0.1, 10)
	f.Fuzz(func(t *testing.T, p float64, n int) {
		if n < 1 || n > 1<<30 || !(p >= 0 && p <= 1) {
			return
		}
		m := Tolerated(p, n)
		if m < 0 || m > n || float64(m)/float64(n) > p || m < n && float64(m+1)/float64(n) <= p {
			t.Fatalf("Tolerated(%v, %d) = %d is not the largest", p, n, m)
		}
	})
}

func TestPolicyDefaults(t *testing.T) {
	p := Policy{}.withDefaults()
	require.Equal(t, Policy{
		Concurrency: 5, FailureThreshold: ptr(0.1), AttemptTimeout: 30 * time.Minute, UnreachableTimeout: time.Hour, MaxAbandoned: 5,
		Soak: Soak{Interval: 10 * time.Second}, Gate: Gate{Interval: 30 * time.Second},
	}, p)
	require.Equal(t, 0.0, *Policy{FailureThreshold: ptr(0.0)}.withDefaults().FailureThreshold, "a threshold of 0 is 0")
	given := Policy{FailureThreshold: ptr(0.5), Hold: Hold{Batches: []int{1}}}
	with := given.withDefaults()
	*with.FailureThreshold, with.Hold.Batches[0] = 0.7, 9
	require.Equal(t, 0.5, *given.FailureThreshold, "nothing is shared with what was given")
	require.Equal(t, 1, given.Hold.Batches[0])
}

func TestHoldHolds(t *testing.T) {
	require.False(t, Hold{}.holds(1))
	require.False(t, Hold{All: true}.holds(0), "the first batch needs only Start")
	require.True(t, Hold{All: true}.holds(1))
	require.True(t, Hold{Batches: []int{2, 5}}.holds(5))
	require.False(t, Hold{Batches: []int{2, 5}}.holds(3))
}
