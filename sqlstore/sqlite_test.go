package sqlstore

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// A process that holds the file nearly all of the time, like one that drives a plan, keeps no other from writing for long.
// The driver's own wait, whose steps grow to 25 ms, misses most gaps.
func TestWritesFindTheGaps(t *testing.T) {
	p := sqlitePlace(t)
	owner, other := p.open(t), p.open(t)
	create(t, owner, "p", 1)
	stop := make(chan struct{})
	var holder sync.WaitGroup
	var held, waited stopwatch
	hold := func(querier) error { time.Sleep(5 * time.Millisecond); return nil }
	holder.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(500 * time.Microsecond):
			}
			var err error
			held.time(func() { err = owner.db.update(t.Context(), hold) })
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	const writes = 30
	for range writes {
		time.Sleep(10*time.Millisecond + rand.N(5*time.Millisecond)) // the other has the file again
		waited.time(func() { exec(t, other, `UPDATE ota_leases SET until = 0`) })
	}
	close(stop)
	holder.Wait()
	holds := held.rate() / waited.rate()
	t.Logf("a write took as long as %.2g of the other's holds", holds)
	if holds > 2.5 {
		t.Errorf("a write took as long as %.2g of the other's holds of the file, want at most 2.5", holds)
	}
}
