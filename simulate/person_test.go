package simulate

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// agentAnswers is a fleet in which each answer about health is that of a function.
type agentAnswers struct {
	FleetFunc
	health func(agent string, after time.Duration) Health
}

func (f agentAnswers) SimulateHealth(a ota.Attempt, at time.Time) Health {
	return f.health(a.Agent, at.Sub(Options{}.withDefaults().Start))
}

// A paused plan whose agents are asked ends its simulation when only a person can change something,
// and not before. What may change by itself keeps it: a call that is out, an answer that may come.
func TestWhatKeepsAPausedSimulation(t *testing.T) {
	t.Parallel()
	well := func(string, time.Duration) Health { return Health{Health: ota.Health{Healthy: true}} }
	fails := func(failing string, more func(a ota.Attempt) (Call, bool)) FleetFunc {
		return func(a ota.Attempt, _ time.Time) Call {
			if c, ok := more(a); ok {
				return c
			}
			if a.Agent == failing {
				return Call{Latency: time.Minute, Err: ota.Permanent(errors.New("no"))}
			}
			return Call{Latency: time.Minute, Result: ota.Result{Version: a.ToVersion}}
		}
	}
	onlyA1 := fails("a-001", func(ota.Attempt) (Call, bool) { return Call{}, false })
	noFailure := fails("", func(ota.Attempt) (Call, bool) { return Call{}, false })
	soak := ota.Soak{Duration: time.Hour, Interval: time.Minute}
	unseen := func(a ota.Attempt) (Call, bool) {
		return Call{Latency: time.Minute, Err: ota.Unreachable(errors.New("no route"))}, a.Agent == "a-000"
	}
	slow := func(a ota.Attempt) (Call, bool) { return Call{Latency: 5 * time.Hour}, a.Agent == "a-000" }
	silentUntil := func(end time.Duration) func(string, time.Duration) Health {
		return func(agent string, after time.Duration) Health {
			if agent == "a-000" && after < end {
				return Health{Err: errors.New("no answer")}
			}
			return well(agent, after)
		}
	}
	outageUntil := func(end time.Duration) func(string, time.Duration) Health {
		return func(_ string, after time.Duration) Health {
			return Health{Health: ota.Health{Healthy: after < 10*time.Minute || after >= end}}
		}
	}
	never := 100 * 24 * time.Hour
	for name, c := range map[string]struct {
		calls  FleetFunc
		health func(string, time.Duration) Health
		policy ota.Policy
		agents int
		size   int // of a batch
		stop   Stop
		from   time.Duration // the simulation lasts at least so long
		to     time.Duration // and at most so long
	}{
		"coverage reached": {
			onlyA1, well, ota.Policy{FailureThreshold: ptr(0.0), Soak: soak, Complete: ota.Complete{Min: 0.5}}, 4, 4, StopPaused, time.Hour, 2 * time.Hour,
		},
		"coverage missed": {
			onlyA1, well, ota.Policy{FailureThreshold: ptr(0.0), Soak: soak, Complete: ota.Complete{Min: 1}}, 4, 4, StopPaused, time.Hour, 2 * time.Hour,
		},
		"stragglers wait": {
			fails("a-003", unseen), well,
			ota.Policy{FailureThreshold: ptr(0.0), Soak: soak, UnreachableTimeout: ota.NoTimeout, Stragglers: ota.Stragglers{Share: 0.5, After: time.Minute}},
			4, 2, StopPaused, time.Hour, 4 * time.Hour,
		},
		"stragglers wait, and their time stands still": {
			fails("a-003", unseen), well,
			ota.Policy{FailureThreshold: ptr(0.0), Soak: soak, UnreachableTimeout: 5 * time.Hour, Stragglers: ota.Stragglers{Share: 0.5, After: time.Minute}},
			4, 2, StopPaused, time.Hour, 4 * time.Hour,
		},
		"stragglers are called": {
			fails("a-003", slow), well,
			ota.Policy{FailureThreshold: ptr(0.0), Soak: soak, AttemptTimeout: 6 * time.Hour, Stragglers: ota.Stragglers{Share: 0.5, After: time.Minute}},
			4, 2, StopPaused, 5 * time.Hour, 8 * time.Hour,
		},
		"inquiry answered": {
			onlyA1, silentUntil(8 * time.Hour),
			ota.Policy{FailureThreshold: ptr(0.0), Soak: ota.Soak{Duration: time.Hour, Interval: time.Minute, Misses: ota.Off}},
			4, 4, StopPaused, 8 * time.Hour, 9 * time.Hour,
		},
		"inquiry never answered": {
			onlyA1, silentUntil(never),
			ota.Policy{FailureThreshold: ptr(0.0), Soak: ota.Soak{Duration: time.Hour, Interval: time.Hour, Misses: ota.Off}},
			4, 4, StopMaxTime, 48 * time.Hour, 48 * time.Hour,
		},
		"ambient passes": {
			noFailure, outageUntil(8 * time.Hour), ota.Policy{FailureThreshold: ptr(0.0), Soak: soak}, 8, 2, StopPaused, 8 * time.Hour, 10 * time.Hour,
		},
		"ambient stays": {
			noFailure, outageUntil(never), ota.Policy{FailureThreshold: ptr(0.0), Soak: soak}, 8, 2, StopMaxTime, 48 * time.Hour, 48 * time.Hour,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Run(t.Context(), ota.Spec{
				Name: "x", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs(names("a", c.agents)...),
				Shape: ota.Shape{Size: c.size}, Policy: c.policy,
			}, agentAnswers{c.calls, c.health}, Options{MaxTime: 48 * time.Hour})
			require.NoError(t, err)
			said := fmt.Sprint(r, r.Blockers)
			require.Equal(t, ota.StatusPaused, r.Plan.Status, said)
			require.Equal(t, c.stop, r.Stop, said)
			require.GreaterOrEqual(t, r.Took(), c.from, said)
			require.LessOrEqual(t, r.Took(), c.to, said)
		})
	}
}
