package ota

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What the default finds and lets through in a plan of 10,000 agents: figures that were computed
// without this code. Package simulate compares the harm of many plans with simulations.
func TestSeesAndHarmOfTheDefault(t *testing.T) {
	t.Parallel()
	p := Policy{Soak: Soak{Duration: 5 * time.Minute}}.withDefaults()
	made := createdPlan{Spec: planSpec{Agents: 10_000}, Control: planControl{Policy: p}}
	for first, size := 0, 20; first < 10_000; size = min(max(50, 2*size), 1000, 10_000-first) {
		if first == 20 {
			size = 50
		}
		made.Batches = append(made.Batches, batchRow{Index: len(made.Batches), First: first, Size: size, Counts: Counts{Pending: size}})
		first += size
	}
	made.Spec.Batches = len(made.Batches)
	made.Control.Expected = p.expectTables(10_000, len(made.Batches), 1000)
	sees := made.sees()
	require.InDelta(t, 0.139, sees[0].Shows, 0.001)
	require.InDelta(t, 0.283, sees[0].Stops, 0.001)
	require.InDelta(t, 0.016, sees[len(sees)-1].Stops, 0.0005)
	for i := range sees[1:] {
		require.LessOrEqual(t, sees[i+1].Stops, sees[i].Stops)
	}
	h := made.harm()
	require.Equal(t, Harm{Kind: HarmFails, Agents: 7, Stops: true}, h[0])
	require.Equal(t, Harm{Kind: HarmUnhealthy, After: time.Minute, Agents: 20, Stops: true}, h[2])
	require.Equal(t, Harm{Kind: HarmUnhealthy, After: 5 * time.Minute, Agents: 10_000}, h[3], "the last round comes before the end of the soak")
}
