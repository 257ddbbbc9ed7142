package ota

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What depends on the width of an int: .ci/run runs these with GOARCH=386, too.

func TestGrowthEndsAtTheLargestPlan(t *testing.T) {
	t.Parallel()
	for _, first := range []int{1 << 10, 1 << 24, maxAgents - 1} {
		require.Equal(t, maxAgents, Growth{First: first, Factor: 100}.size(5), "from %d", first)
	}
}

// A number that does not fit is a damaged record, not a negative length.
func TestRecordWithALargeNumber(t *testing.T) {
	t.Parallel()
	for _, n := range []uint64{math.MaxInt32, 1 << 31, 1 << 40, math.MaxInt64, math.MaxUint64} {
		data := encodeRecord(time.Unix(0, noon), StatusRunning, Event{Kind: EventCreated, Batch: -1, Number: 1})
		data = binary.AppendUvarint(data[:len(data)-1], n)
		rec, err := decodeRecord("p", LogRow{Data: data})
		if n > math.MaxInt {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, n, uint64(rec.Events[0].Number))
	}
}
