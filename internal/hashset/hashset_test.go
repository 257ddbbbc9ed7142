package hashset

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// The set agrees with a map for all kinds of hashes: for 0, and for many that want the same slot.
func TestSetAgreesWithAMap(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	for name, hash := range map[string]func() uint64{
		"few":            func() uint64 { return 2 * draw.Uint64N(3000) },
		"one place":      func() uint64 { return draw.Uint64N(3000) << 32 },
		"all":            draw.Uint64,
		"nothing but 64": func() uint64 { return draw.Uint64N(64) << 58 },
	} {
		t.Run(name, func(t *testing.T) {
			var s Set
			have := map[uint64]bool{}
			require.False(t, s.Has(0))
			s.Prefetch([]uint64{0, 1})
			for range 5000 {
				h := hash()
				s.Prefetch([]uint64{h, ^h})
				require.Equal(t, have[h], s.Has(h), "%x", h)
				require.Equal(t, !have[h], s.Add(h), "%x", h)
				have[h] = true
				require.True(t, s.Has(h), "%x", h)
			}
			require.Equal(t, len(have), s.Len())
		})
	}
}

// Prefetch must not be compiled away: its loads end in sink.
func TestPrefetchLoads(t *testing.T) {
	var s Set
	s.Add(5)
	s.Prefetch([]uint64{4})
	require.Zero(t, s.sink)
	s.Prefetch([]uint64{5})
	require.EqualValues(t, 5, s.sink)
}

// BenchmarkAdd adds a million hashes, with and without Prefetch, and to a map for comparison.
func BenchmarkAdd(b *testing.B) {
	const n, group = 1 << 20, 32
	draw := rand.New(rand.NewPCG(1, 2))
	hashes := make([]uint64, n)
	for i := range hashes {
		hashes[i] = draw.Uint64()
	}
	perHash := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/hash")
	}
	for name, prefetch := range map[string]bool{"plain": false, "prefetched": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var s Set
				for at := 0; at < n; at += group {
					if prefetch {
						s.Prefetch(hashes[at : at+group])
					}
					for _, h := range hashes[at : at+group] {
						s.Add(h)
					}
				}
			}
			perHash(b)
		})
	}
	b.Run("map", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m := map[uint64]struct{}{}
			for _, h := range hashes {
				m[h] = struct{}{}
			}
		}
		perHash(b)
	})
}
