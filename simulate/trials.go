package simulate

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// Trial is the result of one simulated run.
type Trial struct {
	Status  ota.Status    `json:"status"`           // of the plan at the end
	Stop    Stop          `json:"stop"`             // why the run stopped
	Breach  ota.Reason    `json:"breach,omitempty"` // of the first breach, or ota.ReasonNone
	Failed  int           `json:"failed"`           // agents that failed, or whose outcome is unknown
	Touched int           `json:"touched"`          // agents that may have been changed
	Took    time.Duration `json:"took"`             // from the start to the end of the run
	Calls   int           `json:"calls"`            // of the Executor, those of a rollback too
}

// TrialOptions are the settings of Trials.
type TrialOptions struct {
	// Runs is how many runs are made. 1 to 1,000,000; 0 means 1,000.
	Runs int
	// Seed decides every draw. With the same seed, run k meets the same fleet whatever the policy
	// is: two policies are compared on the same luck.
	Seed uint64
	// Run are the options of each run.
	Run Options
}

// maxRuns is the largest TrialOptions.Runs.
const maxRuns = 1_000_000

// Trials tries a policy before it is trusted: it simulates a plan many times, as Run does, on
// fleets drawn from a model, and counts the results. The same spec, model and options give the same
// result, on any number of processors; GOMAXPROCS runs are made at once. Trials reads Spec.Agents
// once, and keeps the agents in memory.
//
// It returns what ota.Engine.Create returns for a spec that is refused, an *ota.FieldError for a
// model or an option out of its range, and the context's error if ctx ends first. A run costs some
// three microseconds of processor time an agent: the plan is created once, and every run begins with
// a copy of it in the same memory.
func Trials(ctx context.Context, spec ota.Spec, model Model, options TrialOptions) (*TrialResult, error) {
	if options.Runs == 0 {
		options.Runs = 1000
	}
	if err := options.check(model); err != nil {
		return nil, err
	}
	options.Run = options.Run.withDefaults()
	d, err := drawn(spec, model)
	if err != nil {
		return nil, err
	}
	spec.Agents = listed(d.agents)
	created, err := createdOnce(ctx, spec, options.Run)
	if err != nil {
		return nil, err
	}
	out := &TrialResult{Agents: len(d.agents), Runs: make([]Trial, options.Runs)}
	var next atomic.Int64
	var workers sync.WaitGroup
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for range min(runtime.GOMAXPROCS(0), options.Runs) {
		workers.Go(func() {
			in := &trialStore{created: created}
			for k := int(next.Add(1)) - 1; k < options.Runs; k = int(next.Add(1)) - 1 {
				t, err := trial(ctx, in, spec.CreatedBy, d.fleet(options.Seed, uint64(k)), options.Run)
				if err != nil {
					cancel(err)
					return
				}
				out.Runs[k] = t
			}
		})
	}
	workers.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return out, nil
}

func (o *TrialOptions) check(model Model) error {
	var bad []error
	if o.Runs < 0 || o.Runs > maxRuns {
		bad = append(bad, &ota.FieldError{
			Field: "runs", Value: strconv.Itoa(o.Runs), Problem: "is out of range", Allowed: "1 to 1000000; 0 means 1000",
		})
	}
	if model == nil {
		bad = append(bad, &ota.FieldError{Field: "model", Problem: "is missing", Allowed: "a simulate.Model, for example simulate.SameAgents"})
	}
	return errors.Join(append(bad, o.Run.check())...)
}

// listed yields agents that are in memory.
func listed(agents []ota.Agent) iter.Seq2[ota.Agent, error] {
	return func(yield func(ota.Agent, error) bool) {
		for _, a := range agents {
			if !yield(a, nil) {
				return
			}
		}
	}
}

// createdOnce creates the plan with which each run begins.
func createdOnce(ctx context.Context, spec ota.Spec, o Options) (*ota.Image, error) {
	in := &trialStore{}
	s, err := newSimulator(ctx, store{in}, nil, companions{}, o)
	if err != nil {
		return nil, err
	}
	_, err = s.create(spec)
	return in.created, err
}

// trial makes one run of the plan that in begins with. by starts it.
func trial(ctx context.Context, in *trialStore, by string, fleet Fleet, o Options) (Trial, error) {
	in.reset()
	s, err := newSimulator(ctx, store{in}, fleet, companions{}, o)
	if err != nil {
		return Trial{}, err
	}
	if err := s.start(in.created.Plan.ID, by); err != nil {
		return Trial{}, err
	}
	stop, err := s.run()
	if err != nil {
		return Trial{}, err
	}
	p, err := s.plans[0].stepper.Plan(ctx)
	t := Trial{
		Status: p.Status, Stop: stop, Failed: p.Counts.Bad(), Touched: p.Changed,
		Took: s.clock.now.Sub(o.Start), Calls: s.calls,
	}
	switch {
	case s.breach != nil:
		t.Breach = s.breach.Reason
	case len(p.Breaches) > 0:
		t.Breach = p.Breaches[0].Reason
	}
	return t, err
}

// TrialResult has the results of all runs.
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
	return r.Share(func(t Trial) bool { return t.Status == ota.StatusCompleted })
}

// Breached is the fraction of runs with a breach: the plan paused, or was rolled back, by itself.
func (r *TrialResult) Breached() float64 {
	return r.Share(func(t Trial) bool { return t.Breach != ota.ReasonNone })
}

// Breaches is the fraction of runs in which each reason was that of the first breach.
func (r *TrialResult) Breaches() map[ota.Reason]float64 {
	out := map[ota.Reason]float64{}
	for _, t := range r.Runs {
		if t.Breach != ota.ReasonNone {
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
		if t.Status == ota.StatusCompleted {
			all = append(all, t.Took)
		}
	}
	return spreadOf(all)
}

// Spread is how a number is spread over runs. A percentile is the smallest value that so many runs
// do not exceed.
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
