package otatest

import (
	"context"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/simulate"
)

// Simulate predicts what a plan would do to a fleet in its present state: how long it would take,
// which agents would fail, when it would pause, and why. It needs no Store and no Engine, does not
// wait, and leaves the fleet unchanged.
//
// It is simulate.Run with a copy of the fleet and no options; call that function for more.
func Simulate(spec ota.Spec, fleet *Fleet) (*simulate.Result, error) {
	return simulate.Run(context.Background(), spec, fleet.Copy(), simulate.Options{})
}

// SimulateCall implements simulate.Fleet: it returns how Execute would end. The agent runs its new
// version afterwards, if the call lasts until then.
func (f *Fleet) SimulateCall(a ota.Attempt, at time.Time) simulate.Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.answer(a)
	cut := c.Latency == ota.NoTimeout || !a.Deadline.IsZero() && at.Add(c.Latency).After(a.Deadline)
	if !cut || c.IgnoresContext && c.Latency != ota.NoTimeout {
		f.install(a, &c, at.Add(c.Latency))
	}
	return c
}

// SimulateHealth implements simulate.Prober: it returns what Health answers, at once.
func (f *Fleet) SimulateHealth(a ota.Attempt, at time.Time) simulate.Health {
	h, err := f.healthAt(a, at)
	return simulate.Health{Health: h, Err: err}
}
