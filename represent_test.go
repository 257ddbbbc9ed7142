package ota

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// shares is a list of batches by their shares; 0 is the rest.
func shares(percent ...float64) (s Shape) {
	for _, p := range percent {
		s.Batches = append(s.Batches, BatchShape{Percent: p})
	}
	return s
}

// fleetOf has these numbers of agents of each kind, in a line. Each second one is in zone b.
func fleetOf(kinds ...int) (all []Agent) {
	for kind, n := range kinds {
		for i := range n {
			id := fmt.Sprintf("k%d-%d", kind, i)
			all = append(all, Agent{ID: id, Labels: map[string]string{"kind": strconv.Itoa(kind), "zone": string(rune('a' + len(all)%2))}})
		}
	}
	return all
}

// A kind of which a fifth of the fleet is, and each second zone, is in every canary of five.
func TestNoCanaryMissesAKind(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1000) {
		agents := fleetOf(80, 20)
		s := Shape{Canary: 5, Represent: []string{"kind", "zone"}, Shuffle: seed + 1}
		require.Empty(t, s.arrange(agents, "2"))
		for _, l := range []Label{{"kind", "0"}, {"kind", "1"}, {"zone", "a"}, {"zone", "b"}} {
			require.True(t, slices.ContainsFunc(agents[:5], func(a Agent) bool { return a.Labels[l.Name] == l.Value }), "seed %d: %s", seed, l)
		}
	}
}

// The canary rotates from release to release without a seed. Over 50 releases no agent is in more than
// three times its share of canaries.
func TestCanariesRotate(t *testing.T) {
	t.Parallel()
	const releases, canary = 50, 10
	times, kinds := map[string]int{}, map[string]int{}
	for release := range releases {
		agents := fleetOf(60, 30, 10)
		s := Shape{Canary: canary, Represent: []string{"kind"}}
		s.arrange(agents, fmt.Sprintf("1.%d.0", release))
		for _, a := range agents[:canary] {
			times[a.ID]++
			kinds[a.Labels["kind"]]++
		}
	}
	for kind, n := range map[string]int{"0": 60, "1": 30, "2": 10} {
		share := float64(kinds[kind]) / float64(n)
		require.InDelta(t, releases*canary/100, share, 1, kind)
		for id, k := range times {
			if strings.HasPrefix(id, "k"+kind) {
				require.LessOrEqual(t, float64(k), 3*share, id)
			}
		}
	}
	require.Greater(t, len(times), 95, "nearly all agents had their turn")
}

// In each batch of random fleets and shapes: every value is there while there is room and one is left,
// and is there in proportion. The values that are only there because one of each has to be make the
// others fewer, by their share.
func TestRepresentInProportion(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		agents, labels := randomFleet(r)
		s := Shape{Canary: r.IntN(20), Size: 1 + r.IntN(60), Represent: labels, Shuffle: seed + 1}
		sizes := s.sizes(len(agents))
		before := slices.Clone(agents)
		s.arrange(agents, "2")
		again := slices.Clone(before)
		s.arrange(again, "3")
		require.Equal(t, agents, again, "the seed that is given decides")
		require.ElementsMatch(t, idsOf(before), idsOf(agents))
		for k := range labels {
			requireProportions(t, agents, sizes, labels[k], k, len(labels))
		}
	}
}

func randomFleet(r *rand.Rand) (agents []Agent, labels []string) {
	labels = []string{"kind", "zone"}[:1+r.IntN(2)]
	rare := 1 + r.IntN(50)
	for i := range 1 + r.IntN(1000) {
		kind := r.IntN(4)
		if r.IntN(rare) == 0 {
			kind = 4 + r.IntN(4)
		}
		agents = append(agents, Agent{ID: strconv.Itoa(i), Labels: map[string]string{"kind": strconv.Itoa(kind), "zone": strconv.Itoa(r.IntN(3))}})
	}
	return agents, labels
}

func idsOf(agents []Agent) (all []string) {
	for _, a := range agents {
		all = append(all, a.ID)
	}
	return all
}

// requireProportions checks the values of a label, which is alone or the first of two.
func requireProportions(t *testing.T, agents []Agent, sizes []int, label string, k, labels int) {
	t.Helper()
	all := map[string]int{}
	for _, a := range agents {
		all[a.Labels[label]]++
	}
	left, from := maps.Clone(all), 0
	for b, size := range sizes {
		have := map[string]int{}
		for _, a := range agents[from : from+size] {
			have[a.Labels[label]]++
		}
		room := labels == 1 && size >= len(left) || size >= 8+3 // kinds and zones
		for v, n := range left {
			require.False(t, room && have[v] == 0, "batch %d has no %s=%s of %d", b, label, v, n)
			expected := float64(all[v]*size) / float64(len(agents))
			if k == 0 && n > size && size >= len(left) {
				share := float64(all[v]) / float64(len(agents))
				require.InDelta(t, expected, have[v], 2+share*float64(len(left)*labels), "batch %d of %d: %s=%s", b, size, label, v)
			}
		}
		for v, n := range have {
			if left[v] -= n; left[v] == 0 {
				delete(left, v)
			}
		}
		from += size
	}
}

// Volunteers come first and hospitals last, in the order of the lists. An agent of both lists is last.
// Warnings name labels without agents, and values that the first batch lacks.
func TestFirstAndLast(t *testing.T) {
	t.Parallel()
	agents := []Agent{
		{ID: "h1", Labels: map[string]string{"site": "hospital", "ring": "beta"}},
		{ID: "o1"},
		{ID: "v1", Labels: map[string]string{"ring": "volunteer"}},
		{ID: "o2"},
		{ID: "b1", Labels: map[string]string{"ring": "beta"}},
		{ID: "s1", Labels: map[string]string{"site": "school"}},
		{ID: "v2", Labels: map[string]string{"ring": "volunteer"}},
	}
	s := Shape{
		Canary: 2, First: []Label{{"ring", "volunteer"}, {"ring", "beta"}, {"ring", "staff"}}, Last: []Label{{"site", "school"}, {"site", "hospital"}},
	}
	given := slices.Clone(agents)
	require.Equal(t, []string{"shape.first ring=staff applies to no agent"}, s.arrange(given, "2"))
	require.Equal(t, []string{"v1", "v2", "b1", "o1", "o2", "s1", "h1"}, idsOf(given))

	s.First, s.Represent = s.First[:2], []string{"site"}
	warnings := s.arrange(agents, "2")
	require.Equal(t, []string{`batch 0 lacks 2 values of site: "hospital" (1 agent), "school" (1 agent)`}, warnings)
	require.ElementsMatch(t, []string{"v1", "v2"}, idsOf(agents[:2]), "volunteers make the canary, whatever they are")
	require.Equal(t, []string{"s1", "h1"}, idsOf(agents[5:]))
}

// A canary with less room than values holds those of most agents, and the next batch the others.
func TestValuesThatDoNotFit(t *testing.T) {
	t.Parallel()
	agents := fleetOf(50, 40, 30, 2, 1)
	s := Shape{Canary: 3, Size: 10, Represent: []string{"kind"}}
	require.Equal(t, []string{`batch 0 lacks 2 values of kind: "3" (2 agents), "4" (1 agent)`}, s.arrange(agents, "2"))
	kinds := func(agents []Agent) []string {
		var all []string
		for _, a := range agents {
			all = append(all, a.Labels["kind"])
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	require.Equal(t, []string{"0", "1", "2"}, kinds(agents[:3]))
	require.Equal(t, []string{"0", "1", "2", "3", "4"}, kinds(agents[3:13]))
}

func BenchmarkRepresent(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	agents := make([]Agent, 1_000_000)
	for i := range agents {
		agents[i] = Agent{ID: strconv.Itoa(i), Labels: map[string]string{"kind": strconv.Itoa(r.IntN(1000)), "zone": strconv.Itoa(r.IntN(50)), "serial": strconv.Itoa(i)}}
	}
	for _, labels := range [][]string{{"kind"}, {"kind", "zone"}, {"serial", "kind", "zone"}} {
		b.Run(strings.Join(labels, "+"), func(b *testing.B) {
			for b.Loop() {
				s := Shape{Canary: 100, Size: 10, Represent: labels}
				s.arrange(agents, "2")
			}
		})
	}
}
