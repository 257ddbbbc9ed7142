package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota/examples/internal/planstore"
)

type config struct {
	addr    string
	db      string
	name    string
	token   string
	open    bool
	latency time.Duration
	apps    applications
}

func parseFlags(args []string, usage io.Writer) (config, error) {
	c := config{apps: applications{}}
	fs := flag.NewFlagSet("server", flag.ContinueOnError)
	fs.SetOutput(usage)
	fs.StringVar(&c.addr, "addr", "127.0.0.1:8080", "listen at this `host:port`; port 0 is chosen by the system")
	fs.StringVar(&c.db, "db", "", planstore.Usage)
	fs.StringVar(&c.name, "name", "server", "what this server is called among those that share the database: each needs a `name` of its own")
	fs.StringVar(&c.token, "token", "", "the `token` that callers show; required, unless -open")
	fs.BoolVar(&c.open, "open", false, "let everybody in, without a token")
	fs.DurationVar(&c.latency, "latency", 50*time.Millisecond, "how long an agent takes")
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
	}
	return c, nil
}

// applications are the agents of each Service Fabric application, by its name without "fabric:/".
type applications map[string][]string

// String implements flag.Value.
func (a applications) String() string { return "" }

// Set implements flag.Value.
func (a applications) Set(s string) error {
	name, list, _ := strings.Cut(s, "=")
	switch {
	case name == "" || strings.Trim(name, "/") != name || strings.Contains(name, "//"):
		return fmt.Errorf("the name %q: want for example myapp or myapp/app1", name)
	case strings.HasPrefix(name, "fabric:"):
		return fmt.Errorf("the name %q: want it without fabric:/", name)
	case a[name] != nil:
		return fmt.Errorf("the application %s is there twice", name)
	}
	agents := strings.Split(list, ",")
	for i, id := range agents {
		if agents[i] = strings.TrimSpace(id); agents[i] == "" {
			return errors.New("an agent's ID is empty: want NAME=agent,agent,…")
		}
		if slices.Contains(agents[:i], agents[i]) {
			return fmt.Errorf("the agent %s is there twice", agents[i])
		}
	}
	a[name] = agents
	return nil
}
