// Trials predicts the results of a policy before you trust it. It simulates a plan many times on
// fleets drawn at random. It prints how often the plan would pause, how many agents would fail and
// when it would be done. With a second policy it prints both side by side. It draws both
// distributions into an SVG file.
//
//	go run ./trials -agents 500 -fails 0.04 -svg trials.svg \
//		-concurrency 25 -threshold 0.2 -b-concurrency 5 -b-threshold 0.05
//
// Both policies get the same fleets: run 17 of one has the same bad agents as run 17 of the other.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/simulate"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type config struct {
	agents  int
	runs    int
	seed    uint64
	svg     string
	model   simulate.AgentModel
	a, b    side
	compare bool
}

// side is one of the two policies.
type side struct {
	batch     int
	threshold float64
	policy    ota.Policy
}

func parse(args []string, out io.Writer) (c config, err error) {
	f := flag.NewFlagSet("trials", flag.ContinueOnError)
	f.SetOutput(out)
	f.IntVar(&c.agents, "agents", 200, "the number of agents in the fleet")
	f.IntVar(&c.runs, "runs", 1000, "the number of simulated runs")
	f.Uint64Var(&c.seed, "seed", 1, "the seed of every draw")
	f.StringVar(&c.svg, "svg", "", "the file to draw the distributions into; none by default")
	f.Float64Var(&c.model.Fails, "fails", 0.03, "probability that an agent fails for good")
	f.Float64Var(&c.model.Flaky, "flaky", 0.05, "probability that a single attempt fails")
	f.DurationVar(&c.model.Latency.Median, "median", 3*time.Minute, "median time of a call")
	f.DurationVar(&c.model.Latency.P99, "p99", 15*time.Minute, "99th percentile of the time of a call")
	c.a.flags(f, "", ota.DefaultBatchSize, ota.DefaultConcurrency, ota.DefaultFailureThreshold)
	c.b.flags(f, "b-", ota.DefaultBatchSize, ota.DefaultConcurrency, ota.DefaultFailureThreshold)
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if f.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	f.Visit(func(set *flag.Flag) { c.compare = c.compare || len(set.Name) > 2 && set.Name[:2] == "b-" })
	return c, nil
}

func (s *side) flags(f *flag.FlagSet, prefix string, batch, concurrency int, threshold float64) {
	of := "of the policy"
	if prefix != "" {
		of = "of a second policy to compare with"
	}
	f.IntVar(&s.batch, prefix+"batch", batch, "batch size "+of)
	f.IntVar(&s.policy.Concurrency, prefix+"concurrency", concurrency, "concurrency "+of)
	f.Float64Var(&s.threshold, prefix+"threshold", threshold, "failure threshold "+of)
	f.IntVar(&s.policy.Retry.Max, prefix+"retries", 0, "retries "+of)
	f.DurationVar(&s.policy.Soak.Duration, prefix+"observe", 0, "observation after each batch "+of)
	f.BoolVar(&s.policy.Reserve, prefix+"reserve", false, "reserve failures "+of)
}

func run(ctx context.Context, args []string, out io.Writer) error {
	c, err := parse(args, out)
	if err != nil {
		return err
	}
	sides := []side{c.a}
	names := []string{"A"}
	if c.compare {
		sides, names = append(sides, c.b), append(names, "B")
	}
	var results []*simulate.TrialResult
	for i := range sides {
		r, err := c.try(ctx, &sides[i])
		if err != nil {
			return err
		}
		results = append(results, r)
		printResult(out, names[i], &sides[i], r)
	}
	if c.svg == "" {
		return nil
	}
	title := fmt.Sprintf("%d agents, %g fail for good, %g of attempts fail; %d runs", c.agents, c.model.Fails, c.model.Flaky, c.runs)
	if err := os.WriteFile(c.svg, []byte(draw(title, names, sides, results)), 0o600); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "\nThe distributions are in", c.svg)
	return err
}

func (c *config) try(ctx context.Context, s *side) (*simulate.TrialResult, error) {
	s.policy.FailureThreshold = &s.threshold
	agents := func(yield func(ota.Agent, error) bool) {
		for i := range c.agents {
			if !yield(ota.Agent{ID: fmt.Sprintf("agent-%07d", i)}, nil) {
				return
			}
		}
	}
	spec := ota.Spec{Name: "trial", ToVersion: "next", Agents: agents, Shape: ota.Shape{Size: s.batch}, Policy: s.policy}
	return simulate.Trials(ctx, spec, simulate.SameAgents(c.model), simulate.TrialOptions{Runs: c.runs, Seed: c.seed})
}

func (s *side) String() string {
	text := fmt.Sprintf("batches of %d, concurrency %d, threshold %g", s.batch, s.policy.Concurrency, s.threshold)
	if s.policy.Retry.Max > 0 {
		text += fmt.Sprintf(", %d retries", s.policy.Retry.Max)
	}
	if s.policy.Soak.Duration > 0 {
		text += fmt.Sprintf(", watched for %v", s.policy.Soak.Duration)
	}
	if s.policy.Reserve {
		text += ", reserve"
	}
	return text
}

func printResult(out io.Writer, name string, s *side, r *simulate.TrialResult) {
	fmt.Fprintf(out, "%s: %s\n", name, s)
	fmt.Fprintf(out, "  completes     %5.1f %% of runs\n", 100*r.Completed())
	fmt.Fprintf(out, "  pauses        %5.1f %% of runs\n", 100*r.Breached())
	for reason, share := range r.Breaches() {
		fmt.Fprintf(out, "    %-12s %5.1f %%\n", reason, 100*share)
	}
	f, t := r.Failed(), r.Took()
	fmt.Fprintf(out, "  failed agents  mean %.1f, p50 %d, p90 %d, p99 %d, max %d\n", f.Mean, f.P50, f.P90, f.P99, f.Max)
	if t.Runs > 0 {
		fmt.Fprintf(out, "  done after     p50 %v, p90 %v, p99 %v\n", t.P50.Round(time.Minute), t.P90.Round(time.Minute), t.P99.Round(time.Minute))
	}
}
