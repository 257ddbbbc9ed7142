package simulate

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// emptyCanary is a fleet in which agent a0 fails without a change.
type emptyCanary struct{}

func (emptyCanary) SimulateCall(a ota.Attempt, _ time.Time) Call {
	if a.Agent == "a0" {
		return Call{Latency: time.Second, Err: ota.Unchanged(ota.Permanent(errors.New("no")))}
	}
	return Call{Latency: time.Second}
}

// probed is a fleet that is always healthy.
type probed struct{ Fleet }

func (p probed) Unwrap() Fleet { return p.Fleet }

func (probed) SimulateHealth(ota.Attempt, time.Time) Health {
	return Health{Health: ota.Health{Healthy: true}}
}

// A simulation stops when only a person can make the plan go on, with and without a Prober, and does
// what its options say instead.
func TestAPlanThatNeedsAPersonStops(t *testing.T) {
	t.Parallel()
	shapes := map[string]ota.Shape{"canary": {Canary: 1, Size: 1}, "hold": {Size: 1}}
	for name, shape := range shapes {
		for _, prober := range []bool{false, true} {
			for _, breach := range []bool{false, true} {
				for _, promote := range []bool{false, true} {
					for _, accept := range []bool{false, true} {
						t.Run(fmt.Sprintf("%s, prober %v, breach %v, promote %v, accept %v", name, prober, breach, promote, accept), func(t *testing.T) {
							threshold := 1.0
							if breach {
								threshold = 0
							}
							var fleet Fleet = emptyCanary{}
							if prober {
								fleet = probed{fleet}
							}
							r, err := Run(t.Context(), ota.Spec{
								Name: "x", ToVersion: "2", Agents: ota.AgentIDs("a0", "a1", "a2"), Shape: shape,
								Policy: ota.Policy{FailureThreshold: &threshold, Soak: ota.Soak{Duration: time.Minute}, Hold: ota.Hold{All: name == "hold"}},
							}, fleet, Options{Promote: promote, Accept: accept})
							require.NoError(t, err)
							want := StopEnded
							switch {
							case breach && !accept:
								want = StopPaused
							case !promote:
								want = StopWaits
							}
							require.Equal(t, want.String(), r.Stop.String())
							require.Less(t, r.End.Sub(r.Start), time.Hour)
						})
					}
				}
			}
		}
	}
}

// gating is a fleet with a gate that gives these answers, in turn, and passes then.
type gating struct {
	Fleet
	answers []Gate
	asked   *[]int // the batches
}

func (g gating) Unwrap() Fleet { return nil } // it has no other companion

func (g gating) SimulateGate(p ota.Plan, b ota.Batch, _ time.Time) Gate {
	if n := len(*g.asked); p.Source == "" {
		*g.asked = append(*g.asked, b.Index)
		if n < len(g.answers) {
			return g.answers[n]
		}
	}
	return Gate{Verdict: ota.GatePass}
}

func TestSimulatedGate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers []Gate
		policy  ota.Policy
		stop    Stop
		status  ota.Status
		asked   []int
	}{
		"passes": {nil, ota.Policy{}, StopEnded, ota.StatusCompleted, []int{0, 1, 2}},
		"fails":  {[]Gate{{Verdict: ota.GateFail}}, ota.Policy{}, StopPaused, ota.StatusPaused, []int{0}},
		"fails, and rolls back": {
			[]Gate{{Verdict: ota.GatePass}, {Verdict: ota.GateFail}}, ota.Policy{OnBreach: ota.ActionRollback}, StopEnded, ota.StatusRolledBack, []int{0, 1},
		},
		"cannot tell": {[]Gate{{Verdict: ota.GateInconclusive}}, ota.Policy{}, StopPaused, ota.StatusPaused, []int{0}},
		"cannot tell yet": {
			[]Gate{{Verdict: ota.GateInconclusive}}, ota.Policy{Gate: ota.Gate{MaxInconclusive: 1}}, StopEnded, ota.StatusCompleted, []int{0, 0, 1, 2},
		},
		"an error":        {[]Gate{{Err: errors.New("no metrics")}}, ota.Policy{}, StopPaused, ota.StatusPaused, []int{0}},
		"does not answer": {[]Gate{{Latency: time.Hour, Verdict: ota.GatePass}}, ota.Policy{}, StopPaused, ota.StatusPaused, []int{0}},
		"takes its time":  {[]Gate{{Latency: 20 * time.Second, Verdict: ota.GatePass}}, ota.Policy{}, StopEnded, ota.StatusCompleted, []int{0, 1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			asked := []int{}
			fleet := gating{FleetFunc(func(ota.Attempt, time.Time) Call { return Call{Latency: time.Second} }), c.answers, &asked}
			r, err := Run(t.Context(), ota.Spec{
				Name: "x", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("a0", "a1", "a2"), Shape: ota.Shape{Size: 1}, Policy: c.policy,
			}, fleet, Options{})
			require.NoError(t, err)
			require.Equal(t, c.stop.String(), r.Stop.String())
			require.Equal(t, c.status.String(), r.Plan.Status.String())
			require.Equal(t, c.asked, asked)
		})
	}
}

// unsure is a fleet whose Gater never comes to an answer.
type unsure struct{ Fleet }

func (u unsure) Unwrap() Fleet { return u.Fleet }

func (unsure) SimulateGate(ota.Plan, ota.Batch, time.Time) Gate {
	return Gate{Err: errors.New("no answer")}
}

// unreachable is how a call for an agent ends that cannot be reached.
func unreachable(ota.Attempt, time.Time) Call {
	return Call{Latency: time.Minute, Err: ota.Unreachable(errors.New("no route"))}
}

// A simulation stops when its plan is paused and rests, also where something else than the pause blocks
// it, for a time or without end.
func TestAPausedPlanStopsTheSimulation(t *testing.T) {
	t.Parallel()
	works := FleetFunc(func(a ota.Attempt, _ time.Time) Call {
		if a.Agent == "a1" {
			return Call{Latency: time.Minute, Err: ota.Permanent(errors.New("no"))}
		}
		return Call{Latency: time.Minute, Result: ota.Result{Version: a.ToVersion}}
	})
	soak := ota.Soak{Duration: time.Hour}
	for name, c := range map[string]struct {
		fleet  Fleet
		policy ota.Policy
		after  time.Duration // until the plan rests
	}{
		"gate":     {unsure{works}, ota.Policy{FailureThreshold: new(1.0), Soak: soak}, time.Minute + time.Hour},
		"reserve":  {FleetFunc(unreachable), ota.Policy{FailureThreshold: new(0.0), Reserve: true, Soak: soak}, 3 * time.Hour},
		"budget":   {FleetFunc(unreachable), ota.Policy{FailureThreshold: new(0.0), Budgets: []ota.Budget{{Label: "zone", Max: 1}}}, 2 * time.Hour},
		"slots":    {FleetFunc(unreachable), ota.Policy{FailureThreshold: new(0.0), Concurrency: 1}, 2 * time.Hour},
		"window":   {works, ota.Policy{FailureThreshold: new(0.0), Windows: []ota.Window{{Length: 30 * time.Second}}}, 24 * time.Hour},
		"soak":     {works, ota.Policy{FailureThreshold: new(0.0), Soak: soak}, time.Minute + time.Hour},
		"rate":     {works, ota.Policy{FailureThreshold: new(0.0), Rate: ota.Rate{Starts: 3, Per: 30 * 24 * time.Hour}}, 20 * 24 * time.Hour},
		"coverage": {works, ota.Policy{FailureThreshold: new(0.0), Complete: ota.Complete{Min: 1, Within: 24 * time.Hour}}, 24 * time.Hour},
		"timeout":  {works, ota.Policy{FailureThreshold: new(0.0), PlanTimeout: 48 * time.Hour}, 48 * time.Hour},
	} {
		for _, prober := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", prober ", prober), func(t *testing.T) {
				fleet := c.fleet
				if prober {
					fleet = probed{fleet}
				}
				r, err := Run(t.Context(), ota.Spec{
					Name: "x", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("a0", "a1", "a2", "a3"), Shape: ota.Shape{Size: 3}, Policy: c.policy,
				}, fleet, Options{Promote: true})
				require.NoError(t, err)
				require.Equal(t, StopPaused, r.Stop, r.String())
				require.NotContains(t, strings.Join(r.Plan.Warnings, "; "), "the store", "a simulation has no other plans and engines")
				require.LessOrEqual(t, r.Took(), c.after+time.Minute, r.String())
			})
		}
	}
}
