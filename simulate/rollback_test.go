package simulate

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// lateFleet is healthy for nine hours after an upgrade, and then it is not. A call takes 20
// seconds.
type lateFleet struct{ upgraded map[string]time.Time }

func (f lateFleet) SimulateCall(a ota.Attempt, at time.Time) Call {
	if a.IsRollback {
		delete(f.upgraded, a.Agent)
	} else {
		f.upgraded[a.Agent] = at.Add(20 * time.Second)
	}
	return Call{Latency: 20 * time.Second, Result: ota.Result{Version: a.ToVersion}}
}

func (f lateFleet) SimulateHealth(a ota.Attempt, at time.Time) Health {
	since, upgraded := f.upgraded[a.Agent]
	return Health{Latency: time.Second, Health: ota.Health{Healthy: !upgraded || at.Sub(since) <= 9*time.Hour}}
}

// The time of a rollback is that of its calls and one round of questions, however slow and careful
// its source was. The way back that inherits everything takes hours.
func TestTimeOfARollback(t *testing.T) {
	threshold, start := 0.02, time.Date(2000, 1, 1, 22, 0, 0, 0, time.UTC)
	careful := ota.Policy{
		Concurrency: 10, FailureThreshold: &threshold, Reserve: true, OnBreach: ota.ActionRollback,
		Soak: ota.Soak{Duration: 30 * time.Minute, ToEnd: true}, Retry: ota.RetryPolicy{Max: 1, Backoff: time.Minute},
	}
	held, window, rate, short := careful, careful, careful, careful
	held.Hold.All = true
	window.Windows = []ota.Window{{Start: 22 * time.Hour, Length: 10 * time.Hour}}
	rate.Rate = ota.Rate{Starts: 10, Per: time.Minute}
	short.Halve, short.PlanTimeout, short.BatchTimeout = true, 30*24*time.Hour, 24*time.Hour
	var ids []string
	for i := range 2000 {
		ids = append(ids, fmt.Sprintf("a%05d", i))
	}
	for name, p := range map[string]ota.Policy{"careful": careful, "held": held, "window": window, "rate": rate, "limits": short} {
		for _, inherit := range []ota.Inherit{ota.InheritLimits, ota.InheritAll} {
			t.Run(name+"/"+inherit.String(), func(t *testing.T) {
				s := simSpec(p, ids...)
				s.Shape = ota.Shape{Canary: 1, Growth: ota.Growth{First: 5, Max: 50}}
				s.Rollback = &ota.RollbackSpec{Inherit: inherit}
				sim := simulate(t, s, lateFleet{map[string]time.Time{}}, Options{Start: start, Promote: p.Hold.All})
				took := sim.Took() - sim.Breaches[0].After
				touched := sim.Plan.Changed
				t.Logf("%d touched, back after %s, in %d batches", touched, took.Round(time.Second), sim.Rollback.Batches)
				if sim.Plan.Status != ota.StatusRolledBack || sim.Rollback.Counts.Succeeded != touched || touched < 500 {
					t.Fatalf("%d touched, the plan is %s, the rollback plan has %+v", touched, sim.Plan.Status, sim.Rollback.Counts)
				}
				calls := time.Duration((touched+9)/10) * 20 * time.Second
				round := time.Duration((touched+9)/10) * time.Second
				switch {
				case inherit == ota.InheritAll && took < 5*time.Hour:
					t.Errorf("it took %s, although it inherits everything", took)
				case inherit == ota.InheritLimits && (took > calls+round+time.Minute || took > 25*time.Minute):
					t.Errorf("it took %s, its calls %s and its questions %s", took, calls, round)
				case inherit == ota.InheritLimits && sim.Rollback.Batches != 1:
					t.Errorf("it has %d batches", sim.Rollback.Batches)
				}
			})
		}
	}
}
