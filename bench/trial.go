package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"

	"github.com/seed-19b57ce3/ota/bench/internal/meter"
	"github.com/seed-19b57ce3/ota/bench/internal/record"
)

// trial is one measurement in progress.
type trial struct {
	rounds int
	quick  bool
	folder string // for files of this trial only; deleted after it
	round  int    // the present round, from 1
	record.Result
}

// size returns the amount of work: less in a smoke run.
func (t *trial) size(full, quick int) int {
	if t.quick {
		return quick
	}
	return full
}

// each runs f once for every round.
func (t *trial) each(f func() error) error {
	for t.round = 1; t.round <= t.rounds; t.round++ {
		if err := f(); err != nil {
			return err
		}
	}
	t.round = 0
	return nil
}

// work is one side of a round.
type work struct {
	side  string
	x     int // the varied size, if any
	tasks int
	meter meter.Meter
	// do does the work and returns the number of commits, or 0 if it does not know.
	do func() (commits uint64, err error)
	// after, unless nil, runs next and does not count: it closes what do opened.
	after func() error
}

// take runs the work and records its sample.
func (t *trial) take(w work) (*record.Sample, error) {
	var commits uint64
	w.meter.After = w.after
	s, err := w.meter.Take(w.side, func() (err error) {
		commits, err = w.do()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", w.side, err)
	}
	s.Round, s.X, s.Tasks, s.Commits = t.round, w.x, w.tasks, commits
	t.Samples = append(t.Samples, s)
	fmt.Fprintf(os.Stderr, "  %d %-34s %9d tasks %8.3f s %8.3f us/task\n", s.Round, label(s), s.Tasks, s.Seconds, 1e6*perTask(s))
	return &t.Samples[len(t.Samples)-1], nil
}

func label(s record.Sample) string {
	if s.X == 0 {
		return s.Side
	}
	return fmt.Sprintf("%s, %d", s.Side, s.X)
}

// The values that figures use from a sample.
func seconds(s record.Sample) float64    { return s.Seconds }
func perTask(s record.Sample) float64    { return s.Seconds / float64(s.Tasks) }
func rate(s record.Sample) float64       { return float64(s.Tasks) / s.Seconds }
func cpuPerTask(s record.Sample) float64 { return (s.CPU + s.Server) / float64(s.Tasks) }
func allocs(s record.Sample) float64     { return float64(s.Allocs) / float64(s.Tasks) }
func commits(s record.Sample) float64    { return float64(s.Commits) / float64(s.Tasks) }
func flushes(s record.Sample) float64    { return float64(s.Flushes) / float64(s.Tasks) }

// extra returns a function that reads one of this measurement's own numbers.
func extra(name string) func(record.Sample) float64 {
	return func(s record.Sample) float64 { return s.Extra[name] }
}

// side selects samples.
type side struct {
	name string
	x    int
}

// of returns f of each round's sample of one side.
func (t *trial) of(who side, f func(record.Sample) float64) []float64 {
	var values []float64
	for _, s := range t.Samples {
		if s.Round > 0 && s.Side == who.name && s.X == who.x {
			values = append(values, f(s))
		}
	}
	return values
}

// ratio returns, for each round, f of one side divided by f of the other.
func (t *trial) ratio(a, b side, f func(record.Sample) float64) []float64 {
	above, below := t.of(a, f), t.of(b, f)
	values := make([]float64, min(len(above), len(below)))
	for i := range values {
		values[i] = above[i] / below[i]
	}
	return values
}

// scaled multiplies every value.
func scaled(values []float64, by float64) []float64 {
	for i := range values {
		values[i] *= by
	}
	return values
}

func micros(values []float64) []float64 { return scaled(values, 1e6) }

// figure draws a figure from the rounds. most and least are the target; 0 means none.
func (t *trial) figure(name, unit string, values []float64, most, least float64) {
	f := record.Of(name, unit, values)
	if most != 0 {
		f.Most = &most
	}
	if least != 0 {
		f.Least = &least
	}
	t.add(f)
}

// none draws a figure that must be zero.
func (t *trial) none(name, unit string, values []float64) {
	f := record.Of(name, unit, values)
	f.Value = cmp.Or(slices.Max(values), 0) // the highest, not the median: one is too many
	f.Most = new(float64)
	t.add(f)
}

func (t *trial) add(f record.Figure) {
	t.Figures = append(t.Figures, f)
	verdict := ""
	if f.Most != nil || f.Least != nil {
		verdict = map[bool]string{true: "reached", false: "MISSED"}[f.Reached()]
	}
	fmt.Fprintf(os.Stderr, "  = %-60s %10.4g %-6s [%.4g %.4g] %s\n", f.Name, f.Value, f.Unit, f.Low, f.High, verdict)
}
