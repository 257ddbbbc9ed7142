package scenarios

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// A process that lost a plan and does not know it yet may have a call out. If it then gets the
// rollback plan, it makes no other call for that agent until the first one has returned: neither the
// first call of the rollback, nor the repeat of one that another process made.
func TestALostPlansCallIsOut(t *testing.T) {
	for name, later := range map[string]time.Duration{"start": 0, "repeat": 1500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newStuckWorld(t)
				w.abandonAfter = 10 * time.Minute // a process that has lost a plan waits so long for its calls
				one, _, away := w.engine("one")
				id := w.started(one)
				w.watch("") // the plan ends before its first process notices that it lost the plan
				away()      // from the Store, for longer than its lease
				two, _, kill := w.engine("two")
				time.Sleep(20 * time.Second)
				r, err := two.Rollback(t.Context(), id, ota.RollbackSpec{}, ota.Request{})
				w.NoError(err)
				time.Sleep(later)
				kill()
				away() // the first process is back, and the lease of the second one expires
				time.Sleep(20 * time.Minute)
				p, err := one.Plan(t.Context(), r.ID)
				w.NoError(err)
				w.Equal(ota.StatusRunning, p.Status)
				w.Equal("one", p.Owner)
				x, err := one.Explain(t.Context(), r.ID)
				w.NoError(err)
				w.Contains(fmt.Sprint(x), "takes no other attempt: 1 agent of batch 0: b (engine one)")
				w.Equal(later > 0, p.Counts.Waiting == 1, "%+v: it keeps its slot", p.Counts)
				close(w.release)
				time.Sleep(time.Minute)
				w.Equal(ota.StatusRolledBack, w.status(one, id))
				w.Equal("1", w.version("b"), "the rollback has the last word")
				w.end()
			})
		})
	}
}
