package expect

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func list(p, alpha float64, most int) (at []int) {
	rises(p, alpha, most, func(n int) { at = append(at, n) })
	return at
}

// The tables have not changed by a bit, on this processor as on every other. Eighteen tables of a
// million agents were compared with arithmetic of 160 bits.
func TestTablesAreTheSameEverywhere(t *testing.T) {
	h := fnv.New64a()
	for _, p := range []float64{1e-5, 1e-3, 0.005, 0.01, 0.05, 0.2} {
		for _, alpha := range []float64{0.001, 0.01, 0.05} {
			_, err := fmt.Fprint(h, list(p, alpha, 1_000_000))
			require.NoError(t, err)
		}
	}
	require.Equal(t, "732be89ee47cf0db", fmt.Sprintf("%016x", h.Sum64()))
}

func TestReferenceValues(t *testing.T) {
	at := []int{1, 2, 5, 10, 20, 50, 100, 1_000, 10_000, 100_000, 1_000_000}
	for _, c := range []struct {
		normal, alpha float64
		tolerated     []int
		first         []int
	}{
		{1e-5, 0.01, []int{0, 0, 0, 0, 0, 0, 1, 1, 2, 6, 24}, []int{87, 2992, 12534, 28880, 51070}},
		{0.001, 0.01, []int{0, 1, 1, 1, 1, 2, 2, 6, 24, 142, 1138}, []int{2, 40, 151, 333, 575, 865}},
		{0.005, 0.001, []int{1, 1, 2, 2, 3, 4, 5, 17, 84, 607, 5348}, []int{1, 4, 16, 40, 75, 120, 173}},
		{0.005, 0.01, []int{1, 1, 1, 2, 2, 3, 4, 15, 79, 595, 5312}, []int{1, 10, 34, 73, 124, 184, 253, 328, 409, 495}},
		{0.005, 0.05, []int{0, 1, 1, 1, 1, 2, 3, 13, 76, 585, 5285}, []int{2, 21, 60, 114, 179, 254, 336}},
		{0.01, 0.01, []int{1, 1, 1, 2, 3, 4, 6, 23, 141, 1134, 10444}, []int{1, 6, 19, 39, 65, 96, 131, 169, 210, 254}},
		{0.01, 0.005, []int{1, 1, 2, 2, 3, 4, 6, 24, 143}, []int{1, 4, 15, 32, 56, 84, 116, 152, 191, 232}},
		{0.02, 0.01, []int{1, 1, 2, 2, 3, 5, 8, 38, 257, 2189, 20630}, []int{1, 4, 11, 21, 35, 51, 69, 88, 109, 131}},
		{0.05, 0.01, []int{1, 2, 3, 4, 5, 9, 14, 77, 589, 5296, 50988}, []int{1, 2, 5, 10, 16, 23, 30, 39, 47, 57}},
		{0.05, 0.05, []int{1, 1, 2, 3, 4, 8, 12, 74, 579, 5268, 50907}, []int{1, 4, 9, 15, 22, 31, 40, 49, 59, 70}},
		{0.2, 0.01, []int{1, 2, 4, 6, 10, 20, 35, 248, 2162, 20545, 201824}, []int{1, 2, 3, 4, 6, 8, 11, 13, 16, 18}},
	} {
		exact := list(c.normal, c.alpha, 1_000_000)
		require.Equal(t, c.first, exact[:len(c.first)], "%v", c)
		table := New(c.normal, c.alpha, 1_000_000)
		for i, want := range c.tolerated {
			got := table.Tolerated(at[i])
			require.GreaterOrEqual(t, got, want, "%v at %d", c, at[i])
			require.LessOrEqual(t, got, want+want/1024+min(want/1024, 1), "%v at %d", c, at[i])
		}
	}
}

// The closed form, from its definition, with exact sums of small cases.
func TestRecurrenceIsTheClosedForm(t *testing.T) {
	for _, p := range []float64{0.005, 0.05, 0.3} {
		table := New(p, 0.01, 400)
		for n := 1; n <= 400; n++ {
			f := table.Tolerated(n)
			require.Less(t, evidence(n, f, p), 100.0, "%d of %d at %v", f, n, p)
			require.True(t, Explains(p, 0.01, n, f), "%d of %d at %v", f, n, p)
			require.False(t, Explains(p, 0.01, n, f+1), "%d of %d at %v", f+1, n, p)
			if f < n {
				require.GreaterOrEqual(t, evidence(n, f+1, p), 100.0, "%d of %d at %v", f+1, n, p)
			}
		}
	}
}

// evidence is E(n, f).
func evidence(n, f int, p float64) float64 {
	if f == 0 {
		return 0
	}
	below := atMost(n, f-1, p)
	return below / (float64(f) * (atMost(n, f, p) - below) * math.Log(1/p))
}

// Tolerated never falls and rises by at most 1; it is 0 for no agents; evidence rises with each
// failure, also where it comes with one more agent.
func TestShapeOfTheTable(t *testing.T) {
	for _, p := range []float64{1e-6, 0.001, 0.01, 0.2, 0.5} {
		for _, alpha := range []float64{1e-12, 0.01, 0.5} {
			table := New(p, alpha, 20_000)
			require.Zero(t, table.Tolerated(0))
			exact, before := list(p, alpha, 20_000), 0
			for n := 1; n <= 20_000; n++ {
				now := table.Tolerated(n)
				require.GreaterOrEqual(t, now, before)
				if now <= 1024 {
					require.LessOrEqual(t, now, before+1)
				}
				before = now
			}
			for i := 1; i < len(exact); i++ {
				require.Less(t, exact[i-1], exact[i])
			}
		}
	}
}

// The probability that a good release is ever stopped, by propagation of the distribution of
// failures: no randomness. And the failures that a bad release makes before it is stopped.
func TestExactError(t *testing.T) {
	for _, c := range []struct{ normal, alpha, want float64 }{
		{0.005, 0.01, 0.00388},
		{0.01, 0.01, 0.00459},
		{0.05, 0.05, 0.03026},
		{0.001, 0.001, 0.00029},
	} {
		stopped, _ := walk(New(c.normal, c.alpha, 10_000), c.normal, 10_000)
		require.InDelta(t, c.want, stopped, 0.00001, "%v", c)
		require.LessOrEqual(t, stopped, c.alpha)
	}
	for times, want := range map[float64]float64{2: 33.5, 4: 9.7, 10: 4.4} {
		stopped, failed := walk(New(0.01, 0.01, 10_000), times*0.01, 10_000)
		require.Greater(t, stopped, 0.99, "%v times as many", times)
		require.InDelta(t, want, failed, 0.05, "%v times as many", times)
	}
}

// walk returns how probably a release with this rate is stopped, and how many agents failed then on
// average.
func walk(table Table, rate float64, agents int) (stopped, failed float64) {
	at := make([]float64, table.Tolerated(agents)+2) // the probability of so many failures, not stopped
	at[0] = 1
	for n := 1; n <= agents; n++ {
		most := table.Tolerated(n)
		for f := most + 1; f > 0; f-- {
			at[f] = at[f]*(1-rate) + at[f-1]*rate
		}
		at[0] *= 1 - rate
		stopped += at[most+1]
		failed += at[most+1] * float64(most+1)
		at[most+1] = 0
	}
	return stopped, failed / stopped
}

// Taking failures out of both counts never stops a release.
func TestFewerNeverStops(t *testing.T) {
	table := New(0.01, 0.01, 20_000)
	for range 20_000 {
		n := rand.IntN(20_000)
		failed := table.Tolerated(n)
		m := rand.IntN(failed + 1)
		require.LessOrEqual(t, failed-m, table.Tolerated(n-m))
	}
}

// Large tables are short, and never below the exact one.
func TestLargeTables(t *testing.T) {
	exact := list(0.2, 0.01, 1_000_000)
	table := New(0.2, 0.01, 1_000_000)
	require.Less(t, len(table), 8_400)
	for i, n := range exact {
		require.GreaterOrEqual(t, table.Tolerated(n), i+1)
		require.LessOrEqual(t, table.Tolerated(n), i+1+(i+1)/1000)
	}
	full := New(0.01, 0.01, Most)
	require.LessOrEqual(t, len(full), 8_400)
	require.GreaterOrEqual(t, full.Tolerated(2*Most), 2*full.Tolerated(Most)-1)
	require.Equal(t, full, New(0.01, 0.01, 3*Most))
}

// A table of a whole fleet is short, and a list that no version wrote does not panic.
func TestEntries(t *testing.T) {
	require.Len(t, New(0.01, 0.01, 10_000), 141)
	require.Empty(t, New(1e-5, 0.01, 50))
	require.Positive(t, make(Table, 1<<14).Tolerated(1))
}

func TestSees(t *testing.T) {
	for _, c := range []struct {
		n, tolerated int
		want         float64
	}{
		{1, 0, 0.95},
		{5, 0, 0.451},
		{10, 0, 0.259},
		{20, 0, 0.139},
		{20, 2, 0.283},
		{20, 3, 0.344},
		{50, 0, 0.058},
		{100, 0, 0.0295},
		{100, 6, 0.115},
		{3, 3, 1},
		{0, 0, 1},
	} {
		require.InDelta(t, c.want, Sees(c.n, c.tolerated), 0.0006, "%+v", c)
	}
}

func BenchmarkNew(b *testing.B) {
	for _, agents := range []int{100_000, Most} {
		b.Run(fmt.Sprint(agents), func(b *testing.B) {
			for b.Loop() {
				New(0.01, 0.01, agents)
			}
		})
	}
}

func BenchmarkTolerated(b *testing.B) {
	table, n := New(0.01, 0.01, 1_000_000), 0
	for b.Loop() {
		n = (n + 7919) % 1_000_000
		table.Tolerated(n)
	}
}
