// Command bench measures the figures of docs/performance.md: the engine against the floor of what
// it is built on, and against other projects, in turn, on this machine.
//
//	cd bench && GOWORK=off go run .
//
// It needs the programs of PostgreSQL and Redis, and starts its own servers in a temporary folder.
// It takes some 25 minutes. Every measurement is a process of its own and writes one file into
// results. Then GOWORK=off go run ./page draws the plots and writes the tables.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

type options struct {
	only   string
	rounds int
	out    string
	quick  bool
	list   bool
	child  string
	pauser string
}

func main() {
	var o options
	flag.StringVar(&o.only, "only", "", "measure only names that match this regular `expression`")
	flag.IntVar(&o.rounds, "rounds", 5, "number of rounds; every figure is their median")
	flag.StringVar(&o.out, "out", "results", "the `folder` for the results")
	flag.BoolVar(&o.quick, "quick", false, "a smoke run: everything small, two rounds; its figures mean nothing")
	flag.BoolVar(&o.list, "list", false, "only list the measurements")
	flag.StringVar(&o.child, "child", "", "used by bench itself: take this measurement in this process")
	flag.StringVar(&o.pauser, "pauser", "", "used by bench itself: pause a plan as this `JSON` instructs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := o.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (o options) run(ctx context.Context) error {
	if o.pauser != "" {
		return o.pause(ctx)
	}
	if o.child != "" {
		return o.measure(ctx)
	}
	only, err := regexp.Compile(o.only)
	if err != nil {
		return err
	}
	var failed []error
	for _, m := range measurements {
		if !only.MatchString(m.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s: %s\n", m.name, m.what)
		if o.list {
			continue
		}
		began := time.Now()
		if err := o.spawn(ctx, m); err != nil {
			fmt.Fprintf(os.Stderr, "  FAILED: %v\n", err)
			failed = append(failed, fmt.Errorf("%s: %w", m.name, err))
		}
		fmt.Fprintf(os.Stderr, "  took %v\n", time.Since(began).Round(time.Second))
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}
