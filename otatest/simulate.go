package otatest

import (
	"context"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// Simulate tells what a plan would do to a fleet as it is now, without a Store, without an Engine, and without waiting:
// how long it would take, who would fail, when it would pause, and why. It leaves the fleet as it is.
//
// It is ota.Simulate with a copy of the fleet and no options; call that for more.
func Simulate(spec ota.Spec, fleet *Fleet) (*ota.Simulation, error) {
	return ota.Simulate(context.Background(), spec, fleet.Copy(), ota.SimOptions{})
}

// SimulateCall implements ota.SimFleet: it tells how Execute would end. The agent runs its new version afterwards, if
// the call lives to see it.
func (f *Fleet) SimulateCall(a ota.Attempt, at time.Time) ota.SimCall {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.answer(a)
	cut := c.Latency == ota.NoLimit || !a.Deadline.IsZero() && at.Add(c.Latency).After(a.Deadline)
	if !cut || c.IgnoresContext && c.Latency != ota.NoLimit {
		f.install(a, &c)
	}
	return c
}

// SimulateHealth implements ota.SimProber: it is what Health answers, at once.
func (f *Fleet) SimulateHealth(a ota.Attempt, _ time.Time) ota.SimHealth {
	h, err := f.Health(context.Background(), a)
	return ota.SimHealth{Health: h, Err: err}
}
