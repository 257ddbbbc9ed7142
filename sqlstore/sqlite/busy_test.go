package sqlite

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqlcore"
	"github.com/seed-19b57ce3/ota/sqlstore/internal/sqltest"
)

// A process that holds the file nearly all of the time, like one that drives a plan, keeps no other
// from writing for long. The driver's own wait, whose steps grow to 25 ms, misses most gaps. Here
// the time is virtual, and so is the file.
func TestWaitsFindTheGaps(t *testing.T) {
	const hold, gap, writes = 5 * time.Millisecond, 500 * time.Microsecond, 1000
	synctest.Test(t, func(t *testing.T) {
		d := &database{busy: 10 * time.Second}
		began := time.Now()
		take := func() error {
			if time.Since(began)%(hold+gap) < hold {
				return errors.New("database is locked (SQLITE_BUSY)")
			}
			return nil
		}
		var all, worst time.Duration
		for range writes {
			time.Sleep(2*hold + rand.N(hold))
			asked := time.Now()
			err := d.patiently(t.Context(), func() error {
				err := take()
				if err != nil {
					time.Sleep(time.Millisecond) // the driver's busy_timeout
					err = take()
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			all += time.Since(asked)
			worst = max(worst, time.Since(asked))
		}
		t.Logf("a write waited for %v, %v at most, while another one holds the file for %v at a time", all/writes, worst, hold)
		if all/writes > 5*hold/2 {
			t.Errorf("a write waited for %v, want at most 2.5 holds of %v", all/writes, hold)
		}
		if worst > 40*hold {
			t.Errorf("a write waited for %v, want at most 40 holds of %v", worst, hold)
		}
	})
}

// The same with a file: every write gets through.
func TestWritesFindTheGaps(t *testing.T) {
	p := sqlitePlace(t)
	owner, other := p.open(t), p.open(t)
	sqltest.Create(t, owner, "p", 1)
	stop := make(chan struct{})
	var holder sync.WaitGroup
	var held, waited sqltest.Stopwatch
	hold := func(sqlcore.Querier) error { time.Sleep(5 * time.Millisecond); return nil }
	holder.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(500 * time.Microsecond):
			}
			var err error
			held.Time(func() { err = sqlcore.DatabaseOf(owner).Update(t.Context(), hold) })
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	const writes = 30
	for range writes {
		time.Sleep(10*time.Millisecond + rand.N(5*time.Millisecond)) // the other has the file again
		waited.Time(func() { sqltest.Exec(t, other, `UPDATE ota_leases SET until = 0`) })
	}
	close(stop)
	holder.Wait()
	t.Logf("a write took as long as %.2g of the other's holds", held.Rate()/waited.Rate())
}
