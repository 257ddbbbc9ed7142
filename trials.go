package ota

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Trial is what came of one simulated run.
type Trial struct {
	Status  Status        `json:"status"`           // of the plan at the end
	Stop    SimStop       `json:"stop"`             // why the run came to its end
	Breach  Reason        `json:"breach,omitempty"` // what struck first, or ReasonNone
	Failed  int           `json:"failed"`           // agents that failed, or whose outcome is unknown
	Touched int           `json:"touched"`          // agents that may have been changed
	Took    time.Duration `json:"took"`             // from the start to the end of the run
	Calls   int           `json:"calls"`            // of the Executor, those of a rollback too
}

// TrialOptions are the settings of Trials.
type TrialOptions struct {
	// Runs is how many runs are made. 1 to 1,000,000; 0 means 1,000.
	Runs int
	// Seed decides every draw. With the same seed, run k meets the same fleet whatever the policy, so that two policies
	// are compared on the same luck.
	Seed uint64
	// Sim is the same as in Simulate.
	Sim SimOptions
}

// Trials tries a policy before it is trusted: it simulates a plan many times, as Simulate does, on fleets drawn from a
// model, and counts what came of it. The same spec, model and options give the same result, on any number of
// processors; GOMAXPROCS runs are made at once. Spec.Agents is read once, and the agents are held in memory.
//
// It returns what Create returns for a spec that is refused, a *FieldError for a model or an option out of its range,
// and the context's error when ctx ends first. A run costs some ten microseconds for each agent.
func Trials(ctx context.Context, spec Spec, model FleetModel, options TrialOptions) (*TrialResult, error) {
	if options.Runs == 0 {
		options.Runs = 1000
	}
	var m mistakes
	if options.Runs < 0 || options.Runs > maxRuns {
		m.add("runs", strconv.Itoa(options.Runs), "is out of range", "1 to 1000000; 0 means 1000")
	}
	if model == nil {
		m.add("model", "", "is missing", "an ota.FleetModel, for example ota.SameAgents")
	}
	if err := errors.Join(m.result(), options.Sim.check()); err != nil {
		return nil, err
	}
	options.Sim = options.Sim.withDefaults()
	if spec.ID == "" {
		spec.ID = "simulation"
	}
	d, err := drawn(spec, model)
	if err != nil {
		return nil, err
	}
	spec.Agents = listed(d.agents)
	out := &TrialResult{Agents: len(d.agents), Runs: make([]Trial, options.Runs)}
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range min(runtime.GOMAXPROCS(0), options.Runs) {
		g.Go(func() error {
			for {
				k := int(next.Add(1)) - 1
				if k >= options.Runs {
					return nil
				}
				t, err := trial(ctx, spec, d.fleet(options.Seed, uint64(k)), options.Sim)
				if err != nil {
					return err
				}
				out.Runs[k] = t
			}
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}

const maxRuns = 1_000_000

func trial(ctx context.Context, spec Spec, fleet SimFleet, o SimOptions) (Trial, error) {
	s, err := newSimulator(ctx, fleet, o)
	if err != nil {
		return Trial{}, err
	}
	if err := s.begin(spec); err != nil {
		return Trial{}, err
	}
	stop, err := s.run()
	if err != nil {
		return Trial{}, err
	}
	st := s.plans[0].session.st
	t := Trial{
		Status: st.status(), Stop: stop, Failed: st.p.Counts.Bad(), Touched: st.p.Changed,
		Took: s.clock.now.Sub(o.Start), Calls: s.calls,
	}
	switch {
	case s.breach != nil:
		t.Breach = s.breach.Reason
	case len(st.p.Breaches) > 0:
		t.Breach = st.p.Breaches[0].Reason
	}
	return t, nil
}

// TrialResult is what came of all runs.
type TrialResult struct {
	Agents int     `json:"agents"` // of the plan
	Runs   []Trial `json:"runs"`   // one after the other
}

// Share is the fraction of runs for which of holds.
func (r *TrialResult) Share(of func(Trial) bool) float64 {
	n := 0
	for _, t := range r.Runs {
		if of(t) {
			n++
		}
	}
	return float64(n) / float64(len(r.Runs))
}

// Completed is the fraction of runs in which the plan completed.
func (r *TrialResult) Completed() float64 {
	return r.Share(func(t Trial) bool { return t.Status == StatusCompleted })
}

// Breached is the fraction of runs in which something struck: the plan paused, or was rolled back, by itself.
func (r *TrialResult) Breached() float64 {
	return r.Share(func(t Trial) bool { return t.Breach != ReasonNone })
}

// Breaches is the fraction of runs in which each reason was the first that struck.
func (r *TrialResult) Breaches() map[Reason]float64 {
	out := map[Reason]float64{}
	for _, t := range r.Runs {
		if t.Breach != ReasonNone {
			out[t.Breach] += 1 / float64(len(r.Runs))
		}
	}
	return out
}

// Failed is how the number of failed agents is spread over all runs.
func (r *TrialResult) Failed() Spread[int] {
	all := make([]int, len(r.Runs))
	for i, t := range r.Runs {
		all[i] = t.Failed
	}
	return spreadOf(all)
}

// Took is how the time from start to end is spread over the runs that completed.
func (r *TrialResult) Took() Spread[time.Duration] {
	var all []time.Duration
	for _, t := range r.Runs {
		if t.Status == StatusCompleted {
			all = append(all, t.Took)
		}
	}
	return spreadOf(all)
}

// Spread is how a number is spread over runs. A percentile is the smallest value that so many runs do not exceed.
type Spread[T int | time.Duration] struct {
	Runs int     `json:"runs"` // how many there are; the rest is 0 when there are none
	Mean float64 `json:"mean"` // of durations: in nanoseconds
	P50  T       `json:"p50"`
	P90  T       `json:"p90"`
	P99  T       `json:"p99"`
	Max  T       `json:"max"`
}

func spreadOf[T int | time.Duration](all []T) (s Spread[T]) {
	if s.Runs = len(all); s.Runs == 0 {
		return s
	}
	slices.Sort(all)
	for _, v := range all {
		s.Mean += float64(v) / float64(len(all))
	}
	rank := func(percent int) T { return all[(len(all)*percent+99)/100-1] }
	s.P50, s.P90, s.P99, s.Max = rank(50), rank(90), rank(99), all[len(all)-1]
	return s
}
