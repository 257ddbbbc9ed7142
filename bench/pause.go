package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/bench/internal/fleet"
	"github.com/seed-19b57ce3/ota/bench/internal/place"
	"github.com/seed-19b57ce3/ota/bench/internal/record"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/sqlstore"
)

const (
	sideHere  = "Pause, by the owner's process"
	sideThere = "Pause, by another process"
)

// timedMemory and timedSQLStore measure the time of every commit of an owner.
type (
	timedMemory struct {
		*memstore.Store
		commits *latencies
	}
	timedSQLStore struct {
		*sqlstore.Store
		commits *latencies
	}
)

// Commit measures the time of the commit.
func (s timedMemory) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	defer s.commits.since(time.Now(), c.If.Epoch != 0)
	return s.Store.Commit(ctx, c)
}

// Commit measures the time of the commit.
func (s timedSQLStore) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	defer s.commits.since(time.Now(), c.If.Epoch != 0)
	return s.Store.Commit(ctx, c)
}

type latencies struct {
	mu   sync.Mutex
	took []float64 // seconds
}

func (l *latencies) since(began time.Time, counts bool) {
	if counts {
		l.mu.Lock()
		l.took = append(l.took, time.Since(began).Seconds())
		l.mu.Unlock()
	}
}

// pauseMemory pauses and resumes a plan under full load on memstore.
func pauseMemory(ctx context.Context, t *trial) error {
	n, times := t.size(1_000_000, 100_000), t.size(120, 5)
	err := t.each(func() error {
		s := timedMemory{memstore.New(), &latencies{}}
		p := fleet.Plan{ID: "plan", Agents: n}
		return t.takePauses(ctx, s, s.commits, sideHere, p, func(e *ota.Engine) ([]float64, error) { return pauses(ctx, e, p.ID, times, 3*time.Millisecond) })
	})
	t.pauseFigures(sideHere)
	return err
}

// pauseDurable does the same on a database, from the process that drives the plan and from another
// one.
func pauseDurable(ctx context.Context, t *trial, d place.Database) error {
	n, times := t.size(400_000, 10_000), t.size(120, 5)
	err := t.each(func() error {
		for _, name := range []string{sideHere, sideThere} {
			if err := d.Fresh(ctx); err != nil {
				return err
			}
			p := fleet.Plan{ID: "plan", Agents: n}
			err := through(ctx, d, func(s ota.Store) error {
				timed := timedSQLStore{s.(*sqlstore.Store), &latencies{}} //nolint:forcetypeassert // through opens nothing else
				return t.takePauses(ctx, timed, timed.commits, name, p, func(e *ota.Engine) ([]float64, error) {
					if name == sideHere {
						return pauses(ctx, e, p.ID, times, settled)
					}
					return pausesElsewhere(ctx, d, p.ID, times)
				})
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	t.pauseFigures(sideHere)
	t.pauseFigures(sideThere)
	return err
}

// pauseFigures draws the figures of one side: the 99th percentiles of the rounds, in commits. The
// unit is the median time of an owner's commit in the same round, under the load alone.
func (t *trial) pauseFigures(name string) {
	s := side{name, 0}
	t.figure(name+", p99 in commits of the store", "commits", t.of(s, func(s record.Sample) float64 { return s.Extra["p99"] / s.Extra["commit"] }), 5, 0)
	t.figure(name+", p99", "ms", scaled(t.of(s, extra("p99")), 1000), 0, 0)
	t.figure(name+", median", "ms", scaled(t.of(s, extra("p50")), 1000), 0, 0)
	t.figure("a commit, median, beside "+name, "ms", scaled(t.of(s, extra("commit")), 1000), 0, 0)
	t.figure("a commit, p99, beside "+name, "commits", t.of(s, func(s record.Sample) float64 { return s.Extra["commit99"] / s.Extra["commit"] }), 0, 0)
}

// takePauses drives the plan while pause pauses and resumes it. It records the time of the pauses
// and of the commits.
func (t *trial) takePauses(ctx context.Context, s ota.Store, commits *latencies, name string, p fleet.Plan,
	pause func(e *ota.Engine) ([]float64, error),
) error {
	e, err := fleet.Start(ctx, s, fleet.Noop, p)
	if err != nil {
		return err
	}
	driving, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	var took []float64
	sample, err := t.take(work{side: name, tasks: 1, do: func() (uint64, error) {
		go func() { ended <- e.Run(driving) }()
		time.Sleep(50 * time.Millisecond) // until the engine drives the plan
		took, err = pause(e)
		return uint64(len(took)), err
	}})
	if err != nil {
		return err
	}
	cancel()
	if err := unlessCanceled(<-ended); err != nil {
		return err
	}
	sample.Tasks = len(took)
	sample.Extra = map[string]float64{
		"p50": record.Median(took), "p99": p99(took),
		"commit": record.Median(commits.took), "commit99": p99(commits.took), "commits": float64(len(commits.took)),
	}
	return nil
}

func p99(took []float64) float64 {
	slices.Sort(took)
	return took[(len(took)*99-1)/100]
}

// settled is how long a plan on a database runs after Resume without a pause, so that it is under
// full load again.
const settled = 20 * time.Millisecond

// pauses pauses and resumes a plan several times. Before each Pause the plan runs for the given
// time and up to twice that. It returns how long each Pause took until it was durable. A plan that
// ends earlier is too small.
func pauses(ctx context.Context, e *ota.Engine, id string, times int, run time.Duration) (took []float64, err error) {
	for range times {
		time.Sleep(run + rand.N(run))
		began := time.Now()
		if _, err := e.Pause(ctx, id, ota.Request{}); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began).Seconds())
		if _, err := e.Resume(ctx, id, ota.Decision{}, ota.Request{}); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// pauser is the instruction for the other process, as JSON.
type pauser struct {
	Address place.Address
	Plan    string
	Times   int
}

// pausesElsewhere starts another process that pauses the plan.
func pausesElsewhere(ctx context.Context, d place.Database, id string, times int) (took []float64, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	job, err := json.Marshal(pauser{d.Address(), id, times})
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-pauser", string(job)) //nolint:gosec // the program is this one
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	return took, json.Unmarshal(out, &took)
}

// pause is the other process.
func (o options) pause(ctx context.Context) error {
	var job pauser
	if err := json.Unmarshal([]byte(o.pauser), &job); err != nil {
		return err
	}
	s, err := job.Address.Open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	e, err := ota.New(s, nil, ota.Options{})
	if err != nil {
		return err
	}
	took, err := pauses(ctx, e, job.Plan, job.Times, settled)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(took)
}
