package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/seed-19b57ce3/ota/examples/internal/planstore"
	"github.com/seed-19b57ce3/ota/httpapi/servicefabric"
	"github.com/seed-19b57ce3/ota/otatest"
)

type config struct {
	addr    string
	db      string
	name    string
	token   string
	open    bool
	latency time.Duration
	sick    time.Duration
	verbose bool
	start   bool
	apps    servicefabric.Apps
}

func parseFlags(args []string, usage io.Writer) (config, error) {
	c := config{apps: servicefabric.Apps{}}
	fs := flag.NewFlagSet("server", flag.ContinueOnError)
	fs.SetOutput(usage)
	fs.StringVar(&c.addr, "addr", "127.0.0.1:8080", "listen at this `host:port`; port 0 is chosen by the system")
	fs.StringVar(&c.db, "db", "", planstore.Usage)
	fs.StringVar(&c.name, "name", "server", "the `name` of this server: each server on the same database needs its own")
	fs.StringVar(&c.token, "token", "", "the `token` that callers must send; required, unless -open")
	fs.BoolVar(&c.open, "open", false, "let everybody in, without a token")
	fs.DurationVar(&c.latency, "latency", 50*time.Millisecond, "the time that a call of an agent takes")
	fs.DurationVar(&c.sick, "sick-after", otatest.DefaultSickAfter, "how long agents named late-… are healthy after their upgrade")
	fs.BoolVar(&c.start, "start-on-create", false, "start every plan when it is created")
	fs.BoolVar(&c.verbose, "v", false, "log every request, not only those that are refused")
	fs.Var(c.apps, "app", "a Service Fabric application, as `NAME=agent,agent,…` without fabric:/ before the name; may be repeated")
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	switch {
	case fs.NArg() > 0:
		return c, fmt.Errorf("it takes no arguments, got %q", fs.Args())
	case c.token == "" && !c.open:
		return c, errors.New("-token is missing: callers have to show it; -open lets everybody in instead")
	case c.token != "" && c.open:
		return c, errors.New("-token and -open exclude each other")
	case c.name == "":
		return c, errors.New("-name is empty")
	case c.latency < 0:
		return c, fmt.Errorf("-latency %v is negative", c.latency)
	case c.sick <= 0:
		return c, fmt.Errorf("-sick-after %v is not positive", c.sick)
	}
	return c, nil
}
