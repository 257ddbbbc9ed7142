package ota

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// The set says what a map would, whatever the hashes are: also where many want the same place, and for 0.
func TestHashSetAgreesWithAMap(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	for name, hash := range map[string]func() uint64{
		"few":            func() uint64 { return 2 * draw.Uint64N(3000) },
		"one place":      func() uint64 { return draw.Uint64N(3000) << 32 },
		"all":            draw.Uint64,
		"nothing but 64": func() uint64 { return draw.Uint64N(64) << 58 },
	} {
		t.Run(name, func(t *testing.T) {
			var s hashSet
			have := map[uint64]bool{}
			s.fetch([]uint64{0, 1})
			for range 5000 {
				h := hash()
				s.fetch([]uint64{h, ^h})
				require.Equal(t, !have[h], s.add(h), "%x", h)
				have[h] = true
			}
			require.Equal(t, len(have), s.used)
		})
	}
}
