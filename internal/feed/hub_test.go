package feed

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// woken reads what a channel has, without waiting.
func woken(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func TestHubWakesWhoWatches(t *testing.T) {
	t.Parallel()
	var h Hub
	a, stopA := h.Watch("a")
	also, stopAlso := h.Watch("a")
	b, stopB := h.Watch("b")
	all, stopAll := h.Watch("")
	h.Tell("a")
	h.Tell("a")
	require.Equal(t, []bool{true, true, false, true}, []bool{woken(a), woken(also), woken(b), woken(all)})
	require.False(t, woken(a), "two changes are one value")
	h.TellPlan("b")
	require.Equal(t, []bool{false, false, true, false}, []bool{woken(a), woken(also), woken(b), woken(all)})
	stopA()
	h.Tell("a")
	require.Equal(t, []bool{false, true, false, true}, []bool{woken(a), woken(also), woken(b), woken(all)})
	stopAlso()
	stopB()
	stopAll()
	require.Empty(t, h.plans)
	require.Empty(t, h.any)
	h.Tell("a")
}

func BenchmarkHub(b *testing.B) {
	var h Hub
	_, stop := h.Watch("a")
	defer stop()
	b.ReportAllocs()
	for b.Loop() {
		h.Tell("a")
	}
}
