//go:build unix

package simulate

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// BenchmarkTrials makes 20 runs of a plan of 10,000 agents, and reports the processor time that 1,000
// would need: the time that passes says little on a machine that is shared.
func BenchmarkTrials(b *testing.B) {
	const runs = 20
	m := SameAgents(AgentModel{Fails: 0.02, Latency: Latency{Median: time.Minute, P99: 10 * time.Minute}})
	spec := simSpec(ota.Policy{}, ids("a", 10_000)...)
	before := processorTime(b)
	for range b.N {
		_, err := Trials(b.Context(), spec, m, TrialOptions{Runs: runs, Run: Options{Accept: true}})
		require.NoError(b, err)
	}
	b.ReportMetric((processorTime(b)-before).Seconds()*1000/runs/float64(b.N), "cpu-s/1000-runs")
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
