package scenarios

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/simulate"
)

// harm is what a release does to an agent that it reaches.
type harm int

const (
	harmless harm = iota
	fails         // the call returns an error
	hangs         // the call does not return before its timeout
	sickens       // the call succeeds; later the agent says that it is unhealthy
	silences      // the call succeeds; later the agent answers no more questions
	away          // the call does not reach the agent
)

// hall is a simulated fleet and a release. Calls and answers about health take virtual time.
type hall struct {
	harm
	after  time.Duration          // from the success until the agent is sick or silent
	hits   func(ota.Attempt) bool // the agents that the release harms; nil means all
	stays  bool                   // a rollback fails on every agent
	outage outageTime             // of every agent, also of those that the plan did not change

	changed map[string]time.Time
}

// outageTime is a time in which every agent is sick or silent, counted from the start of the plan.
type outageTime struct {
	harm
	from, to time.Duration
}

// epoch is the start of each simulated plan.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// callTime is how long a call of the fleet takes.
const callTime = 20 * time.Second

var errRelease = errors.New("the release does not work")

func (h *hall) SimulateCall(a ota.Attempt, at time.Time) simulate.Call {
	call := simulate.Call{Latency: callTime, Result: ota.Result{Version: a.ToVersion}}
	switch {
	case a.IsRollback && h.stays:
		call.Err = ota.Permanent(errRelease)
	case a.IsRollback:
		delete(h.changed, a.Agent)
	case h.hits != nil && !h.hits(a):
	case h.harm == fails:
		call.Err = errRelease
	case h.harm == hangs:
		call.Latency = ota.NoTimeout
	case h.harm == away:
		call.Err = ota.Unreachable(errors.New("no route"))
	case h.harm != harmless:
		if h.changed == nil {
			h.changed = map[string]time.Time{}
		}
		h.changed[a.Agent] = at.Add(callTime)
	}
	return call
}

func (h *hall) SimulateHealth(a ota.Attempt, at time.Time) simulate.Health {
	now := harmless
	if t, ok := h.changed[a.Agent]; ok && at.Sub(t) >= h.after {
		now = h.harm
	}
	if since := at.Sub(epoch); h.outage.harm != harmless && since >= h.outage.from && since < h.outage.to {
		now = h.outage.harm
	}
	switch now {
	case sickens:
		return simulate.Health{Latency: time.Second, Health: ota.Health{Reason: "it crashes"}}
	case silences:
		return simulate.Health{Latency: 30 * time.Second, Err: errors.New("no answer")}
	default:
		return simulate.Health{Latency: time.Second, Health: ota.Health{Healthy: true}}
	}
}

// lostGate is a fleet whose Gater finds the canary unsafe, and whose answer is lost on its way.
type lostGate struct{ *hall }

func (g lostGate) Unwrap() simulate.Fleet { return g.hall }

func (g lostGate) SimulateGate(ota.Plan, ota.Batch, time.Time) simulate.Gate {
	if g.harm == harmless {
		return simulate.Gate{Verdict: ota.GatePass}
	}
	return simulate.Gate{Err: errors.New("the answer of the canary check got lost")}
}

// play simulates a plan. A person promotes each batch that waits, unless alone.
func play(spec ota.Spec, fleet simulate.Fleet, alone bool) (*simulate.Result, error) {
	options := simulate.Options{Start: epoch, Promote: !alone, MaxTime: 3 * 365 * 24 * time.Hour}
	return simulate.Run(context.Background(), spec, fleet, options)
}

// fleetOf yields n agents. Each label has its value by the agent's number.
func fleetOf(n int, labels map[string]func(i int) string) func(yield func(ota.Agent, error) bool) {
	return func(yield func(ota.Agent, error) bool) {
		for i := range n {
			a := ota.Agent{ID: fmt.Sprintf("a%06d", i)}
			for label, value := range labels {
				if a.Labels == nil {
					a.Labels = map[string]string{}
				}
				a.Labels[label] = value(i)
			}
			if !yield(a, nil) {
				return
			}
		}
	}
}

// The plans of the hall of incidents. Those named careful, standard and push are the policies that
// docs/policies.md begins with.

// pushByTen is the policy for a fast release to a large fleet: ten agents, a hundred, a thousand.
func pushByTen(soak time.Duration) ota.Spec {
	interval := max(10*time.Second, soak/24)
	return ota.Spec{
		Shape: ota.Shape{Canary: 10, Growth: ota.Growth{First: 100, Factor: 10}},
		Policy: ota.Policy{
			Concurrency: 10_000, FailureThreshold: ptr(0.0), AttemptTimeout: time.Minute,
			Soak: ota.Soak{Duration: soak, Interval: interval, ToEnd: true},
		},
	}
}

func carefully() ota.Spec {
	return ota.Spec{
		Shape: ota.Shape{Canary: 1, Growth: ota.Growth{First: 5, Max: 50}},
		Policy: ota.Policy{
			Concurrency: 10, FailureThreshold: ptr(0.02), Reserve: true, Hold: ota.Hold{All: true},
			Soak:  ota.Soak{Duration: 30 * time.Minute, ToEnd: true},
			Retry: ota.RetryPolicy{Max: 1, Backoff: time.Minute},
		},
	}
}

func standardly() ota.Spec {
	return ota.Spec{
		Shape: ota.Shape{Canary: 2, Percent: 25},
		Policy: ota.Policy{
			Concurrency: 10, FailureThreshold: ptr(0.1), Soak: ota.Soak{Duration: 10 * time.Minute},
			Retry: ota.RetryPolicy{Max: 2, Backoff: time.Minute, MaxBackoff: 10 * time.Minute},
		},
	}
}
