package ota

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	simSeeds = flag.Int("sim.seeds", 0, "schedules to simulate; 0: 20,000, or 2,000 with -short")
	simFirst = flag.Int("sim.first", 0, "the first seed")
)

type seeded struct{ *rand.Rand }

func (s seeded) pick(n int) int { return s.IntN(n) }

func simSchedule(seed uint64) *world {
	ch := seeded{rand.New(rand.NewPCG(seed, 1))}
	w := newWorld(ch, 12, ch.pick(6), ch.pick(8))
	w.verbs.lot = rand.New(rand.NewPCG(seed, 2))
	w.run(40 + ch.pick(80))
	return w
}

// playSeed reports a broken promise with the seed that shows it.
func playSeed(seed uint64) (failure string) {
	defer func() {
		if p := recover(); p != nil {
			buf := make([]byte, 16<<10)
			failure = fmt.Sprintf("seed %d: %v\n%s", seed, p, buf[:runtime.Stack(buf, false)])
		}
	}()
	simSchedule(seed)
	return ""
}

// TestSimulation plays seeded schedules: random plans, fleets, verbs at random moments, lost acknowledgements, and crashes at any
// commit, and has the referee look at every commit. Run more with -sim.seeds; one that failed with
// -sim.first N -sim.seeds 1.
func TestSimulation(t *testing.T) {
	first, n := *simFirst, *simSeeds
	if n == 0 {
		n = 20_000
		if testing.Short() {
			n = 2_000
		}
	}
	if s := os.Getenv("OTA_SIM_SEEDS"); s != "" { // for the mutants: "first:count"
		if _, err := fmt.Sscanf(s, "%d:%d", &first, &n); err != nil {
			t.Fatal(err)
		}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // every schedule is garbage when the next one begins
	var next atomic.Int64
	next.Store(int64(first))
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				seed := next.Add(1) - 1
				if seed >= int64(first+n) || t.Failed() {
					return
				}
				if failure := playSeed(uint64(seed)); failure != "" {
					t.Error(failure)
				}
			}
		})
	}
	wg.Wait()
}

// TestSimulationRepeats plays the same seeds twice: the logs are equal, byte for byte.
func TestSimulationRepeats(t *testing.T) {
	n := uint64(1000)
	if testing.Short() {
		n = 100
	}
	for seed := range n {
		a, b := simSchedule(seed).log(), simSchedule(seed).log()
		if !bytes.Equal(a, b) {
			t.Fatal("seed " + strconv.FormatUint(seed, 10) + " gives two different logs")
		}
	}
}
