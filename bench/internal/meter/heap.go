package meter

import (
	"runtime"
	"runtime/metrics"
	"time"
)

// Live returns how many bytes of the heap are in use, after a collection.
func Live() uint64 {
	runtime.GC()
	runtime.GC() // collects objects that had finalizers
	return live()
}

// live returns how many bytes the last collection found in use.
func live() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// WatchLive collects again and again until the returned function is called. That function returns
// the largest number of bytes in use.
func WatchLive() func() uint64 {
	stop, most := make(chan struct{}), make(chan uint64)
	go func() {
		peak := uint64(0)
		for {
			runtime.GC()
			peak = max(peak, live())
			select {
			case <-stop:
				most <- peak
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() uint64 { close(stop); return <-most }
}
